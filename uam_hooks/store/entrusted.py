"""Pushes that another queue lands: which may be handed over, which were, and what they are called there.

An action is handed over as a whole: what is pushed after that begins an action of its own, so an action that was
entrusted never grows. Until it has ended, or was brought home, nobody here claims it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import enqueue, events, rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import EVERYTHING, Lane
from uam_hooks.hot.queue.model import Action, Batch, Source, SourceStatus, iso
from uam_hooks.store import claim, returns, traces

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
    """A push and its sources, those among them that a newer push has replaced.

    `where` is what it was handed over to, "" for nothing yet. It may wait for CI only if it is one that `holds`.
    """

    action: Action
    sources: tuple[Source, ...]
    where: str = ""
    holds: bool = False

    @property
    def pending(self) -> list[Source]:
        """Those whose end is open."""
        return [source for source in self.sources if source.status == SourceStatus.PENDING]


def candidates(store: Store, lane: Lane) -> list[Entrusted]:
    """The pushes of a lane that may be handed over, oldest first: updates of branches as git makes them."""
    return _found(store, lane, _MAY_GO)


def handed_over(store: Store, lane: Lane) -> list[Entrusted]:
    """The pushes of a lane that were handed over to a fleet and have not ended."""
    return _found(store, lane, "entrusted <> '' AND entrusted NOT LIKE '/%'")


def in_clones(store: Store, lane: Lane) -> list[Entrusted]:
    """The pushes of a lane that were handed over to other clones on this machine and have not ended."""
    return _found(store, lane, "entrusted LIKE '/%'")


def of(store: Store, action_ids: Collection[int]) -> list[Entrusted]:
    """Those of these actions that other clones have and that have not ended."""
    return [one for one in in_clones(store, EVERYTHING) if one.action.id in action_ids]


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
        return [
            Entrusted(action, _sources(db, action), row["entrusted"], row["hold_until"] != "")
            for row, action in zip(found, map(rows.action, found), strict=True)
            if not action.fault
        ]


def is_directory(where: str) -> bool:
    """Whether that, what something was handed over to, is a clone on this machine: its git directory."""
    return where.startswith("/")


def places(store: Store) -> list[str]:
    """All that something was handed over to that has not ended."""
    with store.reading() as db:
        found = db.execute("SELECT DISTINCT entrusted FROM deploy_queue WHERE entrusted <> '' AND status = 'pending'")
        return sorted(str(row["entrusted"]) for row in found)


def lanes(store: Store, identity: str) -> list[Lane]:
    """The lanes of an identity of which something was handed over and has not ended."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT remote FROM deploy_queue WHERE entrusted <> '' AND status = 'pending'"
            " AND identity IN ('', ?) ORDER BY remote", (identity,),
        ).fetchall()  # fmt: skip
    return [Lane(identity, row["remote"]) for row in found]


def behind(store: Store) -> frozenset[int]:
    """The actions that wait here for a branch of which something is in the hands of another queue, and those that go
    out together with them: they would overtake it.
    """
    with store.reading() as db:
        found = db.execute(
            "WITH behind (id) AS (SELECT q.id FROM deploy_queue q JOIN deploy_queue e ON e.remote = q.remote"
            "  AND e.target = q.target AND e.entrusted <> '' AND e.status = 'pending'"
            "  WHERE q.entrusted = '' AND q.status = 'pending')"
            " SELECT id FROM behind UNION SELECT m.action_id FROM sources m JOIN sources s"
            "  ON s.push_group = m.push_group AND s.action_id IN (SELECT id FROM behind) AND s.status = 'pending'"
            "  WHERE m.atomic = 1 AND m.status = 'pending'"
        ).fetchall()
    return frozenset(row["id"] for row in found)


def sources(store: Store, action: Action) -> tuple[Source, ...]:
    """All sources of a push, as they are now."""
    with store.reading() as db:
        return _sources(db, action)


def unfinished(store: Store, action_ids: Collection[int]) -> set[int]:
    """Those of these pushes that are in the hands of another queue, or whose end is being written down."""
    return _open(store, action_ids, f"(q.entrusted <> '' AND q.status {_OPEN})")


def still_open(store: Store, action_ids: Collection[int]) -> set[int]:
    """Those of these pushes that have not ended, or whose end is being written down."""
    return _open(store, action_ids, f"q.status {_OPEN}")


_OPEN = "IN ('pending', 'batched', 'executing')"


def _open(store: Store, action_ids: Collection[int], which: str) -> set[int]:
    with store.reading() as db:
        found = db.execute(
            "SELECT q.id FROM deploy_queue q LEFT JOIN deploy_batches b ON b.id = q.batch_id"  # noqa: S608 - of those above
            f" WHERE q.id IN (SELECT value FROM json_each(?)) AND ({which} OR b.status {_OPEN})",
            (json.dumps(list(action_ids)),),
        ).fetchall()
    return {row["id"] for row in found}


def hasten(store: Store, action_ids: Collection[int]) -> None:
    """Let these pushes wait for no company and no CI: somebody flushes by hand."""
    with store.transaction() as db:
        for action_id in action_ids:
            db.execute(
                "UPDATE deploy_queue SET execute_after = ?, held = 0, by_hand = 0 WHERE id = ? AND status = 'pending'",
                (iso(time.time()), action_id),
            )


def batches(store: Store, action_ids: Collection[int]) -> list[str]:
    """The ids of the batches in which these have ended."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT batch_id FROM deploy_queue WHERE batch_id IS NOT NULL AND id IN"
            " (SELECT value FROM json_each(?)) ORDER BY id", (json.dumps(list(action_ids)),),
        ).fetchall()  # fmt: skip
    return [row["batch_id"] for row in found]


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
    """Give each pending source of these pushes a name for the other queue, also those that have joined since they were
    read; one that has a name keeps it.
    """
    with store.transaction() as db:
        for one in handed:
            nameless = db.execute(
                "SELECT id FROM sources WHERE action_id = ? AND status = 'pending' AND entry = ''", (one.action.id,)
            ).fetchall()
            for row in nameless:
                db.execute("UPDATE sources SET entry = ? WHERE id = ?", (claim.random_uuid(), row["id"]))
        return [one._replace(sources=_sources(db, one.action)) for one in handed]


def entrust(store: Store, handed: Entrusted, where: str) -> bool:
    """Write down that a push was handed over; False where it is not the same any more, and stays here.

    What is pushed from now on does not join it.
    """
    entered = {(source.id, source.entry) for source in handed.pending}
    with store.transaction() as db:
        now = db.execute(
            "SELECT id, entry FROM sources WHERE action_id = ? AND status = 'pending'", (handed.action.id,)
        )
        # somebody has joined it meanwhile, or it lost its name to who leaves the fleet
        if {(row["id"], row["entry"]) for row in now} - entered:
            return False
        return bool(db.execute(
            "UPDATE deploy_queue SET entrusted = ?, merge_key = NULL WHERE id = ? AND status = 'pending'"
            " AND entrusted = ''", (where, handed.action.id),
        ).rowcount)  # fmt: skip


def bring_home(store: Store, actions: Sequence[Action], *, waits: bool | None) -> None:
    """Let pushes be landed from here again, where others may join them as before. Handed over once more, they have
    another name. `waits` tells whether the other queue may still land them, None that it has none.
    """
    with store.transaction() as db:
        for action in actions:
            row = db.execute(
                "SELECT id FROM deploy_queue WHERE id = ? AND status = 'pending' AND entrusted <> ''", (action.id,)
            ).fetchone()
            if row is not None:
                key = enqueue.merge_key_of(action)
                traces.let_go(db, "s.action_id = ? AND s.status = 'pending'", action.id, waits=waits)
                returns.join_open(db, action.id, key)
                db.execute("UPDATE deploy_queue SET entrusted = '', merge_key = ? WHERE id = ?", (key, action.id))


def moved(store: Store, action_ids: Collection[int], where: str) -> None:
    """Write down that what has these pushes is somewhere else now."""
    with store.transaction() as db:
        for action_id in action_ids:
            db.execute("UPDATE deploy_queue SET entrusted = ? WHERE id = ? AND entrusted <> ''", (where, action_id))


def claimed(store: Store, action: Action) -> Batch | None:
    """Claim a push that was handed over, to end what has ended of it; None where it is none any more."""
    with store.transaction() as db:
        row = db.execute(
            "SELECT id FROM deploy_queue WHERE id = ? AND status = 'pending' AND entrusted <> ''", (action.id,)
        ).fetchone()
    return None if row is None else claim.one(store, action)


def hold_up(store: Store, action_ids: Collection[int], why: str) -> None:
    """Say why these pushes wait, "" where that is over."""
    with store.transaction() as db:
        for action_id in action_ids:
            db.execute("UPDATE deploy_queue SET error = ? WHERE id = ? AND status = 'pending' AND error <> ?",
                       (why, action_id, why))  # fmt: skip


def withdrawn(store: Store, action: Action, source_ids: Collection[int], why: str) -> None:
    """Take sources of a push back that the other queue has let go of, and end the push where none is left."""
    with store.transaction() as db:
        for source_id in source_ids:
            db.execute(
                "UPDATE sources SET status = 'withdrawn', outcome = json_object('error', ?), untold = 0"
                " WHERE id = ? AND action_id = ? AND status = 'pending'", (why, source_id, action.id),
            )  # fmt: skip
        ended = db.execute(
            "UPDATE deploy_queue SET status = 'cancelled', finished_at = ?, error = ? WHERE id = ?"
            " AND status = 'pending' AND entrusted <> '' AND NOT EXISTS"
            " (SELECT 1 FROM sources s WHERE s.action_id = deploy_queue.id AND s.status = 'pending')",
            (iso(time.time()), why, action.id),
        ).rowcount
        if ended:
            events.cancelled(db, action.id, why)


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
    """Remember, before anything of them leaves, that the other queue and the remote may know of these sources."""
    with store.transaction() as db:
        for source_id in source_ids:
            db.execute("UPDATE sources SET owed = 1 WHERE id = ?", (source_id,))
