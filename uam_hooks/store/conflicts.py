"""Which pushes conflicted, in which files, and with whose work. Those that cannot be read are left out."""

from __future__ import annotations

import json
import sqlite3

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso


class Met(NamedTuple):
    """A push that conflicted: whose it is, whose work it met ("" where that is not known), and in which files."""

    agent: str
    rival: str
    files: tuple[str, ...]


def conflicts(store: Store, since: float) -> list[Met]:
    """What was queued since that moment and failed because it conflicts, and what was not queued because of that."""
    with store.reading() as db:
        queued = db.execute(
            "SELECT * FROM sources WHERE status = 'failed' AND queued_at >= ? ORDER BY id", (iso(since),)
        ).fetchall()
        refused = db.execute(
            "SELECT agent_id, found FROM refusals WHERE refused_at >= ? ORDER BY refused_at, tip", (iso(since),)
        ).fetchall()
    failed = [
        Met(one.agent, one.outcome.rival.agent if one.outcome.rival else "", one.outcome.files)
        for one in map(rows.source, queued)
        if not one.fault and one.outcome.files
    ]
    return [*failed, *(met for row in refused if (met := _refused(row)) is not None)]


def _refused(row: sqlite3.Row) -> Met | None:
    try:
        found = json.loads(row["found"])
        return Met(str(row["agent_id"]), str(found["rival"]), tuple(map(str, found["files"])))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
