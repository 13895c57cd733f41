"""What landings brought, and as what."""

from __future__ import annotations

from collections.abc import Iterable

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Source


class Brought(NamedTuple):
    """What a landing put on its ref, in which batch, and the sources that it is made of."""

    new: str
    batch: int
    sources: tuple[Source, ...]


def brought(store: Store, landings: Iterable[int]) -> dict[int, Brought]:
    """What each of these landings brought; one whose row is gone is left out, and so is a source."""
    found = {}
    with store.reading() as db:
        for landing in landings:
            row = db.execute(
                "SELECT l.new, l.sources, b.number FROM landings l JOIN deploy_batches b ON b.id = l.batch_id"
                " WHERE l.id = ?",
                (landing,),
            ).fetchone()
            if row is None:
                continue
            asked = (
                db.execute("SELECT * FROM sources WHERE id = ?", (source,)).fetchone()
                for source in rows.ids(row["sources"])
            )
            sources = tuple(rows.source(one) for one in asked if one is not None)
            found[landing] = Brought(row["new"], row["number"], tuple(one for one in sources if not one.fault))
    return found
