"""What pushes that wait cost, and the process that stays after a landing.

    python benchmarks/waiting.py --pushes 20 --seconds 10

A clone with a bare remote and a worktree for each agent, whose `git push` waits for the end of a long window. Prints
the processor time that all of them take together meanwhile, in percent of one core, and that of the process that will
land them; then what that process takes, and how much memory it has, when it has landed them and stays.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from worktrees import agents, cloned, enable

from uam_hooks.demo.demo import private_environment


def _flusher(top: Path) -> int:
    """The process that lands pushes, as its lock tells, once it has begun."""
    while True:
        for lock in (top / ".git" / "uam").glob("flusher-*.lock"):
            words = lock.read_text().split()
            if len(words) == 3:
                return int(words[1])
        time.sleep(0.01)


def _family(pids: list[int]) -> list[int]:
    """These processes with all that they have started."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(pids)
    for pid in found:
        found += parents.get(pid, [])
    return found


def _seconds(pids: list[int]) -> float:
    """The processor time that these processes have taken, in seconds, by the scheduler's own account."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def _share(pids: list[int], seconds: float) -> float:
    before, began = _seconds(pids), time.perf_counter()
    time.sleep(seconds)
    return 100 * (_seconds(pids) - before) / (time.perf_counter() - began)


class Cost(NamedTuple):
    """Percents of one core: what the pushes take together while they wait, what the process takes that will land them,
    and what it takes afterwards; then how many pushes landed, and its memory in megabytes.
    """

    pushes: float
    flusher: float
    staying: float
    landed: int
    megabytes: float


def measured(root: Path, pushes: int, seconds: float) -> Cost:
    """Let so many pushes wait in the empty directory `root`, and look at them for so many seconds."""
    top = cloned(root)
    window = f"{30 + 3 * seconds}s"
    enable(top, {"uam.window.push": window, "uam.window.company": "off", "uam.push.waitTimeout": "1h"})
    waiting = [
        subprocess.Popen(["git", "push", "-q", "origin", "HEAD:main"], cwd=place) for place in agents(top, pushes)
    ]
    while len(list((top / ".git" / "uam" / "bells").glob("waiter-*"))) < pushes:
        time.sleep(0.2)
    flusher = _flusher(top)
    time.sleep(3)  # what each says after 2 s is said
    all_of_them = _share(_family([one.pid for one in waiting]), seconds)
    sleeping = _share(_family([flusher]), seconds)
    codes = [one.wait() for one in waiting]
    time.sleep(3)
    staying = _share(_family([flusher]), seconds)
    resident = int(Path(f"/proc/{flusher}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Cost(all_of_them, sleeping, staying, codes.count(0), resident)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        cost = measured(Path(directory), given.pushes, given.seconds)
    print(f"{given.pushes} pushes that wait: {cost.pushes:.2f} % of a core, the flusher {cost.flusher:.2f} %")
    print(f"landed: {cost.landed}; the flusher that stays: {cost.staying:.2f} % of a core, {cost.megabytes:.0f} MB")


if __name__ == "__main__":
    main()
