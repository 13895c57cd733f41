"""What recovery reads: batches that were begun and not ended, and landings whose fate is open."""

from __future__ import annotations

from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, Batch, Landing, Source, Status


def open_batches(store: Store) -> list[Batch]:
    """Batches that have not ended, with their unfinished actions, oldest first."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM deploy_batches WHERE status IN ('pending', 'batched', 'executing') ORDER BY number"
        ).fetchall()
        return [
            rows.batch(
                row,
                tuple(
                    rows.action(action)
                    for action in db.execute(
                        "SELECT * FROM deploy_queue WHERE batch_id = ? AND status IN ('batched', 'executing')"
                        " ORDER BY id",
                        (row["id"],),
                    )
                ),
            )
            for row in found
        ]


def made_by_hand(store: Store) -> list[Batch]:
    """Batches that were made to be executed later, and that nobody has begun; oldest first."""
    return [batch for batch in open_batches(store) if batch.by_hand and batch.status == Status.PENDING]


def landings(store: Store, remote: str, ref: str) -> list[Landing]:
    """Landings of a ref that were pushed or about to be, and never seen to have landed; newest first."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM landings WHERE remote = ? AND ref = ? AND status <> 'landed' AND action_id IN"
            " (SELECT id FROM deploy_queue WHERE status NOT IN ('completed', 'failed', 'cancelled'))"
            " ORDER BY id DESC",
            (remote, ref),
        ).fetchall()
    return [rows.landing(row) for row in found]


def planned(store: Store, action: Action) -> Landing | None:
    """The landing that an action's last push was about, if it came that far."""
    with store.reading() as db:
        row = db.execute(
            "SELECT * FROM landings WHERE action_id = ? AND status = 'planned' ORDER BY id DESC LIMIT 1",
            (action.id,),
        ).fetchone()
    return None if row is None else rows.landing(row)


def sources(store: Store, ids: tuple[int, ...]) -> list[Source]:
    """The sources with these ids, whatever became of them."""
    with store.reading() as db:
        return [
            rows.source(db.execute("SELECT * FROM sources WHERE id = ?", (source_id,)).fetchone()) for source_id in ids
        ]
