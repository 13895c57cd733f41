"""What pushes that were handed over have left elsewhere: names in another queue, and refs on a remote."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from uam_hooks.hot.queue.connection import Store


def over(store: Store, source_ids: Collection[int]) -> None:
    """Of those of these sources that have ended nothing waits in the other queue any more."""
    with store.transaction() as db:
        for source_id in source_ids:
            let_go(db, "s.id = ? AND s.status <> 'pending'", source_id, waits=False)


def let_go(db: sqlite3.Connection, which: str, value: int, *, waits: bool | None) -> None:
    """Inside a transaction, let sources have no name any more. `waits` tells whether the other queue may know them by
    theirs, None that there is none that could.
    """
    chosen = f"s.entry <> '' AND {which}"
    if waits is not None:
        db.execute(
            "INSERT OR REPLACE INTO handed_over (entry, remote, tip, waits)"  # noqa: S608
            " SELECT s.entry, q.remote, s.tip, ?"
            f" FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE {chosen}",
            (waits, value),
        )
    db.execute(f"UPDATE sources AS s SET owed = 0, entry = '' WHERE {chosen}", (value,))  # noqa: S608


def to_take_back(store: Store, remote: str) -> list[str]:
    """The names of what is over here, and of which the other queue may not know that."""
    with store.reading() as db:
        ended = db.execute(
            "SELECT s.id FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.owed = 1 AND s.entry <> ''"
            " AND s.status <> 'pending' AND q.remote = ? LIMIT 1000", (remote,),
        ).fetchall()  # fmt: skip
    if ended:
        with store.transaction() as db:
            for row in ended:
                let_go(db, "s.id = ? AND s.status <> 'pending'", row["id"], waits=True)
    with store.reading() as db:
        found = db.execute("SELECT entry FROM handed_over WHERE waits = 1 AND remote = ? LIMIT 1000", (remote,))
        return [str(row["entry"]) for row in found]


def taken_back(store: Store, entries: Collection[str]) -> None:
    """The other queue knows that these are over."""
    with store.transaction() as db:
        for entry in entries:
            db.execute("UPDATE handed_over SET waits = 0 WHERE entry = ?", (entry,))


def to_clear(store: Store, remote: str, most: int = 100) -> dict[str, str]:
    """What is over everywhere, and may have left a ref on the remote: names, and what these refs are at."""
    with store.reading() as db:
        found = db.execute(
            "SELECT entry, tip FROM handed_over WHERE waits = 0 AND remote = ? ORDER BY entry LIMIT ?", (remote, most)
        ).fetchall()
    return {str(row["entry"]): str(row["tip"]) for row in found}


def cleared(store: Store, entries: Collection[str]) -> None:
    """Nothing of these is left on the remote."""
    with store.transaction() as db:
        for entry in entries:
            db.execute("DELETE FROM handed_over WHERE entry = ?", (entry,))


def left_over(store: Store) -> dict[str, dict[str, str]]:
    """What may have left a ref on a remote, also what still waits: names and what these refs are at, by the remote."""
    found: dict[str, dict[str, str]] = {}
    with store.reading() as db:
        for row in db.execute(
            "SELECT remote, entry, tip FROM handed_over UNION SELECT q.remote, s.entry, s.tip FROM sources s"
            " JOIN deploy_queue q ON q.id = s.action_id WHERE s.owed = 1 AND s.entry <> '' ORDER BY 1, 2"
        ):
            found.setdefault(str(row["remote"]), {})[str(row["entry"])] = str(row["tip"])
    return found


def forgotten(store: Store, entries: Collection[str]) -> None:
    """Nothing of these is left on the remote, and what is in nobody's hands has no name any more."""
    cleared(store, entries)
    with store.transaction() as db:
        for entry in entries:
            db.execute(
                "UPDATE sources SET owed = 0, entry = '' WHERE entry = ? AND (status <> 'pending' OR EXISTS"
                " (SELECT 1 FROM deploy_queue q WHERE q.id = sources.action_id AND q.entrusted = ''))",
                (entry,),
            )
