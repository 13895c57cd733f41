"""Putting a worktree right in which a settle ended half-way: killed, or out of space.

Everything is decided by what is on disk, path by path: what the settle had changed goes back to what it was, what
somebody edited since stays. A path whose content HEAD has by now stays as well: then the branch has moved, and the
settle had come to its end, or somebody has recorded or fetched that content.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.errors import GitFailed, last_line
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO, Git, HotGit, resolve_names
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple, NoReturn
from uam_hooks.hot.core.words import say
from uam_hooks.hot.worktree import index, journal
from uam_hooks.hot.worktree.checkouts import run_directory, unfinished
from uam_hooks.hot.worktree.index import SUBMODULE, Entry
from uam_hooks.hot.worktree.journal import Move
from uam_hooks.hot.worktree.marks import LOCK_SECONDS, turn_now
from uam_hooks.hot.worktree.swap import LOCKED, swap

# Exit status with which the pre-commit hook is to stop this commit.
REFUSE = 64


class Undone(NamedTuple):
    """What was put back: whether entries of the index were, and whether files were."""

    entries: bool = False
    files: bool = False


class NotYet(Exception):
    """The worktree cannot be put right now, and the text says why; what is written down stays for the next one."""


def repair(git: Git, paths: RepoPaths) -> None:
    """Put every worktree right that a process left half-way, and say so; a settle that lives is left alone.

    Every push, every command and every flush begins with this. It costs nothing where nothing is to be done.
    """
    if not journal.unfinished(paths):
        return
    with turn_now(paths) as turn:
        if turn is not None:
            repair_all(git, paths, turn)


def repair_all(git: Git, paths: RepoPaths, turn: int) -> None:
    """The same for whoever holds the settle lock, whose descriptor is `turn`."""
    for record in journal.unfinished(paths):
        move = journal.read(record)
        name = short_target(move.branch) or "HEAD" if move else ""
        if move and Path(move.git_dir).is_dir() and not RepoPaths.of(Path(move.git_dir)).worktree.is_dir():
            continue  # its files are away, and may come back
        try:
            undone = put_back(git, paths, record, move, turn)
        except (NotYet, GitFailed, OSError) as error:
            say(f"{name} was being brought over when that was interrupted; it cannot be put right yet: "
                f"{last_line(str(error))}.")  # fmt: skip
            continue
        if any(undone) and move:
            say(f"{name} was being brought to {move.new[:7]} when that was interrupted; what had changed in "
                f"{RepoPaths.of(Path(move.git_dir)).worktree} is as it was before.")  # fmt: skip


def before_commit() -> NoReturn:
    """The pre-commit hook of a worktree in which a settle was interrupted: `python ... <git directory>`.

    Put it right before git makes the commit. Exit status REFUSE when git has read, into the commit it is about to make,
    what the settle had put there; git then reads again at the next try.
    """
    paths = RepoPaths.of(Path(sys.argv[1]))
    git = HotGit(paths.git_dir, paths.worktree)
    record = journal.place(paths, paths.git_dir)
    # `git commit -a` and `git commit <paths>` have the lock, and an index of their own, while this hook runs
    held = Path(os.environ.get("GIT_INDEX_FILE", "")).name.startswith(("index.lock", "next-index-"))
    try:
        with turn_now(paths, LOCK_SECONDS) as turn:
            if turn is None:  # a settle that lives
                sys.exit(0)
            undone = put_back(git, paths, record, journal.read(record), turn, held=held)
    except NotYet:  # in the middle of a merge or a rebase, whose result is what is committed
        sys.exit(0)
    except (GitFailed, OSError) as error:
        say(f"a landing was being brought over here and was interrupted, and that cannot be put right now "
            f"({last_line(str(error))}); `git commit --no-verify` commits all the same.")  # fmt: skip
        sys.exit(REFUSE)
    if undone.entries or (held and undone.files):
        say("a landing was being brought over here and was interrupted; it has been put right now: commit again.")
        sys.exit(REFUSE)
    sys.exit(0)


def put_back(
    git: Git, paths: RepoPaths, record: Path, move: Move | None, turn: int, *, held: bool = False
) -> Undone:  # fmt: skip
    """Undo what there is of a move, and forget it; see `swap` for `turn` and `held`.

    Raises NotYet, GitFailed or OSError where that is not possible now; it can be tried again.
    """
    undone = Undone()
    if move is not None and Path(move.git_dir).is_dir():
        _free_lock(move, record)
        if move.before.exists():
            if why := unfinished(git, Path(move.git_dir)):
                raise NotYet(why)
            undone = _undo(git, run_directory(Path(move.git_dir), paths), record, move, turn, held)
        journal.forget(record, move)
    else:
        journal.forget(record, None)
    return undone


def _free_lock(move: Move, record: Path) -> None:
    """Remove the lock of the index if the process that is gone had it: it is a link to the record, or a copy."""
    lock = move.index_file.with_name("index.lock")
    with suppress(FileNotFoundError):
        if lock.samefile(record) or lock.read_bytes() == record.read_bytes():
            lock.unlink()


def _undo(git: Git, at: Path, record: Path, move: Move, turn: int, held: bool) -> Undone:
    entries = _still_old(git, at, move)
    were = index.staged(git, at, move.before)
    now = index.staged(git, at)
    # what somebody had staged before, with the same content as the landing's, is none of ours
    ours = [e for e in entries if SUBMODULE not in (e.old_mode, e.new_mode) and were.get(e.path) != index.after(e)]
    files = _moved_files(git, at, [e for e in ours if e.path not in move.kept])
    _restore_files(git, at, move, files)
    staged = [e for e in entries if now.get(e.path) == index.after(e) != were.get(e.path)]
    if staged:
        done = swap(at, move, record, turn, stage=index.feed(git, ((e.path, were.get(e.path)) for e in staged)),
                    undo=True, held=held)  # fmt: skip
        if done.code == LOCKED:
            raise NotYet("another git command is running there")
        if done.code:
            raise NotYet(last_line(done.err) or f"git ended with {done.code}")
    return Undone(bool(staged), bool(files))


def _still_old(git: Git, at: Path, move: Move) -> list[Entry]:
    """The paths that the move changes, those that HEAD still has as they were before."""
    old = git.object_format.empty_tree if move.old == ZERO else move.old
    entries = index.changed(git, at, old, move.new)
    head = resolve_names(git, ("HEAD",), at)[0][0] or git.object_format.empty_tree
    if head != move.old:
        elsewhere = {entry.path for entry in index.changed(git, at, old, head)}
        entries = [entry for entry in entries if entry.path not in elsewhere]
    return entries


def _moved_files(git: Git, at: Path, entries: Sequence[Entry]) -> list[Entry]:
    """Those of `entries` whose files the move has changed: to the new content, to a part of it, or to nothing yet."""
    new = index.objects(git, at, entries)
    moved = [e for e in entries if new[e.path] == e.new]
    rest = [e for e in entries if new[e.path] != e.new]
    old = index.objects(git, at, [e.reverse for e in rest])
    moved += [e for e in rest if old[e.path] != e.old and _is_part(git, at, e)]
    return moved


def _is_part(git: Git, at: Path, entry: Entry) -> bool:
    """Whether the file is what git leaves of a path that it was writing: nothing, or the beginning of it."""
    path = at / entry.path
    if not _in_place(at, entry.path) or path.is_symlink():
        return False
    if not path.exists():
        return entry.old != ZERO
    if not path.is_file():
        return False
    found = path.read_bytes()
    # the beginning of what was there before, too: that is where a repair for which there was no space ended
    for mode, oid in ((entry.new_mode, entry.new), (entry.old_mode, entry.old)):
        if oid != ZERO and mode != index.LINK:
            whole = git.run("cat-file", "--filters", f"--path={entry.path}", oid, at=at).out
            if whole.startswith(found):
                return True
    return False


def _restore_files(git: Git, at: Path, move: Move, files: Sequence[Entry]) -> None:
    """Let these files be what the index before the move says; removals come first, for a file may be in the way."""
    for entry in files:
        path = at / entry.path
        if _in_place(at, entry.path) and (path.is_symlink() or path.is_file()):
            path.unlink()
            _remove_empty(at, path.parent)
    # not over what somebody else has put there: git would make room for it
    wanted = [e.path for e in files if e.old != ZERO and _in_place(at, e.path) and not os.path.lexists(at / e.path)]
    if wanted:
        feed = "".join(f"{path}\0" for path in wanted).encode("utf-8", "surrogateescape")
        git.run("checkout-index", "-f", "-z", "--stdin", feed=feed, at=at, env={"GIT_INDEX_FILE": str(move.before)})


def _in_place(at: Path, path: str) -> bool:
    """Whether everything above `path` is a directory or not there; no link is followed."""
    above = at
    for part in path.split("/")[:-1]:
        above /= part
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            return False
    return True


def _remove_empty(at: Path, directory: Path) -> None:
    with suppress(OSError):  # not empty
        while directory != at:
            directory.rmdir()
            directory = directory.parent
