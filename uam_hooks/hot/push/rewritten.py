"""A branch that was rewritten, or set back, behind what has landed of it: plain git rejects its push.

A branch that is merely behind is integrated. So it counts where the branch has been, which its reflog tells: it had
something that is on the remote now, as it was or as a landing, and has it in neither form any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from uam_hooks.hot.core.head import refs_are_files
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO, Git, is_ancestor
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import NewSource
from uam_hooks.hot.worktree.landed import SETTLED


class Dropped(NamedTuple):
    """The branch `was` at a commit that is on the remote as `landing`, and is not based on either any more.

    `shared` tells whether others' work landed in the same commit.
    """

    was: str
    landing: str
    shared: bool = False


class Change(Enum):
    """What was done to a branch that dropped something."""

    SET_BACK = 1  # it has nothing of its own any more
    REWORDED = 2  # its files are the same
    AMENDED = 3  # another commit has the place of the one that it was at, and nothing of others is lost by that
    REWRITTEN = 4


class _Step(NamedTuple):
    """One line of a reflog."""

    old: str
    new: str
    message: bytes


# What git writes into a reflog for a commit on top of the one before (git 2.39 and 2.55); an amend is another word.
_ADDED = (b"commit: ", b"commit (merge): ", b"commit (initial): ")
# A detached HEAD that moves to another commit begins another line of work.
_ELSEWHERE = b"checkout: moving from "


def dropped(git: Git, store: Store, paths: RepoPaths, source: NewSource, there: str) -> Dropped | None:
    """What the branch of `source` has given up of what the remote's ref, at `there`, has; None for nothing.

    Costs no process where the branch only got commits since it was at `there`. GitFailed when git fails.
    """
    if source.tip == there:
        return None
    steps = _steps(git, paths, source.branch)
    if steps is not None and _only_grew(steps, source.tip, there):
        return None
    behind = git.run("rev-list", "--topo-order", there, f"^{source.tip}").lines
    if not behind:
        return None
    originals = _originals(store, source, behind)
    # where no reflog is kept, the branch was at least where its pushes were
    pushed = {tip for tips in originals.values() for tip, mine in tips if mine}
    been = pushed if steps is None else _been(steps)
    had = [oid for oid in behind if oid in been or any(tip in been for tip, _ in originals.get(oid, ()))]
    if not had:
        return None
    # the newest holds all that the branch had before it
    newest = had[0]
    tips = [tip for tip, _ in originals.get(newest, ()) if tip in been]
    lacking = _lacking(git, tips, source.tip)
    if tips and len(lacking) < len(tips):
        return None
    shared = any(not mine for _, mine in originals.get(newest, ()))
    return Dropped(newest if newest in been else lacking[-1], newest, shared)


def change(git: Git, tip: str, what: Dropped) -> Change:
    """What made the branch that `was` there end at `tip`."""
    if is_ancestor(git, tip, what.was) or is_ancestor(git, tip, what.landing):
        return Change.SET_BACK
    one, other = git.run("rev-parse", f"{tip}^{{tree}}", f"{what.was}^{{tree}}").lines
    if one == other:
        return Change.REWORDED
    parents = [line.split(" ")[1:] for line in git.run("rev-list", "--no-walk", "--parents", tip, what.was).lines]
    return Change.AMENDED if parents[0] == parents[-1] and not what.shared else Change.REWRITTEN


def _steps(git: Git, paths: RepoPaths, branch: str) -> list[_Step] | None:
    """The reflog of a branch, or of a HEAD that is detached since it was; None where none is kept."""
    if refs_are_files(paths.git_dir):
        steps = _logged(paths.common_dir / "logs" / branch if branch else paths.git_dir / "logs" / "HEAD")
    else:
        steps = _told(git, branch or "HEAD")
    if steps is None:
        return None
    if branch:
        return steps
    starts = [number for number, step in enumerate(steps) if step.message.startswith(_ELSEWHERE)]
    if not starts:
        return steps
    first = steps[starts[-1]]
    return [first._replace(old=first.new), *steps[starts[-1] + 1 :]]


def _logged(log: Path) -> list[_Step] | None:
    """The steps in a file of git's."""
    try:
        lines = log.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    steps = []
    for line in lines:
        head, _, message = line.partition(b"\t")
        fields = head.split(b" ", 2)
        if len(fields) == 3:
            steps.append(_Step(fields[0].decode("ascii", "replace"), fields[1].decode("ascii", "replace"), message))
    return steps


def _told(git: Git, ref: str) -> list[_Step] | None:
    """The steps that git tells; it names what a ref was moved to, each time from where it was."""
    if git.run("reflog", "exists", ref, ok=(0, 1)).code == 1:
        return None
    plain = ("-c", "log.showSignature=false", "log", "--no-patch")  # rev-list tells no messages
    told = git.run(*plain, "--walk-reflogs", "--format=%H%x09%gs", ref, "--").out
    lines = [line.partition(b"\t") for line in reversed(told.splitlines())]
    news = [(new.decode("ascii", "replace"), message) for new, _, message in lines]
    olds = [ZERO, *(new for new, _ in news)]
    return [_Step(old, new, message) for old, (new, message) in zip(olds, news, strict=False)]


def _been(steps: list[_Step]) -> set[str]:
    """Where the branch was of its own accord. A settle that takes it from somewhere is not its agent's rewriting."""
    been: set[str] = set()
    for step in steps:
        been |= {step.old, step.new}
        if step.message.startswith(SETTLED.encode()):
            been.discard(step.old)
    return been


def _only_grew(steps: list[_Step], tip: str, there: str) -> bool:
    """Whether the reflog shows the way from `there` to `tip` as nothing but new commits."""
    at = tip
    for step in reversed(steps):
        if at == there:
            return True
        if step.new != at or not step.message.startswith(_ADDED):
            return False
        at = step.old
    return at == there


def _originals(store: Store, source: NewSource, landings: Iterable[str]) -> dict[str, list[tuple[str, bool]]]:
    """For each of these landings on the ref of `source`: the tips that landed in it, and whether from this branch."""
    found: dict[str, list[tuple[str, bool]]] = {}
    with store.reading() as db:
        rows = db.execute(
            "SELECT l.new, s.tip, s.worktree = ? AND s.branch = ? AS mine FROM landings l"
            " JOIN json_each(CASE WHEN json_valid(l.sources) THEN l.sources ELSE '[]' END) j"
            " JOIN sources s ON s.id = j.value WHERE +l.remote = ? AND +l.ref = ?"
            " AND +l.status = 'landed' AND s.status = 'landed' AND l.new IN (SELECT value FROM json_each(?))"
            " ORDER BY s.id",
            (source.worktree, source.branch, source.remote, source.ref, json.dumps(list(landings))),
        )
        for row in rows:
            found.setdefault(row["new"], []).append((row["tip"], bool(row["mine"])))
    return found


def _lacking(git: Git, tips: list[str], within: str) -> list[str]:
    """Those of `tips` that `within` does not contain; a commit that is gone is one of them."""
    if not tips:
        return []
    listed = set(git.run("rev-list", "--ignore-missing", *tips, f"^{within}").lines)
    here = git.run("cat-file", "--batch-check=%(objectname)", feed="".join(f"{t}\n" for t in tips).encode()).lines
    return [tip for tip in tips if tip in listed or tip not in here]
