"""Reading a queue of the tool that this one replaces: the same table names, in a database of its own."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.connection import Store

_COLUMNS = ("id", "agent_id", "action_type", "target", "payload", "status", "priority", "dependencies", "execute_after")


class Row(NamedTuple):
    """One action as it is there; `payload` and `dependencies` as JSON has them, or None where that is broken."""

    id: int
    agent_id: Any
    action_type: Any
    target: Any
    payload: Any
    status: Any
    priority: Any
    dependencies: Any
    execute_after: Any


def rows(path: Path) -> list[Row]:
    """All actions of the queue in the database `path`, oldest first. A copy is read: nothing is left beside it.

    UsageError where it is not such a database.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="uam-") as place:
            for name in (path.name, f"{path.name}-wal"):  # what was written ahead belongs to it
                if (path.parent / name).exists():
                    shutil.copyfile(path.parent / name, Path(place) / name)
            with closing(sqlite3.connect(Path(place) / path.name)) as db:
                db.text_factory = _text
                found = db.execute(f"SELECT {', '.join(_COLUMNS)} FROM deploy_queue ORDER BY id").fetchall()  # noqa: S608
    except (sqlite3.Error, OSError) as error:
        raise UsageError(f"{path} is not a queue that can be imported: {error}.") from None
    return [
        Row(number, agent, kind, target, _json(payload, {}), status, priority, _json(needs, []), after)
        for number, agent, kind, target, payload, status, priority, needs, after in found
    ]


def _text(raw: bytes) -> Any:
    """Text, or the bytes of what is not UTF-8: that spoils its own row and no other."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _json(text: Any, empty: Any) -> Any:
    if text in (None, ""):
        return empty
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def taken(store: Store, origin: str) -> dict[int, int]:
    """What has been imported from there before: its id there to the id here."""
    with store.reading() as db:
        found = db.execute("SELECT original, action_id FROM imported WHERE origin = ?", (origin,)).fetchall()
    return {row["original"]: row["action_id"] for row in found}
