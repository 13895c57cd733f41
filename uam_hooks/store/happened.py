"""What happens to entries after they were queued, as events (see hot.queue.events): noted inside the transaction that
makes it so.
"""

from __future__ import annotations

import sqlite3

from uam_hooks.hot.queue.events import Facts, conflict, is_waited_for, note
from uam_hooks.hot.queue.model import Action, Batch
from uam_hooks.hot.queue.outcome import Outcome


def begun(db: sqlite3.Connection, batch: Batch) -> None:
    """Actions were claimed together."""
    actions = [action.id for action in batch.actions]
    note(db, "batched", {
        "batch": batch.number, "batch_id": batch.id, "action": None, "actions": actions, "count": len(actions),
    })  # fmt: skip


def ended(db: sqlite3.Connection, source: int, outcome: Outcome) -> None:
    """A source has its outcome."""
    note(db, *end_of(db, source, outcome))


def end_of(db: sqlite3.Connection, source: int, outcome: Outcome) -> tuple[str, Facts]:
    """The event that a source has an outcome: which it is, and its facts."""
    row = db.execute(
        "SELECT s.id, s.agent_id, s.branch, s.tip, s.waiter, s.waiter_started, s.listener, s.listener_started,"
        " s.action_id, q.action_type, q.remote, q.target, q.batch_id, b.number"
        " FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
        " LEFT JOIN deploy_batches b ON b.id = q.batch_id WHERE s.id = ?",
        (source,),
    ).fetchone()
    facts: Facts = {
        "batch": row["number"], "batch_id": row["batch_id"], "action": row["action_id"], "source": row["id"],
        "agent": row["agent_id"], "type": row["action_type"], "remote": row["remote"], "target": row["target"],
        "branch": row["branch"], "tip": row["tip"],
    }  # fmt: skip
    if outcome.failure is None:
        how = None if outcome.how is None else outcome.how.value
        if not outcome.ref:
            return "done", {**facts, "how": how, "exit_code": outcome.exit_code}
        return "landed", {
            **facts, "how": how, "ref": outcome.ref, "old": outcome.old, "new": outcome.new,
            "commit": outcome.landed_as, "commits": outcome.commits, "with": list(outcome.company),
        }  # fmt: skip
    facts["waited_for"] = is_waited_for(row)
    if outcome.files:
        return "conflict", {**facts, **conflict(outcome)}
    why = outcome.failure
    return "failed", {**facts, "error": why.what, "transient": why.transient, "exit_code": outcome.exit_code}


def failed_bare(db: sqlite3.Connection, action: int, why: str) -> None:
    """An action has failed that nobody's source is in: commits that were to become one."""
    row = db.execute(
        "SELECT q.*, b.number FROM deploy_queue q LEFT JOIN deploy_batches b ON b.id = q.batch_id WHERE q.id = ?",
        (action,),
    ).fetchone()
    note(db, "failed", {
        "batch": row["number"], "batch_id": row["batch_id"], "action": action, "source": None,
        "agent": row["agent_id"], "type": row["action_type"], "remote": row["remote"], "target": row["target"],
        "branch": "", "tip": "", "waited_for": False, "error": why, "transient": False, "exit_code": None,
    })  # fmt: skip


def requeued(db: sqlite3.Connection, action: Action, why: str, due: str) -> None:
    """A claimed action is back in the queue, and due at a moment; the ids are those of the batch that it has left."""
    row = db.execute("SELECT number FROM deploy_batches WHERE id = ?", (action.batch_id,)).fetchone()
    note(db, "requeued", {
        "batch": None if row is None else row["number"], "batch_id": action.batch_id, "action": action.id,
        "error": why, "due": due,
    })  # fmt: skip


def queued_again(db: sqlite3.Connection, old: int, new: int) -> None:
    """What was left of an action that has ended was queued again, as a new one."""
    note(db, "retried", {"batch": None, "batch_id": None, "action": new, "old": old})


def judged(
    db: sqlite3.Connection, action: int | None, batch: Batch | None, gate: str, tree: str, green: bool, seconds: float
) -> None:
    """A gate has said something of a tree: of what a batch would land of an action, or of what comes after it."""
    note(db, "gate", {
        "batch": None if batch is None else batch.number, "batch_id": None if batch is None else batch.id,
        "action": action, "gate": gate, "tree": tree, "green": green, "seconds": round(seconds, 3),
    })  # fmt: skip


def held(db: sqlite3.Connection, action: int, due: str, held: bool) -> None:
    """A push waits because CI is busy, until a moment at most; or it does not any more."""
    note(db, "held" if held else "released", {"batch": None, "batch_id": None, "action": action, "due": due})
