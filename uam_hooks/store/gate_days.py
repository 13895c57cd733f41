"""Runs of gates after their retention: sums by day. The verdict on a tree goes with the last run on it."""

from __future__ import annotations

import sqlite3

# Trees all of whose runs ended before a moment.
_AGED = (
    "SELECT DISTINCT gate, tree FROM gate_runs r WHERE ended_at < ? AND NOT EXISTS"
    " (SELECT 1 FROM gate_runs n WHERE n.gate = r.gate AND n.tree = r.tree AND n.ended_at >= ?) LIMIT ?"
)


def aged(db: sqlite3.Connection, before: str, most: int) -> list[tuple[str, str]]:
    """Gates with trees that none of them has run on since this moment."""
    return [(row["gate"], row["tree"]) for row in db.execute(_AGED, (before, before, most)).fetchall()]


def fold(db: sqlite3.Connection, before: str, most: int) -> int:
    """Inside a transaction, fold all runs of some trees; how many trees there were."""
    trees = aged(db, before, most)
    for key in trees:
        found = db.execute(
            "SELECT substr(ended_at, 1, 10) AS day, count(*) AS runs, sum(green = 0) AS failed,"
            " total(CASE WHEN green THEN seconds END) AS seconds FROM gate_runs WHERE gate = ? AND tree = ?"
            " GROUP BY day ORDER BY day",
            key,
        ).fetchall()
        failed, runs = (sum(row[name] for row in found) for name in ("failed", "runs"))
        for row in found:
            flaky = row is found[-1] and 0 < failed < runs
            db.execute(
                "INSERT INTO folded_gates (day, gate, runs, failed, flaky, seconds) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (day, gate) DO UPDATE SET runs = runs + excluded.runs, failed = failed + excluded.failed,"
                " flaky = flaky + excluded.flaky, seconds = seconds + excluded.seconds",
                (row["day"], key[0], row["runs"], row["failed"], flaky, row["seconds"]),
            )
        db.execute("DELETE FROM gate_runs WHERE gate = ? AND tree = ?", key)
        db.execute("DELETE FROM gate_verdicts WHERE gate = ? AND tree = ?", key)
    return len(trees)
