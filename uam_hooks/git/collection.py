"""Keeping `git gc` away for a moment, by the file with which one gc keeps another one away.

What a plan makes is named by no ref until the plan is pinned, so a `git gc --prune=now` beside us may take it. That is
found out and made again; while that is done, no gc begins. A `git gc --auto` then does nothing, one that a person
starts says that another one is running (git 2.39 and 2.55). The file names its process, so that of a dead one counts
for nothing.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

# how long a gc that runs already is waited for, in seconds; after that we go on beside it
PATIENCE = 30.0


class Collection:
    """The right to collect what no ref holds in the repository `common_dir`; nobody collects who has not got it."""

    def __init__(self, common_dir: Path) -> None:
        self._file = common_dir / "gc.pid"
        self._held = False

    def hold_off(self) -> None:
        """Wait for a gc that is running, and let no other one begin until `allow`."""
        end = time.monotonic() + PATIENCE
        while not self._held:
            self._held = self._taken()
            if time.monotonic() > end:
                return
            if not self._held:
                time.sleep(0.02)

    def allow(self) -> None:
        """Let a gc begin again."""
        if self._held:
            self._held = False
            self._file.unlink(missing_ok=True)

    def _taken(self) -> bool:
        lock = self._file.with_name("gc.pid.lock")
        try:
            descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            return False
        try:
            if self._runs():
                lock.unlink()
                return False
            os.write(descriptor, f"{os.getpid()} {os.uname().nodename}".encode())
            lock.replace(self._file)
        except OSError:
            with suppress(OSError):
                lock.unlink()
            return False
        finally:
            os.close(descriptor)
        return True

    def _runs(self) -> bool:
        """Whether the file names a process that lives. On another machine nobody can tell, and git waits 12 hours."""
        try:
            pid, _, host = self._file.read_text().partition(" ")
            if host.strip() == os.uname().nodename:
                os.kill(int(pid), 0)
            return True
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return False
        except OSError:
            return True
