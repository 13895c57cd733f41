"""What a long history costs: a queue in which a million actions have ended, held against one that is new.

    python benchmarks/history.py [--actions 1000000] [--rounds 9] [--no-prune] [--json]

Both repositories do the same in turn: queue by name, push and wait, push by hand and flush, `git uam status`. What
counts is processor time, of the process and of all that it has started and waited for: it tells more than the clock on
a machine that does other things. Then the retention of all of that ends: `git uam prune` folds it while another process
queues without a pause, and the same is done once more. The rows of the past are written by SQL, and are as long as real
ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from queueing import scene

from uam_hooks import DeployBatcher
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.outcome import Detail, How, Outcome, Proof

_WINDOWS = {"commit": 3_600_000, "workflow": 3_600_000}
_DAYS = 20
# What a past is written with, for n from 1 on; MOMENT and OID stand for what they say.
_OID = "lower(hex(randomblob(20)))"
_MOMENT = "strftime('%Y-%m-%dT%H:%M:%fZ', :begin + i * :each, 'unixepoch')"
_N = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) "
_ROWS = (
    "INSERT INTO deploy_batches (id, number, created_at, executed_at, status, result)"
    " SELECT OID, i, MOMENT, MOMENT, 'completed', :detail FROM n",
    "INSERT INTO deploy_queue (id, agent_id, action_type, target, remote, status, batch_id, queued_at, execute_after,"
    " finished_at) SELECT i, 'agent-' || (i % 20), 'push', 'main', 'origin', 'completed',"
    " (SELECT id FROM deploy_batches WHERE number = i), MOMENT, MOMENT, MOMENT FROM n",
    "INSERT INTO sources (id, action_id, agent_id, worktree, branch, tip, exact, push_group, atomic, waiter,"
    " queued_at, status, outcome) SELECT i, i, 'agent-' || (i % 20), '/trees/' || (i % 20), 'refs/heads/topic', OID,"
    " 0, OID, 0, 1, MOMENT, 'landed', :outcome FROM n",
    "INSERT INTO landings (batch_id, action_id, remote, ref, old, new, keep, sources, status, detail)"
    " SELECT (SELECT id FROM deploy_batches WHERE number = i), i, 'origin', 'refs/heads/main', OID, OID, OID,"
    " '[' || i || ']', 'landed', :detail FROM n",
    "INSERT INTO queued_commits (action_id, agent_id, worktree, branch, oid, subject, status, queued_at)"
    " SELECT i, 'agent', '/trees/1', 'refs/heads/topic', OID, 'Change', 'landed', MOMENT FROM n",
)


def fill(store: Store, many: int) -> None:
    """Write the rows of so many pushes that have landed one by one in the days before today, and of their commits."""
    oid = "0" * 40
    outcome = Outcome(batch=1, how=How.MOVED, ref="refs/heads/main", old=oid, new=oid, keep=oid, commits=1,
                      company=("agent-1", "agent-2"))  # fmt: skip
    detail = Detail(How.MOVED, {1: outcome}, (oid,), Proof(3, 3, 3))
    values = {"many": many, "begin": time.time() - _DAYS * 86400, "each": (_DAYS - 1) * 86400 / max(1, many),
              "outcome": outcome.text(), "detail": detail.text()}  # fmt: skip
    for pragma in ("cache_size = -500000", "synchronous = OFF"):
        store.db.execute(f"PRAGMA {pragma}")
    with store.transaction() as db:
        for statement in _ROWS:
            full = _N + statement.replace("OID", _OID).replace("MOMENT", _MOMENT)
            db.execute(full, {name: value for name, value in values.items() if f":{name}" in full})


def _git(at: Path, *args: str, ok: bool = True) -> None:
    subprocess.run(["git", *args], cwd=at, check=ok, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _said(at: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=at, check=True, capture_output=True, text=True).stdout.strip()


def _processor_ms() -> float:
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent) * 1000


class Place:
    """A repository, and what is done in it."""

    def __init__(self, top: Path) -> None:
        self.top, self.number = top, 0
        self.batcher = DeployBatcher(repository=top, dynamic_windows=_WINDOWS)
        for key, value in (("uam.gh.repo", "owner/shop"), ("uam.flusher.linger", "0"), ("gc.auto", "0")):
            _git(top, "config", key, value)

    @property
    def database(self) -> Path:
        return RepoPaths.of(self.top / ".git").database

    def make_newest_real(self, store: Store) -> None:
        """Let the newest landing of the past be of commits that there are: a plan looks no further back than to the
        newest one that the branch still has.
        """
        tip = _said(self.top, "rev-parse", "refs/remotes/origin/main")
        original = _said(self.top, "commit-tree", "-m", "The original", f"{tip}^{{tree}}")
        with store.transaction() as db:
            db.execute(
                "UPDATE landings SET new = ?, keep = ? WHERE id = (SELECT max(id) FROM landings)",
                (tip, original),
            )

    def _commit(self) -> None:
        self.number += 1
        (self.top / f"f{self.number}").write_text("x\n")
        _git(self.top, "add", "--all")
        _git(self.top, "commit", "-q", "-m", f"Change {self.number}")

    def workflow(self) -> float:
        return _spent(lambda: self.batcher.queue("bench", "workflow", "ci.yml", {"ref": "main"}))

    def commit_by_name(self) -> float:
        self.number += 1
        (self.top / "named").write_text(f"{self.number}\n")
        return _spent(lambda: self.batcher.queue("bench", "commit", "main", {"message": "m", "files": ["named"]}))

    def push(self) -> float:
        """A push that is waited for; the process that lands it is nobody's child, so that is timed by `flush`."""
        self._commit()
        return _spent(lambda: _git(self.top, "push", "-q", "origin", "main"))

    def flush(self) -> float:
        self._commit()
        _git(self.top, "-c", "uam.push.mode=manual", "push", "-q", "origin", "main")
        return _spent(lambda: _git(self.top, "uam", "flush"))

    def status(self) -> float:
        return _spent(lambda: _git(self.top, "uam", "status"))

    def stats(self) -> float:
        return _spent(lambda: _git(self.top, "uam", "stats"))

    def cancel(self) -> None:
        """Take out what was queued by name, so that nothing of it is executed."""
        with Store(self.database) as store:
            found = store.db.execute("SELECT id FROM deploy_queue WHERE status = 'pending' AND asked = 1").fetchall()
        for row in found:
            self.batcher.cancel(row["id"])


def _spent(what: Callable[[], object]) -> float:
    before = _processor_ms()
    what()
    return _processor_ms() - before


def compare(places: list[Place], rounds: int) -> dict[str, list[float]]:
    """The median processor milliseconds of each thing in each place, done in turn."""
    found: dict[str, list[float]] = {}
    for name in ("workflow", "commit_by_name", "status", "push", "flush"):
        took: list[list[float]] = [[] for _ in places]
        for number in range(rounds + 1):
            for side in range(len(places)) if number % 2 else reversed(range(len(places))):
                spent = getattr(places[side], name)()
                if number:  # the first of each finds its files cold
                    took[side].append(spent)
        for place in places:
            place.cancel()
        found[name] = [round(statistics.median(some), 1) for some in took]
    return found


class Beside:
    """Another process's worth of work: queueing without a pause, and how long each call took."""

    def __init__(self, place: Place) -> None:
        self._top, self.took = place.top, list[float]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        code = (
            "import sys, time\nfrom uam_hooks import DeployBatcher\n"
            "b = DeployBatcher(repository=sys.argv[1], dynamic_windows={'workflow': 3600000})\n"
            "b.queue('beside', 'workflow', 'ci.yml', {'ref': 'main'})\n"
            "while True:\n"
            "    began = time.perf_counter()\n"
            "    b.queue('beside', 'workflow', 'ci.yml', {'ref': 'main'})\n"
            "    print(time.perf_counter() - began, flush=True)\n"
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(self._top)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            self.took.append(1000 * float(line))
            if self._ended.is_set():
                break
        process.kill()
        process.wait()

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def figures(self) -> dict[str, float]:
        ordered = sorted(self.took)
        return {
            "calls": len(ordered),
            "median": round(statistics.median(ordered), 1),
            "p99": round(ordered[max(0, round(len(ordered) * 0.99) - 1)], 1),
            "worst": round(ordered[-1], 1),
        }


def measure(actions: int, rounds: int, prune: bool) -> dict[str, Any]:
    """All of it, as data; without `prune` what comes before that."""
    with ExitStack() as stack:
        new, old = (Place(stack.enter_context(scene())) for _ in range(2))
        for place in (new, old):
            place.push()  # what is made once
        with Store(old.database) as store:
            # the rows of the first push make room: numbers begin at 1
            _renumber(store, actions)
            began = time.monotonic()
            fill(store, actions)
            old.make_newest_real(store)
            filled = time.monotonic() - began
        found: dict[str, Any] = {"actions": actions, "filled_seconds": round(filled, 1)}
        found["size_mb"] = [_size(new), _size(old)]
        found["before"] = compare([new, old], rounds)
        if not prune:
            return found
        found["stats_ms"] = round(old.stats())
        with Beside(new) as alone:
            time.sleep(5)
        _git(old.top, "config", "uam.retention", "1h")
        began, spent = time.monotonic(), _processor_ms()
        with Beside(old) as beside:
            _git(old.top, "uam", "prune")
        found["prune_seconds"] = [round(time.monotonic() - began, 1), round((_processor_ms() - spent) / 1000, 1)]
        found["queueing"] = {"without": alone.figures(), "beside the prune": beside.figures()}
        for place in (new, old):
            place.cancel()
        found["size_mb"].append(_size(old))
        found["after"] = compare([new, old], rounds)
        found["stats_ms_after"] = round(old.stats())
    return found


def _renumber(store: Store, actions: int) -> None:
    """Let what the first push has made come after the past, so that it is what is newest."""
    store.db.execute("PRAGMA foreign_keys = OFF")
    with store.transaction() as db:
        db.execute("UPDATE deploy_queue SET id = id + ?", (actions,))
        db.execute("UPDATE sources SET id = id + :n, action_id = action_id + :n", {"n": actions})
        db.execute("UPDATE landings SET id = id + :n, action_id = action_id + :n, sources = (SELECT"
                   " json_group_array(value + :n) FROM json_each(sources))", {"n": actions})  # fmt: skip
        db.execute("UPDATE queued_commits SET id = id + :n, action_id = action_id + :n", {"n": actions})
        db.execute("UPDATE deploy_batches SET number = number + ?", (actions,))
    store.db.execute("PRAGMA foreign_keys = ON")


def _size(place: Place) -> float:
    files = (place.database, place.database.with_name("queue.db-wal"))
    return round(sum(path.stat().st_size for path in files if path.exists()) / 1e6, 1)


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    sizes = [f"{size} MB" for size in found["size_mb"]]
    print(f"{found['actions']} actions that have ended, written in {found['filled_seconds']} s")
    print("the queue: " + ", ".join(map(" ".join, zip(("new", "with them", "folded"), sizes, strict=False))))
    later = found.get("after", {})
    print(
        f"{'processor time in ms, medians':<30} | {'new':>8} | {'with them':>9}"
        + " |      new |   folded" * bool(later)
    )
    for name, both in found["before"].items():
        figures = (*both, *later.get(name, ()))
        print(
            f"{name.replace('_', ' '):<30} | {figures[0]:>8} | {figures[1]:>9}",
            *(f"{n:>8}" for n in figures[2:]),
            sep=" | ",
        )
    if later:
        print(f"git uam stats: {found['stats_ms']} ms with them, {found['stats_ms_after']} ms folded")
        print(f"git uam prune: {found['prune_seconds'][0]} s, of which {found['prune_seconds'][1]} s of a processor")
        for name, figures in found["queueing"].items():
            print(f"queue() without a pause, {name}: {figures}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-prune", action="store_true", help="end before the retention does")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    found = measure(given.actions, given.rounds, not given.no_prune) | {
        "load": [round(load, 1), round(os.getloadavg()[0], 1)]
    }
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
        print(f"load of the machine {found['load'][0]} before, {found['load'][1]} after")


if __name__ == "__main__":
    main()
