"""A command at a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

from tests.support.scenes import PATIENCE, Worktree, ends_with_its_scene


class Terminal:
    """A pseudo-terminal at which a command runs, with the standard output elsewhere, or there as well (`out`)."""

    def __init__(
        self, place: Worktree, command: Sequence[str], width: int = 100, *, out: bool = False, **env: str
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(width)
        self._before = termios.tcgetattr(self._slave)
        self.process = ends_with_its_scene(subprocess.Popen(
            command, cwd=place.top, env={**place.env, "TERM": "xterm-256color", **env}, stdin=self._slave,
            stdout=self._slave if out else subprocess.PIPE, stderr=self._slave, text=True, start_new_session=True,
        ))  # fmt: skip
        self.shown = ""
        self._reader = Thread(target=self._read, daemon=True)  # a terminal that nobody reads stops who writes to it
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # nobody has it any more
            while data := os.read(self._master, 65536):
                self.shown += data.decode("utf-8", "replace")

    def resize(self, width: int) -> None:
        """Make it so many columns wide; whoever runs there hears of it."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))

    def until(self, words: str, after: int = 0) -> None:
        """Wait until it has shown these words, behind the first so many characters."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.shown[after:]:
            assert time.monotonic() < deadline, f"{words!r} is not in {self.shown!r}"
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        """Its exit code and what it printed elsewhere, when it has ended; the terminal is as it was before."""
        try:
            out = self.process.communicate(timeout=PATIENCE)[0] or ""
            assert termios.tcgetattr(self._slave) == self._before
        finally:
            os.close(self._slave)
            self._reader.join(PATIENCE)
            os.close(self._master)
        assert "\x1b[?25l" not in self.shown, "the cursor was hidden"
        return self.process.returncode, out
