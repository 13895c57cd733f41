"""What a flush would do, without doing it: nothing is claimed, moved or pushed."""

from __future__ import annotations

import time
from typing import Any

from .errors import UamError
from .land import plan_action
from .model import Action, ActionType, Batch, Status, iso, short_target
from .opened import Flush
from .plumbing import ZERO
from .store import claim, views
from .transport import Remote


def preview(flush: Flush, due_only: bool) -> list[dict[str, Any]]:
    """A plan as data for every pending push (or every due one)."""
    now = iso(time.time())
    batch = Batch("dry-run", 0, now, None, Status.PENDING, {})
    return [
        _preview_one(flush, batch, action)
        for action in views.actions(flush.store, Status.PENDING)
        if action.action_type == ActionType.PUSH and not (due_only and action.execute_after > now)
    ]


def _preview_one(flush: Flush, batch: Batch, action: Action) -> dict[str, Any]:
    shown: dict[str, Any] = {"action": action.id, "remote": action.remote, "target": short_target(action.ref)}
    sources = claim.sources(flush.store, action.id)
    try:
        there = Remote(flush.repo, flush.settings, action.remote).refs(action.ref).get(action.ref, ZERO)
        if there != ZERO and not flush.repo.kind(there):
            return {**shown, "summary": f"the remote is at {there[:7]}, which is not here yet; fetch to see a plan"}
        plan = plan_action(flush, batch, action, sources, there)
    except UamError as error:
        return {**shown, "error": error.what, "summary": f"would fail: {error.what}"}
    conflicts = [s.agent for s in sources if s.id in plan.conflicts]
    many = f"{len(plan.commits)} commit{'s' * (len(plan.commits) != 1)}"
    what = "nothing to push" if plan.new == plan.old else f"{plan.how}, {many}"
    words = f"{what} from {', '.join(dict.fromkeys(s.agent for s in plan.landed)) or 'nobody'}"
    return {
        **shown,
        "old": plan.old,
        "how": plan.how,
        "sources": [{"agent": s.agent, "tip": s.tip} for s in plan.landed],
        "conflicts": {str(k): list(v.files) for k, v in plan.conflicts.items()},
        "proof": plan.proof,
        "summary": words + (f"; would conflict: {', '.join(conflicts)}" if conflicts else ""),
    }
