"""The marks by which a settle and the pre-commit hook keep out of each other's way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.processes import alive, started
from uam_hooks.hot.core.typed import NamedTuple

# How long a settle waits for another one, in seconds.
LOCK_SECONDS = 10.0


class Turn(NamedTuple):
    """The turn of one settle: the obstacle, "" for none, and the descriptor of the lock."""

    busy: str
    lock: int


@contextmanager
def settling(paths: RepoPaths, branch: str, now: str) -> Iterator[Turn]:
    """One settle at a time, and none while a commit on this branch is in flight.

    `now` is the commit of a detached HEAD, for which `branch` is "". Our mark is set before we look for the hook's;
    the hook does it the other way round, so one of us sees the other. The mark of a commit whose process is gone does
    not count.
    """
    head = f"ref: {branch}" if branch else now
    files.check_directory(paths.settling)
    fd = _open(paths)
    mark = paths.settling / str(os.getpid())
    try:
        if not _lock(fd, LOCK_SECONDS):
            yield Turn("another settle is running", fd)
            return
        _sweep(paths)
        mark.write_text(f"{head}\n{started(os.getpid())}\n", "utf-8", "surrogateescape")
        yield Turn("a commit on it is in flight" if _commit_in_flight(paths, head) else "", fd)
    finally:
        with suppress(OSError):
            mark.unlink()
        os.close(fd)


@contextmanager
def turn_now(paths: RepoPaths, patience: float = 0.0) -> Iterator[int | None]:
    """The descriptor of the settle lock, None when another process holds it for longer than `patience` seconds."""
    fd = _open(paths)
    try:
        mine = _lock(fd, patience)
        if mine:
            _sweep(paths)
        yield fd if mine else None
    finally:
        os.close(fd)


def _sweep(paths: RepoPaths) -> None:
    """Remove the marks of settles that died: only whoever has the lock has a mark."""
    for mark in paths.settling.glob("[0-9]*"):
        mark.unlink(missing_ok=True)


def _open(paths: RepoPaths) -> int:
    return files.opened(paths.settle_lock, os.O_RDWR)


def _commit_in_flight(paths: RepoPaths, head: str) -> bool:
    """Whether a commit on `head` is between its hooks; a mark that cannot be read may be one of it.

    Marks whose process is gone are removed.
    """
    try:
        flights = list(paths.inflight.iterdir())
    except FileNotFoundError:
        return False
    return any(_is_in_flight(flight, head) for flight in flights if flight.name.isdecimal())


def _is_in_flight(mark: Path, head: str) -> bool:
    try:
        on, _, start, *_ = [*mark.read_text("utf-8", "surrogateescape").split("\n"), "", ""]
    except FileNotFoundError:  # it has ended meanwhile
        return False
    except OSError:
        on, start = head, ""
    if alive(int(mark.name), start):
        return on in (head, "")  # empty: it is just being written
    with suppress(OSError):
        mark.unlink()
    return False


def _lock(fd: int, patience: float) -> bool:
    """Whether the lock was got in time; OSError where it cannot be had at all."""
    deadline = time.monotonic() + patience
    while True:
        try:
            flock(fd, LOCK_EX | LOCK_NB)
            return True
        except BlockingIOError:  # EWOULDBLOCK: another one has it
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
