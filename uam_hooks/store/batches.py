"""The batches there have been, newest first, with all that belongs to each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, Batch, Landing, Source, seconds_of

# How many batches are read at a time: who reads the newest only waits for no others.
PAGE = 50


class Past(NamedTuple):
    """A batch with the sources of each of its actions, by the action's id, and with its landings."""

    batch: Batch
    sources: dict[int, list[Source]]
    landings: list[Landing]


class GateRun(NamedTuple):
    """One run of a gate on a tree. `ended` is in seconds since 1970."""

    gate: str
    tree: str
    green: bool
    seconds: float
    ended: float


class Noted(NamedTuple):
    """A commit that the hooks noted, and what has become of it."""

    agent: str
    branch: str
    commit: str
    subject: str
    status: str


def newest(store: Store, since: str = "", agent: str = "", page: int = PAGE) -> Iterator[Past]:
    """Batches that were made since that moment, newest first; with an `agent`, those that it has something in.

    They are read a `page` at a time, and no transaction is open while somebody reads one of them.
    """
    before: int | None = None
    while True:
        found = _read(store, before, since, agent, page)
        yield from found
        if len(found) < page:
            return
        before = found[-1].batch.number


def _read(store: Store, before: int | None, since: str, agent: str, most: int) -> list[Past]:
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM deploy_batches b WHERE (:before IS NULL OR number < :before) AND created_at >= :since"
            " AND (:agent = '' OR EXISTS (SELECT 1 FROM deploy_queue q WHERE q.batch_id = b.id AND (q.agent_id = :agent"
            " OR EXISTS (SELECT 1 FROM sources s WHERE s.action_id = q.id AND s.agent_id = :agent))))"
            " ORDER BY number DESC LIMIT :most",
            {"before": before, "since": since, "agent": agent, "most": most},
        ).fetchall()
        return [_past(db, row) for row in found]


def _past(db: sqlite3.Connection, row: sqlite3.Row) -> Past:
    found = db.execute("SELECT * FROM deploy_queue WHERE batch_id = ? ORDER BY id", (row["id"],)).fetchall()
    actions = tuple(map(rows.action, found))
    landings = db.execute("SELECT * FROM landings WHERE batch_id = ? ORDER BY id", (row["id"],)).fetchall()
    return Past(rows.batch(row, actions), _sources(db, actions), list(map(rows.landing, landings)))


def _sources(db: sqlite3.Connection, actions: Sequence[Action]) -> dict[int, list[Source]]:
    asked = "SELECT * FROM sources WHERE action_id = ? ORDER BY id"
    return {action.id: [rows.source(row) for row in db.execute(asked, (action.id,))] for action in actions}


def landings_of(store: Store, action_id: int) -> list[Landing]:
    """What was planned and landed for an action, of every try."""
    with store.reading() as db:
        found = db.execute("SELECT * FROM landings WHERE action_id = ? ORDER BY id", (action_id,)).fetchall()
    return list(map(rows.landing, found))


def noted(store: Store, action_id: int) -> list[Noted]:
    """The commits of an action that the hooks noted, oldest first."""
    with store.reading() as db:
        found = db.execute("SELECT * FROM queued_commits WHERE action_id = ? ORDER BY id", (action_id,)).fetchall()
    return [Noted(row["agent_id"], row["branch"], row["oid"], row["subject"] or "", row["status"]) for row in found]


def gate_runs(store: Store, trees: Sequence[str]) -> list[GateRun]:
    """The runs of gates on these trees, oldest first."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM gate_runs WHERE tree IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(list(trees)),),
        ).fetchall()
    return [
        GateRun(row["gate"], row["tree"], bool(row["green"]), row["seconds"], seconds_of(row["ended_at"]))
        for row in found
        if rows.is_moment(row["ended_at"])
    ]
