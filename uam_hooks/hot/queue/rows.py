"""From rows of the database to values."""

from __future__ import annotations

import json
import sqlite3

from uam_hooks.hot.core.identity import Place
from uam_hooks.hot.queue.model import Action, ActionType, Batch, Landing, Source, SourceStatus, Status
from uam_hooks.hot.queue.outcome import Detail, Outcome


def action(row: sqlite3.Row) -> Action:
    """A row of deploy_queue."""
    return Action(
        row["id"],
        row["agent_id"],
        ActionType(row["action_type"]),
        row["target"],
        json.loads(row["payload"]),
        Status(row["status"]),
        row["batch_id"],
        row["queued_at"],
        row["execute_after"],
        row["priority"],
        tuple(json.loads(row["dependencies"])),
        row["remote"],
        row["finished_at"],
        row["error"],
        bool(row["asked"]),
        row["carried_by"],
        row["not_before"],
        row["attempts"],
        row["identity"],
        Place(row["place"], row["url"]),
    )


def source(row: sqlite3.Row) -> Source:
    """A row of sources."""
    return Source(
        row["id"],
        row["action_id"],
        row["agent_id"],
        row["worktree"],
        row["branch"],
        row["tip"],
        bool(row["exact"]),
        row["expect"],
        row["push_group"],
        bool(row["atomic"]),
        row["waiter"],
        row["queued_at"],
        SourceStatus(row["status"]),
        row["replaced_by"],
        Outcome.parse(row["outcome"]),
        bool(row["follow"]),
        row["base"],
        row["message"],
        row["waiter_started"],
        row["author"],
        row["committer"],
    )


def batch(row: sqlite3.Row, actions: tuple[Action, ...] = ()) -> Batch:
    """A row of deploy_batches."""
    return Batch(
        row["id"],
        row["number"],
        row["created_at"],
        row["executed_at"],
        Status(row["status"]),
        json.loads(row["result"]),
        actions,
        bool(row["by_hand"]),
    )


def landing(row: sqlite3.Row) -> Landing:
    """A row of landings."""
    return Landing(
        row["id"],
        row["batch_id"],
        row["action_id"],
        row["remote"],
        row["ref"],
        row["old"],
        row["new"],
        row["keep"],
        tuple(json.loads(row["sources"])),
        row["status"],
        Detail.parse(row["detail"]),
    )
