"""Refs of one process for as long as it talks to a remote: what was fetched, and what goes out by one pattern."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.processes import alive

# what was fetched, as <process>.<number>, and what is pushed, as <process>.<its own>/<ref>
SCRATCH = "refs/uam/tip/"
_REFS = "refs/"
# what is done for so many refs one by one costs less than what is done for all of them
FEW = 8


def lay_out(repo: Repository, objects: Mapping[str, str]) -> str:
    """The prefix below which each ref of `objects` is at its object, without its `refs/`, for one push; "" for none.

    git compares each refspec of a push with each ref here and there, and formats a text whenever it does. For hundreds
    of refs that takes longer than all else; a pattern is compared once. The prefix is new, so nothing else is below it.
    Who has pushed drops what is `used_up`.
    """
    if len(objects) <= FEW or not all(ref.startswith(_REFS) for ref in objects):
        return ""
    prefix = f"{SCRATCH}{os.getpid()}.{os.urandom(16).hex()}/"
    names = {prefix + ref.removeprefix(_REFS): oid for ref, oid in objects.items()}
    try:
        repo.move_refs([(name, oid, ZERO) for name, oid in names.items()], "uam: about to be pushed")
    except GitFailed:  # two names that cannot be there together, as where upper and lower case are one
        return ""
    repo.used_up += [(name, ZERO, oid) for name, oid in names.items()]
    return prefix


def used_up(repo: Repository) -> list[tuple[str, str, str]]:
    """The moves that drop what was laid out, for whoever drops refs next: file systems take longer to make files soon
    after many were deleted, so that comes after all else. What is never dropped goes once the process has ended.
    """
    found, repo.used_up = repo.used_up, []
    return found


def clear(repo: Repository) -> None:
    """Drop what is used up now."""
    with suppress(GitFailed):
        repo.move_refs(used_up(repo), "uam: was pushed")


def spent(refs: Iterable[str]) -> list[str]:
    """Those of the refs that belong to a process which has ended; flushes that run beside each other do not meet."""
    pids = {ref: ref[len(SCRATCH) :].partition(".") for ref in refs if ref.startswith(SCRATCH)}
    return [ref for ref, (pid, dot, _) in pids.items() if not (dot and pid.isdecimal() and alive(int(pid)))]
