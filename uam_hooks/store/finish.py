"""The end of actions and batches: outcomes are written once, and only by who still holds the claim."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence

from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue import noted, rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.events import fail
from uam_hooks.hot.queue.model import Action, Batch, Landing, SourceStatus, Status, iso
from uam_hooks.hot.queue.noted import CommitNote
from uam_hooks.hot.queue.outcome import Outcome, Outcomes
from uam_hooks.store import happened


def sources(store: Store, end: End) -> None:
    """Record what became of some sources of an action that goes on with the others."""
    assert not isinstance(end.outcomes, Outcome)
    with store.transaction() as db:
        _write_outcomes(db, end.outcomes)
        db.execute("UPDATE landings SET status = 'landed' WHERE id = ?", (end.landing_id,))
        for oid in end.commits:
            db.execute("UPDATE queued_commits SET status = 'landed' WHERE oid = ? AND status = 'pending'", (oid,))


def failed(store: Store, outcomes: Outcomes) -> None:
    """Record sources that failed while the rest of their action goes on."""
    with store.transaction() as db:
        _write_outcomes(db, outcomes)


def _write_outcomes(db: sqlite3.Connection, outcomes: Outcomes) -> None:
    """A source that has its outcome keeps it."""
    for source_id, outcome in outcomes.items():
        if outcome.failure is not None:
            written = fail(db, source_id, outcome.text())
        else:
            written = bool(db.execute(
                "UPDATE sources SET status = 'landed', outcome = ? WHERE id = ? AND status = 'pending'",
                (outcome.text(), source_id),
            ).rowcount)  # fmt: skip
        if written:
            happened.ended(db, source_id, outcome)


class End(NamedTuple):
    """The end of one action: the outcomes of its sources, its landing, and the commits that it carried.

    One outcome instead of several is that of all its sources: a command ran once for all who asked for it. `error` says
    why the action failed where no source of it does.
    """

    action: Action
    outcomes: Outcomes | Outcome
    landing_id: int | None = None
    commits: Sequence[str] = ()
    error: str = ""


def action(
    store: Store, action: Action, outcomes: Outcomes | Outcome, landing_id: int | None = None,
    commits: Sequence[str] = (), error: str = "",
) -> None:  # fmt: skip
    """End one action, see `actions`."""
    actions(store, [End(action, outcomes, landing_id, commits, error)])


def actions(store: Store, ends: Sequence[End]) -> None:
    """End actions, all in one transaction.

    Checks state and batch of each: a flush that lost its claim to recovery changes nothing here.
    """
    with store.transaction() as db:
        now = iso(time.time())
        ended = [end for end in ends if _end(db, end, now)]
        for batch_id in dict.fromkeys(end.action.batch_id for end in ended):
            commits = [oid for end in ended if end.action.batch_id == batch_id for oid in end.commits]
            _finish_commits(db, commits, batch_id, now)


def _end(db: sqlite3.Connection, end: End, now: str) -> bool:
    """End one action, inside a transaction; False where the claim on it is lost."""
    mine = db.execute(
        "SELECT id FROM deploy_queue WHERE id = ? AND batch_id = ? AND status IN ('batched', 'executing')",
        (end.action.id, end.action.batch_id),
    ).fetchone()
    if mine is None:
        return False
    outcomes = end.outcomes
    _write_outcomes(db, _for_all(db, end.action, outcomes) if isinstance(outcomes, Outcome) else outcomes)
    carried = db.execute("SELECT id FROM deploy_queue WHERE carried_by = ?", (end.action.id,)).fetchall()
    for row in (*carried, mine):
        _end_by_sources(db, row["id"], now, end.error)
    db.execute(
        "UPDATE landings SET status = CASE WHEN id = ? THEN 'landed' ELSE 'abandoned' END"
        " WHERE status = 'planned' AND (action_id = ? OR action_id IN"
        " (SELECT id FROM deploy_queue WHERE carried_by = ?))",  # on its own branch, before it was carried
        (end.landing_id, end.action.id, end.action.id),
    )
    return True


def _for_all(db: sqlite3.Connection, action: Action, outcome: Outcome) -> Outcomes:
    found = db.execute(
        "SELECT id FROM sources WHERE status = 'pending' AND (action_id = :id"
        " OR action_id IN (SELECT id FROM deploy_queue WHERE carried_by = :id))",
        {"id": action.id},
    ).fetchall()
    return dict.fromkeys((row["id"] for row in found), outcome)


def _end_by_sources(db: sqlite3.Connection, action_id: int, now: str, error: str = "") -> None:
    """An action has completed when any of its sources has landed."""
    ended = db.execute("SELECT status, outcome FROM sources WHERE action_id = ? ORDER BY id", (action_id,))
    states = [(row["status"], Outcome.parse(row["outcome"])) for row in ended]
    landed = any(state == SourceStatus.LANDED for state, _ in states)
    errors = [outcome.error for state, outcome in states if state == SourceStatus.FAILED]
    db.execute(
        "UPDATE deploy_queue SET status = ?, finished_at = ?, error = ? WHERE id = ?",
        (
            Status.COMPLETED.value if landed else Status.FAILED.value,
            now,
            "; ".join(dict.fromkeys(errors)) or ("" if landed else error),
            action_id,
        ),
    )
    if not states:
        happened.failed_bare(db, action_id, error)


def _finish_commits(db: sqlite3.Connection, commits: Sequence[str], batch_id: str | None, now: str) -> None:
    """A push carries the commits that it contains: they end with it."""
    for oid in commits:
        db.execute("UPDATE queued_commits SET status = 'landed' WHERE oid = ? AND status = 'pending'", (oid,))
    db.execute(
        "UPDATE deploy_queue SET status = 'completed', batch_id = ?, finished_at = ?"
        " WHERE action_type = 'commit' AND asked = 0 AND status = 'pending' AND NOT EXISTS"
        " (SELECT 1 FROM queued_commits c WHERE c.action_id = deploy_queue.id AND c.status = 'pending')",
        (batch_id, now),
    )


def on_branch(store: Store, action: Action, landing: Landing, window: float) -> None:
    """End an action whose landing is on a branch of this repository, where that waits for a push like any commit."""
    with store.transaction() as db:
        now = time.time()
        changed = db.execute(
            "UPDATE deploy_queue SET status = 'completed' WHERE id = ? AND batch_id = ?"
            " AND status IN ('batched', 'executing')",
            (action.id, action.batch_id),
        ).rowcount
        if not changed:
            return
        _write_outcomes(db, landing.detail.outcomes)
        _end_by_sources(db, action.id, iso(now))
        db.execute("UPDATE landings SET status = 'landed' WHERE id = ?", (landing.id,))
        note = CommitNote(landing.new, landing.ref, action.agent_id, landing.detail.worktree)
        noted.commit(db, note, iso(now), iso(now + window))


def squashed(store: Store, action: Action, landing: Landing) -> None:
    """End a local squash: its members are one commit now, which waits for a push in their place."""
    with store.transaction() as db:
        changed = db.execute(
            "UPDATE deploy_queue SET status = 'completed', finished_at = ? WHERE id = ? AND batch_id = ?"
            " AND status IN ('batched', 'executing')",
            (iso(time.time()), action.id, action.batch_id),
        ).rowcount
        if not changed:
            return
        db.execute("UPDATE landings SET status = 'landed' WHERE id = ?", (landing.id,))
        for oid in landing.detail.commits:
            db.execute("UPDATE queued_commits SET status = 'squashed' WHERE oid = ?", (oid,))
        note = CommitNote(landing.new, landing.ref, action.agent_id, landing.detail.worktree)
        noted.commit(db, note, action.queued_at, action.execute_after)
        left = db.execute("SELECT action_id FROM queued_commits WHERE oid = ?", (landing.new,)).fetchone()["action_id"]
        db.execute(
            "UPDATE queued_commits SET action_id = ? WHERE action_id = ? AND status = 'pending'", (left, action.id)
        )


def _landed(db: sqlite3.Connection, batch_id: str) -> list[dict[str, Any]]:
    """What a batch put on its refs, with the proof of each."""
    found = db.execute(
        "SELECT * FROM landings WHERE batch_id = ? AND status = 'landed' ORDER BY id", (batch_id,)
    ).fetchall()
    landings = [rows.landing(row) for row in found]
    return [
        {"remote": entry.remote, "ref": entry.ref, "old": entry.old, "new": entry.new,
         "how": entry.detail.how, "proof": entry.detail.proof.facts() if entry.detail.proof else {}}
        for entry in landings
    ]  # fmt: skip


def close(
    store: Store, batch: Batch, duration_ms: float, deferred: int = 0, errors: Sequence[str] | None = None
) -> Status:
    """End the batch once all of its actions have ended; returns its status, EXECUTING while one has not.

    `deferred` actions are back in the queue; `errors` are what its executor has to say, else what the actions have.
    """
    with store.transaction() as db:
        # commits that the hooks saw ride along with a push, and are counted with it
        ended = db.execute(
            "SELECT status, error FROM deploy_queue WHERE batch_id = :id AND (asked = 1"
            " OR action_type <> 'commit' OR NOT EXISTS"
            " (SELECT 1 FROM deploy_queue o WHERE o.batch_id = :id AND (o.asked = 1 OR o.action_type <> 'commit')))"
            " ORDER BY id",
            {"id": batch.id},
        ).fetchall()
        states = [row["status"] for row in ended]
        if any(state in ("batched", "executing") for state in states):
            return Status.EXECUTING
        done = sum(state == "completed" for state in states)
        status = Status.CANCELLED if not states else Status.COMPLETED if done else Status.FAILED
        result = {
            "executedActions": done,
            "failedActions": len(states) - done,
            "deferredActions": deferred,
            "errors": [row["error"] for row in ended if row["error"]] if errors is None else list(errors),
            "duration": round(duration_ms, 1),
            "landings": _landed(db, batch.id),
        }
        db.execute(
            "UPDATE deploy_batches SET status = ?, result = ?, executed_at = coalesce(executed_at, ?)"
            " WHERE id = ? AND status IN ('pending', 'executing')",
            (status.value, json.dumps(result), iso(time.time()), batch.id),
        )
    return status


def describe(store: Store, facts: dict[str, tuple[str, str, str, int]], ended: dict[str, str]) -> None:
    """Write down what git knows of noted commits: oid to (agent, subject, parents, number of files).

    `ended` are commits that need no push any more: oid to `landed` (a remote has it) or `gone`.
    """
    with store.transaction() as db:
        for oid, (agent, subject, parents, files) in facts.items():
            db.execute(
                "UPDATE queued_commits SET subject = ?, parents = ?, files = ?,"
                " agent_id = CASE agent_id WHEN '' THEN ? ELSE agent_id END WHERE oid = ?",
                (subject, parents, files, agent, oid),
            )
        for oid, status in ended.items():
            db.execute("UPDATE queued_commits SET status = ? WHERE oid = ? AND status = 'pending'", (status, oid))
        db.execute(
            "UPDATE deploy_queue SET agent_id = coalesce((SELECT agent_id FROM queued_commits c"
            " WHERE c.action_id = deploy_queue.id ORDER BY c.id LIMIT 1), '')"
            " WHERE action_type = 'commit' AND status = 'pending' AND agent_id = ''"
        )
        db.execute(
            "UPDATE deploy_queue SET status = 'completed', finished_at = strftime('%Y-%m-%dT%H:%M:%fZ')"
            " WHERE action_type = 'commit' AND asked = 0 AND status = 'pending' AND NOT EXISTS"
            " (SELECT 1 FROM queued_commits c WHERE c.action_id = deploy_queue.id AND c.status = 'pending')"
        )
