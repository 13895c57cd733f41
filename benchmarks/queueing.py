"""What queueing costs as the queue grows: merging commits to one branch, one call each and all in one call.

    python benchmarks/queueing.py --sizes 100,1000,10000

Each size has a repository and a remote of its own. Every commit names a file that no other one names, the files lie
in directories of 100, and nothing is executed while it is measured. `last/first` is the median of the last tenth of the
calls over that of the first tenth: processor time shows growth also where others keep the machine busy. Ends with
what 1,000 waiting actions cost those who look at them: `create_batch` and `status`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from uam_hooks import DeployBatcher
from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

READY = 1000
_PER_DIRECTORY = 100
# An hour: nothing becomes due while it is measured.
_WINDOWS = {"commit": 3_600_000}
_processes = 0


def _count(event: str, _args: Any) -> None:
    global _processes
    _processes += event == "subprocess.Popen"


class Curve(NamedTuple):
    """What calls of `queue` cost: milliseconds for each, milliseconds of processor time for each (that of the
    processes that it starts included), and how many processes all of them started.
    """

    calls: list[float]
    busy: list[float]
    processes: int

    @property
    def size(self) -> int:
        return len(self.calls)

    def row(self, bulk: float) -> str:
        p95 = sorted(self.calls)[max(0, round(0.95 * self.size) - 1)]
        return (
            f"{self.size:>6} | {statistics.median(self.calls):>9.1f} | {p95:>6.1f} | {_growth(self.calls):>10.2f} |"
            f" {statistics.median(self.busy):>6.1f} | {_growth(self.busy):>10.2f} |"
            f" {self.processes / self.size:>14.1f} | {bulk / self.size:>7.1f}"
        )


def _growth(figures: Sequence[float]) -> float:
    """The last tenth against the first tenth, by their medians."""
    tenth = max(1, len(figures) // 10)
    return statistics.median(figures[-tenth:]) / statistics.median(figures[:tenth])


def _processor_ms() -> float:
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent) * 1000


def _git(at: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=at, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def scene() -> Iterator[Path]:
    """An enabled repository with one commit on main, which its bare remote has, too."""
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        root, top = Path(directory), Path(directory) / "work"
        _git(root, "init", "-q", "--bare", "origin.git")
        _git(root, "init", "-q", "work")
        _git(top, "remote", "add", "origin", str(root / "origin.git"))
        _git(top, "commit", "-q", "--allow-empty", "-m", "Begin")
        _git(top, "push", "-q", "origin", "main")
        with Repository.at(top) as repo:
            install(repo)
        yield top


def commits(top: Path, size: int, kind: str) -> Iterator[dict[str, Any]]:
    """`size` commits to main, each with a file that is written when its turn comes."""
    for n in range(size):
        name = f"{kind}/{n // _PER_DIRECTORY:03d}/{n:05d}.txt"
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"{kind} {n}\n")
        yield {"action_type": "commit", "target": "main", "payload": {"message": f"Add {name}", "files": [name]}}


def one_by_one(top: Path, size: int) -> Curve:
    """Queue `size` commits with a call each."""
    batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
    calls, busy, ids = [], [], set()
    before = _processes
    for wanted in commits(top, size, "single"):
        began, spent = time.perf_counter(), _processor_ms()
        ids.add(batcher.queue("bench", wanted["action_type"], wanted["target"], wanted["payload"]))
        calls.append((time.perf_counter() - began) * 1000)
        busy.append(_processor_ms() - spent)
    assert len(ids) == 1, "these commits are to merge into one action"
    return Curve(calls, busy, _processes - before)


def in_bulk(top: Path, size: int) -> float:
    """Queue `size` commits with one call; gives its milliseconds."""
    batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
    wanted = list(commits(top, size, "bulk"))
    began = time.perf_counter()
    ids = batcher.queue_bulk("bench", wanted)
    took = (time.perf_counter() - began) * 1000
    assert len(ids) == size and len(set(ids)) == 1, "these commits are to merge into one action"
    return took


def timed(what: Any, times: int = 5) -> float:
    """The median of some calls in milliseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def waiting(kind: str) -> list[dict[str, Any]]:
    """`READY` actions that are actions of their own."""
    if kind == "deploys":
        return [{"action_type": "deploy", "target": "prod", "payload": {"n": n}} for n in range(READY)]
    half = range(READY // 2)
    return [
        {"action_type": "commit", "target": f"b{n}", "payload": {"message": f"Add {n}", "files": ["f"]}} for n in half
    ] + [{"action_type": "push", "target": f"b{n}"} for n in half]


def looked_at(kind: str) -> str:
    """A line on what `create_batch` and `status` cost with `READY` actions of this kind."""
    with scene() as top:
        (top / "f").write_text("f\n")
        _git(top, "config", "uam.deploy.prod.command", "true")
        if kind != "deploys":
            feed = "".join(f"create refs/heads/b{n} HEAD\n" for n in range(READY // 2))
            subprocess.run(["git", "update-ref", "--stdin"], cwd=top, input=feed.encode(), check=True)
        batcher = DeployBatcher(repository=top, batch_window_ms=0, max_batch_size=READY)
        assert len(set(batcher.queue_bulk("bench", waiting(kind)))) == READY
        status = timed(batcher.status)
        began = time.perf_counter()
        batch = batcher.create_batch()
        made = (time.perf_counter() - began) * 1000
        assert batch is not None and len(batch.actions) == READY
    return f"{READY} {kind}: status {status:.0f} ms (median of 5), create_batch of all {made:.0f} ms"


def measure(sizes: Sequence[int]) -> None:
    """Print a line for each size as soon as it is known, then what looking at the queue costs."""
    print("         one call of queue() for each: time, processor time, processes started         | in bulk")
    print("  size | median ms | p95 ms | last/first | cpu ms | last/first | processes each | ms each")
    for size in sizes:
        with scene() as top:
            curve = one_by_one(top, size)
        with scene() as top:
            print(curve.row(in_bulk(top, size)), flush=True)
    for kind in ("deploys", "commits with their pushes"):
        print(looked_at(kind), flush=True)


def main() -> None:
    """Measure once and print the table, with the load of the machine before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000", help="how many commits, several with commas")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    sys.addaudithook(_count)
    began, load = time.monotonic(), os.getloadavg()[0]
    measure(sizes)
    took = time.monotonic() - began
    print(f"{took:.0f} s in all; load of the machine {load:.1f} before, {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
