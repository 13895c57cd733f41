"""Which process a mark names: its number alone is given to another process sooner or later. And processes that are
started to stay.

The second half of the name is when the process started, as the system writes it. What cannot be found out is "", and
then the number alone has to do.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_PROC = Path("/proc/self/stat")


def started(pid: int) -> str:
    """When process `pid` started, in the system's own words; "" when that is unknown or there is no such process."""
    return _own_start(pid) if pid == os.getpid() else _start(pid)


@cache
def _own_start(pid: int) -> str:
    return _start(pid)


def _start(pid: int) -> str:
    return _stat(pid)[1] if _PROC.exists() else _started_elsewhere(pid)


def alive(pid: int, start: str = "") -> bool:
    """Whether the process that a mark names as `pid` and `start` still lives, whoever owns it.

    An empty `start` stands for "not known": marks of earlier versions have none.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    state, now = _stat(pid) if _PROC.exists() else ("", _started_elsewhere(pid) if start else "")
    if state in ("Z", "X"):  # it only waits to be reaped, and does nothing any more
        return False
    return not (start and now) or start == now


def start_apart(words: Sequence[str], log: int, at: Path, env: Mapping[str, str], keep: Sequence[int] = ()) -> None:
    """Start a command that has nothing to do with this process; OSError where that is not possible. Its output goes to
    the descriptor `log`, and it inherits those to `keep`.

    It has a session of its own and holds no pipe of this process: a child that inherits stderr keeps the caller's pipe
    open. sh ends at once, so it is nobody's child: shells that end a command end its whole family.
    """
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=keep,
        start_new_session=True, cwd=at, env=dict(env), check=False,
    )  # fmt: skip


def _stat(pid: int) -> tuple[str, str]:
    """State and start of a process, as /proc/<pid>/stat has them (proc(5)); "" for what cannot be read."""
    try:
        # counted from behind the name, which may hold anything: field 3 and field 22
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode("ascii").split()
        return fields[0], fields[19]
    except (OSError, IndexError, UnicodeDecodeError):
        return "", ""


def _started_elsewhere(pid: int) -> str:
    """The start where there is no /proc, for example on macOS; the hooks ask `ps` in the same way."""
    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        )  # fmt: skip
    except OSError:
        return ""
    return " ".join(done.stdout.decode("ascii", "replace").split())
