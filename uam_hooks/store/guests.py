"""Sources that another queue has handed over to this one: they land here like any other, and it is told their end."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import enqueue, rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import NewSource, Source, iso


class Guest(NamedTuple):
    """A source of another queue, with its `origin`: that queue, a slash, and what it is called there.

    `window` and `hold` are those of its push, in seconds.
    """

    source: NewSource
    window: float
    hold: float | None = None


class Staying(NamedTuple):
    """A guest here: its source, the remote and target that it is for, and the action that it is a part of, with whom
    that acts as.
    """

    source: Source
    remote: str
    target: str
    action: int
    identity: str = ""


def take_in(store: Store, guests: Sequence[Guest], now: float) -> int:
    """Queue these sources, in order, but for those that are here already; returns how many were new.

    Their tips are pinned before. `now` is in seconds since 1970.
    """
    new = 0
    with store.transaction() as db:
        for guest in guests:
            assert guest.source.origin
            if db.execute("SELECT 1 FROM sources WHERE origin = ?", (guest.source.origin,)).fetchone():
                continue
            enqueue.add(db, enqueue.push_action(guest.source, guest.window, guest.hold), guest.source, (), now)
            new += 1
    return new


def known(store: Store, origins: Collection[str]) -> set[str]:
    """Those of the origins that are here, whatever became of them."""
    with store.reading() as db:
        found = db.execute(
            "SELECT origin FROM sources WHERE origin IN (SELECT value FROM json_each(?))", (json.dumps(list(origins)),)
        ).fetchall()
    return {str(row["origin"]) for row in found}


def found(store: Store, origins: Collection[str]) -> dict[str, Source]:
    """Those of the origins that are here, as they are now: for one that was replaced, what has replaced it."""
    with store.reading() as db:
        there = db.execute(
            "SELECT id, origin FROM sources WHERE origin IN (SELECT value FROM json_each(?))",
            (json.dumps(list(origins)),),
        ).fetchall()
        return dict(zip((row["origin"] for row in there), enqueue.state(store, [row["id"] for row in there]),
                        strict=True))  # fmt: skip


def numbers(store: Store, origins: Collection[str]) -> dict[str, int]:
    """The ids of those of the origins that wait here, whether or not a batch has claimed them."""
    with store.reading() as db:
        there = db.execute(
            "SELECT id, origin FROM sources WHERE status = 'pending' AND origin IN (SELECT value FROM json_each(?))",
            (json.dumps(list(origins)),),
        ).fetchall()
    return {row["origin"]: row["id"] for row in there}


def any_ended(store: Store, of: str) -> bool:
    """Whether a guest of the queue `of` has ended, and that has not been told."""
    with store.reading() as db:
        return db.execute(
            "SELECT 1 FROM sources WHERE owed = 1 AND substr(origin, 1, ?) = ? AND status <> 'pending' LIMIT 1",
            (len(of) + 1, f"{of}/"),
        ).fetchone() is not None  # fmt: skip


def hasten(store: Store, origins: Collection[str], now: float) -> None:
    """Let these be due now, whether or not CI is busy: somebody asks for it."""
    with store.transaction() as db:
        db.execute(
            "UPDATE deploy_queue SET execute_after = ?, hold_until = '', held = 0 WHERE status = 'pending' AND id IN"
            " (SELECT action_id FROM sources WHERE status = 'pending'"
            "  AND origin IN (SELECT value FROM json_each(?)))", (iso(now), json.dumps(list(origins))),
        )  # fmt: skip


def staying(store: Store, of: str) -> list[Staying]:
    """The guests of the queue `of` that wait and that no batch has claimed."""
    return _guests(store, of, "s.status = 'pending' AND q.status = 'pending'")


def begun(store: Store, of: str) -> list[Staying]:
    """The guests of the queue `of` that are in a batch now."""
    return _guests(store, of, "s.status = 'pending' AND q.status IN ('batched', 'executing')")


def ended(store: Store, of: str) -> list[Staying]:
    """The guests of the queue `of` that have ended, and whose end it has not been told."""
    return _guests(store, of, "s.status <> 'pending'")


def _guests(store: Store, of: str, which: str) -> list[Staying]:
    with store.reading() as db:
        found = db.execute(
            "SELECT s.*, q.remote AS to_remote, q.target AS to_target, q.identity AS of_identity FROM sources s"  # noqa: S608 - of those above
            f" JOIN deploy_queue q ON q.id = s.action_id WHERE s.owed = 1 AND substr(s.origin, 1, ?) = ? AND {which}"
            " ORDER BY s.id",
            (len(of) + 1, f"{of}/"),
        ).fetchall()
    return [
        Staying(rows.source(row), row["to_remote"], row["to_target"], row["action_id"], row["of_identity"])
        for row in found
    ]


def told(store: Store, source_ids: Collection[int]) -> None:
    """The other queue knows what became of these."""
    with store.transaction() as db:
        for source_id in source_ids:
            db.execute("UPDATE sources SET owed = 0 WHERE id = ? AND status <> 'pending'", (source_id,))


def all_told(store: Store, origins: Collection[str]) -> None:
    """The other queue knows what became of these, as far as they have ended."""
    with store.transaction() as db:
        db.execute(
            "UPDATE sources SET owed = 0 WHERE owed = 1 AND status <> 'pending'"
            " AND origin IN (SELECT value FROM json_each(?))", (json.dumps(list(origins)),),
        )  # fmt: skip


def send_away(store: Store, sources: Collection[Source], why: str) -> set[str]:
    """Take guests out of this queue that nothing has begun with; returns the origins of those that are gone.

    What they are called is free again: they may come back.
    """
    gone = enqueue.withdraw(store, [source.id for source in sources], why)
    with store.transaction() as db:
        for source_id in gone:
            db.execute("UPDATE sources SET owed = 0, origin = '' WHERE id = ?", (source_id,))
    return {source.origin for source in sources if source.id in gone}
