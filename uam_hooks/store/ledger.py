"""What has landed on branches of remotes, and for whose pushes: the rows that the ledger is computed from.

Those that cannot be read are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import SourceStatus, iso, seconds_of
from uam_hooks.hot.queue.outcome import How


class Asked(NamedTuple):
    """A push of a branch, by whom, and when: in seconds since 1970. One that a newer push replaced is one, too."""

    agent: str
    at: float


class Run(NamedTuple):
    """A push of ours to one branch of a remote, for which a CI starts a run; `asked` are the pushes that it was for."""

    landing: int
    place: str
    at: float
    asked: tuple[Asked, ...]


def runs(store: Store, since: float) -> list[Run]:
    """What has landed on branches since that moment, in order. A landing that brought nothing is none."""
    with store.reading() as db:
        found = db.execute(
            "SELECT l.id, l.remote, l.ref, l.sources, q.finished_at FROM landings l"
            " JOIN deploy_queue q ON q.id = l.action_id WHERE l.status = 'landed' AND l.remote <> '' AND l.new <> ?"
            " AND l.new <> l.old AND substr(l.ref, 1, ?) = ? AND q.finished_at >= ? ORDER BY q.finished_at, l.id",
            (ZERO, len(HEADS), HEADS, iso(since)),
        ).fetchall()
        ids = {source for row in found for source in rows.ids(row["sources"])}
        asked = _asked(store, ids)
    return [
        Run(
            row["id"],
            f"{row['remote']}/{short_target(row['ref'])}",
            seconds_of(row["finished_at"]),
            tuple(sorted((one for source in rows.ids(row["sources"]) for one in asked[source]), key=attrgetter("at"))),
        )
        for row in found
        if rows.is_moment(row["finished_at"])
    ]


def _asked(store: Store, ids: Iterable[int]) -> dict[int, list[Asked]]:
    """The push that each of these sources is, with those that it replaced; none where it brought nothing new."""
    found: dict[int, list[Asked]] = {}
    with store.reading() as db:
        for source in ids:
            line = db.execute(
                "WITH RECURSIVE line (id) AS (SELECT ? UNION SELECT s.id FROM sources s JOIN line"
                " ON s.replaced_by = line.id) SELECT * FROM sources WHERE id IN (SELECT id FROM line)",
                (source,),
            ).fetchall()
            pushed = [one for one in map(rows.source, line) if not one.fault]
            new = any(one.status == SourceStatus.LANDED and one.outcome.how != How.NOTHING_NEW for one in pushed)
            found[source] = [Asked(one.agent, seconds_of(one.queued_at)) for one in pushed] if new else []
    return found


def measured(store: Store) -> dict[int, float]:
    """How many seconds CI worked for a landing, by its id: those of all its runs, where each was seen to end."""
    with store.reading() as db:
        found = db.execute(
            "SELECT l.id, c.started, c.ended FROM landings l JOIN ci_runs c ON c.remote = l.remote AND c.ref = l.ref"
            " AND c.sha = l.new WHERE l.status = 'landed' AND c.how = 'gh'"
        ).fetchall()
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
    return int(row[0])
