"""Entries that cannot be read end alone, with the reason, before anything joins them or is claimed with them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.queue import events, rows
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.queue.outcome import Outcome


def end_unreadable(db: sqlite3.Connection) -> None:
    """Inside a transaction, end every pending action, and every pending source of one, that cannot be read."""
    sources: dict[int, list[sqlite3.Row]] = {}
    for source in db.execute(
        "SELECT s.* FROM deploy_queue q CROSS JOIN sources s ON s.action_id = q.id"
        " WHERE q.status = 'pending' AND s.status = 'pending'"
    ):
        sources.setdefault(source["action_id"], []).append(source)
    for row in db.execute("SELECT * FROM deploy_queue WHERE status = 'pending'").fetchall():
        _ended(db, row, sources.get(row["id"], []))


def ended(db: sqlite3.Connection, row: sqlite3.Row) -> bool:
    """Inside a transaction, end the pending action `row`, or those of its sources, that cannot be read.

    Returns whether the action has ended: by itself, or with the last of its sources.
    """
    pending = db.execute("SELECT * FROM sources WHERE action_id = ? AND status = 'pending'", (row["id"],)).fetchall()
    return _ended(db, row, pending)


def _ended(db: sqlite3.Connection, row: sqlite3.Row, pending: Sequence[sqlite3.Row]) -> bool:
    fault = rows.action(row).fault
    faults = {source["id"]: why for source in pending if (why := fault or rows.source(source).fault)}
    for number, why in faults.items():
        text = Outcome(failure=Failure(why)).text()
        events.fail(db, number, text)
    if fault or faults:
        events.unreadable(db, row, fault or "; ".join(dict.fromkeys(faults.values())))
    if not fault and (not faults or len(faults) < len(pending)):
        return False
    db.execute(
        "UPDATE deploy_queue SET status = 'failed', finished_at = ?, error = ? WHERE id = ?",
        (iso(time.time()), fault or "; ".join(dict.fromkeys(faults.values())), row["id"]),
    )
    return True
