"""What gates have said of trees, so that none is tested twice; and each run, for the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Batch, iso, seconds_of
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.store import happened


class Known(NamedTuple):
    """The verdict on a tree: `sure` once nothing would be run again before somebody is blamed."""

    green: bool
    sure: bool
    said: str


class About(NamedTuple):
    """For what a gate runs: an action and the batch that it is in, None where it is for somebody who asked, or tests
    ahead what no batch has yet.
    """

    action: int | None = None
    batch: Batch | None = None


NOBODY = About()


class Usual(NamedTuple):
    """A gate's runs: how many, how many failed, of how many trees it has said both, and seconds of one that passed."""

    gate: str
    runs: int
    failed: int
    flaky: int
    seconds: float | None


class Runs(NamedTuple):
    """A gate that runs for a branch, since when, how many seconds it takes when it passes, and for whom."""

    remote: str
    target: str
    gate: str
    since: float
    usual: float | None
    agents: tuple[str, ...]


def known(store: Store, gate: str, fingerprint: str, tree: str) -> Known | None:
    """The verdict on a tree; None where there is none."""
    with store.reading() as db:
        row = db.execute(
            "SELECT green, sure, said FROM gate_verdicts WHERE gate = ? AND fingerprint = ? AND tree = ?",
            (gate, fingerprint, tree),
        ).fetchone()
    return None if row is None else Known(bool(row["green"]), bool(row["sure"]), row["said"])


def begin(store: Store, remote: str, target: str, gate: str, since: float) -> None:
    """Say that a gate has run for a branch since then, for those who wait for it."""
    with store.transaction() as db:
        db.execute(
            "INSERT OR REPLACE INTO gate_running (remote, target, gate, began_at) VALUES (?, ?, ?, ?)",
            (remote, target, gate, iso(since)),
        )


def end(store: Store, remote: str, target: str) -> None:
    """Say that no gate runs for a branch any more."""
    with store.transaction() as db:
        db.execute("DELETE FROM gate_running WHERE remote = ? AND target = ?", (remote, target))


def running(store: Store) -> list[Runs]:
    """The gates that run now; what a process that died has left is none as soon as its batch has ended."""
    with store.reading() as db:
        found = db.execute(
            "SELECT remote, target, gate, began_at,"
            " (SELECT avg(seconds) FROM gate_runs r WHERE r.gate = g.gate AND r.green) AS usual"
            " FROM gate_running g ORDER BY began_at"
        ).fetchall()
        agents: dict[tuple[str, str], dict[str, None]] = {}
        for row in db.execute(
            "SELECT q.remote, q.target, s.agent_id FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
            " WHERE q.status IN ('batched', 'executing') AND s.status = 'pending' ORDER BY s.id"
        ):
            agents.setdefault((row["remote"], row["target"]), {})[row["agent_id"]] = None
    return [
        Runs(row["remote"], row["target"], row["gate"], seconds_of(row["began_at"]), row["usual"], tuple(whose))
        for row in found
        if is_moment(row["began_at"]) and (whose := agents.get((row["remote"], row["target"])))
    ]


def record(
    store: Store, gate: str, fingerprint: str, tree: str, verdict: Known, took: float, about: About = NOBODY
) -> None:
    """Keep the verdict of a run that has ended now, and took so many seconds."""
    with store.transaction() as db:
        db.execute(
            "INSERT OR REPLACE INTO gate_verdicts (gate, fingerprint, tree, green, sure, said)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (gate, fingerprint, tree, verdict.green, verdict.sure, verdict.said),
        )
        db.execute(
            "INSERT INTO gate_runs (gate, tree, green, ended_at, seconds) VALUES (?, ?, ?, ?, ?)",
            (gate, tree, verdict.green, iso(time.time()), took),
        )
        happened.judged(db, *about, gate, tree, verdict.green, took)


class Verdict(NamedTuple):
    """A verdict, with what it is about."""

    gate: str
    fingerprint: str
    tree: str
    green: bool
    sure: bool
    said: str


def everything(store: Store) -> list[Verdict]:
    """All verdicts that are known."""
    with store.reading() as db:
        found = db.execute("SELECT gate, fingerprint, tree, green, sure, said FROM gate_verdicts").fetchall()
    return [
        Verdict(row["gate"], row["fingerprint"], row["tree"], bool(row["green"]), bool(row["sure"]), row["said"])
        for row in found
    ]


def learn(store: Store, verdicts: Sequence[Verdict]) -> None:
    """Take over what gates have said elsewhere; what was found out here stays, unless that is surer."""
    with store.transaction() as db:
        for one in verdicts:
            db.execute(
                "INSERT INTO gate_verdicts (gate, fingerprint, tree, green, sure, said) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (gate, fingerprint, tree) DO UPDATE SET green = excluded.green, sure = excluded.sure,"
                " said = excluded.said WHERE excluded.sure > gate_verdicts.sure",
                one,
            )


def forget(store: Store, gates: Sequence[str]) -> int:
    """Forget the verdicts of these gates, of all without any; how many there were."""
    with store.transaction() as db:
        if not gates:
            return db.execute("DELETE FROM gate_verdicts").rowcount
        return sum(db.execute("DELETE FROM gate_verdicts WHERE gate = ?", (gate,)).rowcount for gate in gates)


def usual(store: Store, since: float = 0.0) -> list[Usual]:
    """How the gates have done since a moment; of what is folded, since its day."""
    with store.reading() as db:
        found = db.execute(
            "SELECT gate, sum(runs) AS runs, sum(failed) AS failed, sum(seconds) AS seconds,"
            " (SELECT count(*) FROM (SELECT tree FROM gate_runs o WHERE o.gate = r.gate GROUP BY tree"
            " HAVING min(green) < max(green)))"
            " + (SELECT coalesce(sum(flaky), 0) FROM folded_gates f WHERE f.gate = r.gate) AS flaky"
            " FROM (SELECT gate, count(*) AS runs, sum(green = 0) AS failed, total(CASE WHEN green THEN seconds END)"
            " AS seconds FROM gate_runs WHERE ended_at >= ? GROUP BY gate"
            " UNION ALL SELECT gate, runs, failed, seconds FROM folded_gates WHERE day >= ?) r"
            " GROUP BY gate ORDER BY gate",
            (iso(since), iso(since)[:10]),
        ).fetchall()
    return [
        Usual(row["gate"], row["runs"], row["failed"], row["flaky"], _mean(row["seconds"], row["runs"] - row["failed"]))
        for row in found
    ]


def _mean(seconds: float, runs: int) -> float | None:
    return round(seconds / runs, 6) if runs else None
