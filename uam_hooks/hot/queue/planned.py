"""Where an action stands while it lands: in which batch, and what its last push was about."""

from __future__ import annotations

import json
from collections.abc import Iterable

from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Landing


def planned(store: Store, action_id: int) -> Landing | None:
    """The newest landing of an action that was written down and is not known to have ended; None for none."""
    with store.reading() as db:
        row = db.execute(
            "SELECT * FROM landings WHERE action_id = ? AND status = 'planned' ORDER BY id DESC LIMIT 1",
            (action_id,),
        ).fetchone()
    return None if row is None else rows.landing(row)


def batches_of(store: Store, action_ids: Iterable[int]) -> set[str]:
    """The batches that these actions are in, or have ended in."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT batch_id FROM deploy_queue WHERE batch_id IS NOT NULL"
            " AND id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(action_ids)),),
        ).fetchall()
    return {row["batch_id"] for row in found}
