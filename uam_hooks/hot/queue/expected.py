"""What is expected to be on a branch of a remote once everything that waits for it has landed.

Each push that was accepted has a row: the commit that it comes to, merged into what was before it. Rows are never put
right: one counts only as long as the remote is at its ground and exactly what was before it is there still, so that a
push that was cancelled, has failed or has landed is in nobody's way.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import NewSource, Source


class Expected(NamedTuple):
    """The commit `state` is what the remote has (`ground`) with the sources `before` and then this one merged."""

    ground: str
    before: tuple[int, ...]
    state: str


class Ahead(NamedTuple):
    """A source that waits for the same branch and is not on the remote yet, and its row, if it has one.

    `plain` tells whether it is merged as it is: neither forced nor a deletion, and at a tip that stays.
    """

    source: Source
    plain: bool
    expected: Expected | None


class Passed(Exception):
    """Somebody else was queued for the same branch since this push was merged with what waits; nothing was queued."""


# In the order in which they land: what a batch has claimed is the oldest action of its ref.
_AHEAD = (
    " FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.status = 'pending'"
    " AND q.status IN ('pending', 'batched', 'executing') AND q.remote = ? AND q.target = ? AND q.place IN ('', ?)"
    " ORDER BY q.id, s.id"
)


def ahead(store: Store, new: NewSource) -> list[Ahead]:
    """What waits for the branch that a source is for, in the order in which it lands."""
    return waiting(store, new.remote, new.ref, new.asker.place.id)


def waiting(store: Store, remote: str, ref: str, place: str) -> list[Ahead]:
    """What waits for a branch of the remote that leads to `place`, in the order in which it lands."""
    with store.reading() as db:
        found = db.execute(
            "SELECT s.*, q.action_type, q.asked, e.ground, e.behind, e.state"
            f"{_AHEAD.replace(' WHERE', ' LEFT JOIN expected e ON e.source_id = s.id WHERE')}",
            (remote, short_target(ref), place),
        ).fetchall()
    return [_ahead(row) for row in found]


def _ahead(row: sqlite3.Row) -> Ahead:
    source = rows.source(row)
    plain = row["action_type"] == "push" and not row["asked"] and bool(source.tip) and not source.fault
    row_of = None if row["state"] is None else Expected(row["ground"], rows.ids(row["behind"]), row["state"])
    return Ahead(source, plain and not (source.verbatim or source.tracks_branch or source.base), row_of)


def nothing_else_ahead(db: sqlite3.Connection, new: NewSource, before: Sequence[int]) -> bool:
    """Whether nothing waits for the branch of a source but `before`, and what the source replaces."""
    found = {
        row["id"] for row in db.execute(f"SELECT s.id{_AHEAD}", (new.remote, short_target(new.ref), new.asker.place.id))
    }
    return found <= {*before, *new.replaces}


def record(db: sqlite3.Connection, found: Sequence[tuple[int, Expected]]) -> None:
    """Inside a transaction, keep what sources are expected to come to, and throw away what does not wait any more."""
    db.execute("DELETE FROM expected WHERE source_id NOT IN (SELECT id FROM sources WHERE status = 'pending')")
    db.executemany(
        "INSERT OR REPLACE INTO expected (source_id, ground, behind, state) VALUES (?, ?, ?, ?)",
        [(number, one.ground, json.dumps(one.before), one.state) for number, one in found],
    )


def newest_landing(store: Store, remote: str, ref: str) -> str:
    """The newest landing on a ref that is not its own original; "" for none."""
    with store.reading() as db:
        row = db.execute(
            "SELECT new FROM landings INDEXED BY landings_shadowed WHERE remote = ? AND ref = ? AND status = 'landed'"
            " AND keep <> new ORDER BY id DESC LIMIT 1",
            (remote, ref),
        ).fetchone()
    return "" if row is None else str(row["new"])
