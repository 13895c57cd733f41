"""Filling the queue, and what a waiting push reads from it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence

from uam_hooks.hot.core.processes import started
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import again, events, expected, faults, rows
from uam_hooks.hot.queue.ci import Moments
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.expected import Expected
from uam_hooks.hot.queue.model import Action, ActionType, NewAction, NewSource, Source, iso


class Ticket(NamedTuple):
    """A place in the queue: ids of the source and of the action that it joined, and the end of that action's window."""

    source: int
    action: int
    due: str


def older(store: Store, new: NewSource) -> list[tuple[int, list[str]]]:
    """Pending sources of the same worktree, branch and target: id, and the tip with what it was rewritten to."""
    with store.reading() as db:
        found = db.execute(
            "SELECT s.id, s.tip FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.status = 'pending'"
            " AND q.status = 'pending' AND s.exact = 0 AND s.worktree = ? AND s.branch = ? AND q.remote = ?"
            " AND q.target = ?",
            (new.worktree, new.branch, new.remote, short_target(new.ref)),
        ).fetchall()
        return [(row["id"], became(db, row["tip"])) for row in found]


def became(db: sqlite3.Connection, tip: str) -> list[str]:
    """A commit and everything that amends and rebases rewrote it to, in order."""
    found = db.execute(
        "WITH RECURSIVE line (oid) AS (SELECT ? UNION SELECT c.became FROM queued_commits c"
        " JOIN line ON c.oid = line.oid WHERE c.became IS NOT NULL) SELECT oid FROM line",
        (tip,),
    ).fetchall()
    return [row["oid"] for row in found]


def push(
    store: Store, sources: Sequence[NewSource], window: float, now: float, hold: float | None = None,
    accepted: Sequence[Expected | None] = (), last: bool = True,
) -> list[Ticket]:  # fmt: skip
    """Queue the sources of one `git push` in one transaction; returns a ticket for each, in the same order.

    A source joins the pending action of its remote and ref, if there is one, and does not extend its window
    (`window` is in seconds, `now` in seconds since 1970). One that is in the queue already, from the same place with
    the same tip, is not queued again: whoever pushed it is told "not landed yet", and pushes once more to wait on.
    `hold` is for how many seconds CI may hold them, None for not at all.

    `accepted` is what each of them is expected to come to, None where that is not known. Raises Passed, with nothing
    queued, where one of them stands behind something else by now, unless it is the `last` try.
    """
    with store.transaction() as db:
        actions = [push_action(source, window, hold) for source in sources]
        payloads = [json.dumps(action.payload) for action in actions]
        known = again.open_ones(db, list(zip(sources, payloads, strict=True)))
        tickets = []
        found: list[tuple[int, Expected]] = []
        states = accepted or [None] * len(actions)
        for source, action, entry, state in zip(sources, actions, known, states, strict=True):
            if entry is None:
                behind = state is not None and expected.nothing_else_ahead(db, source, state.before)
                if state is not None and not behind and not last:
                    raise expected.Passed
                tickets.append(add(db, action, source, source.replaces, now))
                if state is not None and behind:
                    found.append((tickets[-1].source, state))
            else:
                due = again.wait_on(db, entry, source, _moments(action, now))
                tickets.append(Ticket(entry["id"], entry["action_id"], due))
        if found:
            expected.record(db, found)
        return tickets


def push_action(source: NewSource, window: float, hold: float | None = None) -> NewAction:
    """The action of a push of `source`, which may merge with a pending one; verbatim and atomic pushes never do."""
    key = None if source.verbatim or source.atomic else "\0".join(("push", source.remote, source.ref, *source.options))
    payload = {"push_options": list(source.options)} if source.options else {}
    if key is None or not source.ref.startswith(HEADS):  # what gathers nothing would wait for nothing
        hold = None
    return NewAction(
        source.agent, ActionType.PUSH, short_target(source.ref), source.remote, payload, window, key, hold=hold,
        by_hand=source.by_hand,
    )  # fmt: skip


def merge_key_of(action: Action) -> str:
    """The key by which others join a push that is neither verbatim nor atomic, as `add` has given it."""
    options = action.payload.get("push_options", ())
    return "\0".join(("push", action.remote, action.ref, *options, action.identity, action.place.id))


def _moments(new: NewAction, now: float) -> Moments:
    return Moments(iso(now + new.window), "" if new.hold is None else iso(now + new.hold))


def add(db: sqlite3.Connection, new: NewAction, source: NewSource, replaces: Sequence[int], now: float) -> Ticket:
    """Inside a transaction, queue an action with its source, or let the source join the pending action it merges with.

    The merged action keeps the earlier end of its window and the higher priority, and is left to a flush by hand only
    where all of it is. The pending sources `replaces` give
    way to the new one.
    """
    moments = _moments(new, now)
    by = source.asker
    key = None if new.merge_key is None else "\0".join((new.merge_key, by.identity, by.place.id))
    found = to_join(db, key)
    if found is None:
        action_id = db.execute(
            "INSERT INTO deploy_queue (agent_id, action_type, target, payload, queued_at, execute_after, remote,"
            " merge_key, priority, dependencies, not_before, asked, identity, place, url, hold_until, by_hand)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (new.agent, new.action_type.value, new.target, json.dumps(new.payload), iso(now), moments.due, new.remote,
             key, new.priority, json.dumps(new.dependencies), new.not_before, new.explicit,
             by.identity, by.place.id, by.place.url, moments.hold_until, new.by_hand),
        ).lastrowid  # fmt: skip
        if by.identity:
            db.execute("INSERT OR IGNORE INTO identities (id, facts) VALUES (?, ?)", (by.identity, by.facts))
    else:
        action_id = found["id"]
        moments = Moments(found["execute_after"], found["hold_until"], bool(found["held"])).joined_by(moments)
        db.execute(
            "UPDATE deploy_queue SET execute_after = ?, hold_until = ?, held = ?, priority = max(priority, ?),"
            " by_hand = min(by_hand, ?) WHERE id = ?",
            (*moments, new.priority, new.by_hand, action_id),
        )
    assert action_id is not None
    source_id = _add_source(db, source, action_id, iso(now), moments.held)
    for old in replaces:
        db.execute(
            "UPDATE sources SET status = 'replaced', replaced_by = ? WHERE id = ? AND status = 'pending'"
            " AND (action_id = ? OR action_id IN"
            "  (SELECT id FROM deploy_queue WHERE entrusted <> '' AND status = 'pending'))",
            (source_id, old, action_id),
        )
    joined = found is not None
    events.queued(db, action_id, source_id, new, source._replace(replaces=tuple(replaces)), moments.due, joined)
    return Ticket(source_id, action_id, moments.due)


def _add_source(db: sqlite3.Connection, new: NewSource, action_id: int, now: str, held: bool) -> int:
    source_id = db.execute(
        "INSERT INTO sources (action_id, agent_id, worktree, branch, tip, exact, expect, push_group, atomic,"
        " waiter, queued_at, follow, base, message, waiter_started, author, committer, untold,"
        " wish, held, origin, owed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (action_id, new.agent, new.worktree, new.branch, new.tip, new.verbatim, new.expect, new.group,
         new.atomic, new.waiter, now, new.tracks_branch, new.base, new.message,
         started(new.waiter) if new.waiter else "",
         *(who.encode("utf-8", "replace").decode() for who in (new.asker.author, new.asker.committer)),
         new.waited_for, new.wish.value, held, new.origin, bool(new.origin)),
    ).lastrowid  # fmt: skip
    assert source_id is not None
    for path in new.files:
        db.execute("INSERT OR IGNORE INTO source_files (source_id, path) VALUES (?, ?)", (source_id, path))
    return source_id


def state(store: Store, source_ids: Iterable[int]) -> list[Source]:
    """The sources with these ids, in order; for one that was replaced, the newest push that replaced it."""
    ids = list(source_ids)
    found = []
    with store.reading() as db:
        listed = db.execute("SELECT * FROM sources WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
        by_id = {row["id"]: row for row in listed}
        for source_id in ids:
            row = by_id[source_id]
            while row["replaced_by"] is not None:
                row = db.execute("SELECT * FROM sources WHERE id = ?", (row["replaced_by"],)).fetchone()
            found.append(rows.source(row))
    return found


def attend(store: Store, action_ids: Iterable[int]) -> None:
    """Let flushers take these actions, if they were left to a flush by hand: somebody waits for them now."""
    which = "id IN (SELECT value FROM json_each(?)) AND by_hand = 1 AND status = 'pending'"
    ids = json.dumps(list(action_ids))
    with store.reading() as db:
        if db.execute(f"SELECT 1 FROM deploy_queue WHERE {which}", (ids,)).fetchone() is None:  # noqa: S608 - a constant
            return
    with store.transaction() as db:
        db.execute(f"UPDATE deploy_queue SET by_hand = 0 WHERE {which}", (ids,))  # noqa: S608


def withdraw(store: Store, source_ids: Sequence[int], why: str, waiter: int | None = None) -> list[int]:
    """Take back the sources that no batch has claimed; returns their ids.

    With `waiter`, only those that no other process than this one waits for. The older sources that they had replaced
    are pending again, because their own pushes were answered already.
    """
    taken = []
    with store.transaction() as db:
        for source_id in source_ids:
            changed = db.execute(
                "UPDATE sources SET status = 'withdrawn', outcome = json_object('error', ?), untold = 0 WHERE id = ?"
                " AND status = 'pending' AND waiter = coalesce(?, waiter)"
                " AND (SELECT status FROM deploy_queue WHERE id = action_id AND entrusted = '') = 'pending'",
                (why, source_id, waiter),
            ).rowcount
            if not changed:
                continue
            taken.append(source_id)
            row = db.execute("SELECT action_id, agent_id FROM sources WHERE id = ?", (source_id,)).fetchone()
            events.cancelled(db, row["action_id"], why, row["agent_id"])
            db.execute(
                "UPDATE sources SET status = 'pending', replaced_by = NULL WHERE replaced_by = ?",
                (source_id,),
            )
            db.execute(
                "UPDATE deploy_queue SET status = 'cancelled', finished_at = ?, error = ? WHERE id ="
                " (SELECT action_id FROM sources WHERE id = ?) AND NOT EXISTS"
                " (SELECT 1 FROM sources s WHERE s.action_id = deploy_queue.id AND s.status = 'pending')",
                (iso(time.time()), why, source_id),
            )
    return taken


def elsewhere(store: Store, action_ids: Iterable[int]) -> bool:
    """Whether another queue has one of these actions."""
    with store.reading() as db:
        return db.execute(
            "SELECT 1 FROM deploy_queue WHERE entrusted <> '' AND status = 'pending'"
            " AND id IN (SELECT value FROM json_each(?)) LIMIT 1", (json.dumps(list(action_ids)),),
        ).fetchone() is not None  # fmt: skip


def at_work(store: Store, since: float) -> list[tuple[str, str]]:
    """Agent and worktree of everything committed or queued since `since` (seconds since 1970), or pending; each once.

    The agent is empty for a commit whose environment named none.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT agent_id, worktree FROM sources WHERE queued_at >= :since"
            " UNION SELECT agent_id, worktree FROM sources WHERE status = 'pending'"
            " UNION SELECT agent_id, worktree FROM queued_commits WHERE queued_at >= :since",
            {"since": iso(since)},
        ).fetchall()
    return [(row["agent_id"], row["worktree"]) for row in found]


def handed_over(store: Store, since: float) -> bool:
    """Whether something that was queued since `since` (seconds since 1970) was handed over to another queue."""
    with store.reading() as db:
        row = db.execute(
            "SELECT 1 FROM deploy_queue WHERE entrusted <> '' AND queued_at >= ? LIMIT 1", (iso(since),)
        ).fetchone()
    return row is not None


def urgent_mode(store: Store, now: float) -> str | None:
    """Until when urgent mode lasts: a moment, or "" for no end; None when it is off."""
    with store.reading() as db:
        row = db.execute("SELECT until FROM urgent").fetchone()
    if row is None or (row["until"] and row["until"] <= iso(now)):
        return None
    return str(row["until"])


def newest(store: Store) -> int:
    """The id of the newest source, which grows with everything that is queued."""
    with store.reading() as db:
        return int(db.execute("SELECT coalesce(max(id), 0) FROM sources").fetchone()[0])


def to_join(db: sqlite3.Connection, key: str | None) -> sqlite3.Row | None:
    """The pending action that what has this key merges with. One that cannot be read ends: nobody shares its fate."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM deploy_queue WHERE merge_key = ? AND status = 'pending'", (key,)
    ).fetchone()
    if row is not None and rows.action(row).fault:
        faults.ended(db, row)
        return None
    return row
