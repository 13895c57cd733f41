"""What lies in .git/uam: directories, marks and locks and whether their owners live, half-done settles, room."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from uam_hooks.doctor.finding import BY_FIX, Code, Finding, Fix, error, warning
from uam_hooks.doctor.seen import Seen, held
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Advice, StoreError
from uam_hooks.hot.core.identity import key_of
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.processes import alive
from uam_hooks.hot.worktree import journal

# A commit whose editor has been open for so long, and what a commit that ended without one has left, is worth a word.
LONG_SECONDS = 3600.0
# No git holds a lock file of its own for so long.
STALE_SECONDS = 600.0
# What one large landing takes, and what git, SQLite and a gate want besides.
NO_ROOM_BYTES, LOW_ROOM_BYTES = 16_000_000, 128_000_000
_NEEDED = ("spool", "inflight", "settling", "bin")  # the hooks make none of them
_MADE = ("batches", "bells", "log")  # by whoever misses them


def check_directories(seen: Seen) -> Iterator[Finding]:
    """The directories that hooks and processes write to are there, and are directories of ours."""
    uam = seen.paths.uam
    for name in (*_NEEDED, *_MADE):
        path = uam / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            yield error(
                Code.DIRECTORY_ODD, str(path), "It is no directory of ours, so nothing is written to it.",
                Advice.of("Remove it, and run {}.", "git", "uam", "install"),
            )  # fmt: skip
        elif name in _NEEDED and not path.exists():
            yield error(
                Code.DIRECTORY_MISSING, str(path), "It is not there, so hooks cannot write to it, and commits are not"
                " noted or not kept apart from landings.", "Run `git uam install`.", Fix.FURNISH,
            )  # fmt: skip
    if not os.access(uam, os.W_OK | os.X_OK):
        yield error(
            Code.NOT_WRITABLE, str(uam), "You cannot write there, so your pushes go straight to the remote.",
            "See who owns it, core.sharedRepository, and whether its disk is mounted to be read only.",
        )  # fmt: skip
    mode = files.directory_mode((seen.settings.all("core.sharedrepository") or [""])[-1])
    if mode is not None and (more := stat.S_IMODE(uam.stat().st_mode) & 0o777 & ~mode):
        yield warning(
            Code.OPEN_TO_OTHERS, str(uam), f"Others have more rights there ({more:03o}) than core.sharedRepository"
            " gives: URLs and output of commands may be private.", "Run any command, as `git uam status`.", Fix.SECURE,
        )  # fmt: skip


def check_key(seen: Seen) -> Iterator[Finding]:
    """The secret of identities can be read, if it was made yet."""
    try:
        key_of(seen.paths, make=False)
    except FileNotFoundError:
        return
    except (StoreError, OSError) as wrong:
        yield error(
            Code.KEY_DAMAGED, str(seen.paths.identity_key), f"Nobody can tell as whom anything was queued: {wrong}",
            "Remove it; cancel what waits, and push it again.",
        )  # fmt: skip


def check_settles(seen: Seen) -> Iterator[Finding]:
    """No worktree was left half brought over by a process that is gone."""
    records = journal.unfinished(seen.paths)
    if not records or held(seen.paths.settle_lock):
        return
    for record in records:
        move = journal.read(record)
        at = RepoPaths.of(Path(move.git_dir)).worktree if move and Path(move.git_dir).is_dir() else None
        if at is None or at.is_dir():  # else its files are away, and may come back
            yield error(
                Code.SETTLE_UNFINISHED, str(at or record),
                "A landing was being brought over there when that was interrupted: index and files may be between two"
                " commits.", f"Run {BY_FIX}, or any command, as `git uam status`.", Fix.REPAIR,
            )  # fmt: skip


def check_marks(seen: Seen) -> Iterator[Finding]:
    """The marks of commits and settles are those of living processes, and of none that takes for ever."""
    for directory in (seen.paths.inflight, seen.paths.settling):
        for mark in sorted(directory.iterdir()) if directory.is_dir() else ():
            with suppress(OSError):  # it has ended meanwhile
                yield from _mark(seen, mark, seen.now - mark.lstat().st_mtime)


def _mark(seen: Seen, mark: Path, age: float) -> Iterator[Finding]:
    if not mark.name.isdecimal() or not mark.is_file():
        return
    flight = mark.parent == seen.paths.inflight
    if owner_lives(mark):
        if flight and age > LONG_SECONDS:
            yield warning(
                Code.COMMIT_OPEN, str(mark), f"A commit of the process {mark.name} has been under way for"
                f" {age / 3600:.0f} h; landings leave its branch alone until it ends.", "End it, or its editor.",
            )  # fmt: skip
    elif not flight or age > LONG_SECONDS:  # a commit that was given up leaves one, and that is nothing
        yield warning(
            Code.MARK_LEFT, str(mark), f"The process {mark.name} is gone, so it counts for nothing.",
            f"Run {BY_FIX}, or remove it.", Fix.SWEEP,
        )  # fmt: skip


def owner_lives(mark: Path) -> bool:
    """Whether the process of a mark in inflight or settling lives."""
    lines = [*mark.read_text("utf-8", "surrogateescape").split("\n"), "", ""]
    return alive(int(mark.name), lines[2 if mark.parent.name == "inflight" else 1])


def check_git_locks(seen: Seen) -> Iterator[Finding]:
    """No git that was killed has left a lock file behind."""
    common = seen.paths.common_dir
    paths = [common / name for name in ("config.lock", "packed-refs.lock", "shallow.lock")]
    paths += [home / name for home in seen.paths.git_dirs() for name in ("index.lock", "HEAD.lock")]
    for top, _, names in os.walk(common / "refs"):
        paths += [Path(top, name) for name in names if name.endswith(".lock")]
    for path in paths:
        with suppress(OSError):
            age = seen.now - path.lstat().st_mtime
            if age > STALE_SECONDS:
                yield error(
                    Code.LOCK_LEFT, str(path), f"It has been there for {age / 60:.0f} min: git refuses what it guards,"
                    " commits or landings.", "If no git is at work here, remove it.",
                )  # fmt: skip


def check_room(seen: Seen) -> Iterator[Finding]:
    """The disk takes what a landing writes."""
    found = os.statvfs(seen.paths.uam)
    free = found.f_bavail * found.f_frsize
    what = f"{free / 1e6:.0f} MB are left" if found.f_favail or not found.f_files else "no file can be made any more"
    if free < NO_ROOM_BYTES or (found.f_files and not found.f_favail):
        yield error(Code.DISK_LOW, str(seen.paths.uam), f"{what}: nothing lands on a full disk.", "Make room.")
    elif free < LOW_ROOM_BYTES:
        yield warning(Code.DISK_LOW, str(seen.paths.uam), f"{what}: on a full disk nothing lands.", "Make room.")
