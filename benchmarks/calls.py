"""What calls and commands cost: queue(), queue_bulk(), many processes that queue, `git uam status`, `uam deploy queue`.

    python benchmarks/calls.py [--json] [--rounds 30]

Each row has a repository and a remote of its own, and nothing is executed while it is measured. What a row is held
against is done in turn with it: a synced insert into a SQLite database of one table on the same disk, or an interpreter
that does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from queueing import scene

from uam_hooks import DeployBatcher

_WINDOWS = {"commit": 3_600_000, "workflow": 3_600_000, "deploy": 3_600_000}
_WAITING = 1000


class Row(NamedTuple):
    """What was measured, in milliseconds, what it is held against in the same rounds, and what is to be reached.

    `took` and `others` have the single calls of both in their order.
    """

    what: str
    median: float
    p99: float
    worst: float
    against: str
    other: float | None
    target: str
    took: Sequence[float]
    others: Sequence[float]

    def line(self) -> str:
        """The row of the table."""
        other = "" if self.other is None else f"{self.against} {self.other:.2f}"
        figures = " | ".join(f"{figure:>8.2f}" for figure in (self.median, self.p99, self.worst))
        return f"{self.what:<44} | {figures} | {other:<20} | {self.target}"


def row(what: str, took: Sequence[float], target: str, against: str = "", other: Sequence[float] = ()) -> Row:
    in_order = sorted(took)
    p99 = in_order[max(0, round(0.99 * len(in_order)) - 1)]
    held = statistics.median(other) if other else None
    return Row(what, statistics.median(in_order), p99, in_order[-1], against, held, target, took, other)


def timed(what: Callable[[], object]) -> float:
    """How long a call takes, in milliseconds."""
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


@contextmanager
def inserting(directory: Path) -> Iterator[Callable[[], object]]:
    """A function that inserts a row into a database of its own, synced, as nothing could be queued with less."""
    db = sqlite3.connect(directory / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, payload TEXT)")

    def insert() -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO entries (payload) VALUES (?)", ("x" * 300,))
        db.execute("COMMIT")

    try:
        yield insert
    finally:
        db.close()


def commits(rounds: int) -> list[Row]:
    """`queue` and `queue_bulk` of commits with a file each."""
    found = []
    with scene() as top, inserting(top.parent) as insert:
        batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
        took, raw = [], []
        for n in range(rounds + 3):
            (top / f"{n}.txt").write_text(f"{n}\n")
            payload = {"message": f"Add {n}", "files": [f"{n}.txt"]}
            took.append(timed(lambda payload=payload: batcher.queue("bench", "commit", "main", payload)))  # type: ignore[misc]
            raw.append(timed(insert))
        found.append(row("queue() of a commit with one file", took[3:], "3 ms", "synced insert", raw[3:]))
    each = []
    with scene() as top:
        batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
        for n in range(max(3, rounds // 6)):
            wanted = []
            for m in range(100):
                (top / f"{n}").mkdir(exist_ok=True)
                (top / f"{n}/{m}.txt").write_text(f"{n} {m}\n")
                payload = {"message": f"Add {n} {m}", "files": [f"{n}/{m}.txt"]}
                wanted.append({"action_type": "commit", "target": "main", "payload": payload})
            each.append(timed(lambda wanted=wanted: batcher.queue_bulk("bench", wanted)) / 100)  # type: ignore[misc]
    found.append(row("queue_bulk() of 100 such commits, each", each, "0.5 ms"))
    return found


def workflow(n: int) -> tuple[str, str, str, dict[str, Any]]:
    return "bench", "workflow", "ci.yml", {"ref": "main", "inputs": {"n": str(n)}}


def workflows(rounds: int) -> list[Row]:
    """`queue` of workflows: each an action of its own, and all of them one."""
    found = []
    with scene() as top, inserting(top.parent) as insert:
        subprocess.run(["git", "config", "uam.gh.repo", "owner/shop"], cwd=top, check=True)
        batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
        new, merging, raw = [], [], []
        for n in range(rounds + 3):
            new.append(timed(lambda n=n: batcher.queue(*workflow(n))))  # type: ignore[misc]
            merging.append(timed(lambda: batcher.queue(*workflow(-1))))
            raw.append(timed(insert))
        found.append(row("queue() of a workflow, a new action", new[3:], "1.5 ms", "synced insert", raw[3:]))
        found.append(row("queue() of a workflow that merges", merging[3:], "1.5 ms", "synced insert", raw[3:]))
    return found


_ONE_OF_MANY = """
import json, sys, time
from uam_hooks import DeployBatcher
top, number, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
batcher = DeployBatcher(repository=top, dynamic_windows={"workflow": 3_600_000})
print("ready", flush=True)
sys.stdin.readline()
took = []
for n in range(calls):
    began = time.perf_counter()
    batcher.queue("bench", "workflow", "ci.yml", {"ref": "main", "inputs": {"n": f"{number}-{n}"}})
    took.append((time.perf_counter() - began) * 1000)
print(json.dumps(took))
"""


def together(processes: int = 8, calls: int = 200) -> Row:
    """Processes that queue workflows all at once."""
    with scene() as top:
        subprocess.run(["git", "config", "uam.gh.repo", "owner/shop"], cwd=top, check=True)
        many = [
            subprocess.Popen(
                [sys.executable, "-c", _ONE_OF_MANY, str(top), str(n), str(calls)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for n in range(processes)
        ]  # fmt: skip
        for one in many:
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
        for one in many:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        took = [one_took for one in many for one_took in json.loads(one.communicate()[0])]
        assert len(DeployBatcher(repository=top).flush_all(due_only=True)) == 0
    return row(f"{processes} processes x {calls} calls of queue()", took, "p99 20 ms")


def _run(command: Sequence[str], at: Path) -> None:
    subprocess.run(command, cwd=at, check=True, stdout=subprocess.DEVNULL)


def commands(rounds: int) -> list[Row]:
    """Whole processes: `git uam status` with many actions waiting, `uam deploy queue`."""
    nothing = [sys.executable, "-I", "-c", "pass"]
    uam = str(Path(sys.executable).with_name("uam"))
    found = []
    with scene() as top:
        subprocess.run(["git", "config", "uam.push.mode", "manual"], cwd=top, check=True)
        subprocess.run(["git", "config", "uam.deploy.prod.command", "true"], cwd=top, check=True)
        batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
        batcher.queue_bulk("bench", [{"action_type": "deploy", "target": "prod"} for _ in range(_WAITING)])
        deploy = [uam, "deploy", "queue", "--action-type", "deploy", "--target", "prod", "--agent-id", "bench"]
        rows: dict[str, list[float]] = {"status": [], "all": [], "queue": [], "nothing": []}
        for _ in range(rounds + 2):
            rows["nothing"].append(timed(lambda: _run(nothing, top)))
            rows["status"].append(timed(lambda: _run(["git", "uam", "status"], top)))
            rows["queue"].append(timed(lambda: _run(deploy, top)))
        raw = rows["nothing"][2:]
        found.append(row(f"git uam status, {_WAITING} waiting", rows["status"][2:], "100 ms", "python -I", raw))
        found.append(row("uam deploy queue", rows["queue"][2:], "80 ms", "python -I", raw))
    return found


def _versions() -> dict[str, str]:
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    return {"git": git, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}


def main() -> None:
    """Measure once and print the rows, with the load of the machine before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    found = [*commits(given.rounds), *workflows(given.rounds), together(), *commands(given.rounds)]
    loads = [round(load, 1), round(os.getloadavg()[0], 1)]
    if given.json:
        rows = [one._asdict() for one in found]
        print(json.dumps({"rows": rows, "rounds": given.rounds, "load": loads, **_versions()}, indent=2))
        return
    print(f"{'milliseconds':<44} | {'median':>8} | {'p99':>8} | {'worst':>8} | {'held against':<20} | to reach")
    for one in found:
        print(one.line())
    print(f"{given.rounds} rounds; {_versions()}; load of the machine {loads[0]} before, {loads[1]} after")


if __name__ == "__main__":
    main()
