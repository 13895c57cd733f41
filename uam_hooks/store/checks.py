"""What a look at the health of the queue asks. It only reads."""

from __future__ import annotations

import json
from collections.abc import Iterable

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import at_work, due_at
from uam_hooks.hot.queue.model import Action


class Waiting(NamedTuple):
    """A source that has not ended, of an action that has not either."""

    id: int
    action: int
    agent: str
    branch: str
    tip: str


class Overdue(NamedTuple):
    """Where something is due, since when, and whose it is ("": everybody's). `pushed` where it is an ordinary push, and
    not only what was asked for by name, which may wait for a flush by hand.
    """

    identity: str
    remote: str
    since: str
    pushed: bool


def faults(store: Store) -> list[tuple[int, str]]:
    """The waiting actions that cannot be read, themselves or in one of their sources, each with the reason."""
    with store.reading() as db:
        waiting = db.execute("SELECT * FROM deploy_queue WHERE status = 'pending'").fetchall()
        sources = db.execute(
            "SELECT s.* FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
            " WHERE q.status = 'pending' AND s.status = 'pending'"
        ).fetchall()
    found = [(int(row["id"]), rows.action(row).fault) for row in waiting]
    found += [(int(row["action_id"]), rows.source(row).fault) for row in sources]
    return list({number: (number, why) for number, why in reversed(found) if why}.values())


def adrift(store: Store) -> list[Action]:
    """Actions that are being executed in a batch that has ended, or in none: nobody ends them."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM deploy_queue q WHERE status IN ('batched', 'executing') AND carried_by IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM deploy_batches b WHERE b.id = q.batch_id"
            "  AND b.status IN ('pending', 'batched', 'executing')) ORDER BY id"
        ).fetchall()
    return [rows.action(row) for row in found]


def overdue(store: Store, before: str) -> list[Overdue]:
    """Where something could be claimed that has been due since before this moment."""
    with store.reading() as db:
        listed = db.execute("SELECT DISTINCT identity FROM deploy_queue WHERE status = 'pending'").fetchall()
    found = []
    for identity in [str(row["identity"]) for row in listed]:
        for lane in at_work(store, identity):
            since = due_at(store, lane)
            if since is not None and since < before:
                remote = lane.remote or ""
                found.append(Overdue(identity, remote, since, _pushed(store, identity, remote, before)))
    return found


def _pushed(store: Store, identity: str, remote: str, before: str) -> bool:
    with store.reading() as db:
        found = db.execute(
            "SELECT 1 FROM deploy_queue WHERE status = 'pending' AND action_type = 'push' AND asked = 0"
            " AND identity = ? AND remote = ? AND max(execute_after, not_before) < ? LIMIT 1",
            (identity, remote, before),
        ).fetchone()
    return found is not None


def waiting(store: Store) -> list[Waiting]:
    """All sources with a commit that wait, or whose outcome is open."""
    with store.reading() as db:
        found = db.execute(
            "SELECT s.* FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.status = 'pending'"
            " AND s.tip <> '' AND q.status IN ('pending', 'batched', 'executing') ORDER BY s.id"
        ).fetchall()
    return [Waiting(r["id"], r["action_id"], r["agent_id"], r["branch"], r["tip"]) for r in found]


def unknown(store: Store, oids: Iterable[str]) -> list[str]:
    """Those of these commits that no entry is about, nor was."""
    with store.reading() as db:
        found = db.execute(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT tip FROM sources)"
            " AND value NOT IN (SELECT new FROM landings)",
            (json.dumps(list(oids)),),
        ).fetchall()
    return [str(row["value"]) for row in found]


def unrecorded(store: Store, landings: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those of these landings (batch and number) that the journal does not have."""
    with store.reading() as db:
        return [
            (batch, number)
            for batch, number in landings
            if db.execute("SELECT 1 FROM landings WHERE id = ? AND batch_id = ?", (number, batch)).fetchone() is None
        ]
