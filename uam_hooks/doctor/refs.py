"""Our refs and the queue hold the same: each entry has its pin, and each pin its entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import NamedTuple

from uam_hooks.doctor.finding import BY_FIX, Code, Finding, Fix, error, warning
from uam_hooks.doctor.seen import Seen
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, GitFailed
from uam_hooks.hot.core.refs import HEADS, OURS, full_target, short_target
from uam_hooks.hot.core.settings import Settings
from uam_hooks.land.retention import PINS
from uam_hooks.store import checks

LANDINGS, SHADOWS = "refs/uam/landing/", "refs/uam/shadow/"


class Held(NamedTuple):
    """Where a commit is remembered as landed."""

    remote: str
    ref: str


def check_refs(seen: Seen) -> Iterator[Finding]:
    """Pins and entries belong to each other, landings are in the journal, and every ref of ours has its object.

    A push pins before it queues. A pin goes when its entry ends, and a little before where the entry lands: the landing
    keeps the commit by then. So what does not fit is looked at twice.
    """
    refs = seen.repo.refs(OURS)
    kinds = seen.repo.kinds(refs.values())
    broken = [name for name, oid in refs.items() if not kinds[oid]]
    for name in broken:
        yield error(
            Code.REF_BROKEN, name, "Its object is not there: git cannot collect, and landings there may fail.",
            Advice.of(
                f"{{}} says more; `git update-ref -d {quote(name)}` deletes it, and what it remembered.", "git", "fsck"
            ),
        )  # fmt: skip
    sound = {name: oid for name, oid in refs.items() if name not in broken}
    if seen.store is None:
        yield from _without_queue(seen, sound)
        return
    yield from _unpinned(seen)
    yield from _strays(seen, sound)
    yield from _unrecorded(seen, sound)


def _unpinned(seen: Seen) -> Iterator[Finding]:
    assert seen.store is not None
    waiting = checks.waiting(seen.store)
    refs = seen.repo.refs(PINS)
    lacking = [one for one in waiting if PINS + one.tip not in refs]
    if not lacking:
        return
    still = {one.id for one in checks.waiting(seen.store)}
    kinds = seen.repo.kinds(one.tip for one in lacking)
    for one in lacking:
        about = f"#{one.action} {one.tip[:12]}"
        if one.id in still and kinds[one.tip]:
            if seen.repo.run("for-each-ref", "--count=1", f"--contains={one.tip}", LANDINGS).text:
                continue
            yield error(
                Code.ENTRY_UNPINNED, about, f"No ref of ours keeps the commit that {one.agent} has pushed: `git gc` may"
                " take it once its branch is gone.", f"Run {BY_FIX}.", Fix.PIN, (one.tip,),
            )  # fmt: skip
        elif one.id in still:
            yield error(
                Code.COMMIT_GONE, about, f"The commit that {one.agent} has pushed is not here any more, so it fails.",
                f"Push {short_target(one.branch) or 'it'} again from where it still is.",
            )  # fmt: skip


def _strays(seen: Seen, refs: Mapping[str, str]) -> Iterator[Finding]:
    assert seen.store is not None
    pins = [oid for name, oid in refs.items() if name == PINS + oid]
    stray = checks.unknown(seen.store, checks.unknown(seen.store, pins)) if pins else []
    for tip in stray:
        yield _stray(seen.repo, tip)


def _without_queue(seen: Seen, refs: Mapping[str, str]) -> Iterator[Finding]:
    """Pins of work that has not landed, where there is no queue that could be about it."""
    if seen.paths.database.exists() and seen.paths.database.lstat().st_size:
        return  # what is wrong with it is told, and what it holds not known
    waiting = [oid for name, oid in refs.items() if name == PINS + oid and not has_landed(seen.repo, oid)]
    if waiting:
        yield error(
            Code.QUEUE_MISSING, str(seen.paths.database),
            f"It is gone, and {len(waiting)} commit{'s' * (len(waiting) != 1)} that were queued have not landed.",
            f"Run {BY_FIX}, which says which those are.", Fix.REBUILD,
        )  # fmt: skip


def _stray(repo: Repository, tip: str) -> Finding:
    name, branches = PINS + tip, _branches(repo, tip)
    if has_landed(repo, tip):
        return warning(
            Code.PIN_STRAY, name, "No entry is about it, so it never expires; what it holds has landed.",
            f"Run {BY_FIX}.", Fix.UNPIN, (tip,),
        )  # fmt: skip
    subject = repo.commit(tip).subject if repo.kind(tip) == "commit" else "no commit"
    drop = f", or drop it with `git update-ref -d {quote(name)}`."
    again = Advice(f"Push {branches[0]} again{drop}") if branches else (
        Advice.of(f"{{}} makes a branch of it: push that{drop}", "git", "uam", "restore", tip[:12]))  # fmt: skip
    at = f", the tip of {branches[0]}," if branches else ""
    return warning(
        Code.PIN_STRAY, name,
        f'"{subject}"{at} was pinned to be pushed, and no entry is about it: where it was to land is not known, and'
        " nobody lands it.",
        again,
    )  # fmt: skip


def _branches(repo: Repository, tip: str) -> list[str]:
    listed = repo.run("for-each-ref", "--format=%(refname)", "--points-at", tip, HEADS).lines
    return [short_target(name) for name in listed]


def _unrecorded(seen: Seen, refs: Mapping[str, str]) -> Iterator[Finding]:
    assert seen.store is not None
    named = {}
    for name in refs:
        batch, _, number = name.removeprefix(LANDINGS).partition("/")
        if name.startswith(LANDINGS) and number.isdecimal() and len(number) < 16:
            named[batch, int(number)] = name
    for key in checks.unrecorded(seen.store, named):
        name = named[key]
        there = landed_on(seen.repo, seen.settings, refs[name])
        means = "The journal does not have this landing, so it never expires."
        if there:
            yield warning(
                Code.LANDING_STRAY, name, means, f"Run {BY_FIX}.", Fix.REMEMBER, (refs[name], *there)
            )  # fmt: skip
        else:
            yield warning(
                Code.LANDING_STRAY, name, f"{means} Whether it has landed is not known.",
                Advice.of(
                    f"See {{}}; `git update-ref -d {quote(name)}` drops it, with what only it holds.",
                    "git", "log", name,
                ),
            )  # fmt: skip


def has_landed(repo: Repository, oid: str) -> bool:
    """Whether a shadow or a remote-tracking ref holds this object, by itself or below."""
    held = repo.run("for-each-ref", "--count=1", "--format=x", "--contains", oid, SHADOWS, "refs/remotes/", ok=(0, 129))
    return bool(held.lines)


def landed_on(repo: Repository, settings: Settings, keep: str) -> Held | None:
    """A branch of a remote on which the landing that `keep` holds has landed; None where no ref of here shows one.

    A shadow says so of what was squashed or moved, the remote-tracking ref of what landed as it was.
    """
    for name, shadow in repo.refs(SHADOWS).items():
        remote = next((one for one in settings.remotes() if name.startswith(f"{SHADOWS}{one}/")), "")
        try:
            if remote and repo.is_ancestor(keep, shadow):
                return Held(remote, full_target(name.removeprefix(f"{SHADOWS}{remote}/")))
        except GitFailed:  # that shadow does not tell
            continue
    held = repo.run("for-each-ref", "--format=%(refname)", "--contains", keep, "refs/remotes/", ok=(0, 129)).lines
    for tracking in held:
        for remote in settings.remotes():
            ref = settings.remote_ref(remote, tracking)
            if ref is not None and ref.startswith(HEADS):
                return Held(remote, ref)
    return None
