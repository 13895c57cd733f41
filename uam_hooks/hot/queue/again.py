"""A push that is made again while it is in the queue, and one whose agent has not heard what became of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence

from uam_hooks.hot.core.processes import alive, started
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.ci import Moments
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.events import is_waited_for
from uam_hooks.hot.queue.model import ActionType, NewSource, Source


def open_ones(db: sqlite3.Connection, pushed: Sequence[tuple[NewSource, str]]) -> list[sqlite3.Row | None]:
    """For each source, given with its action's payload, the entry of the same push that has not ended; None without.

    What is atomic was queued as a whole, or has to be queued again as a whole.
    """
    found = [_open_one(db, source, payload) for source, payload in pushed]
    entries = [entry for entry in found if entry is not None]
    if not any(source.atomic for source, _ in pushed):
        return found
    if len(entries) == len(found) and len({entry["push_group"] for entry in entries}) == 1:
        group = entries[0]["push_group"]
        mates = db.execute("SELECT count(*) FROM sources WHERE push_group = ?", (group,)).fetchone()[0]
        if mates == len(found):
            return found
    return [None] * len(found)


def _open_one(db: sqlite3.Connection, new: NewSource, payload: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT s.id, s.action_id, s.push_group, s.waiter, s.waiter_started, s.untold, q.execute_after, q.hold_until,"
        " q.held, q.status"
        " FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.status = 'pending'"
        " AND s.base = '' AND s.follow = 0"
        " AND q.action_type = 'push' AND q.asked = 0 AND q.status IN ('pending', 'batched', 'executing')"
        " AND s.worktree = ? AND s.branch = ? AND s.tip = ? AND s.agent_id = ? AND s.exact = ? AND s.expect IS ?"
        " AND s.atomic = ? AND s.wish = ? AND q.remote = ? AND q.target = ? AND q.payload = ?"
        " AND q.identity = ? AND q.place = ? ORDER BY s.id DESC LIMIT 1",
        (new.worktree, new.branch, new.tip, new.agent, new.verbatim, new.expect, new.atomic, new.wish.value, new.remote,
         short_target(new.ref), payload, new.asker.identity, new.asker.place.id),
    ).fetchone()  # fmt: skip
    return row


def wait_on(db: sqlite3.Connection, entry: sqlite3.Row, new: NewSource, moments: Moments) -> str:
    """Let the process that pushes an open source again be the one that waits for it; returns the end of its window.

    Not where another still waits, and not where the agent was told "queued" with exit 0: then Ctrl-C does not take that
    back. The window does not end later than before.
    """
    if entry["untold"] == 1 and not (entry["waiter"] and alive(entry["waiter"], entry["waiter_started"])):
        db.execute(
            "UPDATE sources SET waiter = ?, waiter_started = ? WHERE id = ?",
            (new.waiter, started(new.waiter), entry["id"]),
        )
    if entry["status"] == "pending":
        moments = Moments(entry["execute_after"], entry["hold_until"], bool(entry["held"])).joined_by(moments)
        db.execute(
            "UPDATE deploy_queue SET execute_after = ?, hold_until = ?, held = ?, by_hand = min(by_hand, ?)"
            " WHERE id = ?",
            (*moments, new.by_hand, entry["action_id"]),
        )
    return moments.due


class Untold(NamedTuple):
    """Something that has ended: the remote it was for, its source, and what it is called if it is no push.

    `batch` is the id of the batch in which it failed while nobody had ever waited for it.
    """

    remote: str
    source: Source
    called: str = ""
    batch: str = ""


def untold(store: Store, worktree: str, agent: str) -> list[Untold]:
    """What has ended of this agent from this worktree that nobody has told it about, oldest first.

    What a live process waits for is left to it.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT s.*, q.remote, q.action_type, q.target, q.batch_id FROM sources s"
            " JOIN deploy_queue q ON q.id = s.action_id WHERE s.untold <> 0"
            " AND s.worktree = ? AND s.agent_id = ? AND s.status IN ('landed', 'failed', 'withdrawn') ORDER BY s.id",
            (worktree, agent),
        ).fetchall()
    return [
        Untold(str(row["remote"]), rows.source(row), _called(row), row["batch_id"] or "" if row["untold"] == 2 else "")
        for row in found
        if not is_waited_for(row)
    ]


def _called(row: sqlite3.Row) -> str:
    return "" if row["action_type"] == ActionType.PUSH else f"{row['action_type']} {row['target']}"


def unheard(store: Store, worktree: str) -> list[str]:
    """The agents in a worktree that have not heard of something that failed."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT agent_id FROM sources WHERE untold <> 0 AND worktree = ? AND status = 'failed'",
            (worktree,),
        ).fetchall()
    return [str(row["agent_id"]) for row in found]


def listen(store: Store, source_ids: Sequence[int]) -> None:
    """Let this process be who hears what becomes of these sources and says it to their agent, until its end or until
    `leave`. Where another living one is that already, it stays that.
    """
    me = os.getpid()
    with store.transaction() as db:
        for source_id in source_ids:
            row = db.execute("SELECT listener, listener_started FROM sources WHERE id = ?", (source_id,)).fetchone()
            if not (row["listener"] and alive(row["listener"], row["listener_started"])):
                db.execute(
                    "UPDATE sources SET listener = ?, listener_started = ? WHERE id = ? AND status = 'pending'",
                    (me, started(me), source_id),
                )


def leave(store: Store, source_ids: Iterable[int]) -> None:
    """This process does not listen any more. What has failed until now it is still to say."""
    with store.transaction() as db:
        db.executemany(
            "UPDATE sources SET listener = 0 WHERE id = ? AND listener = ?", [(one, os.getpid()) for one in source_ids]
        )


def told(store: Store, source_ids: Iterable[int]) -> None:
    """Remember that the agent has heard what became of these sources."""
    ids = [(source_id,) for source_id in source_ids]
    if ids:
        with store.transaction() as db:
            db.executemany("UPDATE sources SET untold = 0, notice = 0 WHERE id = ?", ids)


def replaced_by(store: Store, source_ids: Sequence[int]) -> list[int]:
    """The actions of the older sources whose place these have taken."""
    with store.reading() as db:
        found = [
            row["action_id"]
            for source_id in source_ids
            for row in db.execute("SELECT DISTINCT action_id FROM sources WHERE replaced_by = ?", (source_id,))
        ]
    return sorted(set(found))
