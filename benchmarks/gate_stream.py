"""How often a gate runs for pushes that come one after the other, and how long each waits until it has landed.

    python benchmarks/gate_stream.py --gate 2 --every 1 --pushes 12 --slots 1

A clone with a bare remote, a worktree for each agent, and a gate that sleeps. Each agent's `git push` waits for its
landing. Prints the gate's runs, and the seconds from each push to its exit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from worktrees import agents, cloned, enable, git

from uam_hooks.demo.demo import private_environment


def _push(place: Path) -> float:
    began = time.perf_counter()
    git(place, "push", "-q", "origin", "HEAD:main")
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gate", type=float, default=2.0, help="seconds that the gate takes")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two pushes")
    parser.add_argument("--pushes", type=int, default=12)
    parser.add_argument("--slots", type=int, default=1, help="how many gates may run at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        root = Path(directory)
        top = cloned(root)
        settings = {
            "uam.gate.sleep.command": f"sh -c 'echo run >> {root}/runs; sleep {given.gate}'",
            "uam.gate.slots": str(given.slots),
        }
        enable(top, settings)
        places = agents(top, given.pushes)
        load, began = os.getloadavg()[0], time.perf_counter()
        with ThreadPoolExecutor(given.pushes) as pool:
            waiting = []
            for number, place in enumerate(places):
                time.sleep(max(0.0, began + number * given.every - time.perf_counter()))
                waiting.append(pool.submit(_push, place))
        took = [one.result() for one in waiting]
        runs = len((root / "runs").read_text().split())
        print(f"{given.pushes} pushes, one each {given.every:g} s, gate of {given.gate:g} s,"
              f" {given.slots} slot{'s' * (given.slots != 1)}, load {load:.1f}")  # fmt: skip
        print(f"{runs} runs; landed after {median(took):.1f} s (median), {max(took):.1f} s at most")


if __name__ == "__main__":
    main()
