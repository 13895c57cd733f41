"""Enable git uam in a repository, and remove it again without a trace.

All checks come before the first change, and an install that fails midway undoes what it did. The file
`.git/uam/env` is written last and removed first: while it is missing, the hooks and the remote helper do
nothing of their own.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from uam_hooks.git.repo import Repository, require_git
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Advice, Locked, Refused, UamError
from uam_hooks.hot.core.plumbing import asked_format
from uam_hooks.hot.core.settings import Settings
from uam_hooks.install import configured
from uam_hooks.install.configured import CONFIGURED
from uam_hooks.install.hookdir import (
    RECORD,
    HooksInTree,
    Placed,
    Record,
    Removed,
    exclusive,
    hooks_directory,
    place,
    place_shims,
    put_file,
    refuse_two_foreign,
    remove,
)
from uam_hooks.install.hookfile import HOOKS
from uam_hooks.install.wiring import (
    AFTER,
    BEFORE,
    ConfigFile,
    Skipped,
    config_file,
    refuse_foreign_aliases,
    unwired,
    wired,
)

DROP_REFS = "git for-each-ref --format='delete %(refname)' refs/uam | git update-ref --stdin"
_OURS = "hooks"  # in .git/uam: our hooks, for git's config to name, and for hooks of others to call
_SITE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class InstallReport:
    """What an install did; `hooks`, `kept` and `wired` are empty when nothing had to be changed."""

    hooks_dir: Path
    """Where git finds our hooks; without hooks, where they lie for others to call."""
    hooks: tuple[str, ...]
    """Hooks that were written or updated."""
    kept: tuple[str, ...]
    """Hooks that were there before; ours run them first."""
    left: tuple[str, ...]
    """Our hooks that somebody has edited; they were not changed."""
    configured: tuple[str, ...]
    """Hooks that git runs from its config, whatever the hooks directory has."""
    wired: tuple[str, ...]
    """Remotes whose pushes go through git uam from now on."""
    skipped: tuple[Skipped, ...]
    """Remotes whose pushes do not go through git uam, and why."""
    door_only: bool = False
    """Nothing was put into a hooks directory: without hooks from the config, commits are not noted."""


@dataclass(frozen=True)
class UninstallReport:
    """What an uninstall did. `installed` is False when there was nothing to remove."""

    installed: bool = True
    hooks: tuple[str, ...] = ()
    """Hooks that were removed."""
    restored: tuple[str, ...] = ()
    """Hooks from before the install that were restored."""
    left: tuple[str, ...] = ()
    """What was not touched, and why."""
    dropped: tuple[str, ...] = ()
    """What was queued and has been dropped."""
    refs: int = 0
    """The number of refs below refs/uam that keep original commits; the command `DROP_REFS` deletes them."""


def install(
    repo: Repository,
    *,
    hooks_only: bool = False,
    door_only: bool = False,
    queue: str | None = None,
    python: str = sys.executable,
    site: Path = _SITE,
) -> InstallReport:
    """Enable git uam in `repo` for all its worktrees. A second call only adds what is missing.

    `python` is the interpreter that hooks and commands start, `site` the directory that holds this package.
    With `hooks_only` no remote is wired: the pre-push hook then queues pushes. With `door_only`, and where git runs
    hooks from among the files of a worktree, remotes are wired and no hook is put in. `queue` is the clone whose queue
    takes the pushes: "" for none any more, None leaves that as it is. Raises Refused, with nothing
    changed, when the repository cannot be enabled, and UamError when a file could not be written.
    """
    _refuse_unfit(repo)
    uam = repo.paths.uam
    with exclusive(repo.paths.common_dir), in_words():
        record, directory = Record.read(uam), _directory(repo, hooks_only, door_only)
        # None: an older git leaves those in the config that a newer one has put there, as both use this repository
        from_config = False if door_only else configured.supported(repo) or None
        besides = CONFIGURED if from_config else ()
        moved = record if record and (not directory or record.hooks_dir.resolve() != directory.resolve()) else None
        known = None if moved else record
        if directory:
            refuse_two_foreign(directory, known, besides)
        with config_file(repo) as config, ExitStack() as undo:
            refuse_foreign_aliases(repo, config.text)
            result = wired(repo, config.text, hooks_only=hooks_only, hooks=from_config, queue=queue)
            _make_directories(uam, undo)
            files.secure(uam, (Settings.read(repo).all("core.sharedrepository") or [""])[-1])
            files.furnish(repo.paths)
            place_shims(uam / "bin", undo)
            if result.hooks or not directory:
                files.make_directory(uam / _OURS)
                place_shims(uam / _OURS, undo, HOOKS)
            placed = _hooks(repo, directory, known, undo, besides)
            replace_config(repo, config, result.text, undo)
            _put_if_new(repo.paths.env_file, os.fsencode(f"{python}\n{site}\n"), undo)
            undo.pop_all()
        if moved:  # core.hooksPath names another directory than it did, or no hooks are wanted any more
            remove(repo, moved)
            if not directory:
                (uam / RECORD).unlink(missing_ok=True)
    return InstallReport(
        directory or uam / _OURS, placed.written, placed.kept, placed.left, besides,
        result.remotes, result.skipped, directory is None,
    )  # fmt: skip


def _directory(repo: Repository, hooks_only: bool, door_only: bool) -> Path | None:
    """Where our hooks go; None where none is put in."""
    if door_only:
        return None
    try:
        return hooks_directory(repo)
    except HooksInTree:
        if hooks_only:
            raise
        return None


def _hooks(
    repo: Repository, directory: Path | None, known: Record | None, undo: ExitStack, besides: Sequence[str]
) -> Placed:
    """Put our hooks into the directory where git looks for hooks, if they may go there; `besides` as in `place`."""
    uam = repo.paths.uam
    if not directory:
        return Placed(Record(uam / _OURS), (), (), ())
    placed = place(repo, directory, known, undo, besides)
    _put_if_new(uam / RECORD, placed.record.text(uam), undo)
    return placed


Closing = Callable[[], AbstractContextManager[Callable[[Path], list[str]] | None]]


def uninstall(
    repo: Repository, *, pending: Callable[[], list[str]], closing: Closing = nullcontext, force: bool = False
) -> UninstallReport:
    """Remove git uam from `repo`: the config file and the hooks become what they would be without it.

    `pending` returns one line for each queued action. Raises Refused when there is one, unless `force` drops it.
    `closing` keeps flushes from the queue (see store.removal); what it gives is called with the directory of the queue
    once that is out of everybody's way, drops what is queued and returns its lines. Commits are kept in any case, on
    their branches and below refs/uam.
    """
    uam = repo.paths.uam
    with exclusive(repo.paths.common_dir), in_words(), ExitStack() as held:
        queued, close = _closed(pending, closing, force, held) if uam.is_dir() else ([], None)
        record = Record.read(uam) or _guess_record(repo)
        with config_file(repo) as config:
            text = unwired(repo, config.text, _content(uam / BEFORE), _content(uam / AFTER))
            installed = uam.is_dir() or text != config.text
            repo.paths.env_file.unlink(missing_ok=True)
            if text != config.text:
                config.replace(text)
        removed = remove(repo, record) if record else Removed()
        slots = sorted(repo.paths.gates.glob("*/tree"))
        away = _renamed(uam)
        if close and away:
            with suppress(UamError):  # a queue that cannot be read: nobody else can either
                queued = list(dict.fromkeys([*queued, *close(away)]))  # some is queued to the last moment
        left = [*removed.left, *_remove_directory(away)]
        for slot in slots:  # git knows them as worktrees, and keeps one that is locked
            repo.run("worktree", "remove", "--force", "--force", str(slot), ok=(0, 1, 128))
    return UninstallReport(
        installed or bool(removed.hooks),
        removed.hooks,
        removed.restored,
        tuple(left),
        tuple(queued),
        len(repo.refs("refs/uam/")),
    )


# -- refusing --------------------------------------------------------------------------------------------


def _refuse_unfit(repo: Repository) -> None:
    require_git()
    asked_format(repo)  # one that is not known here is refused
    bare = repo.run("rev-parse", "--is-bare-repository").text == "true"
    if bare and len(repo.paths.git_dirs()) == 1:
        raise Refused(
            "This is a bare repository without worktrees: nobody commits here.",
            "Install in the repositories that push to it.",
        )


def _refuse_queued(pending: Callable[[], list[str]], force: bool) -> list[str]:
    try:
        queued = pending()
    except UamError as error:  # a queue that cannot be read must not prevent an uninstall
        if not force:
            raise
        return [f"the whole queue, which cannot be read: {error.what}"]
    if queued and not force:
        count = "1 action is" if len(queued) == 1 else f"{len(queued)} actions are"
        raise Refused(
            f"{count} queued: {'; '.join(queued)}.",
            Advice.of("Run {} first, or --force to drop them.", "git", "uam", "flush"),
        )
    return queued


def _closed(
    pending: Callable[[], list[str]], closing: Closing, force: bool, held: ExitStack
) -> tuple[list[str], Callable[[Path], list[str]] | None]:
    """What is queued now that no flush takes anything from it any more, and what ends it."""
    _refuse_queued(pending, force)
    try:
        close = held.enter_context(closing())
    except Locked:
        raise
    except UamError:
        if not force:
            raise
        close = None
    return _refuse_queued(pending, force), close


@contextmanager
def in_words() -> Iterator[None]:
    """Turn an error of the file system into a UamError."""
    try:
        yield
    except OSError as error:
        raise UamError(
            f"Could not write {error.filename or 'a file'}: {error.strerror or error}.",
            "Fix that and run the same command again.",
        ) from error


# -- .git/uam ----------------------------------------------------------------------------------------------


def _make_directories(uam: Path, undo: ExitStack) -> None:
    if not uam.is_dir():
        undo.callback(shutil.rmtree, uam, ignore_errors=True)
    files.make_directory(uam)
    for name in ("bin", "spool", "inflight", "settling"):
        files.make_directory(uam / name)


def _put_if_new(path: Path, data: bytes, undo: ExitStack, mode: int | None = None) -> None:
    """Write a file in .git/uam; without `mode`, those may read it who may read the directory."""
    if _content(path) != data:
        put_file(path, data, path.parent.stat().st_mode & 0o666 if mode is None else mode, undo)


def replace_config(repo: Repository, config: ConfigFile, text: bytes, undo: ExitStack) -> None:
    """Write the wired config; before it, write what an uninstall needs to revert exactly that."""
    before, after = repo.paths.uam / BEFORE, repo.paths.uam / AFTER
    old_before, old_after = _content(before), _content(after)
    if text == config.text and old_before is not None and old_after is not None:
        return
    without_us = unwired(repo, config.text, old_before, old_after)
    _put_if_new(before, without_us, undo, 0o600)  # push URLs may hold passwords
    _put_if_new(after, text, undo, 0o600)
    if text != config.text:
        config.replace(text)
        undo.callback(_take_back, repo, text, config.text)


def _take_back(repo: Repository, text: bytes, earlier: bytes) -> None:
    with config_file(repo) as config:
        if config.text == text:
            config.replace(earlier)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _guess_record(repo: Repository) -> Record | None:
    """A record of where our hooks must be, when the real one is lost."""
    with suppress(Refused):
        return Record(hooks_directory(repo))
    return None


def _renamed(uam: Path) -> Path | None:
    """Take .git/uam out of the way of other processes, all at once; returns where it is now."""
    if not uam.is_dir():
        return None
    return uam.rename(uam.with_name(f"uam.removed-{os.getpid()}"))


def _remove_directory(away: Path | None) -> list[str]:
    """Remove the directory; returns what could not be removed."""
    if away is None:
        return []
    shutil.rmtree(away, ignore_errors=True)
    return [f"{away}: it could not be removed completely"] if away.exists() else []
