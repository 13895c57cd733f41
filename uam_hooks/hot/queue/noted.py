"""The commits that the hooks have noted, as entries of the queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import to_join
from uam_hooks.hot.queue.model import SourceStatus, iso


class CommitNote(NamedTuple):
    """A commit that post-commit noted in the spool. `agent` is empty if the environment named none."""

    oid: str
    branch: str
    agent: str
    worktree: str


def commits(
    store: Store,
    notes: Sequence[CommitNote],
    rewritten: Sequence[tuple[str, str]],
    window: float,
    now: float,
) -> None:
    """Queue what the commit hooks noted, in one transaction. Doing it twice changes nothing.

    Commits of one branch share one action. A commit that an amend or a rebase rewrote is replaced by the result.
    """
    if not notes and not rewritten:
        return
    with store.transaction() as db:
        for note in notes:
            commit(db, note, iso(now), iso(now + window))
        for old, new in rewritten:
            row = db.execute("SELECT * FROM queued_commits WHERE oid = ?", (old,)).fetchone()
            if row is None or row["status"] != SourceStatus.PENDING:
                continue
            note = CommitNote(new, row["branch"], row["agent_id"], row["worktree"])
            commit(db, note, iso(now), iso(now + window))
            # a rebase runs post-commit itself, and may do so without the agent's name
            db.execute("UPDATE queued_commits SET agent_id = ? WHERE oid = ? AND agent_id = ''", (note.agent, new))
            db.execute("UPDATE queued_commits SET status = 'replaced', became = ? WHERE oid = ?", (new, old))


def commit(db: sqlite3.Connection, note: CommitNote, now: str, due: str) -> None:
    """Inside a transaction, add a commit to the pending action of its branch, unless it is known already."""
    if db.execute("SELECT 1 FROM queued_commits WHERE oid = ?", (note.oid,)).fetchone():
        return
    target = short_target(note.branch) or "HEAD"
    key = f"commit\0{note.branch or note.worktree}"
    found = to_join(db, key)
    action_id = found["id"] if found else db.execute(
        "INSERT INTO deploy_queue (agent_id, action_type, target, queued_at, execute_after, merge_key)"
        " VALUES (?, 'commit', ?, ?, ?, ?)",
        (note.agent, target, now, due, key),
    ).lastrowid  # fmt: skip
    db.execute(
        "INSERT INTO queued_commits (action_id, agent_id, worktree, branch, oid, queued_at) VALUES (?, ?, ?, ?, ?, ?)",
        (action_id, note.agent, note.worktree, note.branch, note.oid, now),
    )
