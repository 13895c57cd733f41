"""Which sources conflicted, in which files, and with whose work. Those that cannot be read are left out."""

from __future__ import annotations

from typing import NamedTuple

from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso


class Met(NamedTuple):
    """A source that conflicted: whose it is, whose work it met ("" where that is not known), and in which files."""

    agent: str
    rival: str
    files: tuple[str, ...]


def conflicts(store: Store, since: float) -> list[Met]:
    """What was queued since that moment and failed because it conflicts, in order."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM sources WHERE status = 'failed' AND queued_at >= ? ORDER BY id", (iso(since),)
        ).fetchall()
    return [
        Met(one.agent, one.outcome.rival.agent if one.outcome.rival else "", one.outcome.files)
        for one in map(rows.source, found)
        if not one.fault and one.outcome.files
    ]
