"""The landing that an action's last push was about, while it is not known what became of it."""

from __future__ import annotations

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
