"""What a shell offers to complete: the newest actions and batches, each with what it is in a few words."""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.hot.queue.connection import Store

_MOST = 50


def actions(store: Store, states: Sequence[str]) -> list[tuple[int, str]]:
    """The newest actions in one of these states, or in any if none is named: what each does, and the first subject."""
    marks = ",".join("?" * len(states))
    only = f"WHERE q.status IN ({marks})" if states else ""
    subject = (
        "SELECT coalesce(nullif(s.message, ''), c.subject) FROM sources s"
        " LEFT JOIN queued_commits c ON c.oid = s.tip WHERE s.action_id = q.id ORDER BY s.id DESC LIMIT 1"
    )
    with store.reading() as db:
        found = db.execute(
            f"SELECT q.id, q.action_type, q.target, q.status, ({subject}) AS subject"  # noqa: S608 - constants
            f" FROM deploy_queue q {only} ORDER BY q.id DESC LIMIT ?",
            (*states, _MOST),
        ).fetchall()
    parts = ("status", "action_type", "target", "subject")
    return [(row["id"], " ".join((row[part] or "").partition("\n")[0] for part in parts)) for row in found]


def batches(store: Store) -> list[tuple[int, str]]:
    """The newest batches, with their status."""
    with store.reading() as db:
        found = db.execute(
            "SELECT number, status, created_at FROM deploy_batches ORDER BY number DESC LIMIT ?", (_MOST,)
        ).fetchall()
    return [(row["number"], f"{row['status']} {row['created_at']}") for row in found]
