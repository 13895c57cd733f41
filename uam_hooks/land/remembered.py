"""Pushes that are planned on what the remote was last known to have, and what becomes of them where it has moved.

The push has a lease, so the remote takes it if nothing has moved meanwhile, and takes nothing of it otherwise: then it
is as if the remote had been asked in that moment. Whatever is no such push is not proved by a lease, so for that the
remote is asked: nothing new, a conflict, what git or a gate is to judge.
"""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, shadow_ref
from uam_hooks.hot.queue.model import Action, ActionType, Batch
from uam_hooks.integrate.onto import FAR, onto, ready
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land import originals, shared_shadow
from uam_hooks.land.gated import Gating
from uam_hooks.land.push_plans import plan_push, prepare
from uam_hooks.session import Session
from uam_hooks.store import gathered, journal, remains


def from_memory(
    session: Session, batch: Batch, remote: Remote, actions: Sequence[Action], gating: Gating
) -> tuple[list[Plan], dict[str, str]]:
    """The plans of these pushes, all of which move a branch as git would without force, over what the remote was last
    known to have, which comes with them; none where that is not so of one of them, or where that is not known.
    """
    # a gate takes longer than a look, and is not to test what was out of date
    if originals.are_pushed(session) or any(gating.guards(action) for action in actions):
        return [], {}
    if any(action.action_type != ActionType.PUSH or not action.ref.startswith(HEADS) for action in actions):
        return [], {}
    refs = [action.ref for action in actions]
    # what a push before may have brought there is found out by asking
    if journal.landings(session.store, remote.name, refs):
        return [], {}
    brought = gathered.sources_of(session.store, [action.id for action in actions])
    if not all(brought.values()) or any(source.verbatim for sources in brought.values() for source in sources):
        return [], {}
    try:
        shadows = shared_shadow.refs_of(session, refs)
        known = remote.memory.remembered([*refs, *shadows], shadow_ref(remote.name, ""))
        if known is None or any(session.repo.kind(oid) != "commit" for oid in known.there.values()):
            return [], {}
        there = known.there
        tips = Tips(session.repo).seen(remote.name, {ref: there[ref] for ref in shadows})
        pushes = [(action, brought[action.id]) for action in actions]
        prepared = prepare(session, remote.name, pushes, there, tips, known.refs)
        plans = [
            plan_push(session, batch, action, sources, there[action.ref], tips, prepared=prepared)
            for action, sources in pushes
        ]
    except (UamError, OSError):  # the plan on what is there finds out what is wrong, and whose it is
        return [], {}
    return (plans, there) if all(map(_moves, plans)) else ([], {})


def _moves(plan: Plan) -> bool:
    """Whether all of its sources land by a push of something new."""
    return plan.new not in (plan.old, ZERO) and not plan.conflicts and not plan.refused


def over_theirs(session: Session, remote: Remote, refused: Sequence[Plan]) -> tuple[list[Plan], dict[str, str]]:
    """The plans to which others were quicker, over what the remote has by now, which comes with them: no plans where
    they have to be made anew, and nothing of the remote either where it has to be asked.

    Between this fetch and the push nothing is done that could be done before: others do not wait.
    """
    if not refused:
        return [], {}
    there: dict[str, str] = {}
    try:
        prepared = [ready(session.repo, plan) for plan in refused]
        there = remote.fetch({plan.ref: plan.old for plan in refused})
        plans = []
        for one in prepared:
            if one is None:
                break
            at = there[one.plan.ref]
            plans.append(onto(session.repo, one, at, _landed_since(session, remote, one.plan, at)))
        found = [plan for plan in plans if plan is not None]
        if len(found) == len(refused):
            return found, there
        remote.memory.keep(there)
    except UamError:  # a full plan asks all of this again, and finds out what is wrong
        pass
    return [], there


def _landed_since(session: Session, remote: Remote, plan: Plan, there: str) -> str | None:
    """The shadow of what has landed from here on `there`, and not on what the plan was made for: who made the plan may
    have known an older value than this repository itself has pushed, which the git of a push that ends late leaves in
    the tracking ref.
    """
    for _, landing, keep in remains.memories(session.store, remote.name, plan.ref):
        if session.repo.descends(plan.old, landing, FAR):
            return None
        if keep != landing and session.repo.descends(there, landing, FAR):
            return keep
    return None
