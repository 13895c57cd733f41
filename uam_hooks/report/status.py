"""The state of the queue as data: what waits, what runs and what failed."""

from __future__ import annotations

import time

from uam_hooks.flush.acting import differences, is_ours
from uam_hooks.hot.core.paths import RepoPaths, worktree_name
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.core.urls import own_helper
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.ci import all_seen
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, ActionType, Source, SourceStatus, Status, iso, seconds_of, where
from uam_hooks.hot.queue.reasons import Waits, in_words, is_queue, reason
from uam_hooks.hot.queue.windows import who_else, window
from uam_hooks.report.next_step import FAILED_FOR_SECONDS
from uam_hooks.session import Session, agent_here
from uam_hooks.store import views
from uam_hooks.store.views import QueuedCommit


def state(session: Session, newest: int | None = None) -> dict[str, Any]:
    """The queue as `git uam status --json` prints it, or, of what waits, only the `newest` actions.

    What to do next is asked of next_step. It changes nothing: recover and refresh before it.
    """
    now = time.time()
    commits = views.commits(session.store)
    queued = views.actions(session.store, Status.PENDING) if newest is None else (
        views.newest_waiting(session.store, newest))  # fmt: skip
    waiting = [_row(session, a, commits, now) for a in queued]
    running = [_row(session, a, commits, now) for a in views.actions(session.store, Status.BATCHED, Status.EXECUTING)]
    failed = [
        {"action": a.id, "type": a.action_type.value, "batch": _number(session, a), "agent": s.agent,
         "where": where(a), "tip": s.tip, "error": s.outcome.error,
         "remote_said": list(s.outcome.said),
         "conflict_with": None if s.outcome.rival is None else s.outcome.rival._asdict()}
        for a, s in views.failed_sources(session.store, now - FAILED_FOR_SECONDS)
    ]  # fmt: skip
    return {
        "repository": str(session.repo.paths.common_dir),
        "mode": session.settings["uam.push.mode"],
        "enabled": session.settings["uam.enabled"],
        "waiting": waiting,
        "running": running,
        "failed": failed,
        "ci": _ci(session),
        "fleet": session.settings["uam.fleet"] or None,
        "straight": [r for r in session.settings.remotes() if own_helper(session.settings, r)],
        "window": _window(session, now),
    }


def lasting(found: dict[str, Any]) -> dict[str, Any]:
    """What of a `state` changes with the queue, and not merely as time passes."""
    kept = {name: value for name, value in found.items() if name != "window"}
    for name in ("waiting", "running"):
        rows = ({**row, "held": row["held"] is not None} for row in found[name])
        kept[name] = [{key: value for key, value in row.items() if key != "seconds_left"} for row in rows]
    kept["ci"] = [{key: value for key, value in one.items() if key != "asked_at"} for one in found["ci"]]
    return kept


def _ci(session: Session) -> list[dict[str, Any]]:
    """What was last heard of CI, of each branch of which it was asked."""
    return [
        {"where": f"{remote}/{short_target(ref)}", "state": sight.state.value, "how": sight.how, "run": sight.run,
         "asked_at": iso(sight.asked), "since": None if sight.since is None else iso(sight.since), "said": sight.said}
        for remote, ref, sight in all_seen(session.store)
    ]  # fmt: skip


def _number(session: Session, action: Action) -> int | None:
    found = views.batch(session.store, action.batch_id) if action.batch_id else None
    return found.number if found else None


def _window(session: Session, now: float) -> dict[str, Any]:
    """How long a push would wait now: its window, or not at all because nobody else is at work."""
    paths = RepoPaths.of(session.repo.git_dir)
    company = who_else(session.settings, session.store, paths, agent_here(session))
    until = enqueue.urgent_mode(session.store, now)
    return {
        "alone": company.alone and session.settings["uam.push.mode"] == "wait",
        "others": company.others[:5],
        "company_seconds": company.seconds,
        "seconds": window(session.settings, session.store, ActionType.PUSH, False),
        "urgent": until is not None,
        "urgent_until": until or None,
    }


def _row(session: Session, action: Action, commits: list[QueuedCommit], now: float) -> dict[str, Any]:
    left = seconds_of(max(action.execute_after, action.not_before)) - now
    if action.action_type == ActionType.COMMIT and not action.explicit:
        members = [c for c in commits if c.action_id == action.id]
        what = [{"agent": c.agent, "commit": c.oid, "subject": c.subject, "files": c.files} for c in members]
        agents = [c.agent for c in members]
    else:
        sources = [s for s in views.sources(session.store, action.id) if s.status == SourceStatus.PENDING]
        what = [_member(session, action, s) for s in sources]
        agents = [s.agent for s in sources]
    return {
        "action": action.id,
        "type": action.action_type.value,
        "asked": action.explicit,
        "where": where(action),
        "status": action.status.value,
        "agents": list(dict.fromkeys(agents)),
        "members": what,
        "depends_on": list(action.dependencies),
        "attempts": action.attempts,
        "apart": None if is_ours(session, action) else differences(session, action),
        "error": action.error,
        "seconds_left": round(max(left, 0.0), 1),
        "state": "ready" if left <= 0 else "waiting",
        "held": _held(session, action, now),
        "handed_to": action.entrusted or None,
    }


def _held(session: Session, action: Action, now: float) -> str | None:
    """Why a push is held, by CI or by a gate, or in which other queue it waits; None where it is not."""
    if action.action_type != ActionType.PUSH:
        return None
    why = reason(session.store, [action.id], now)
    if why is None or (why.waits is Waits.ELSEWHERE and not is_queue(why.entrusted)):
        return None
    return in_words(why, now) if why.waits in (Waits.CI, Waits.GATE, Waits.ELSEWHERE) else None


def _member(session: Session, action: Action, source: Source) -> dict[str, Any]:
    """One source of an action: the agent, and what it pushed or asked for."""
    if action.action_type == ActionType.PUSH:
        return _source(source)
    if action.action_type == ActionType.COMMIT:
        files = views.files(session.store, source.id)
        subject = source.message.strip().partition("\n")[0]
        return {"agent": source.agent, "commit": source.tip, "subject": subject, "files": len(files)}
    return {"agent": source.agent, "what": _words(action)}


def _words(action: Action) -> str:
    payload = action.payload
    if action.action_type == ActionType.MERGE:
        return f"pull request {payload['pr']}" if payload.get("pr") else f"{payload['source']} ({payload['strategy']})"
    inputs = " ".join(f"{name}={value}" for name, value in payload.get("inputs", {}).items())
    return f"on {payload.get('ref')} {inputs}".rstrip()


def _source(source: Source) -> dict[str, Any]:
    return {
        "agent": source.agent,
        "branch": short_target(source.branch) or "(detached)",
        "worktree": worktree_name(source.worktree),
        "tip": source.tip,
    }


def queued_lines(store: Store) -> list[str]:
    """One line for each action that waits or runs, for people who are about to remove the queue."""
    waiting = views.actions(store, "pending", "batched", "executing")
    return [
        f"#{a.id} {a.action_type} to {where(a)} by {a.agent_id}"
        for a in waiting
        if a.explicit or a.action_type != ActionType.COMMIT
    ]
