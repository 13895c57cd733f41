"""Pushes that another queue lands: which may be handed over, which were, and what they are called there.

An action is handed over as a whole: what is pushed after that begins an action of its own, so an action that was
entrusted never grows. Until it has ended, or was brought home, nobody here claims it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import Action, Batch, Source, SourceStatus, iso
from uam_hooks.store import claim

# What only git judges, or what belongs to a branch here, is landed from here; so is what came from elsewhere.
_MAY_GO = (
    "action_type = 'push' AND asked = 0 AND entrusted = '' AND target NOT LIKE 'refs/%'"
    " AND (by_hand = 0 OR :remote IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM sources s WHERE s.action_id = q.id AND s.status = 'pending'"
    "  AND (s.origin <> '' OR s.exact = 1 OR s.atomic = 1 OR s.follow = 1 OR s.base <> ''))"
    " AND EXISTS (SELECT 1 FROM sources s WHERE s.action_id = q.id AND s.status = 'pending')"
)
_OF_LANE = " AND (:remote IS NULL OR remote = :remote) AND (:identity IS NULL OR identity IN ('', :identity))"


class Entrusted(NamedTuple):
    """A push and its sources, those among them that a newer push has replaced."""

    action: Action
    sources: tuple[Source, ...]

    @property
    def pending(self) -> list[Source]:
        """Those whose end is open."""
        return [source for source in self.sources if source.status == SourceStatus.PENDING]


def candidates(store: Store, lane: Lane) -> list[Entrusted]:
    """The pushes of a lane that may be handed over, oldest first: updates of branches as git makes them."""
    return _found(store, lane, _MAY_GO)


def handed_over(store: Store, lane: Lane) -> list[Entrusted]:
    """The pushes of a lane that were handed over and have not ended."""
    return _found(store, lane, "entrusted <> ''")


def any_handed_over(store: Store, lane: Lane) -> bool:
    """Whether something of a lane is in the hands of another queue."""
    with store.reading() as db:
        row = db.execute(
            f"SELECT 1 FROM deploy_queue WHERE entrusted <> '' AND status = 'pending'{_OF_LANE} LIMIT 1",  # noqa: S608
            lane._asdict(),
        ).fetchone()
    return row is not None


def _found(store: Store, lane: Lane, which: str) -> list[Entrusted]:
    with store.reading() as db:
        found = db.execute(
            f"SELECT * FROM deploy_queue q WHERE status = 'pending' AND {which}{_OF_LANE} ORDER BY id",  # noqa: S608
            lane._asdict(),
        ).fetchall()
        return [Entrusted(action, _sources(db, action)) for action in map(rows.action, found) if not action.fault]


def _sources(db: sqlite3.Connection, action: Action) -> tuple[Source, ...]:
    found = db.execute("SELECT * FROM sources WHERE action_id = ? ORDER BY id", (action.id,))
    return tuple(rows.source(row) for row in found)


def remotes(store: Store, lane: Lane) -> list[str]:
    """The remotes of which a lane has pushes that wait."""
    with store.reading() as db:
        pushes = "SELECT DISTINCT remote FROM deploy_queue WHERE status = 'pending' AND action_type = 'push'"
        found = db.execute(f"{pushes} AND remote <> ''{_OF_LANE} ORDER BY remote", lane._asdict()).fetchall()
    return [str(row["remote"]) for row in found]


def name(store: Store, handed: Sequence[Entrusted]) -> list[Entrusted]:
    """Give each pending source of these pushes a name for the other queue; one that has a name keeps it."""
    with store.transaction() as db:
        for one in handed:
            for source in one.pending:
                db.execute("UPDATE sources SET entry = ? WHERE id = ? AND entry = ''", (claim.random_uuid(), source.id))
        return [one._replace(sources=_sources(db, one.action)) for one in handed]


def entrust(store: Store, handed: Entrusted, where: str) -> bool:
    """Write down that a push was handed over; False where it is not the same any more, and stays here.

    What is pushed from now on does not join it.
    """
    entered = {source.id for source in handed.pending}
    with store.transaction() as db:
        now = db.execute("SELECT id FROM sources WHERE action_id = ? AND status = 'pending'", (handed.action.id,))
        if {row["id"] for row in now} - entered:  # somebody has joined it meanwhile
            return False
        return bool(db.execute(
            "UPDATE deploy_queue SET entrusted = ?, merge_key = NULL WHERE id = ? AND status = 'pending'"
            " AND entrusted = ''", (where, handed.action.id),
        ).rowcount)  # fmt: skip


def bring_home(store: Store, action_ids: Collection[int]) -> None:
    """Let pushes be landed from here again: the other queue has let go of them."""
    with store.transaction() as db:
        for action_id in action_ids:
            db.execute("UPDATE deploy_queue SET entrusted = '' WHERE id = ? AND status = 'pending'", (action_id,))


def claimed(store: Store, action: Action) -> Batch | None:
    """Claim a push that was handed over, to end what has ended of it; None where it is none any more."""
    with store.transaction() as db:
        row = db.execute(
            "SELECT id FROM deploy_queue WHERE id = ? AND status = 'pending' AND entrusted <> ''", (action.id,)
        ).fetchone()
    return None if row is None else claim.one(store, action)


def end_empty(store: Store, action: Action) -> None:
    """End a push of which nothing is left: newer pushes have taken the place of all of it."""
    with store.transaction() as db:
        db.execute(
            "UPDATE deploy_queue SET status = 'cancelled', finished_at = ?, error = 'a newer push took its place'"
            " WHERE id = ? AND status = 'pending' AND entrusted <> '' AND NOT EXISTS"
            " (SELECT 1 FROM sources s WHERE s.action_id = deploy_queue.id AND s.status = 'pending')",
            (iso(time.time()), action.id),
        )


def offered(store: Store, source_ids: Collection[int]) -> None:
    """Remember that these sources have something on the remote that is to go once they have ended."""
    _owe(store, source_ids, 1)


def cleared(store: Store, source_ids: Collection[int]) -> None:
    """Nothing of these sources is left on the remote."""
    _owe(store, source_ids, 0)


def _owe(store: Store, source_ids: Collection[int], owed: int) -> None:
    with store.transaction() as db:
        for source_id in source_ids:
            db.execute("UPDATE sources SET owed = ? WHERE id = ?", (owed, source_id))


def to_clear(store: Store, remote: str, most: int = 100) -> list[Source]:
    """Sources that have ended and of which something may be left on the remote."""
    with store.reading() as db:
        found = db.execute(
            "SELECT s.* FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.owed = 1 AND s.entry <> ''"
            " AND s.status <> 'pending' AND q.remote = ? ORDER BY s.id LIMIT ?", (remote, most),
        ).fetchall()  # fmt: skip
    return [rows.source(row) for row in found]
