"""Electing the process that flushes a lane for everybody.

Whoever gets the flusher lock is the leader: it starts the flusher and hands it the locked descriptor, so the lock
lives exactly as long as the flusher does, however either of them ends.

The file of the lock tells of the flusher that holds it: a fingerprint of its environment, and once it has begun its
process id, and whether it has anything to do.
"""

from __future__ import annotations

import os
import sys
import time
from _blake2 import blake2b
from collections.abc import Callable, Mapping
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import NotInstalled
from uam_hooks.hot.core.identity import key_of
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.processes import start_apart
from uam_hooks.hot.queue.bell import dismiss
from uam_hooks.hot.queue.lane import Lane

_START = (
    "import sys, gc; gc.disable(); sys.path.append(sys.argv.pop(1));"
    " from uam_hooks.flush.flusher import main; main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])"
)
LOG_BYTES = 1_000_000
_TOLD_BYTES = 100
# of one length: what is written takes the place of what was
_IDLE, _BUSY = "idle", "busy"
# How long a push waits for a flusher that has nothing to do to leave. One that was stopped serves it as it is.
_LEAVING_SECONDS, _LOOK_SECONDS = 0.2, 0.002
# What changes nothing of what a flusher does: it prints on no terminal, and a trace has a number for each command.
_OF_NO_ACCOUNT = {"TERM", "COLORTERM", "NO_COLOR", "GIT_TRACE2_PARENT_SID", "GIT_TRACE2_PARENT_NAME"}


def try_lock(path: Path, make: bool = True) -> int | None:
    """A descriptor that holds the lock on `path`, or None while another process holds it.

    The file is made where it is missing; with `make=False` that is FileNotFoundError.
    """
    fd = files.opened(path, os.O_RDWR | (os.O_CREAT if make else 0))
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return fd


def ensure_flusher(paths: RepoPaths, lane: Lane, env: Callable[[], Mapping[str, str]], start: bool = True) -> bool:
    """Start a flusher of a lane unless one is alive (without `start`, only look); returns whether none was alive.

    `env` gives its environment, see identity.reduced; it is asked where one is started: who waits looks all the while.
    Raises NotInstalled when the directory of the queue is gone.
    """
    try:
        return _ensure_flusher(paths, lane, env, start)
    except FileNotFoundError:
        if not paths.common_dir.is_dir():  # the repository was moved
            raise
        raise NotInstalled from None


def prepare_flusher(paths: RepoPaths, lane: Lane, env: Callable[[], Mapping[str, str]]) -> None:
    """Have a flusher of a lane get ready for what is queued in a moment, as ensure_flusher does.

    One that has nothing to do, and another environment than `env`, is asked to leave, so that the next one has this.
    """
    if ensure_flusher(paths, lane, env):
        return
    words = _told(paths.lane_lock(lane.key)).split()
    if len(words) != 3 or words[2] != _IDLE or not words[1].isdecimal() or words[0] == _fingerprint(paths, env()):
        return
    dismiss(paths.bells, int(words[1]))
    until = time.monotonic() + _LEAVING_SECONDS
    while not ensure_flusher(paths, lane, env) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


def begun(lock: int, idle: bool = False) -> None:
    """Write down that this process is the flusher that holds the lock, and whether it has nothing to do."""
    with suppress(OSError):  # as on a full disk: then it serves whoever comes, as one that is busy does
        told = os.pread(lock, _TOLD_BYTES, 0).decode("ascii", "replace").split()
        words = f"{told[0] if told else '-'} {os.getpid()} {_IDLE if idle else _BUSY}\n"
        os.pwrite(lock, words.encode(), 0)


def _told(path: Path) -> str:
    try:
        fd = files.opened(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(fd, _TOLD_BYTES).decode("ascii", "replace")
    finally:
        os.close(fd)


def _fingerprint(paths: RepoPaths, env: Mapping[str, str]) -> str:
    """The same for environments in which a flusher does the same."""
    facts = sorted(f"{name}={value}" for name, value in env.items() if name not in _OF_NO_ACCOUNT)
    text = "\0".join(facts).encode("utf-8", "surrogateescape")
    return blake2b(text, key=key_of(paths), digest_size=16).hexdigest()


def _ensure_flusher(paths: RepoPaths, lane: Lane, env: Callable[[], Mapping[str, str]], start: bool) -> bool:
    fd = try_lock(paths.lane_lock(lane.key))
    if fd is None:
        return False
    if not start:
        os.close(fd)
        return True
    if paths.log.exists() and paths.log.stat().st_size > LOG_BYTES:
        paths.log.replace(paths.log.with_suffix(".log.1"))
    log = files.opened(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        found = env()
        with suppress(OSError):  # a full disk keeps no flusher from starting
            os.ftruncate(fd, 0)
            os.pwrite(fd, _fingerprint(paths, found).encode(), 0)
        _start(fd, log, paths, lane, found)
    except OSError as error:
        os.write(log, f"no flusher could be started: {error}\n".encode())
    finally:
        os.close(log)
        os.close(fd)
    return True


def command(python: str, site: Path, paths: RepoPaths, lane: Lane, lock: int) -> list[str]:
    """What starts the flusher of a lane by the package in `site`; it inherits the descriptor `lock`."""
    return [
        python,
        "-I",
        "-S",
        "-c",
        _START,
        str(site),
        str(paths.common_dir),
        str(lock),
        lane.identity or "",
        lane.remote or "",
    ]


def _start(fd: int, log: int, paths: RepoPaths, lane: Lane, env: Mapping[str, str]) -> None:
    words = command(sys.executable, Path(__file__).resolve().parents[3], paths, lane, fd)
    start_apart(words, log, paths.common_dir, env, (fd,))
