"""Electing the process that flushes a lane for everybody.

Whoever gets the flusher lock is the leader: it starts the flusher and hands it the locked descriptor, so the lock
lives exactly as long as the flusher does, however either of them ends. The flusher runs in a session of its own,
is no child of its starter, and holds no pipe of its starter: a child that inherits stderr keeps the caller's pipe open.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import NotInstalled
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.lane import Lane

_START = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    " from uam_hooks.flush.flusher import main; main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])"
)
LOG_BYTES = 1_000_000


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
        _start(fd, log, paths, lane, env())
    except OSError as error:
        os.write(log, f"no flusher could be started: {error}\n".encode())
    finally:
        os.close(log)
        os.close(fd)
    return True


def _start(fd: int, log: int, paths: RepoPaths, lane: Lane, env: Mapping[str, str]) -> None:
    command = [
        sys.executable,
        "-I",
        "-c",
        _START,
        str(Path(__file__).resolve().parents[3]),
        str(paths.common_dir),
        str(fd),
        lane.identity or "",
        lane.remote or "",
    ]
    # sh ends at once, so the flusher is nobody's child: shells that end a command end its whole family
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(fd,),
        start_new_session=True,
        cwd=paths.common_dir,
        env=dict(env),
        check=False,
    )
