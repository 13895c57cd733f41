"""Whose turn it is to write to the database.

SQLite lets writers wait by sleeping in growing steps, and whoever comes meanwhile goes first: among eight processes
some wait for a second. So a writer takes a lock before, for which the kernel lets them queue. What keeps writers apart
is BEGIN IMMEDIATE all the same: nothing depends on everybody taking a turn, or on there being such locks at all.
"""

from __future__ import annotations

import os
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

from uam_hooks.hot.core import files


class Turn:
    """The turns of one connection, taken with a lock on the file `path`. It ends with the process that has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def make(self) -> None:
        """Make the file where it is missing, if that is possible."""
        with suppress(OSError):
            self._fd = files.opened(self._path, os.O_RDWR | os.O_CREAT)

    def take(self, seconds: float) -> None:
        """Wait for the turn, at most so long: who has it may have been stopped. Then the writer does without."""
        try:
            if self._fd is None:
                self._fd = files.opened(self._path, os.O_RDWR)
            flock(self._fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            self._wait(seconds)
        except OSError:  # no such file, or a file system without such locks: then there are no turns
            return

    def give(self) -> None:
        """Let the next one have it. Explicitly: a process that was forked meanwhile has the file open, too."""
        if self._fd is not None:
            with suppress(OSError):
                flock(self._fd, LOCK_UN)

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _wait(self, seconds: float) -> None:
        assert self._fd is not None
        try:
            waiter = _Waiter(self._fd)
        except RuntimeError:  # no room for one more thread
            return
        try:
            came = waiter.wait(seconds)
        except BaseException:
            if waiter.leave():
                self._fd = None
            self.give()
            raise
        if not came and waiter.leave():
            self._fd = None


class _Waiter:
    """A thread that waits for the lock: the kernel knows no time limit for that."""

    def __init__(self, fd: int) -> None:
        import threading  # every push has a turn, and few have to wait for it

        self._fd = fd
        self._left = False
        self._has = False
        self._either = threading.Lock()
        self._came = threading.Event()
        threading.Thread(target=self._lock, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether the lock came in time."""
        return self._came.wait(seconds)

    def leave(self) -> bool:
        """Leave the lock, and the descriptor with it, to the thread; False where it has come by now."""
        with self._either:
            self._left = not self._has
            return self._left

    def _lock(self) -> None:
        with suppress(OSError):
            flock(self._fd, LOCK_EX)
        with self._either:
            self._has = not self._left
            if self._left:
                os.close(self._fd)
        self._came.set()
