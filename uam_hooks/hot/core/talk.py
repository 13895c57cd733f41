"""git talking to a remote: it may be silent only for so long, and what it says is kept within bounds.

A remote that accepts a connection and says nothing would hold git for ever, and one that says much would fill memory.
Silence is that git prints nothing and neither it nor what it has started (ssh, a helper) reads or writes: a server
whose hook works for minutes sends a sign of life every few seconds (receive.keepAlive), which git reads and does not
print. Where there is no /proc, only what it prints counts: let a push show its progress.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.plumbing import Answer, answered, starting

# How much of stderr is kept: its beginning, and its end.
HEAD_BYTES = TAIL_BYTES = 32 * 1024
# More than this on stdout (400,000 refs) is no answer.
OUT_BYTES = 32 * 1024 * 1024
# The repository whose landing a git is about, so that the helper of that repository does not take it for a push.
INSIDE = "UAM_INSIDE"
_GRACE_SECONDS = 2.0
_STEP_SECONDS = 0.25
_FATAL = 128
_PROC = Path("/proc")
# of git here, and of git there, beside which the remote's hooks print what they like
_PROGRESS = re.compile(
    rb"^(?:[A-Z][a-z]+(?: [a-z]+)*: +\d+|Total \d+ \(delta|Delta compression"
    rb"|remote: (?:Receiving objects|Unpacking objects|Resolving deltas|Checking connectivity): +\d+).*\n?",
    re.MULTILINE,
)


class _Kept:
    """The beginning and the end of a stream."""

    def __init__(self) -> None:
        self.head, self.tail, self.size = b"", b"", 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        room = max(0, HEAD_BYTES - len(self.head))
        self.head += data[:room]
        self.tail = (self.tail + data[room:])[-TAIL_BYTES:]

    def bytes(self) -> bytes:
        left_out = self.size - len(self.head) - len(self.tail)
        return self.head + (b"\n[%d bytes left out]\n" % left_out if left_out else b"") + self.tail


def talk(
    args: Sequence[str], env: Mapping[str, str], cwd: Path, silence: float, ok: Sequence[int] | None = (0,),
    hear: Callable[[bytes], None] = lambda _said: None,
) -> Answer:  # fmt: skip
    """Run `git args`, which talks to a remote, until it ends or has been silent for `silence` seconds.

    `hear` is called with what it prints on stderr, as it comes. One that was ended for its silence has the exit code
    128, and says so on stderr as git would. Raises GitFailed when the exit code is not in `ok` (None accepts all).
    """
    alone = not _has_terminal()
    with starting(args):
        process = subprocess.Popen(
            ["git", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(env),
            cwd=cwd, process_group=0 if alone else None,
        )  # fmt: skip
    out = bytearray()
    err = _Kept()
    why = ""
    try:
        why = _listen(process, out, err, silence, hear)
    finally:  # also when the person behind the terminal has had enough
        if process.poll() is None:
            _end(process, alone)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
    words = err.bytes()
    if "--progress" in args:
        words = without_progress(words)
    if why:
        return answered(args, _FATAL, bytes(out), f"fatal: {why}\n".encode() + words, ok)
    return answered(args, process.returncode, bytes(out), words, ok)


def without_progress(words: bytes) -> bytes:
    """What a git has said, without the progress that it was asked for."""
    return _PROGRESS.sub(b"", words.replace(b"\r", b"\n"))


def progress(words: bytes) -> bytes | None:
    """What this whole line of a git that pushes says of its progress in the end; None where that is nothing."""
    last = words.rpartition(b"\r")[2]
    return last if _PROGRESS.fullmatch(last) else None


def _listen(
    process: subprocess.Popen[bytes], out: bytearray, err: _Kept, silence: float, hear: Callable[[bytes], None]
) -> str:
    """Read until git has ended; returns why it is to be ended before, "" where it is not."""
    assert process.stdout is not None and process.stderr is not None
    heard = asked = time.monotonic()
    traffic: object = None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(min(_STEP_SECONDS, silence / 4))
            now = time.monotonic()
            for key, _ in ready:
                heard, data = now, os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    err.add(data)
                    hear(data)
                else:
                    out += data
            if len(out) > OUT_BYTES:
                return f"it said more than {OUT_BYTES // 1024 // 1024} MB"
            if not ready and process.poll() is not None:
                break  # what it has left behind, like a shared ssh connection, may hold its stderr for ever
            if now - heard > silence / 2 and now - asked > silence / 4:
                asked, before, traffic = now, traffic, _traffic(process.pid)
                heard = now if before is not None and before != traffic else heard
            if now - heard >= silence:
                return f"it was silent for {silence:g} s (uam.remote.timeout)"
    return _ended(process, silence)


def _ended(process: subprocess.Popen[bytes], silence: float) -> str:
    """Wait for the end of a git that has closed its output."""
    try:
        process.wait(silence)
    except subprocess.TimeoutExpired:
        return f"it did not end within {silence:g} s (uam.remote.timeout)"
    return ""


def _has_terminal() -> bool:
    """Whether ssh could ask the person for a passphrase; it stops when it does so from another process group."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _traffic(pid: int) -> dict[int, bytes]:
    """How much a process and all that it has started have read and written, each; empty where that is not known."""
    found = {}
    for each in _family(pid):
        with suppress(OSError):
            lines = (_PROC / str(each) / "io").read_bytes().split(b"\n")
            found[each] = b" ".join(lines[:2])
    return found


def _family(pid: int) -> list[int]:
    """A process and those that it has started, and they."""
    children: dict[int, list[int]] = {}
    with suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdecimal():
                with suppress(OSError, ValueError, IndexError):
                    parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        each = todo.pop()
        found.append(each)
        todo += children.get(each, [])
    return found


def _end(process: subprocess.Popen[bytes], alone: bool) -> None:
    """End git with what it has started: its process group, where it leads one."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        family = [] if alone else _family(process.pid)
        with suppress(ProcessLookupError, PermissionError):
            if alone:
                os.killpg(process.pid, number)
            for each in family:
                os.kill(each, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    # what ignored SIGTERM and outlived git is still in the group
    with suppress(ProcessLookupError, PermissionError):
        if alone:
            os.killpg(process.pid, signal.SIGKILL)
