"""Failures that nobody waited for, and of which the command of uam.notify.command is to be told: each of them once."""

from __future__ import annotations

import sqlite3
import time

from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.events import VERSION, is_waited_for
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.store import happened

_OPEN = (
    "SELECT s.id, s.outcome, s.waiter, s.waiter_started, s.listener, s.listener_started, q.finished_at FROM sources s"
    " JOIN deploy_queue q ON q.id = s.action_id WHERE s.notice = 1 AND q.identity IN ('', ?) ORDER BY s.id"
)


def waiting(store: Store, identity: str) -> bool:
    """Whether anything of this identity has failed that nobody waits for, and was not told."""
    with store.reading() as db:
        return _first(db, identity) is not None


def take(store: Store, identity: str) -> dict[str, Any] | None:
    """The event of the oldest of them, which is told from now on: whoever dies with it has told it."""
    with store.transaction() as db:
        row = _first(db, identity)
        if row is None:
            return None
        db.execute("UPDATE sources SET notice = 0 WHERE id = ?", (row["id"],))
        kind, facts = happened.end_of(db, row["id"], Outcome.parse(row["outcome"]))
        return {"v": VERSION, "at": row["finished_at"] or iso(time.time()), "event": kind, **facts}


def drop(store: Store, identity: str) -> None:
    """Tell nobody of them: there is no command."""
    with store.transaction() as db:
        for row in db.execute(_OPEN, (identity,)).fetchall():
            if not is_waited_for(row):
                db.execute("UPDATE sources SET notice = 0 WHERE id = ?", (row["id"],))


def _first(db: sqlite3.Connection, identity: str) -> sqlite3.Row | None:
    return next((row for row in db.execute(_OPEN, (identity,)).fetchall() if not is_waited_for(row)), None)
