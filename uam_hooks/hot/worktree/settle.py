"""Moving a local branch onto what landed.

Objects first, then files, then the branch with its old value checked. Where anything conflicts, the branch stays where
it is and the reason is returned; `git uam sync` moves it later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from uam_hooks.hot.core.errors import last_line
from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO, Git, is_ancestor, resolve_names
from uam_hooks.hot.core.steps import Settling
from uam_hooks.hot.worktree import index, journal
from uam_hooks.hot.worktree.branches import BranchMove, checked, queued
from uam_hooks.hot.worktree.checkouts import checked_out_at, run_directory, unfinished
from uam_hooks.hot.worktree.landed import SETTLED, Landed, Settled
from uam_hooks.hot.worktree.marks import Turn, settling
from uam_hooks.hot.worktree.mover import Mover
from uam_hooks.hot.worktree.repair import repair_all
from uam_hooks.hot.worktree.swap import LOCKED, REFUSED, Swapped


def settle(git: Git, paths: RepoPaths, what: Landed, files: bool) -> Settled:
    """Move the branch of `what` onto its landing, unless that would disturb work in progress.

    `paths` is the worktree that it was pushed from; `files` permits changes to that worktree's files. A branch that is
    checked out elsewhere moves only if its index and files need no change.
    """
    home = checked_out_at(git, paths, what.branch)
    on_branch, detached = head_of(git, paths.git_dir)
    if not what.branch and on_branch:
        return Settled(what.tip, why="HEAD is on a branch by now")
    ref = what.branch or "HEAD"
    with _turn(git, paths, what.branch, detached, home) as turn:
        if what.tip == what.landing:
            return Settled(what.tip)  # what was pushed is what landed: whatever the branch has, it has on top of that
        # read under the lock: another settle may have moved it while this one waited
        at = run_directory(home, paths)
        wanted = (ref, f"{ref}^{{tree}}", f"{what.landing}^{{tree}}", what.keep, what.shadow or what.keep)
        (now, _), (tree, _), (landed_tree, _), (keep, _), (shadow, _) = resolve_names(git, wanted, at)
        if not now:
            return Settled(what.tip, why="it is gone")
        if now == what.landing:
            return Settled(now)
        if turn.busy:
            return Settled(now, why=turn.busy, transient=True)
        if not is_ancestor(git, what.tip, now, at):
            beyond = is_ancestor(git, what.landing, now, at)
            return Settled(now, why="" if beyond else "it has been moved elsewhere")
        # What the shadow has by now may have landed after `what.landing`, which then is older than the branch. All
        # but the pushed tip has to be in what landed with it.
        kept = [oid for oid in (keep, shadow if now == what.tip else "") if oid]
        move = checked(git, what.branch, now, what.landing, _reason(what), kept=kept, at=at)
        if move is None:
            if now == what.tip:
                return Settled(now, why="it has commits that have not landed")
            return _carry_newer(git, paths, what, now, landed_tree, home)
        if home is None or tree == landed_tree:
            return _move_ref(git, paths, move, home)
        mover = Mover(git, paths, home, move, turn.lock)
        if not (files and home == paths.git_dir):
            return _catch_up(mover, what.mine)
        return _move_files(mover, what.mine)


def advance(
    git: Git, paths: RepoPaths, branch: str, now: str, new: str, mine: Mapping[str, tuple[str, str]]
) -> Settled:
    """Move a branch from `now` (ZERO to create it) to `new`, without changing a file of any worktree.

    `paths` is the worktree that `mine` was read from (see `Landed`). A branch that is checked out moves only if its
    worktree has the files already; then its index is updated.
    """
    home = checked_out_at(git, paths, branch)
    with _turn(git, paths, branch, now, home) as turn:
        if turn.busy:
            return Settled(now, why=turn.busy, transient=True)
        move = checked(git, branch, now, new, _reason(Landed(branch, now, new, new)), kept=(),
                       at=run_directory(home, paths))  # fmt: skip
        if move is None:
            return Settled(now, why="it has commits that would be lost")
        if home is None:
            return _move_ref(git, paths, move, None)
        return _catch_up(Mover(git, paths, home, move, turn.lock), mine)


def obstacle(
    git: Git, paths: RepoPaths, branch: str, now: str, new: str, mine: Mapping[str, tuple[str, str]]
) -> str:  # fmt: skip
    """Why `advance` would leave a branch where it is; empty when it would move. Changes nothing.

    What passes by itself is not looked at: locks, and commits in flight.
    """
    home = checked_out_at(git, paths, branch)
    if home is None:
        return ""
    return _there_already(git, paths, home, now, new, mine)[1]


@contextmanager
def _turn(git: Git, paths: RepoPaths, branch: str, now: str, home: Path | None) -> Iterator[Turn]:
    """`settling`, with everything put right first that a settle which died has left."""
    with settling(paths, branch, now) as turn:
        if not turn.busy and journal.unfinished(paths):
            repair_all(git, paths, turn.lock)
            if home is not None and journal.place(paths, home).exists():
                turn = turn._replace(busy="what an interrupted landing left there could not be put right yet")
        yield turn


def _reason(what: Landed) -> str:
    return f"{SETTLED}{what.landing[:7]}"


def _catch_up(mover: Mover, mine: Mapping[str, tuple[str, str]]) -> Settled:
    """Move a branch that is checked out, if its worktree has the files of the landing already."""
    now, new = mover.move.old, mover.move.new
    there, why = _there_already(mover.git, mover.paths, mover.home, now, new, mine)
    if why:
        return Settled(now, why=why)
    return _settled(mover, *mover.run(there, [e.path for e in there], files=False))


def _there_already(
    git: Git, paths: RepoPaths, home: Path, now: str, new: str, mine: Mapping[str, tuple[str, str]]
) -> tuple[list[index.Entry], str]:  # fmt: skip
    """What changes for a worktree that has the files of the landing already, or why the branch stays."""
    if busy := unfinished(git, home):
        return [], busy
    at = run_directory(home, paths)
    entries = index.changed(git, at, git.object_format.empty_tree if now == ZERO else now, new)
    mine = mine if home == paths.git_dir else {}
    if not at.is_dir() or len(there := index.there_already(git, at, entries, mine)) < len(entries):
        return [], "its files are checked out and would have to change"
    return there, ""


def bring_over(
    git: Git, paths: RepoPaths, branch: str, now: str, new: str, kept: Sequence[str], carried: Sequence[str]
) -> Settled:
    """Move what is checked out in this worktree from `now` to `new`, keeping local modifications, or change nothing.

    `kept` are commits that refs of ours hold, `carried` those that `new` has in another form.
    """
    with _turn(git, paths, branch, now, paths.git_dir) as turn:
        if turn.busy:
            return Settled(now, why=turn.busy, transient=True)
        reason = _reason(Landed(branch, now, new, new))
        move = checked(git, branch, now, new, reason, kept=kept, carried=carried, at=paths.worktree)
        if move is None:
            return Settled(now, why="it has commits that would be lost")
        move.keep_originals(git, paths.worktree)
        return _move_files(Mover(git, paths, paths.git_dir, move, turn.lock), {})


def _move_ref(git: Git, paths: RepoPaths, move: BranchMove, home: Path | None) -> Settled:
    """Move the branch alone: index and files need no change, or it is not checked out."""
    if home is not None and (busy := unfinished(git, home)):
        return Settled(move.old, why=busy)
    done = move.run(git, run_directory(home, paths))
    if done.code:
        return Settled(move.old, why=_not_moved(done.err), transient=True)
    return Settled(move.new, moved=True, files=home is not None)


def _not_moved(err: str) -> str:
    locked = any(words in err for words in (".lock': File exists", "cannot lock references", "data is locked"))
    return "another git command is running there" if locked else "it was moved at the same moment"


def _move_files(mover: Mover, mine: Mapping[str, tuple[str, str]]) -> Settled:
    """Index and files first, as `git reset --keep` would, then the branch.

    Not `git reset --keep` itself: it takes HEAD as it finds it, so a commit made a moment ago would drop off the
    branch. A commit between our two steps only finds files that it may well have.
    """
    if busy := unfinished(mover.git, mover.home):
        return Settled(mover.move.old, why=busy)
    done, worse = mover.run((), (), files=True)
    if done.code == REFUSED:
        # local changes that equal the landing's do not conflict with it
        entries = index.changed(mover.git, mover.at, mover.move.old, mover.move.new)
        if there := index.there_already(mover.git, mover.at, entries, mine):
            done, worse = mover.run(there, [e.path for e in there], files=True)
    return _settled(mover, done, worse)


def _settled(mover: Mover, done: Swapped, worse: str) -> Settled:
    """What became of the branch, when the worktree was moved, or put back, or is still to be put back (`worse`)."""
    old = mover.move.old
    if done.code == 0:
        return Settled(mover.move.new, moved=True, files=True)
    if worse:
        return Settled(old, why=f"its files could not be moved, nor put back yet ({worse})", transient=True)
    if done.code == LOCKED:
        return Settled(old, why="another git command is running there", transient=True)
    if done.code == REFUSED:
        return _refused(old, done.err)
    if Settling.INDEX in done.steps:
        now = resolve_names(mover.git, (mover.move.branch or "HEAD",), mover.at)[0][0]
        if now == mover.move.new:  # the git that moved it was killed afterwards
            return Settled(now, moved=True, files=True)
        return Settled(old, why=_not_moved(done.err), transient=True)
    what = last_line(done.err) or f"git ended with {done.code}"
    return Settled(old, why=f"its files could not be moved ({what})", transient=True)


def _refused(now: str, err: str) -> Settled:
    """Why git would not move the files of a worktree, by what it said."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    names = [line.split("'")[1] for line in lines if line.startswith(("error: Entry '", "error: Untracked"))]
    if not names:  # a list of names, between lines of git's own
        names = [line for line in lines if not line.startswith(("error:", "fatal:", "Please", "Aborting"))]
    return Settled(now, why=f"your changes to {names[0]} conflict with it" if names else "files there conflict with it")


def _carry_newer(git: Git, paths: RepoPaths, what: Landed, now: str, landed_tree: str, home: Path | None) -> Settled:
    """Put the commits that are newer than the pushed tip on top of the landing, if that needs no merge."""
    at = run_directory(home, paths)
    listed = git.run("rev-list", "--topo-order", "--reverse", now, f"^{what.keep}", f"^{what.landing}", at=at)
    if queued(git, listed.lines, at):  # it lands as it is, and the branch follows then
        return Settled(now, why="it has newer commits that are queued")
    # Read after the pins, which go when the shadow has what landed.
    ((shadow, _),) = resolve_names(git, (what.shadow or what.keep,), at)
    if shadow and is_ancestor(git, listed.lines[0], shadow, at):
        return Settled(now, why="newer commits of it have landed as well")
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
    move = checked(git, what.branch, now, parent, _reason(what), kept=(what.keep,), carried=listed.lines, at=at)
    if move is None:
        return Settled(now, why="it has commits that would be lost")
    return _move_ref(git, paths, move, home)
