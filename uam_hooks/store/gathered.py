"""The sources that actions have gathered, and those of the commits that they carry."""

from __future__ import annotations

import json
from collections.abc import Iterable

from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Source


def sources(store: Store, action_id: int) -> list[Source]:
    """The sources of an action that still wait for their landing, in queue order, with those of the commits that
    it carries.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM sources WHERE status = 'pending' AND (action_id = :id OR action_id IN"
            " (SELECT id FROM deploy_queue WHERE carried_by = :id)) ORDER BY id",
            {"id": action_id},
        ).fetchall()
    return [rows.source(row) for row in found]


def with_carried(store: Store, action_id: int) -> list[Source]:
    """All sources of an action and of the commits that it carries, in any state."""
    return all_with_carried(store, [action_id])[action_id]


def sources_of(store: Store, action_ids: Iterable[int]) -> dict[int, list[Source]]:
    """What `sources` has of each of these actions."""
    return _of_each(store, action_ids, "SELECT * FROM sources WHERE status = 'pending'")


def all_with_carried(store: Store, action_ids: Iterable[int]) -> dict[int, list[Source]]:
    """What `with_carried` has of each of these actions."""
    return _of_each(store, action_ids, "SELECT * FROM sources WHERE 1")


def _of_each(store: Store, action_ids: Iterable[int], chosen: str) -> dict[int, list[Source]]:
    found: dict[int, list[Source]] = {number: [] for number in action_ids}
    with store.reading() as db:
        belongs = {
            row["id"]: {row["id"], row["carried_by"]}
            for row in db.execute(
                "SELECT id, carried_by FROM deploy_queue WHERE id IN (SELECT value FROM json_each(:ids))"
                " OR carried_by IN (SELECT value FROM json_each(:ids))",
                {"ids": json.dumps(list(found))},
            )
        }
        sources = db.execute(
            f"{chosen} AND action_id IN (SELECT value FROM json_each(?)) ORDER BY id",  # noqa: S608 - of those above
            (json.dumps(list(belongs)),),
        ).fetchall()
    for row in sources:
        for number in belongs[row["action_id"]] & found.keys():
            found[number].append(rows.source(row))
    return found
