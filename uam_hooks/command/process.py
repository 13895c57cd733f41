"""External commands: run an argument list with a timeout and keep its output.

Each command leads its own process group, so that ending it ends every process that it has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from errno import ENOENT
from pathlib import Path
from threading import Lock

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Refused, last_line
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import redact

# How long a command has to end after SIGTERM.
GRACE_SECONDS = 3.0
TAIL_BYTES = 4000
# A log that has grown to the first of these is cut to the second: the end of the output is what is kept.
LOG_BYTES, LEFT_BYTES = 10_000_000, 1_000_000
_LOOK_SECONDS = 0.5
# Ends its process group when the process that holds the other end of its stdin has ended, and runs a command in it
# meanwhile. What watches is a child of nobody's: a command that waits for all of its children does not wait for it.
_WATCHER = f"( ( trap '' TERM; read -r end <&3; kill -TERM 0; sleep {GRACE_SECONDS:.0f}; kill -KILL 0 )"
# Its stderr is what it holds as long as anything of the group is there.
_WATCHED = f"""exec 3<&0 4>&2 2>&1
{_WATCHER} & )
exec "$@" </dev/null 3<&- 4>&-
"""
_WATCHED_APART = f"""exec 3<&0
{_WATCHER} >/dev/null 2>&1 & )
exec "$@" </dev/null 3<&-
"""


def watched(words: Sequence[str]) -> list[str]:
    """A command that ends, with its whole process group, when nobody holds the other end of its stdin any more.

    It is to lead a group. What watches it is left in that group where it ends by itself.
    """
    return ["/bin/sh", "-c", _WATCHED_APART, "sh", *words]


class Command(NamedTuple):
    """What to run: `timeout` is in seconds, `log` gets everything that it prints.

    One that is `watched` ends with this process, however that ends, and what it has started ends with it; it has no
    stdin. It may hold a lock that `turn` is a descriptor of, until all of that has ended.
    """

    words: Sequence[str]
    env: Mapping[str, str]
    stdin: bytes
    at: Path
    timeout: float
    log: Path
    watched: bool = False
    turn: int = subprocess.STDOUT


class Ended(NamedTuple):
    """How a command ended: `error` is empty on success, `tail` the end of its output, `by_us` is set on a timeout."""

    code: int
    error: str
    tail: str
    by_us: bool = False


class Running:
    """The commands that are running now, so that they can be ended together with this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._ending = False

    def run(self, command: Command) -> Ended:
        """Run a command until it ends or its timeout is over. Safe to call from several threads."""
        try:
            # appending, so that what is written after the log was cut goes to its end
            kept = os.fdopen(files.anew(command.log), "ab")
        except Refused as fault:
            return Ended(127, fault.what, "")
        except OSError as fault:
            return Ended(127, f"{command.log} cannot be written: {fault.strerror}", "")
        by_us = False
        with kept as log:
            try:
                process = self._start(command, log.fileno())
            except (OSError, ValueError) as fault:  # ValueError: a NUL or a lone surrogate in its arguments
                why = fault.strerror if isinstance(fault, OSError) else str(fault)
                return Ended(127, f"{command.words[0]} cannot be started: {why}", "")
            try:
                _communicate(process, command)
                error = "" if process.returncode == 0 else f"{Path(command.words[0]).name} {_how(process.returncode)}"
            except subprocess.TimeoutExpired:
                end_group(process)
                by_us = True
                error = f"{Path(command.words[0]).name} was ended after {command.timeout:g} s, with all that it started"
            except BaseException:  # Ctrl-C: nothing that was started here goes on without us
                end_group(process)
                raise
            finally:
                with self._lock:
                    self._processes.discard(process)
        tail = _tail(command.log)
        said = last_line(tail)
        words = redact(f"{error}: {said}" if error and said else error)
        return Ended(process.returncode, words, redact(tail), by_us)

    def _start(self, command: Command, out: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ending:
                raise OSError(0, "interrupted")
            before = ["/bin/sh", "-c", _WATCHED, "sh"] if command.watched else []
            if command.watched and not _is_there(command):  # sh would say so in its own words
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
            process = subprocess.Popen(
                [*before, *command.words], stdin=subprocess.PIPE, stdout=out, stderr=command.turn,
                cwd=command.at, env=dict(command.env), start_new_session=True,
            )  # fmt: skip
            self._processes.add(process)
            return process

    @property
    def ending(self) -> bool:
        """Whether `end_all` was called: what has ended since may have been ended by that."""
        return self._ending

    def end_all(self) -> None:
        """End every running command, and start no more."""
        with self._lock:
            self._ending = True
            running = list(self._processes)
        for process in running:
            end_group(process)


def _is_there(command: Command) -> bool:
    name = command.words[0]
    from shutil import which  # it loads all that unpacks archives

    return which(command.at / name if "/" in name else name, path=command.env.get("PATH")) is not None


def _communicate(process: subprocess.Popen[bytes], command: Command) -> None:
    """Feed a command and wait for its end, and keep its log within bounds; TimeoutExpired when it takes too long."""
    deadline = time.monotonic() + command.timeout
    feed: bytes | None = command.stdin
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            if command.watched:
                process.wait(min(_LOOK_SECONDS, left))
                _end_rest(process)
            else:
                process.communicate(feed, min(_LOOK_SECONDS, left))
        except subprocess.TimeoutExpired:
            feed = None  # what is left of it is with the process already
            _cut(command.log)
            if left <= 0:
                raise
        else:
            _cut(command.log)
            return


def _end_rest(process: subprocess.Popen[bytes]) -> None:
    """End what a command that has ended by itself has left in its group, and what watches it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdin is not None
    process.stdin.close()


def _cut(log: Path) -> None:
    """Let go of the beginning of a log that has become too long; one that cannot be cut grows on."""
    with suppress(OSError), os.fdopen(files.opened(log, os.O_RDWR | os.O_APPEND), "r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LOG_BYTES:
            end = os.pread(file.fileno(), LEFT_BYTES, size - LEFT_BYTES)
            file.truncate(0)
            file.write(b"[%d bytes left out]\n" % (size - len(end)) + end)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and every process that it has started: with SIGTERM, then with SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    # a child that ignores SIGTERM and outlives its parent is still in the group
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _tail(log: Path) -> str:
    with os.fdopen(files.opened(log, os.O_RDONLY), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
