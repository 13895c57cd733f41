"""What recovery reads: batches that were begun and not ended, and landings whose fate is open."""

from __future__ import annotations

import json
from collections.abc import Iterable

from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import EVERYTHING, OPEN, Lane
from uam_hooks.hot.queue.model import Action, Batch, Landing, Source, Status
from uam_hooks.hot.queue.planned import planned as of_action


def open_batches(store: Store, lane: Lane = EVERYTHING) -> list[Batch]:
    """Batches of a lane that have not ended (see lane.OPEN), with their unfinished actions, oldest first."""
    with store.reading() as db:
        found = db.execute(
            f"SELECT b.* FROM deploy_batches b WHERE {OPEN} ORDER BY number",  # noqa: S608 - a constant
            {"remote": lane.remote},
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


def is_open(store: Store, batch_id: str) -> bool:
    """Whether a batch has not ended."""
    with store.reading() as db:
        row = db.execute(
            "SELECT 1 FROM deploy_batches WHERE id = ? AND status IN ('pending', 'batched', 'executing')", (batch_id,)
        ).fetchone()
    return row is not None


def made_by_hand(store: Store, lane: Lane = EVERYTHING) -> list[Batch]:
    """Batches that were made to be executed later, and that nobody has begun; oldest first."""
    return [batch for batch in open_batches(store, lane) if batch.by_hand and batch.status == Status.PENDING]


def landings(store: Store, remote: str, refs: Iterable[str]) -> dict[str, list[Landing]]:
    """Landings of refs that were pushed or about to be, and never seen to have landed, by ref; newest first."""
    with store.reading() as db:
        found = db.execute(
            # in this order, and not by way of all that has landed on the remote
            "SELECT l.* FROM deploy_queue q CROSS JOIN landings l ON l.action_id = q.id"
            " WHERE q.status IN ('pending', 'batched', 'executing') AND +l.remote = ? AND l.status <> 'landed'"
            " ORDER BY l.id DESC",
            (remote,),
        ).fetchall()
    wanted = set(refs)  # asked here: a list of names would be JSON, which has none that are no UTF-8
    by_ref: dict[str, list[Landing]] = {}
    for row in found:
        if row["ref"] in wanted:
            by_ref.setdefault(row["ref"], []).append(rows.landing(row))
    return by_ref


def kept_here(store: Store, commits: Iterable[str]) -> list[str]:
    """What keeps the originals of those of the commits that were made on a branch of this repository."""
    with store.reading() as db:
        found = db.execute(
            "SELECT keep FROM landings WHERE +remote = '' AND +status = 'landed' AND keep <> new"
            " AND new IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(list(commits)),),
        ).fetchall()
    return [str(row["keep"]) for row in found]


def planned(store: Store, action: Action) -> Landing | None:
    """The landing that an action's last push was about, if it came that far."""
    return of_action(store, action.id)


def sources(store: Store, ids: tuple[int, ...]) -> list[Source]:
    """The sources with these ids, whatever became of them, but for those that are folded."""
    with store.reading() as db:
        found = [db.execute("SELECT * FROM sources WHERE id = ?", (source_id,)).fetchone() for source_id in ids]
    return [rows.source(row) for row in found if row is not None]
