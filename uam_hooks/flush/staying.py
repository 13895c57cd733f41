"""A flusher that has nothing to do stays for a while: the next push finds everything imported.

It goes at once where what it stands on has changed: the repository, its queue, the code that it runs, git itself.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from uam_hooks.git.stamps import stamp, which
from uam_hooks.hot.core.errors import NotInstalled
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.typed import NoReturn
from uam_hooks.hot.queue.bell import Bell
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane, due_at
from uam_hooks.hot.queue.leader import begun, command

# How often it is looked whether somebody has changed the queue and could not ring, or the ground has changed.
LOOK_SECONDS = 1.0
# How long it rests before it does a part of what can be done meanwhile: most of the time belongs to others.
REST_SECONDS = 0.2
# A process that has grown above this, in bytes, does not stay. What a fleet loads takes 25 MB, TLS to its database 5
# more.
MOST_BYTES = 45_000_000
MOST_BYTES_IN_FLEET = 70_000_000


class Ground:
    """What this process runs on, as it was when it began."""

    def __init__(self, paths: RepoPaths, lane: Lane, lock: int) -> None:
        self._paths, self._lane = paths, lane
        self._env = stamp(str(paths.env_file))
        self._queue = which(str(paths.database))
        held = os.fstat(lock)
        self._fd, self._lock = lock, (held.st_dev, held.st_ino, held.st_mode)
        self._code = {path: stamp(path) for path in _code()}

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Let others know that this process has nothing to do, as long as the block lasts."""
        begun(self._fd, idle=True)
        try:
            yield
        finally:
            begun(self._fd)

    def is_ours(self) -> bool:
        """Whether the lock that this process holds, and the queue that it has open, are those that others see."""
        return self.has_lock() and self.has_queue()

    def has_lock(self) -> bool:
        """Whether the lock's file is still the one that this process was started with."""
        return which(str(self._paths.lane_lock(self._lane.key))) == self._lock

    def has_queue(self) -> bool:
        """Whether the queue is still the one that this process has open; not so once it was set aside."""
        return which(str(self._paths.database)) == self._queue

    def is_old(self) -> bool:
        """Whether another version would run if this process began now. NotInstalled where none would."""
        if not (env := stamp(str(self._paths.env_file))):
            raise NotInstalled
        return env != self._env or any(stamp(path) != was for path, was in self._code.items())


def stay(store: Store, lane: Lane, bell: Bell, ground: Ground, seconds: float, meanwhile: Callable[[], bool]) -> bool:
    """Wait for work, `seconds` at most; returns whether there is some. False as well when it is time to go.

    Between two looks there is time for `meanwhile`, which says whether it has more to do.

    NotInstalled once the repository was taken out, or moved.
    """
    if _memory() > (MOST_BYTES_IN_FLEET if "psycopg" in sys.modules else MOST_BYTES):
        return False
    with ground.idle():
        return _stay(store, lane, bell, ground, seconds, meanwhile)


def _stay(store: Store, lane: Lane, bell: Bell, ground: Ground, seconds: float, meanwhile: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    look = REST_SECONDS
    while ground.is_ours() and not ground.is_old():
        if due_at(store, lane) is not None:
            return True
        left = until - time.monotonic()
        if bell.asked_to_leave:
            return False
        if left <= 0:
            if not seconds:  # otherwise there has been time
                meanwhile()
            return False
        began = time.monotonic()
        bell.wait(min(left, look))
        if time.monotonic() - began >= min(left, look):  # nobody has rung
            look = REST_SECONDS if meanwhile() else LOOK_SECONDS
    return False


def begin_anew(paths: RepoPaths, lane: Lane, lock: int) -> NoReturn:
    """Go on as a process of the version that is installed now, without letting go of the lock.

    OSError where that one cannot be started.
    """
    lines = paths.env_file.read_bytes().splitlines()
    python, site = (os.fsdecode(line) for line in lines[:2])
    os.set_inheritable(lock, True)
    words = command(python, Path(site), paths, lane, lock)
    os.execv(words[0], words)  # noqa: S606 - what the install has written down, as every hook starts it


def _code() -> list[str]:
    """The files that this process was made from, and git."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    found = [sys.executable, _git(), *files]
    return [file for file in dict.fromkeys(found) if file]


def _git() -> str | None:
    """The git that this process starts; shutil, which finds programs too, loads all that unpacks archives."""
    found = (os.path.join(directory, "git") for directory in os.get_exec_path())  # noqa: PTH118 - names as text
    return next((path for path in found if os.access(path, os.X_OK) and Path(path).is_file()), None)


def _memory() -> int:
    """The most that this process has had in memory, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
