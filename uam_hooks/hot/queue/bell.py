"""Bells, which wake whoever waits for a change of the queue.

Whoever changes the queue rings those who may wait for that. A bell tells nothing but that it is worth looking: what is
true stands in the database, and who waits looks there from time to time as well, for nobody may have rung.

A bell is a socket without a name in the file system (unix(7), Linux), and a file in .git/uam/bells that says which.
Named pipes would do, but programs that copy a repository fail at those, as Python's shutil.copytree does.
"""

from __future__ import annotations

import _socket  # the module around it takes 5 ms to import
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from select import POLLIN, poll

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import UamError

FLUSHERS, WAITERS = "flusher", "waiter"
# Who looks on: wakes with whoever is rung.
WATCHERS = "watcher"

# Where no bell could be hung, one looks at the queue that often.
WITHOUT_SECONDS = 0.03
_RING, _LEAVE = b"!", b"q"
_PREFIX, _NAME_BYTES = b"\0uam-", 16
_numbers = count()


class Bell:
    """The bell of this process among the `kind` of others; without one where none can be had.

    Its file is there once it can be heard: one that nobody hears was left by a process that died.
    """

    def __init__(self, directory: Path, kind: str) -> None:
        self._path = directory / f"{kind}-{os.getpid()}.{next(_numbers)}"
        self._fresh = directory / f".{self._path.name}"
        self.asked_to_leave = False
        self._socket: _socket.socket | None = None
        self._signals: tuple[int, int] | None = None
        name = os.urandom(_NAME_BYTES).hex().encode()
        try:
            self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.bind(_PREFIX + name)
            self._signals = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            fd = files.opened(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                os.write(fd, name)
            finally:
                os.close(fd)
            self._fresh.rename(self._path)
        except (OSError, AttributeError):  # no such sockets, or no room for one more
            self.close()
            return
        self._poll = poll()
        for one in (self._socket.fileno(), self._signals[0]):
            self._poll.register(one, POLLIN)

    def wait(self, seconds: float) -> bool:
        """Return when it is rung, or after `seconds`: whether it may have been rung. What was rung before counts."""
        if self._socket is None or self._signals is None:
            time.sleep(max(0.0, min(seconds, WITHOUT_SECONDS)))
            return True
        rung = bool(self._poll.poll(max(0.0, seconds) * 1000))
        if rung:
            with suppress(BlockingIOError):
                os.read(self._signals[0], 512)
            with suppress(BlockingIOError):
                while True:
                    self.asked_to_leave |= self._socket.recv(8) == _LEAVE
        return rung

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What is readable once it is rung, for who waits for other things, too."""
        return () if self._socket is None or self._signals is None else (self._socket.fileno(), self._signals[0])

    @contextmanager
    def rung_by_signals(self) -> Iterator[None]:
        """Let signals that have handlers ring it too: a wait that is under way goes on after a handler has returned."""
        before = None
        if self._signals is not None:
            with suppress(ValueError):  # signals go to the main thread alone, and this is another one
                before = signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            if before is not None:
                signal.set_wakeup_fd(before)

    def close(self) -> None:
        """Take it down. Its file is missing where the repository was removed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            for path in (self._path, self._fresh):
                with suppress(OSError):
                    path.unlink()
        for fd in self._signals or ():
            os.close(fd)
        self._signals = None

    def __enter__(self) -> Bell:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def ring(directory: Path, *kinds: str) -> None:
    """Wake all of these kinds, and whoever watches, this process excepted."""
    _each(directory, (*kinds, WATCHERS), _RING)


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
            _send(directory / name, what)


def _send(path: Path, what: bytes) -> None:
    try:
        fd = files.opened(path, os.O_RDONLY)
        try:
            name = os.read(fd, 2 * _NAME_BYTES)
        finally:
            os.close(fd)
        sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    except (OSError, UamError):  # taken down meanwhile, or no file of ours
        return
    try:
        sender.setblocking(False)
        sender.sendto(what, _PREFIX + name)
    except ConnectionRefusedError:
        with suppress(OSError):  # its process is gone
            path.unlink()
    except OSError:  # it has been rung often enough
        pass
    finally:
        sender.close()
