"""The state of the queue as data: what waits, what runs, what failed, and what to do next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from .commits import look_up
from .errors import Locked
from .flush import locked
from .leader import ensure_flusher
from .model import Action, ActionType, Source, SourceStatus, Status, seconds_of, short_target
from .opened import Flush
from .recover import recover
from .store import enqueue, views
from .store.views import QueuedCommit

# Failures older than this are history, not news.
FAILED_FOR_SECONDS = 24 * 3600.0


def recover_if_idle(flush: Flush) -> None:
    """After a crash any command finds out what happened, unless a flush is at work, and sees to it that it goes on."""
    if enqueue.unsettled(flush.store):
        try:
            with locked(flush.repo, 0):
                recover(flush)
        except Locked:
            return
    if flush.settings["uam.push.mode"] != "manual" and enqueue.due_at(flush.store) is not None:
        ensure_flusher(flush.repo.paths)


def state(flush: Flush) -> dict[str, Any]:
    """The queue as `git uam status --json` prints it."""
    recover_if_idle(flush)
    look_up(flush.repo, flush.store)
    now = time.time()
    commits = views.commits(flush.store)
    waiting = [_row(flush, a, commits, now) for a in views.actions(flush.store, Status.PENDING)]
    running = [_row(flush, a, commits, now) for a in views.actions(flush.store, Status.BATCHED, Status.EXECUTING)]
    failed = [
        {"action": a.id, "batch": _number(flush, a), "agent": s.agent, "where": _where(a), "tip": s.tip,
         "error": s.outcome.get("error", ""), "conflict_with": s.outcome.get("conflict_with")}
        for a, s in views.failed_sources(flush.store, now - FAILED_FOR_SECONDS)
    ]  # fmt: skip
    return {
        "repository": str(flush.repo.paths.common_dir),
        "mode": flush.settings["uam.push.mode"],
        "enabled": flush.settings["uam.enabled"],
        "waiting": waiting,
        "running": running,
        "failed": failed,
        "next": _next(flush, waiting, running, failed),
    }


def _number(flush: Flush, action: Action) -> int | None:
    found = views.batch(flush.store, action.batch_id) if action.batch_id else None
    return found.number if found else None


def _where(action: Action) -> str:
    if action.action_type == ActionType.COMMIT:
        return action.target
    return f"{action.remote}/{short_target(action.ref)}"


def _row(flush: Flush, action: Action, commits: list[QueuedCommit], now: float) -> dict[str, Any]:
    left = seconds_of(action.execute_after) - now
    if action.action_type == ActionType.COMMIT:
        members = [c for c in commits if c.action_id == action.id]
        what = [{"agent": c.agent, "commit": c.oid, "subject": c.subject, "files": c.files} for c in members]
        agents = [c.agent for c in members]
    else:
        sources = [s for s in views.sources(flush.store, action.id) if s.status == SourceStatus.PENDING]
        what = [_source(s) for s in sources]
        agents = [s.agent for s in sources]
    return {
        "action": action.id,
        "type": action.action_type.value,
        "where": _where(action),
        "status": action.status.value,
        "agents": list(dict.fromkeys(agents)),
        "members": what,
        "seconds_left": round(max(left, 0.0), 1),
        "state": "ready" if left <= 0 else "waiting",
    }


def _source(source: Source) -> dict[str, Any]:
    worktree = Path(source.worktree)
    return {
        "agent": source.agent,
        "branch": short_target(source.branch) or "(detached)",
        "worktree": worktree.parent.name if worktree.name == ".git" else worktree.name,
        "tip": source.tip,
    }


def _next(flush: Flush, waiting: list[Any], running: list[Any], failed: list[Any]) -> str:
    """The one thing to do, for a person or a program that reads nothing else."""
    if not flush.settings["uam.enabled"]:
        return "pushes go straight to the remote (uam.enabled is false); `git config uam.enabled true` queues them"
    pushes = [row for row in waiting if row["type"] != "commit"]
    if running:
        return "nothing: a batch is landing"
    if pushes and flush.settings["uam.push.mode"] == "manual":
        return "`git uam flush` lands what waits"
    if pushes:
        left = max(row["seconds_left"] for row in pushes)
        return f"nothing: it lands within {left:.0f} s, or now with `git uam flush`"
    if failed:
        return "see the failed pushes; their agents resolve and push again"
    if waiting:
        return "`git push` the waiting commits when they are done"
    return "nothing"
