"""What a plan is to each of its sources."""

from __future__ import annotations

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.quoting import pull_rebase, shown
from uam_hooks.hot.core.refs import shadow_ref, short_target
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Batch, Source
from uam_hooks.hot.queue.outcome import How, Outcome, Outcomes, Rival, conflicting
from uam_hooks.integrate.merge import conflicts
from uam_hooks.integrate.plan import Plan
from uam_hooks.store import views


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
    for source in sources:
        if source.id in plan.conflicts:
            found[source.id] = _conflict(repo, store, batch, plan, source, plan.conflicts[source.id])
    return found


def _conflict(repo: Repository, store: Store, batch: Batch, plan: Plan, source: Source, conflict: Conflict) -> Outcome:
    """Name the files, and whose work they conflict with."""
    rival = _rival(repo, store, batch, plan, source, conflict)
    action = plan.action
    where = f"{action.remote}/{short_target(action.ref)}"
    ways = [f"{shown(pull_rebase(action.remote, action.ref))}, resolve, and push again"]
    return conflicting(source.tip, where, conflict.files, rival, "landed on", ways)


def _rival(repo: Repository, store: Store, batch: Batch, plan: Plan, source: Source, conflict: Conflict) -> Rival:
    """Whose change to the files it is: of an earlier source of this batch, of an earlier batch, or a stranger's."""
    shadow = repo.refs(shadow_ref(plan.action.remote, plan.action.ref)).values()
    without = [f"^{oid}" for oid in (source.tip, *shadow) if oid]
    for other in plan.landed:
        if not conflicts(repo, other.tip, source.tip):
            continue
        lines = repo.rev_list("--max-count=1", other.tip, *without, *_not(plan.old), "--", *conflict.files)
        if lines:
            whose = "your own work" if other.agent == source.agent else f"the work of {other.agent}"
            words = f"{whose} in the same batch ({lines[0][:7]})"
            return Rival(other.agent, batch.number, lines[0], words)
    lines = [] if plan.old == ZERO else repo.rev_list(
        "--max-count=1", plan.old, f"^{source.tip}", "--", *conflict.files
    )  # fmt: skip
    if not lines:
        return Rival("", None, plan.old, "what is there already")
    known = views.landed_as(store, lines[0])
    if known is not None and known[1]:  # a local squash has no sources
        number, agents = known
        whose = "your own work" if agents == [source.agent] else f"the work of {', '.join(agents)}"
        words = f"{whose} in batch {number} ({lines[0][:7]})"
        return Rival(", ".join(agents), number, lines[0], words)
    author = repo.commit(lines[0]).author_name
    return Rival(author, None, lines[0], f"{lines[0][:7]} by {author}")


def _not(oid: str) -> list[str]:
    return [] if oid == ZERO else [f"^{oid}"]
