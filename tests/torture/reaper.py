"""Who kills: it ends processes of ours at random, those of one run alone (whose directory is below that run's)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.scenes import words_of

# git commands that move files, an index or a branch: what a settle consists of
_SETTLING = {"read-tree", "update-ref", "update-index", "checkout-index", "reset", "symbolic-ref"}
KINDS = (
    "helper",
    "flusher",
    "push",
    *(f"{what} of {whose}" for what in ("git", "settling git") for whose in ("helper", "flusher")),
)
GATE = "gate"
# how hooks and pushes start an interpreter
_OURS = ("-I", "-S")
# how long a kind is waited for, in seconds
COMES = 0.4


class Process(NamedTuple):
    """A process of the run."""

    pid: int
    parent: int
    line: tuple[str, ...]


def processes(root: Path) -> dict[int, Process]:
    """The processes that stand below `root`, by their number."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if not (entry / "cwd").readlink().is_relative_to(root):
                continue
            line = [word.decode("utf-8", "replace") for word in words_of(entry.name)[:-1]]
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if line:
            found[int(entry.name)] = Process(int(entry.name), parent, tuple(line))
    return found


def kind_of(process: Process, all_of_run: dict[int, Process]) -> str | None:
    """What the process is to us; None for what is not killed: agents, their commits, the remote's own processes."""
    name = Path(process.line[0]).name
    if name.startswith("python"):
        if process.line[1:3] != _OURS:  # an agent, also as it is a moment before it becomes a git
            return None
        return "flusher" if any("flusher import main" in word for word in process.line) else "helper"
    if is_gate(process):
        return GATE
    if name != "git":
        return None
    parent = all_of_run.get(process.parent)
    if parent is None:  # an agent has started it
        return "push" if "push" in process.line else None
    whose = kind_of(parent, all_of_run)
    if whose not in ("helper", "flusher"):
        return None
    return f"settling git of {whose}" if _SETTLING & set(process.line) else f"git of {whose}"


def is_gate(process: Process) -> bool:
    """Whether the process runs a gate of the run, or watches one."""
    return Path(process.line[0]).name == "sh" and Path(process.line[-1]).name == GATE


class Reaper:
    """Kills at random, and counts what it killed."""

    def __init__(self, root: Path, seed: int, kinds: Sequence[str] = KINDS) -> None:
        self.root, self.random, self.kinds = root, random.Random(f"{seed} reaper"), kinds  # noqa: S311
        self.killed: Counter[str] = Counter()

    def strike(self) -> bool:
        """Kill one process of a kind that is drawn first and waited for: git's own live for milliseconds.

        Where none of that kind comes, one of any kind is killed; False where there is none at all.
        """
        wanted, end = self.random.choice(self.kinds), time.monotonic() + COMES
        there = self._by_kind()
        while wanted not in there and time.monotonic() < end:
            there = self._by_kind()
        if not there:
            return False
        kind = wanted if wanted in there else self.random.choice(sorted(there))
        try:
            os.kill(self.random.choice(there[kind]), signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed[kind] += 1
        return True

    def _by_kind(self) -> dict[str, list[int]]:
        there = processes(self.root)
        kinds: dict[str, list[int]] = {}
        for process in there.values():
            if (kind := kind_of(process, there)) is not None and kind in self.kinds:
                kinds.setdefault(kind, []).append(process.pid)
        return kinds
