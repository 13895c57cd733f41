"""Pushes that were not queued because they conflict: nobody waits for them, but somebody may count them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from uam_hooks.hot.queue import events
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import NewSource, iso
from uam_hooks.hot.queue.outcome import Outcome

# of how many files the names are kept
FILES = 200


def record(store: Store, refused: Sequence[tuple[NewSource, Outcome]], now: float, retention: float) -> None:
    """Note these refusals, and forget those that are older than `retention` seconds. Raises StoreError."""
    with store.transaction() as db:
        db.execute("DELETE FROM refusals WHERE refused_at < ?", (iso(max(0.0, now - retention)),))
        db.executemany(
            "INSERT OR REPLACE INTO refusals (tip, remote, ref, worktree, agent_id, refused_at, found)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(one.tip, one.remote, one.ref, one.worktree, one.agent, iso(now), _found(why)) for one, why in refused],
        )
        for one, why in refused:
            events.refused(db, one, why)


def _found(why: Outcome) -> str:
    return json.dumps({"rival": "" if why.rival is None else why.rival.agent, "files": why.files[:FILES]})
