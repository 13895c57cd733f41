"""Moving a local branch onto what landed.

Objects first, then files, then the branch with its old value checked. Whatever is in the way, the branch is left
where it is, and the reason is given; `git uam sync` brings it over later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import NamedTuple

from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.paths import RepoPaths, head_of, process_alive
from uam_hooks.hot.core.plumbing import EMPTY_TREE, ZERO, Git, is_ancestor, resolve_names
from uam_hooks.hot.worktree import index

# What git leaves in a worktree's git directory while it is in the middle of something.
_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
}
LOCK_SECONDS = 10.0


class Settled(NamedTuple):
    """What became of a branch: `at` is where it is now. `why` is empty unless it was left where it was; `transient`
    where what it waited for is over in a moment.
    """

    at: str
    moved: bool = False
    files: bool = False
    why: str = ""
    transient: bool = False


class Landed(NamedTuple):
    """What to settle: the pushed `tip` of `branch` ("" for a detached HEAD) landed as `landing`.

    `keep` holds all that has landed with it (the shadow, or the landing itself), `shadow` names the ref that holds
    what landed before, `mine` what was taken from files of this very worktree: each path with mode and object.
    """

    branch: str
    tip: str
    landing: str
    keep: str
    mine: Mapping[str, tuple[str, str]] = {}
    shadow: str = ""


def settle(git: Git, paths: RepoPaths, what: Landed, files: bool) -> Settled:
    """Bring the branch that brought `what` over to its landing, where that disturbs no work in progress.

    `paths` is the worktree it was pushed from; `files` allows to change that worktree's files. Branches that are
    checked out elsewhere move only when their index and files need nothing.
    """
    home = _checked_out_at(paths, what.branch)
    on_branch, detached = head_of(paths.git_dir)
    if not what.branch and on_branch:
        return Settled(what.tip, why="HEAD is on a branch by now")
    ref = what.branch or "HEAD"
    with settling(paths, what.branch, detached) as busy:
        # read only now: another settle may have moved it while this one waited
        at = _cwd(home, paths)
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
    """Move a branch from `now` (ZERO: it is to be made) to `new`, without touching a file of any worktree.

    `paths` is the worktree that the contents of `mine` come from. A branch that is checked out moves where its
    worktree has the files already; only the index changes then.
    """
    home = _checked_out_at(paths, branch)
    with settling(paths, branch, now) as busy:
        if busy:
            return Settled(now, why=busy, transient=True)
        what = Landed(branch, now, new, new, mine if home == paths.git_dir else {})
        if home is None:
            return _move_ref(git, paths, what, now, new, None)
        return _catch_up(git, paths, what, now, home)


def _catch_up(git: Git, paths: RepoPaths, what: Landed, now: str, home: Path) -> Settled:
    """Move a branch that is checked out where its worktree has the files of the landing already."""
    if busy := _unfinished(home):
        return Settled(now, why=busy)
    at = _cwd(home, paths)
    entries = index.changed(git, at, EMPTY_TREE if now == ZERO else now, what.landing)
    mine = what.mine if home == paths.git_dir else {}
    if not at.is_dir() or len(there := index.there_already(git, at, entries, mine)) < len(entries):
        return Settled(now, why="its files are checked out and would have to change")
    index.stage(git, at, there)
    settled = _move_ref(git, paths, what, now, what.landing, home)
    if settled.why:
        index.unstage(git, at, there)
    return settled


def bring_over(git: Git, paths: RepoPaths, branch: str, now: str, new: str) -> Settled:
    """Move what is checked out in this worktree from `now` to `new`, local modifications kept or nothing touched."""
    with settling(paths, branch, now) as busy:
        if busy:
            return Settled(now, why=busy, transient=True)
        return _move_files(git, paths, Landed(branch, now, new, new), now)


def _checked_out_at(paths: RepoPaths, branch: str) -> Path | None:
    """The git directory of the worktree that has `branch` checked out; for a detached HEAD its own."""
    if not branch:
        return paths.git_dir
    for git_dir in (paths.git_dir, *paths.git_dirs()):
        if branch in (head_of(git_dir)[0], *_held(git_dir)):
            return git_dir
    return None


def _held(git_dir: Path) -> Iterator[str]:
    """The branch that a rebase is about to move; HEAD is detached until it ends."""
    for name in ("rebase-merge", "rebase-apply"):
        with suppress(OSError):
            yield (git_dir / name / "head-name").read_text().strip()


def _cwd(home: Path | None, paths: RepoPaths) -> Path:
    """Where to run git, so that HEAD's reflog of the right worktree is written."""
    if home is None:
        return paths.common_dir
    worktree = RepoPaths.of(home).worktree
    return worktree if worktree.is_dir() else home


def _is_kept(git: Git, now: str, what: Landed, at: Path) -> bool:
    """Whether every commit of a branch at `now` is in the landing, or among the originals that are kept with it.

    Asked before every move, whatever led to it: a branch is never set to where its own work would be dropped.
    """
    kept = [f"^{oid}" for oid in (what.landing, what.keep, what.shadow) if oid]
    return not git.run("rev-list", "--max-count=1", "--ignore-missing", now, *kept, at=at).lines


@contextmanager
def settling(paths: RepoPaths, branch: str, now: str) -> Iterator[str]:
    """One settle at a time, and none while a commit on this branch is in flight; yields what is in the way.

    Our mark goes up before we look for the hook's; the hook does it the other way round, so one of us sees the
    other. A commit whose process is gone left its mark behind and counts for nothing.
    """
    head = f"ref: {branch}" if branch else now
    paths.settling.mkdir(parents=True, exist_ok=True)
    fd = os.open(paths.settle_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    mark = paths.settling / str(os.getpid())
    try:
        if not _lock(fd):
            yield "another settle is running"
            return
        mark.write_text(head + "\n")
        for flight in paths.inflight.iterdir() if paths.inflight.is_dir() else ():
            with suppress(OSError, ValueError):
                if flight.read_text().split("\n")[0] != head:
                    continue
                if process_alive(int(flight.name)):
                    yield "a commit on it is in flight"
                    return
                flight.unlink()
        yield ""
    finally:
        with suppress(OSError):
            mark.unlink()
        os.close(fd)


def _lock(fd: int) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            flock(fd, LOCK_EX | LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


def _unfinished(git_dir: Path) -> str:
    for name, what in _UNFINISHED.items():
        if (git_dir / name).exists():
            return f"{what} is under way there"
    return ""


def _move_ref(git: Git, paths: RepoPaths, what: Landed, now: str, new: str, home: Path | None) -> Settled:
    """Move the branch alone: nothing of index and files differs, or nobody has it checked out."""
    if home is not None and (busy := _unfinished(home)):
        return Settled(now, why=busy)
    where = ("--no-deref", "HEAD") if not what.branch else (what.branch,)
    done = git.run("update-ref", "-m", f"uam: landed as {what.landing[:7]}", *where, new, now, ok=(0, 128),
                   at=_cwd(home, paths))  # fmt: skip
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
    if busy := _unfinished(paths.git_dir):
        return Settled(now, why=busy)
    git.run("update-index", "-q", "--refresh", ok=(0, 1), at=at)
    moved = git.run("read-tree", "-m", "-u", now, what.landing, ok=(0, 128), at=at)
    staged: list[index.Entry] = []
    if moved.code:
        # files that have what the landing brings are in nobody's way
        staged = index.there_already(git, at, index.changed(git, at, now, what.landing), what.mine)
        index.stage(git, at, staged)
        again = git.run("read-tree", "-m", "-u", now, what.landing, ok=(0, 128), at=at)
        if again.code:
            index.unstage(git, at, staged)
            return _refused(now, again.err)
    try:
        settled = _move_ref(git, paths, what, now, what.landing, paths.git_dir)
    except GitFailed:  # it may have moved the branch before it ended: then this goes back to where we are
        _put_back(git, at, staged, what.landing)
        raise
    if settled.why:
        _put_back(git, at, staged, what.landing)
    return settled


def _put_back(git: Git, at: Path, staged: list[index.Entry], landing: str) -> None:
    """Let index and files be what HEAD is: the branch did not move with them."""
    index.unstage(git, at, staged)  # first: they are somebody's files again, and not to be overwritten
    git.run("read-tree", "-m", "-u", landing, "HEAD", ok=(0, 128), at=at)


def _refused(now: str, err: str) -> Settled:
    """Why git would not move the files of a worktree, by what it said."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    if any("index.lock" in line for line in lines):
        return Settled(now, why="another git command is running there", transient=True)
    names = [line.split("'")[1] for line in lines if line.startswith(("error: Entry '", "error: Untracked"))]
    if not names:  # a list of names, between lines of git's own
        names = [line for line in lines if not line.startswith(("error:", "fatal:", "Please", "Aborting"))]
    return Settled(now, why=f"your changes to {names[0]} are in the way" if names else "files there are in the way")


def _carry_newer(git: Git, paths: RepoPaths, what: Landed, now: str, landed_tree: str, home: Path | None) -> Settled:
    """Put commits that came after the pushed tip on top of the landing, where that needs no merge at all."""
    at = _cwd(home, paths)
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
