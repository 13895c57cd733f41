"""What a plan is to each of its sources."""

from __future__ import annotations

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.quoting import pull_rebase, shown
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Batch, Source
from uam_hooks.hot.queue.outcome import How, Outcome, Outcomes, Rival, conflicting
from uam_hooks.integrate.plan import Plan
from uam_hooks.land.rivals import Rivals


def of_plan(repo: Repository, store: Store, batch: Batch, plan: Plan, sources: list[Source]) -> Outcomes:
    """The outcomes that hold once `plan` has reached the remote."""
    found: dict[int, Outcome] = {}
    agents = {source.agent for source in plan.landed if plan.counts[source.id]}
    pushes = [source for source in plan.landed if not source.base and (source.verbatim or plan.counts[source.id])]
    for source in plan.landed:
        nothing = not source.verbatim and not plan.counts[source.id] and source.tip not in plan.commits
        became = plan.became.get(source.id)
        how = How.NOTHING_NEW if nothing and plan.how != How.AS_IS else plan.how
        found[source.id] = Outcome(
            batch=batch.number,
            how=how if became is None else became.how,
            ref=plan.action.ref,
            old="" if plan.old == ZERO else plan.old,
            new="" if plan.new == ZERO else plan.new,
            keep=plan.keep,
            commits=plan.counts[source.id],
            company=tuple(sorted(agents - {source.agent})),
            own="" if became is None else became.commit,
            pushes=max(1, len(pushes)),
            held=sum(source.held for source in pushes),
        )
    rivals = Rivals(repo, store, batch, plan)
    for source in sources:
        if (conflict := plan.conflicts.get(source.id)) is not None:
            found[source.id] = _conflict(plan, source, conflict, rivals.of(source, conflict))
    return found


def _conflict(plan: Plan, source: Source, conflict: Conflict, rival: Rival) -> Outcome:
    """Name the files, and whose work they conflict with."""
    action = plan.action
    where = f"{action.remote}/{short_target(action.ref)}"
    ways = [f"{shown(pull_rebase(action.remote, action.ref))}, resolve, and push again"]
    return conflicting(source.tip, where, conflict.files, rival, "landed on", ways)
