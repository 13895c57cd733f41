"""What a flush would do, without doing it: nothing is claimed, moved or pushed."""

from __future__ import annotations

import time
from typing import Any

from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.queue.model import Action, ActionType, Batch, is_external, where
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.push_plans import plan_push
from uam_hooks.report.batch_view import as_shown, not_claimed
from uam_hooks.session import Session
from uam_hooks.store import claim
from uam_hooks.store.journal import made_by_hand
from uam_hooks.store.schedule import edges


def preview(session: Session, due_only: bool) -> list[dict[str, Any]]:
    """A plan as data for every action that a flush would execute, in an order that it could take."""
    found = claim.would_be_due(session.store, time.time() if due_only else None, 1000)
    left = [plan for batch in made_by_hand(session.store) for plan in plans(session, as_shown(session.store, batch))]
    return left + (plans(session, not_claimed(session.store, found)) if found else [])


def plans(session: Session, batch: Batch) -> list[dict[str, Any]]:
    """A plan as data for every action of a batch."""
    before: dict[int, list[int]] = {}
    for edge in edges(batch.actions):
        before.setdefault(edge.after, []).append(edge.before)
    return [
        {**_preview_one(session, batch, action), "type": action.action_type.value, "where": where(action),
         "after": sorted(set(before.get(action.id, ())))}
        for action in batch.actions
        if action.carried_by is None
    ]  # fmt: skip


def _preview_one(session: Session, batch: Batch, action: Action) -> dict[str, Any]:
    shown: dict[str, Any] = {"action": action.id, "remote": action.remote, "target": short_target(action.target)}
    if action.action_type == ActionType.PUSH:
        return _preview_push(session, batch, action, shown)
    if action.action_type == ActionType.COMMIT:
        files = action.payload.get("files", [])
        first = str(action.payload.get("message", "")).partition("\n")[0]
        return {**shown, "files": files, "summary": f"{first} ({len(files)} file{'s' * (len(files) != 1)})"}
    if action.action_type == ActionType.MERGE and not is_external(action):
        pushed = ", pushed" if action.payload["push"] else ""
        return {**shown, "summary": f"merge {action.payload['source']} ({action.payload['strategy']}){pushed}"}
    if action.action_type == ActionType.MERGE:
        return {**shown, "summary": f"gh pr merge {action.payload['pr']} ({action.payload['method']})"}
    if action.action_type == ActionType.WORKFLOW:
        inputs = action.payload.get("inputs") or "no inputs"
        return {**shown, "summary": f"dispatch on {action.payload['ref']} with {inputs}"}
    return {**shown, "summary": f"deploy {action.payload['ref']}"}


def _preview_push(session: Session, batch: Batch, action: Action, shown: dict[str, Any]) -> dict[str, Any]:
    shown["target"] = short_target(action.ref)
    carried = [a.id for a in batch.actions if a.carried_by == action.id]
    sources = [s for i in (action.id, *carried) for s in claim.sources(session.store, i)]
    now = {s.branch: session.repo.name_of(s.branch)[0] for s in sources if s.follow}
    sources = [s._replace(tip=now[s.branch] or s.tip) if s.follow else s for s in sources]
    sources = [s for s in sources if s.tip or s.exact]
    try:
        there = Remote(session.repo, session.settings, action.remote).refs(action.ref).get(action.ref, ZERO)
        if there != ZERO and not session.repo.kind(there):
            return {**shown, "summary": f"the remote is at {there[:7]}, which is not here yet; fetch to see a plan"}
        plan = plan_push(session, batch, action, sources, there, Tips(session.repo))
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
        "proof": plan.proof.facts() if plan.proof else {},
        "summary": words + (f"; would conflict: {', '.join(conflicts)}" if conflicts else ""),
    }
