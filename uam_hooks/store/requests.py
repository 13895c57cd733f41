"""Actions by name: put them into the queue, cancel them, and queue them again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from uam_hooks.hot.core.errors import Advice, Refused, UsageError
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import events
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import add
from uam_hooks.hot.queue.model import NewAction, NewSource, Status, iso
from uam_hooks.store import happened, history

Needs = Sequence[int | str]


def check(store: Store, wanted: Sequence[tuple[str, Needs]]) -> None:
    """Raise UsageError unless every dependency is in the queue or in `wanted`, without a circle."""
    if len(wanted) == 1 and not wanted[0][1]:
        return
    with store.reading() as db:
        _order(db, wanted)


def _order(db: sqlite3.Connection, wanted: Sequence[tuple[str, Needs]]) -> list[int]:
    """The positions in `wanted`, each after what it depends on."""
    places: dict[str, int] = {}
    for place, (name, _) in enumerate(wanted):
        if name and name in places:
            raise UsageError(f"Two actions are called '{name}'.")
        if name:
            places[name] = place
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for place, (_, needs) in enumerate(wanted):
        sorter.add(place)
        for need in needs:
            if isinstance(need, str):
                if need not in places:
                    raise UsageError(f"There is no action '{need}' to depend on.")
                sorter.add(place, places[need])
            elif db.execute("SELECT 1 FROM deploy_queue WHERE id = ?", (need,)).fetchone() is None:
                raise UsageError(
                    f"There is no action #{need} to depend on.",
                    Advice.of("{} lists what is queued.", "git", "uam", "status"),
                )
    try:
        return list(sorter.static_order())
    except CycleError as error:
        circle = " -> ".join(wanted[place][0] for place in error.args[1])
        raise UsageError(f"These actions wait for each other: {circle}.") from None


def enter(
    store: Store, wanted: Sequence[tuple[NewAction, NewSource, Needs, str]], now: float,
    origin: tuple[str, int] | None = None,
) -> list[int]:  # fmt: skip
    """Queue all of it in one transaction; returns an id for each, in the same order. Merged ones share an id."""
    found: dict[int, int] = {}
    by_name: dict[str, int] = {}
    with store.transaction() as db:
        for place in _order(db, [(name, needs) for _, _, needs, name in wanted]):
            action, source, needs, name = wanted[place]
            ids = tuple(dict.fromkeys(by_name[need] if isinstance(need, str) else need for need in needs))
            found[place] = add(db, action._replace(dependencies=ids), source, (), now).action
            if name:
                by_name[name] = found[place]
        if origin is not None:
            db.execute("INSERT INTO imported (origin, original, action_id) VALUES (?, ?, ?)", (*origin, found[0]))
    return [found[place] for place in range(len(wanted))]


class LastCommit(NamedTuple):
    """A commit by name, with the tip that its branch had then; `waits` is true until it has landed."""

    tip: str
    base: str
    waits: bool


def last_commit(store: Store, worktree: str, branch: str) -> LastCommit | None:
    """The last commit that was made by name from a worktree for a branch."""
    with store.reading() as db:
        row = db.execute(
            "SELECT tip, base, status FROM sources WHERE worktree = ? AND branch = ? AND base <> '' AND message <> ''"
            " AND status IN ('pending', 'landed') ORDER BY id DESC LIMIT 1",
            (worktree, branch),
        ).fetchone()
    return None if row is None else LastCommit(row["tip"], row["base"], row["status"] == "pending")


def commits_wait(store: Store, target: str) -> bool:
    """Whether a commit that was asked for by name waits for this branch."""
    with store.reading() as db:
        return db.execute(
            "SELECT 1 FROM deploy_queue WHERE target = ? AND status = 'pending' AND asked = 1"
            " AND action_type = 'commit'",
            (target,),
        ).fetchone() is not None  # fmt: skip


def cancel(store: Store, ids: Sequence[int], why: str = "cancelled by hand") -> None:
    """Cancel actions with all of their sources, all or none; raises Refused for one that is in a batch or has ended."""
    with store.transaction() as db:
        for action_id in dict.fromkeys(ids):
            _cancel(db, action_id, why)


def _cancel(db: sqlite3.Connection, action_id: int, why: str) -> None:
    status = _status(db, action_id)
    seen = "SELECT 1 FROM deploy_queue WHERE id = ? AND action_type = 'commit' AND asked = 0"
    if db.execute(seen, (action_id,)).fetchone():
        raise Refused(f"#{action_id} is a commit on a branch here: it lands only when it is pushed.")
    handed = "SELECT 1 FROM deploy_queue WHERE id = ? AND status = 'pending' AND entrusted LIKE '/%'"
    if db.execute(handed, (action_id,)).fetchone():
        raise Refused(f"#{action_id} is in the hands of another queue and cannot be cancelled here.")
    if status != Status.PENDING:
        raise Refused(
            f"#{action_id} is {status} and cannot be cancelled.",
            Advice.of("{} shows the queue.", "git", "uam", "status"),
        )
    db.execute(
        "UPDATE deploy_queue SET status = 'cancelled', finished_at = ?, error = ? WHERE id = ?",
        (iso(time.time()), why, action_id),
    )
    db.execute(
        "UPDATE sources SET status = 'withdrawn', outcome = json_object('error', ?) WHERE action_id = ?"
        " AND status = 'pending'",
        (why, action_id),
    )
    events.cancelled(db, action_id, why)


def retry(store: Store, ids: Sequence[int]) -> dict[int, int]:
    """Queue failed or cancelled actions again, all or none, with those of their sources that have not landed; returns
    the new id of each.

    Of their dependencies, only those that still wait or run are kept.
    """
    with store.transaction() as db:
        return {action_id: _retry(db, action_id) for action_id in ids}


def _retry(db: sqlite3.Connection, action_id: int) -> int:
    status = _status(db, action_id)
    left = db.execute(
        "SELECT 1 FROM sources WHERE action_id = ? AND status IN ('failed', 'withdrawn')", (action_id,)
    ).fetchone()
    if status not in (Status.FAILED, Status.CANCELLED) and not (status == Status.COMPLETED and left):
        raise Refused(f"#{action_id} is {status}; only what failed or was cancelled can be tried again.")
    now = iso(time.time())
    new = db.execute(
        "INSERT INTO deploy_queue (agent_id, action_type, target, payload, queued_at, execute_after, remote,"
        " priority, asked, identity, place, url, dependencies)"
        " SELECT agent_id, action_type, target, payload, ?, ?, remote, priority, asked, identity, place, url,"
        " (SELECT json_group_array(d.value) FROM"
        " json_each(CASE WHEN json_valid(q.dependencies) THEN q.dependencies ELSE '[]' END) d JOIN deploy_queue p"
        " ON p.id = d.value WHERE p.status IN ('pending', 'batched', 'executing'))"
        " FROM deploy_queue q WHERE id = ?",
        (now, now, action_id),
    ).lastrowid
    assert new is not None
    moved = db.execute(
        "UPDATE sources SET action_id = ?, status = 'pending', outcome = '{}', waiter = 0, waiter_started = '',"
        " listener = 0, untold = untold & 1, notice = 0,"
        " entry = CASE WHEN owed = 1 THEN entry ELSE '' END"
        " WHERE action_id = ? AND status IN ('failed', 'withdrawn')",
        (new, action_id),
    ).rowcount
    if not moved:
        raise Refused(f"#{action_id} has nothing left to try again.")
    happened.queued_again(db, action_id, new)
    return new


def _status(db: sqlite3.Connection, action_id: int) -> Status:
    known = isinstance(action_id, int) and abs(action_id) < 2**63  # the range of an integer in SQLite
    row = known and db.execute("SELECT status FROM deploy_queue WHERE id = ?", (action_id,)).fetchone()
    if not row:
        raise history.missing_action(db, action_id if known else 0)
    return Status(row["status"])


def set_urgent(store: Store, until: float | None, on: bool) -> None:
    """Turn urgent mode on, with or without an end (seconds since 1970), or off."""
    with store.transaction() as db:
        db.execute("DELETE FROM urgent")
        if on:
            db.execute("INSERT INTO urgent (id, until) VALUES (1, ?)", ("" if until is None else iso(until),))


def members(store: Store, action_id: int) -> list[tuple[int, str, list[str]]]:
    """The sources of a commit by name, oldest first: id, message and files of each."""
    with store.reading() as db:
        found = db.execute(
            "SELECT id, message FROM sources WHERE action_id = ? AND status <> 'withdrawn' ORDER BY id", (action_id,)
        ).fetchall()
        files = "SELECT path FROM source_files WHERE source_id = ? ORDER BY path"
        return [(row["id"], row["message"], [f["path"] for f in db.execute(files, (row["id"],))]) for row in found]
