"""What has landed on branches of remotes, and for whose pushes: the rows that the ledger is computed from.

Those that cannot be read are left out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter

from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Source, SourceStatus, iso, seconds_of
from uam_hooks.hot.queue.outcome import How
from uam_hooks.store import folded
from uam_hooks.store.folded import Asked, Run

_LANDED = (
    "SELECT l.id, l.remote, l.ref, l.sources, q.finished_at FROM landings l"
    " JOIN deploy_queue q ON q.id = l.action_id WHERE l.status = 'landed' AND l.remote <> '' AND l.new <> ?"
    " AND l.new <> l.old AND substr(l.ref, 1, ?) = ?"
)
_MEASURED = (
    "SELECT l.id, c.started, c.ended FROM landings l JOIN ci_runs c ON c.remote = l.remote AND c.ref = l.ref"
    " AND c.sha = l.new WHERE l.status = 'landed' AND c.how = 'gh'"
)


def runs(store: Store, since: float) -> list[Run]:
    """What has landed on branches since that moment, in order. A landing that brought nothing is none."""
    with store.reading() as db:
        found = db.execute(f"{_LANDED} AND q.finished_at >= ?", (ZERO, len(HEADS), HEADS, iso(since))).fetchall()
        old, _ = folded.runs(db, since)
        return sorted((*old, *_runs(db, found)), key=attrgetter("at", "landing"))


def runs_of(db: sqlite3.Connection, action_ids: Sequence[int]) -> tuple[list[Run], dict[int, float]]:
    """What has landed with these actions, as `runs` and `measured` have it."""
    ids = json.dumps(list(action_ids))
    chosen = " AND l.action_id IN (SELECT value FROM json_each(?))"
    found = db.execute(f"{_LANDED}{chosen}", (ZERO, len(HEADS), HEADS, ids)).fetchall()
    return _runs(db, found), _measured(db.execute(f"{_MEASURED}{chosen}", (ids,)).fetchall())


def _runs(db: sqlite3.Connection, landed: Sequence[sqlite3.Row]) -> list[Run]:
    asked = _asked(db, {source for row in landed for source in rows.ids(row["sources"])})
    return [
        Run(
            row["id"],
            f"{row['remote']}/{short_target(row['ref'])}",
            seconds_of(row["finished_at"]),
            tuple(sorted((one for source in rows.ids(row["sources"]) for one in asked[source]), key=attrgetter("at"))),
        )
        for row in landed
        if rows.is_moment(row["finished_at"])
    ]


def _asked(db: sqlite3.Connection, ids: Iterable[int]) -> dict[int, list[Asked]]:
    """The push that each of these sources is, with those that it replaced; none where it brought nothing new."""
    lines: dict[int, list[Source]] = {number: [] for number in ids}
    found = db.execute(
        "WITH RECURSIVE line (first, id) AS (SELECT value, value FROM json_each(?) UNION"
        " SELECT line.first, s.id FROM line JOIN sources s ON s.replaced_by = line.id)"
        " SELECT s.*, line.first FROM line JOIN sources s ON s.id = line.id",
        (json.dumps(list(lines)),),
    )
    for row in found:
        lines[row["first"]].append(rows.source(row))
    asked: dict[int, list[Asked]] = {}
    for number, line in lines.items():
        pushed = [one for one in line if not one.fault]
        new = any(one.status == SourceStatus.LANDED and one.outcome.how != How.NOTHING_NEW for one in pushed)
        asked[number] = [Asked(one.agent, seconds_of(one.queued_at)) for one in pushed] if new else []
    return asked


def measured(store: Store) -> dict[int, float]:
    """How many seconds CI worked for a landing, by its id: those of all its runs, where each was seen to end."""
    with store.reading() as db:
        _, old = folded.runs(db, 0.0)
        return old | _measured(db.execute(_MEASURED).fetchall())


def _measured(found: Sequence[sqlite3.Row]) -> dict[int, float]:
    open_ = {row["id"] for row in found if not (rows.is_moment(row["started"]) and rows.is_moment(row["ended"]))}
    seconds: dict[int, float] = {}
    for row in found:
        if row["id"] not in open_:
            took = max(0.0, seconds_of(row["ended"]) - seconds_of(row["started"]))
            seconds[row["id"]] = seconds.get(row["id"], 0.0) + took
    return seconds


def failed(store: Store, since: float) -> int:
    """How many pushes have failed since that moment: with plain git they would have been rejected."""
    with store.reading() as db:
        row = db.execute(
            "SELECT count(*) FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
            " WHERE s.status = 'failed' AND q.action_type = 'push' AND s.queued_at >= ?",
            (iso(since),),
        ).fetchone()
        return int(row[0]) + folded.failures(db, since)
