"""The marks by which a settle and the pre-commit hook keep out of each other's way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock

from uam_hooks.hot.core.paths import RepoPaths, process_alive

# How long a settle waits for another one, in seconds.
LOCK_SECONDS = 10.0


@contextmanager
def settling(paths: RepoPaths, branch: str, now: str) -> Iterator[str]:
    """One settle at a time, and none while a commit on this branch is in flight; yields the obstacle, "" for none.

    `now` is the commit of a detached HEAD, for which `branch` is "". Our mark is set before we look for the hook's;
    the hook does it the other way round, so one of us sees the other. The mark of a commit whose process is gone does
    not count.
    """
    head = f"ref: {branch}" if branch else now
    paths.settling.mkdir(parents=True, exist_ok=True)
    fd = os.open(paths.settle_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    mark = paths.settling / str(os.getpid())
    try:
        if not _lock(fd):
            yield "another settle is running"
            return
        mark.write_text(head + "\n")
        for flight in paths.inflight.iterdir() if paths.inflight.is_dir() else ():
            with suppress(OSError, ValueError):
                if flight.read_text().split("\n")[0] != head:
                    continue
                if process_alive(int(flight.name)):
                    yield "a commit on it is in flight"
                    return
                flight.unlink()
        yield ""
    finally:
        with suppress(OSError):
            mark.unlink()
        os.close(fd)


def _lock(fd: int) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            flock(fd, LOCK_EX | LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
