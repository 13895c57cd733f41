"""Actions that go back to the queue: what kept them from their end may pass, or their flush is gone."""

from __future__ import annotations

import json
import sqlite3
import time

from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, iso
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.store import finish, happened

# How often an action is given back because its flush ended before it did. What ends a flush so often may be the action.
MOST_RELEASES = 20


def requeue(store: Store, action: Action, when: str, error: str, *, tried: bool) -> None:
    """Give an action back, to be tried again at `when`: what kept it from its end may pass."""
    with store.transaction() as db:
        given = db.execute(
            "UPDATE deploy_queue SET execute_after = max(execute_after, ?), held = 0, error = ?,"
            " attempts = attempts + ?, pause = max(0, (julianday(max(execute_after, ?)) - julianday(?)) * 86400)"
            " WHERE id = ? AND batch_id = ? AND status IN ('batched', 'executing')",
            (when, error, tried, when, iso(time.time()), action.id, action.batch_id),
        ).rowcount
        if given:
            happened.requeued(db, action, error, when)
        _release(db, action)


def release(store: Store, action: Action) -> None:
    """Give an action back to the queue: it was claimed, and nothing of it has reached the remote.

    When another action took its place as the one that pushes merge into, its sources join that one.
    """
    with store.transaction() as db:
        if _release(db, action):
            happened.requeued(db, action, "", action.execute_after)


def release_after_crash(store: Store, gone: Action) -> None:
    """`release` an action whose flush has ended; one that this has happened to too often ends as failed."""
    with store.transaction() as db:
        # whatever gate ran for it ended with its flush
        db.execute("DELETE FROM gate_running WHERE remote = ? AND target = ?", (gone.remote, gone.target))
        db.execute("UPDATE deploy_queue SET released = released + 1 WHERE id = ? AND batch_id = ?"
                   " AND status IN ('batched', 'executing')", (gone.id, gone.batch_id))  # fmt: skip
        row = db.execute("SELECT released FROM deploy_queue WHERE id = ?", (gone.id,)).fetchone()
        if row["released"] <= MOST_RELEASES:
            if _release(db, gone):
                happened.requeued(db, gone, "its flush ended before it was done", gone.execute_after)
            return
    why = f"its flush ended before it was done, {MOST_RELEASES + 1} times in a row; `git uam retry {gone.id}`"
    finish.action(store, gone, Outcome(failure=Failure(why)), error=why)


def _release(db: sqlite3.Connection, action: Action) -> bool:
    """Whether it was given back: it is not where the claim on it is lost."""
    row = db.execute(
        "SELECT merge_key FROM deploy_queue WHERE id = ? AND batch_id = ? AND status IN ('batched', 'executing')",
        (action.id, action.batch_id),
    ).fetchone()
    if row is None:
        return False
    for commit in db.execute("SELECT * FROM deploy_queue WHERE carried_by = ?", (action.id,)).fetchall():
        _release(db, rows.action(commit))
    join_open(db, action.id, row["merge_key"])
    db.execute(
        "UPDATE deploy_queue SET status = 'pending', batch_id = NULL, carried_by = NULL WHERE id = ?", (action.id,)
    )
    return True


def join_open(db: sqlite3.Connection, action_id: int, merge_key: str | None) -> None:
    """Inside a transaction, before an action is pending again: what others have joined meanwhile becomes a part of it.

    The open group is younger: it takes the older place, so that queue order holds.
    """
    other = (
        merge_key
        and db.execute(
            "SELECT id, by_hand FROM deploy_queue WHERE merge_key = ? AND status = 'pending' AND id <> ?",
            (merge_key, action_id),
        ).fetchone()
    )
    if not other:
        return
    db.execute(
        "UPDATE deploy_queue SET status = 'cancelled', finished_at = ?, error = ?, goes_on_as = ? WHERE id = ?",
        (iso(time.time()), f"it goes on as #{action_id}", action_id, other["id"]),
    )
    # somebody may wait for a part of it
    db.execute("UPDATE deploy_queue SET by_hand = min(by_hand, ?) WHERE id = ?", (other["by_hand"], action_id))
    db.execute("UPDATE sources SET action_id = ? WHERE action_id = ?", (action_id, other["id"]))
    db.execute("UPDATE queued_commits SET action_id = ? WHERE action_id = ?", (action_id, other["id"]))
    _depend_on(db, action_id, other["id"])


def _depend_on(db: sqlite3.Connection, new: int, old: int) -> None:
    """What waits for `old` waits for `new`, which has become the same."""
    found = db.execute(
        "SELECT id, dependencies FROM deploy_queue WHERE status IN ('pending', 'batched') AND dependencies <> '[]'"
    ).fetchall()
    for row in found:
        needs = rows.ids(row["dependencies"])
        if old in needs:
            changed = json.dumps([new if need == old else need for need in needs])
            db.execute("UPDATE deploy_queue SET dependencies = ? WHERE id = ?", (changed, row["id"]))
