"""Bells: named pipes in .git/uam/bells that wake whoever waits for a change of the queue.

Whoever changes the queue rings those who may wait for that. A bell tells nothing but that it is worth looking: what is
true stands in the database, and who waits looks there from time to time as well, for nobody may have rung.
"""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENXIO
from itertools import count
from pathlib import Path
from select import POLLIN, poll

FLUSHERS, WAITERS = "flusher", "waiter"

# Where no bell could be hung, one looks at the queue that often.
WITHOUT_SECONDS = 0.03
_RING, _LEAVE = b"!", b"q"
_numbers = count()


class Bell:
    """The bell of this process among the `kind` of others; without one where the directory does not allow it.

    It is hung under its name when it can be heard already: one that nobody holds was left by a process that died.
    """

    def __init__(self, directory: Path, kind: str) -> None:
        self._path = directory / f"{kind}-{os.getpid()}.{next(_numbers)}"
        self._fd: int | None = None
        self.asked_to_leave = False
        fresh = directory / f".{self._path.name}"
        try:
            mode = stat.S_IMODE(directory.stat().st_mode) & 0o666
            fresh.unlink(missing_ok=True)
            os.mkfifo(fresh, mode)
            # for reading and writing: then nobody who rings is ever the last one that has it open
            self._fd = os.open(fresh, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchmod(self._fd, mode)
            fresh.rename(self._path)
        except OSError:
            self.close()
            return
        self._poll = poll()
        self._poll.register(self._fd, POLLIN)

    def wait(self, seconds: float) -> None:
        """Return when it is rung, or after `seconds`; what was rung before counts."""
        if self._fd is None:
            time.sleep(max(0.0, min(seconds, WITHOUT_SECONDS)))
            return
        if self._poll.poll(max(0.0, seconds) * 1000):
            with suppress(BlockingIOError):
                self.asked_to_leave |= _LEAVE in os.read(self._fd, 65536)

    @contextmanager
    def rung_by_signals(self) -> Iterator[None]:
        """Let signals that have handlers ring it too: a wait that is under way goes on after a handler has returned."""
        before = None
        if self._fd is not None:
            with suppress(ValueError):  # signals go to the main thread alone, and this is another one
                before = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        try:
            yield
        finally:
            if before is not None:
                signal.set_wakeup_fd(before)

    def close(self) -> None:
        """Take it down. It is missing where the repository was removed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            with suppress(OSError):
                self._path.unlink()

    def __enter__(self) -> Bell:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def ring(directory: Path, *kinds: str) -> None:
    """Wake all of these kinds, this process excepted."""
    _each(directory, kinds, _RING)


def dismiss(directory: Path, pid: int = 0) -> None:
    """Ask the flushers that stay, or only the process `pid`, to leave once they have nothing to do."""
    _each(directory, (FLUSHERS,), _LEAVE, pid)


def _each(directory: Path, kinds: tuple[str, ...], what: bytes, only: int = 0) -> None:
    me = str(os.getpid())
    try:
        names = os.listdir(directory)  # noqa: PTH208 - the names alone are wanted, of many
    except OSError:  # nobody has ever waited here
        return
    for name in names:
        kind, _, rest = name.partition("-")
        pid = rest.partition(".")[0]
        if kind in kinds and pid != me and (not only or pid == str(only)):
            _write(directory / name, what)


def _write(path: Path, what: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == ENXIO:
            with suppress(OSError):  # its process is gone
                path.unlink()
        return
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            with suppress(OSError):  # full: it has been rung often enough
                os.write(fd, what)
    finally:
        os.close(fd)
