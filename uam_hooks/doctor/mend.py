"""Mending what cannot lose anything, each thing under the locks and checks of whoever does it in the flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from uam_hooks.doctor.examine import examine
from uam_hooks.doctor.finding import Code, Finding, Fix
from uam_hooks.doctor.places import owner_lives
from uam_hooks.doctor.refs import LANDINGS, has_landed
from uam_hooks.doctor.seen import Installed
from uam_hooks.flush.flush import recover_here
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Locked, UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import pin_ref
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue import faults
from uam_hooks.hot.worktree.marks import turn_now
from uam_hooks.install.configured import asked_for
from uam_hooks.install.hookdir import RECORD
from uam_hooks.install.install import install
from uam_hooks.install.later import wire
from uam_hooks.install.wiring import has_wired
from uam_hooks.session import Session, open_queue
from uam_hooks.store import rebuild

# How long whoever is at work on the queue is waited for.
LOCK_SECONDS = 5.0


class Mended(NamedTuple):
    """What there was and is: each finding with whether it was mended, those that only came up then, and what was said
    of the mending.
    """

    findings: list[Finding]
    said: list[str]


def plan(found: Sequence[Finding]) -> list[str]:
    """What `mend` will do about these findings, a line for each thing."""
    lines = []
    for fix in Fix:
        of = list(dict.fromkeys(one.about for one in found if one.fix is fix))
        if of:
            lines.append(f"{', '.join(of)}: {fix.value}")
    return lines


def mend(repo: Repository, found: Sequence[Finding]) -> Mended:
    """Do all of it, and look again: what is not found any more was mended."""
    said: list[str] = []
    wanted = [one for one in found if one.fix is not None]
    for fix in Fix:
        of = [one for one in wanted if one.fix is fix]
        if of:
            try:
                _HOW[fix](repo, of, said)
            except (UamError, OSError) as error:
                words = (error.what, error.do) if isinstance(error, UamError) else (str(error),)
                said.append(f"not mended: {' '.join(filter(None, words))}")
            if fix in (Fix.INSTALL, Fix.REBUILD):  # what could not be seen before is seen now, and mended, too
                known = {one.key for one in wanted}
                wanted += [one for one in examine(repo) if one.fix is not None and one.key not in known]
    with repo.anew() as again:
        left = examine(again)
    still = {one.key for one in left}
    before = {one.key for one in found}
    mended = [one._replace(fixed=one.fix is not None and one.key not in still) for one in found]
    kept = [one for one in mended if one.fixed or one.key in still]  # some were a consequence of others
    return Mended([*kept, *(one for one in left if one.key not in before)], said)


# -- one for each kind -------------------------------------------------------------------------------------------


def _install(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    uam, now = repo.paths.uam, Installed.read(repo.paths)
    hooks_only = has_wired(uam) is False
    lost = any(one.code is Code.HALF_INSTALLED and one.about.endswith(RECORD) for one in of)
    # asked for, and not because git's hooks are among the files of a worktree, which install sees by itself
    door_only = (uam / "hooks").is_dir() and not (uam / RECORD).exists() and not lost and not asked_for(repo)
    sound = now is not None and now.starts and now.has_program
    if sound and now is not None and now.python is not None and now.site is not None:
        install(repo, hooks_only=hooks_only, door_only=door_only, python=str(now.python), site=now.site)
    else:
        install(repo, hooks_only=hooks_only, door_only=door_only)


def _furnish(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    for one in of:
        files.make_directory(Path(one.about))
    files.furnish(repo.paths)


def _secure(repo: Repository, _of: Sequence[Finding], _said: list[str]) -> None:
    files.secure(repo.paths.uam, (Settings.read(repo).all("core.sharedrepository") or [""])[-1])


def _open(repo: Repository, _of: Sequence[Finding], _said: list[str]) -> None:
    """What every session begins with: the queue is of this version then, and worktrees are put right."""
    with open_queue(repo):
        pass


def _rebuild(repo: Repository, _of: Sequence[Finding], said: list[str]) -> None:
    files.furnish(repo.paths)
    done = rebuild.rebuild(repo.paths, LOCK_SECONDS)
    if done.aside is None:
        return
    said.append(f"the damaged queue is {done.aside} now")
    said.append(f"{done.rows} row{'s' * (done.rows != 1)} of it could be read and are in the new one")
    if done.lost:
        said.append(f"not all could be read of: {', '.join(done.lost)}")


def _pin(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    repo.move_each([(pin_ref(tip), tip, ZERO) for tip in dict.fromkeys(one.of[0] for one in of)], "uam: pin")


def _end(repo: Repository, _of: Sequence[Finding], _said: list[str]) -> None:
    with open_queue(repo) as session, session.store.transaction() as db:
        faults.end_unreadable(db)


def _reopen(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    with open_queue(repo) as session:
        for one in of:
            rebuild.reopen(session.store, int(one.of[0]))
        _ask(session)


def _recover(repo: Repository, _of: Sequence[Finding], _said: list[str]) -> None:
    with open_queue(repo) as session:
        _ask(session)


def _ask(session: Session) -> None:
    recover_here(session)
    ensure_flush(session)  # what was given back waits for its turn


def _remember(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    with open_queue(repo) as session:
        for one in of:
            batch, _, number = one.about.removeprefix(LANDINGS).partition("/")
            keep, remote, ref = one.of
            new, old = _landing(repo, keep)
            rebuild.remember(session.store, batch, int(number), remote, ref, old, new, keep)


def _landing(repo: Repository, keep: str) -> tuple[str, str]:
    """The landing that a commit keeps, and what it went over: a shadow's first parent, else that commit itself."""
    parents = repo.commit(keep).parents
    new = parents[0] if len(parents) > 1 and repo.commit(parents[0]).tree == repo.commit(keep).tree else keep
    return new, (repo.commit(new).parents or (ZERO,))[0]


def _unpin(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    tips = [tip for tip in dict.fromkeys(one.of[0] for one in of) if has_landed(repo, tip)]
    repo.move_each([(pin_ref(tip), ZERO, tip) for tip in tips], "uam: landed")


def _sweep(repo: Repository, of: Sequence[Finding], _said: list[str]) -> None:
    with turn_now(repo.paths, LOCK_SECONDS) as turn:  # a settle that begins has a mark only with this
        if turn is None:
            raise Locked("A settle is under way.", "Wait for it.")
        for mark in (Path(one.about) for one in of):
            with suppress(FileNotFoundError):
                if not owner_lives(mark):
                    mark.unlink()


def _wire(repo: Repository, _of: Sequence[Finding], _said: list[str]) -> None:
    wire(repo)


def _start(repo: Repository, _of: Sequence[Finding], _said: list[str]) -> None:
    with open_queue(repo) as session:
        ensure_flush(session)


_HOW: dict[Fix, Callable[[Repository, Sequence[Finding], list[str]], None]] = {
    Fix.INSTALL: _install, Fix.FURNISH: _furnish, Fix.SECURE: _secure, Fix.MIGRATE: _open, Fix.REBUILD: _rebuild,
    Fix.REPAIR: _open, Fix.PIN: _pin, Fix.END: _end, Fix.REOPEN: _reopen, Fix.RECOVER: _recover,
    Fix.REMEMBER: _remember, Fix.UNPIN: _unpin, Fix.SWEEP: _sweep, Fix.WIRE: _wire, Fix.START: _start,
}  # fmt: skip
