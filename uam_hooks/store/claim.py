"""What a flush takes from the queue, and the plan it writes down before it pushes. Nothing is ever deleted."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..model import Action, Batch, Landing, Source, Status, iso
from . import rows
from .connection import Store


class NewLanding(NamedTuple):
    """A landing as it is written down before its push."""

    action_id: int
    remote: str
    ref: str
    old: str
    new: str
    keep: str
    sources: tuple[int, ...]
    detail: dict[str, Any]


def pushes(store: Store, now: float | None) -> Batch | None:
    """Claim pending pushes for one batch: those due at `now`, or all of them when it is None.

    Of each ref only the oldest pending action is taken, and only while no other batch holds the ref: what a
    remote's ref goes through happens in queue order. One transaction, so an action is claimed once whatever runs
    beside.
    """
    with store.transaction() as db:
        found = db.execute(
            "SELECT * FROM deploy_queue q WHERE action_type = 'push' AND status = 'pending'"
            " AND id = (SELECT min(id) FROM deploy_queue o WHERE o.action_type = 'push'"
            "   AND o.status = 'pending' AND o.remote = q.remote AND o.target = q.target)"
            " AND NOT EXISTS (SELECT 1 FROM deploy_queue b WHERE b.action_type = 'push'"
            "   AND b.remote = q.remote AND b.target = q.target AND b.status IN ('batched', 'executing'))"
            " AND (:now IS NULL OR EXISTS (SELECT 1 FROM deploy_queue d WHERE d.action_type = 'push'"
            "   AND d.status = 'pending' AND d.remote = q.remote AND d.target = q.target"
            "   AND d.execute_after <= :now))"
            " ORDER BY priority DESC, id",
            {"now": None if now is None else iso(now)},
        ).fetchall()
        found = _whole_groups(db, found)
        if not found:
            return None
        return _new_batch(db, [rows.action(row) for row in found])


def one(store: Store, action: Action) -> Batch | None:
    """Claim just this action; None when it is no longer pending."""
    with store.transaction() as db:
        row = db.execute("SELECT * FROM deploy_queue WHERE id = ? AND status = 'pending'", (action.id,)).fetchone()
        return None if row is None else _new_batch(db, [rows.action(row)])


def _new_batch(db: sqlite3.Connection, actions: list[Action]) -> Batch:
    batch_id = str(uuid.uuid4())
    number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM deploy_batches").fetchone()[0]
    created = iso(time.time())
    db.execute(
        "INSERT INTO deploy_batches (id, number, created_at, status) VALUES (?, ?, ?, 'pending')",
        (batch_id, number, created),
    )
    for action in actions:
        db.execute(
            "UPDATE deploy_queue SET status = 'batched', batch_id = ? WHERE id = ? AND status = 'pending'",
            (batch_id, action.id),
        )
    claimed = tuple(action._replace(status=Status.BATCHED, batch_id=batch_id) for action in actions)
    return Batch(batch_id, number, created, None, Status.PENDING, {}, claimed)


def _whole_groups(db: sqlite3.Connection, found: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """Leave out actions of an atomic push whose other refs cannot be claimed yet: they go together or not at all."""
    ids = {row["id"] for row in found}
    whole = []
    for row in found:
        mates = db.execute(
            "SELECT DISTINCT m.action_id FROM sources s JOIN sources m ON m.push_group = s.push_group"
            " WHERE s.action_id = ? AND s.atomic = 1 AND m.status = 'pending'",
            (row["id"],),
        ).fetchall()
        if all(mate["action_id"] in ids for mate in mates):
            whole.append(row)
    return whole


def sources(store: Store, action_id: int) -> list[Source]:
    """The sources of an action that still wait for their landing, in queue order."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM sources WHERE action_id = ? AND status = 'pending' ORDER BY id", (action_id,)
        ).fetchall()
    return [rows.source(row) for row in found]


def write_plan(store: Store, batch: Batch, landings: Sequence[NewLanding]) -> list[Landing]:
    """Write down what is about to be pushed; from here on only the remote can say what became of it."""
    written = []
    with store.transaction() as db:
        db.execute(
            "UPDATE deploy_batches SET status = 'executing', executed_at = coalesce(executed_at, ?)"
            " WHERE id = ? AND status IN ('pending', 'executing')",
            (iso(time.time()), batch.id),
        )
        for new in landings:
            db.execute(
                "UPDATE landings SET status = 'abandoned' WHERE action_id = ? AND status = 'planned'",
                (new.action_id,),
            )
            db.execute(
                "UPDATE deploy_queue SET status = 'executing' WHERE id = ? AND batch_id = ?",
                (new.action_id, batch.id),
            )
            landing_id = db.execute(
                "INSERT INTO landings (batch_id, action_id, remote, ref, old, new, keep, sources, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (batch.id, new.action_id, new.remote, new.ref, new.old, new.new, new.keep,
                 json.dumps(new.sources), json.dumps(new.detail)),
            ).lastrowid  # fmt: skip
            assert landing_id is not None
            written.append(
                Landing(landing_id, batch.id, new.action_id, new.remote, new.ref, new.old, new.new, new.keep,
                        new.sources, "planned", new.detail)
            )  # fmt: skip
    return written
