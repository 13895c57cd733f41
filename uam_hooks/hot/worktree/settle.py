"""Moving a local branch onto what landed.

Objects first, then files, then the branch with its old value checked. Where anything conflicts, the branch stays where
it is and the reason is returned; `git uam sync` moves it later.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.paths import RepoPaths, head_of
from uam_hooks.hot.core.plumbing import EMPTY_TREE, ZERO, Git, is_ancestor, resolve_names
from uam_hooks.hot.worktree import index
from uam_hooks.hot.worktree.checkouts import checked_out_at, run_directory, unfinished
from uam_hooks.hot.worktree.marks import settling


class Settled(NamedTuple):
    """What became of a branch: `at` is the commit it is at now, `why` is empty unless it stayed where it was.

    `moved` tells whether the branch moved, `files` whether it is checked out, so that index and files match it;
    `transient` that the reason to stay passes by itself.
    """

    at: str
    moved: bool = False
    files: bool = False
    why: str = ""
    transient: bool = False


class Landed(NamedTuple):
    """What to settle: the pushed `tip` of `branch` ("" for a detached HEAD) landed as `landing`.

    `keep` is a commit that contains all that has landed with it (the shadow, or the landing itself), `shadow` the name
    of the ref that contains what landed before. `mine` maps paths that were read from files of this worktree to the
    mode and object they had.
    """

    branch: str
    tip: str
    landing: str
    keep: str
    mine: Mapping[str, tuple[str, str]] = {}
    shadow: str = ""


def settle(git: Git, paths: RepoPaths, what: Landed, files: bool) -> Settled:
    """Move the branch of `what` onto its landing, unless that would disturb work in progress.

    `paths` is the worktree that it was pushed from; `files` permits changes to that worktree's files. A branch that is
    checked out elsewhere moves only if its index and files need no change.
    """
    home = checked_out_at(paths, what.branch)
    on_branch, detached = head_of(paths.git_dir)
    if not what.branch and on_branch:
        return Settled(what.tip, why="HEAD is on a branch by now")
    ref = what.branch or "HEAD"
    with settling(paths, what.branch, detached) as busy:
        # read under the lock: another settle may have moved it while this one waited
        at = run_directory(home, paths)
        wanted = (ref, f"{ref}^{{tree}}", f"{what.landing}^{{tree}}")
        (now, _), (tree, _), (landed_tree, _) = resolve_names(git, wanted, at)
        if not now:
            return Settled(what.tip, why="it is gone")
        if now == what.landing:
            return Settled(now)
        if busy:
            return Settled(now, why=busy, transient=True)
        mine = home is not None and home == paths.git_dir
        if not is_ancestor(git, what.tip, now, at):
            return Settled(now, why="it has been moved elsewhere")
        if not _is_kept(git, now, what, at):
            if now == what.tip:
                return Settled(now, why="it has commits that have not landed")
            return _carry_newer(git, paths, what, now, landed_tree, home)
        if home is None or tree == landed_tree:
            return _move_ref(git, paths, what, now, what.landing, home)
        if not (mine and files):
            return _catch_up(git, paths, what, now, home)
        return _move_files(git, paths, what, now)


def advance(
    git: Git, paths: RepoPaths, branch: str, now: str, new: str, mine: Mapping[str, tuple[str, str]]
) -> Settled:
    """Move a branch from `now` (ZERO to create it) to `new`, without changing a file of any worktree.

    `paths` is the worktree that `mine` was read from (see `Landed`). A branch that is checked out moves only if its
    worktree has the files already; then its index is updated.
    """
    home = checked_out_at(paths, branch)
    with settling(paths, branch, now) as busy:
        if busy:
            return Settled(now, why=busy, transient=True)
        what = Landed(branch, now, new, new, mine if home == paths.git_dir else {})
        if home is None:
            return _move_ref(git, paths, what, now, new, None)
        return _catch_up(git, paths, what, now, home)


def obstacle(
    git: Git, paths: RepoPaths, branch: str, now: str, new: str, mine: Mapping[str, tuple[str, str]]
) -> str:  # fmt: skip
    """Why `advance` would leave a branch where it is; empty when it would move. Changes nothing.

    What passes by itself is not looked at: locks, and commits in flight.
    """
    home = checked_out_at(paths, branch)
    if home is None:
        return ""
    what = Landed(branch, now, new, new, mine if home == paths.git_dir else {})
    return _there_already(git, paths, what, now, home)[1]


def _catch_up(git: Git, paths: RepoPaths, what: Landed, now: str, home: Path) -> Settled:
    """Move a branch that is checked out, if its worktree has the files of the landing already."""
    at = run_directory(home, paths)
    there, why = _there_already(git, paths, what, now, home)
    if why:
        return Settled(now, why=why)
    index.stage(git, at, there)
    settled = _move_ref(git, paths, what, now, what.landing, home)
    if settled.why:
        index.unstage(git, at, there)
    return settled


def _there_already(
    git: Git, paths: RepoPaths, what: Landed, now: str, home: Path
) -> tuple[list[index.Entry], str]:  # fmt: skip
    """What changes for a worktree that has the files of the landing already, or why the branch stays."""
    if busy := unfinished(home):
        return [], busy
    at = run_directory(home, paths)
    entries = index.changed(git, at, EMPTY_TREE if now == ZERO else now, what.landing)
    mine = what.mine if home == paths.git_dir else {}
    if not at.is_dir() or len(there := index.there_already(git, at, entries, mine)) < len(entries):
        return [], "its files are checked out and would have to change"
    return there, ""


def bring_over(git: Git, paths: RepoPaths, branch: str, now: str, new: str) -> Settled:
    """Move what is checked out in this worktree from `now` to `new`, keeping local modifications, or change nothing."""
    with settling(paths, branch, now) as busy:
        if busy:
            return Settled(now, why=busy, transient=True)
        return _move_files(git, paths, Landed(branch, now, new, new), now)


def _is_kept(git: Git, now: str, what: Landed, at: Path) -> bool:
    """Whether every commit of a branch at `now` is in the landing, or among the originals kept with it.

    Checked before every move, whatever led to it: a branch never moves to a commit that lacks its own work.
    """
    kept = [f"^{oid}" for oid in (what.landing, what.keep, what.shadow) if oid]
    return not git.run("rev-list", "--max-count=1", "--ignore-missing", now, *kept, at=at).lines


def _move_ref(git: Git, paths: RepoPaths, what: Landed, now: str, new: str, home: Path | None) -> Settled:
    """Move the branch alone: index and files need no change, or it is not checked out."""
    if home is not None and (busy := unfinished(home)):
        return Settled(now, why=busy)
    where = ("--no-deref", "HEAD") if not what.branch else (what.branch,)
    done = git.run("update-ref", "-m", f"uam: landed as {what.landing[:7]}", *where, new, now, ok=(0, 128),
                   at=run_directory(home, paths))  # fmt: skip
    if done.code:
        locked = ".lock': File exists" in done.err
        why = "another git command is running there" if locked else "it was moved at the same moment"
        return Settled(now, why=why, transient=True)
    return Settled(new, moved=True, files=home is not None)


def _move_files(git: Git, paths: RepoPaths, what: Landed, now: str) -> Settled:
    """Index and files first, as `git reset --keep` would, then the branch.

    Not `git reset --keep` itself: it takes HEAD as it finds it, so a commit made a moment ago would drop off the
    branch. A commit between our two steps only finds files that it may well have.
    """
    at = paths.worktree
    if busy := unfinished(paths.git_dir):
        return Settled(now, why=busy)
    git.run("update-index", "-q", "--refresh", ok=(0, 1), at=at)
    moved = git.run("read-tree", "-m", "-u", now, what.landing, ok=(0, 128), at=at)
    staged: list[index.Entry] = []
    if moved.code:
        # local changes that equal the landing's do not conflict with it
        staged = index.there_already(git, at, index.changed(git, at, now, what.landing), what.mine)
        index.stage(git, at, staged)
        again = git.run("read-tree", "-m", "-u", now, what.landing, ok=(0, 128), at=at)
        if again.code:
            index.unstage(git, at, staged)
            return _refused(now, again.err)
    try:
        settled = _move_ref(git, paths, what, now, what.landing, paths.git_dir)
    except GitFailed:  # it may have moved the branch before it failed; HEAD is right in either case
        _put_back(git, at, staged, what.landing)
        raise
    if settled.why:
        _put_back(git, at, staged, what.landing)
    return settled


def _put_back(git: Git, at: Path, staged: list[index.Entry], landing: str) -> None:
    """Set index and files back to HEAD, because the branch did not move with them."""
    index.unstage(git, at, staged)  # first: they are local changes again, which read-tree must not overwrite
    git.run("read-tree", "-m", "-u", landing, "HEAD", ok=(0, 128), at=at)


def _refused(now: str, err: str) -> Settled:
    """Why git would not move the files of a worktree, by what it said."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    if any("index.lock" in line for line in lines):
        return Settled(now, why="another git command is running there", transient=True)
    names = [line.split("'")[1] for line in lines if line.startswith(("error: Entry '", "error: Untracked"))]
    if not names:  # a list of names, between lines of git's own
        names = [line for line in lines if not line.startswith(("error:", "fatal:", "Please", "Aborting"))]
    return Settled(now, why=f"your changes to {names[0]} conflict with it" if names else "files there conflict with it")


def _carry_newer(git: Git, paths: RepoPaths, what: Landed, now: str, landed_tree: str, home: Path | None) -> Settled:
    """Put the commits that are newer than the pushed tip on top of the landing, if that needs no merge."""
    at = run_directory(home, paths)
    listed = git.run("rev-list", "--topo-order", "--reverse", now, f"^{what.keep}", f"^{what.landing}", at=at)
    raw = {oid: git.run("cat-file", "commit", oid, at=at).out for oid in listed.lines}
    if any(b"\ngpgsig" in text.partition(b"\n\n")[0] for text in raw.values()):
        return Settled(now, why="it has newer commits that are signed")
    newer = [Commit.parse(oid, text) for oid, text in raw.items()]
    parent = ""
    for commit in newer:
        if len(commit.parents) != 1 or parent not in ("", commit.parents[0]):
            return Settled(now, why="it has newer commits that are not on one line")
        parent = commit.oid
    base = git.run("rev-parse", f"{newer[0].parents[0]}^{{tree}}", at=at).text
    if base != landed_tree:
        return Settled(now, why="it has newer commits and others' work landed as well")
    parent = what.landing
    for commit in newer:
        moved = commit._replace(parents=(parent,))
        parent = git.run("hash-object", "-w", "-t", "commit", "--stdin", feed=moved.raw(), at=at).text
    return _move_ref(git, paths, what, now, parent, home)
