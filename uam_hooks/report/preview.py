"""What a flush would do, without doing it: nothing is claimed, moved, fetched or pushed."""

from __future__ import annotations

import os
import time

from uam_hooks.command.process import Running
from uam_hooks.flush.flush import made_by_hand
from uam_hooks.flush.foresee import foresee
from uam_hooks.flush.foresight import Foreseen, Foresight
from uam_hooks.gate.config import gates_of
from uam_hooks.gate.judge import Judge
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue.model import Action, ActionType, Batch, is_external, where
from uam_hooks.integrate.plan import Plan
from uam_hooks.land import outcomes
from uam_hooks.report.batch_view import as_shown, not_claimed
from uam_hooks.session import Session
from uam_hooks.store import claim
from uam_hooks.store.order import edges


def preview(session: Session, due_only: bool) -> list[dict[str, Any]]:
    """A plan as data for every action that a flush would execute, in an order that it could take.

    Batches that were made by hand come first, local squashes last.
    """
    foresight, now = Foresight(session), time.time() if due_only else None
    batches = [as_shown(session.store, batch) for batch in made_by_hand(session)]
    batches.append(not_claimed(session.store, claim.would_be_due(session.store, now, 1000, session.lane)))
    shown = [plan for batch in batches for plan in _of_batch(foresight, batch)]
    if not due_only or session.settings["uam.commit.onWindow"] == "squash":
        squashes = foresight.squashes(batches[-1], now)
        shown += [_shown(foresight, batches[-1], one, _squash_words(one)) for one in squashes]
    return shown


def plans(session: Session, batch: Batch) -> list[dict[str, Any]]:
    """A plan as data for every action of a batch, in an order that executing it could take."""
    return _of_batch(Foresight(session), batch)


def _of_batch(foresight: Foresight, batch: Batch) -> list[dict[str, Any]]:
    before: dict[int, list[int]] = {}
    for edge in edges(batch.actions):
        before.setdefault(edge.after, []).append(edge.before)
    return [
        {**_shown(foresight, batch, one, _words(one)), "after": sorted(set(before.get(one.action.id, ())))}
        for one in foresee(foresight, batch)
    ]


def _shown(foresight: Foresight, batch: Batch, one: Foreseen, words: str) -> dict[str, Any]:
    """One action as data: what it is, and its plan with the conflicts, or why it has none."""
    action, plan = one.action, one.plan
    ref = action.ref if action.action_type == ActionType.PUSH else action.target
    shown: dict[str, Any] = {"action": action.id, "remote": action.remote, "target": short_target(ref)}
    if action.action_type == ActionType.COMMIT and action.explicit:
        shown["files"] = action.payload.get("files", [])
    if plan is not None:
        whose = _rivals(foresight, batch, one, plan)
        shown |= {**_facts(plan), "conflict_with": {str(number): found for number, found in whose.items()}}
        words += _left_out(one, plan, whose)
    if plan is not None and plan.remote and plan.new not in (plan.old, ZERO) and plan.ref.startswith(HEADS):
        shown["gates"], said = _gates(foresight, plan)
        words += said
    if one.error:
        shown["error"] = one.error
    # a merge that conflicts has said so already, and with whom
    if one.error and not (plan is not None and plan.conflicts and action.action_type == ActionType.MERGE):
        words += f"{'; ' if words else ''}would fail: {one.error}"
    shown["fails"] = bool(one.error) or (plan is not None and bool(plan.conflicts or plan.refused))
    shown["summary"] = one.unknown or words
    return {**shown, "type": action.action_type.value, "where": where(action), "after": []}


def _gates(foresight: Foresight, plan: Plan) -> tuple[dict[str, bool | None], str]:
    """The gates that a landing would have to pass, and what is known of it; in words, too."""
    session = foresight.session
    try:
        gates = [one for one in gates_of(session.settings, os.environ) if one.guards(plan.ref)]
    except UamError as error:
        return {}, f"; would fail: {error.what}"
    found = Judge(session, gates, Running()).foreseen(plan.new, plan.old)
    states = {None: "would run", True: "has passed", False: "has failed"}
    named = ", ".join(f"{name} {states[state]}" for name, state in found.items())
    return found, f"; gates: {named}" if named else ""


def _facts(plan: Plan) -> dict[str, Any]:
    return {
        "old": plan.old,
        "new": plan.new,
        "how": plan.how,
        "sources": [{"agent": s.agent, "tip": s.tip} for s in plan.landed],
        "commits": list(plan.commits),
        "conflicts": {str(number): list(conflict.files) for number, conflict in plan.conflicts.items()},
        "refused": {str(number): failure.what for number, failure in plan.refused.items()},
        "proof": plan.proof.facts() if plan.proof else {},
    }


def _rivals(foresight: Foresight, batch: Batch, one: Foreseen, plan: Plan) -> dict[int, dict[str, Any]]:
    """For each source that conflicts, whose work it conflicts with."""
    if not plan.conflicts:
        return {}
    session = foresight.session
    # a merge that would be pushed is made on the branch here where that has more than the remote
    seen = plan if plan.landed else plan._replace(old=plan.keep)
    ended = outcomes.of_plan(session.repo, session.store, batch, seen, list(one.sources))
    found = {number: rival._asdict() for number in plan.conflicts if (rival := ended[number].rival) is not None}
    before = foresight.all[: foresight.all.index(one)]
    for whose in found.values():
        for earlier in before:
            # what is foreseen is in no batch that has ended
            if earlier.done is not None and earlier.done.landed and earlier.done.new == whose["commit"]:
                agents = ", ".join(dict.fromkeys(source.agent for source in earlier.done.landed))
                words = f"the work of {agents} before it ({whose['commit'][:7]})"
                whose |= {"agent": agents, "words": words}
    return found


def _left_out(one: Foreseen, plan: Plan, whose: dict[int, dict[str, Any]]) -> str:
    """The sources that would fail alone, in words."""
    agents = {source.id: source.agent for source in one.sources}
    words = ""
    if plan.conflicts:
        found = [
            f"{agents[number]} in {', '.join(conflict.files[:5])} with {whose[number]['words']}"
            for number, conflict in plan.conflicts.items()
        ]
        words = f"; would conflict: {'; '.join(found)}"
    for number, failure in plan.refused.items():
        words += f"; would fail: {agents[number]}: {failure.what}"
    return words


def _words(one: Foreseen) -> str:
    """What an action does, in a few words."""
    action = one.action
    if action.action_type == ActionType.PUSH:
        return "" if one.plan is None else _push_words(one.plan)
    if action.action_type == ActionType.COMMIT:
        files = action.payload.get("files", [])
        first = str(action.payload.get("message", "")).partition("\n")[0]
        return f"{first} ({len(files)} file{'s' * (len(files) != 1)})"
    if action.action_type == ActionType.MERGE and not is_external(action):
        pushed = ", pushed" if action.payload["push"] else ""
        return f"merge {action.payload['source']} ({action.payload['strategy']}){pushed}"
    return _external_words(action)


def _push_words(plan: Plan) -> str:
    many = f"{len(plan.commits)} commit{'s' * (len(plan.commits) != 1)}"
    what = "nothing to push" if plan.new == plan.old else f"{plan.how}, {many}"
    return f"{what} from {', '.join(dict.fromkeys(s.agent for s in plan.landed)) or 'nobody'}"


def _squash_words(one: Foreseen) -> str:
    return f"{len(one.plan.commits) if one.plan else 0} commits would be one, not pushed"


def _external_words(action: Action) -> str:
    if action.action_type == ActionType.MERGE:
        return f"gh pr merge {action.payload['pr']} ({action.payload['method']})"
    if action.action_type == ActionType.WORKFLOW:
        inputs = action.payload.get("inputs") or "no inputs"
        return f"dispatch on {action.payload['ref']} with {inputs}"
    return f"deploy {action.payload['ref']}"
