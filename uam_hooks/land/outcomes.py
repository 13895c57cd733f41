"""What a plan is to each of its sources, in facts that the queue keeps and the words are made of."""

from __future__ import annotations

from typing import Any

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import shadow_ref, short_target
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Batch, Source, SourceStatus
from uam_hooks.integrate.merge import Conflict, conflicts
from uam_hooks.integrate.plan import Plan
from uam_hooks.store import views

Outcomes = dict[int, tuple[SourceStatus, dict[str, Any]]]


def of_plan(repo: Repository, store: Store, batch: Batch, plan: Plan, sources: list[Source]) -> Outcomes:
    """The outcomes that hold once `plan` has reached the remote."""
    found: Outcomes = {}
    agents = {source.agent for source in plan.landed if plan.counts[source.id]}
    for source in plan.landed:
        nothing = not source.exact and not plan.counts[source.id] and source.tip not in plan.commits
        found[source.id] = (
            SourceStatus.LANDED,
            {
                "batch": batch.number,
                "ref": plan.action.ref,
                "old": "" if plan.old == ZERO else plan.old,
                "new": "" if plan.new == ZERO else plan.new,
                "keep": plan.keep,
                "how": "nothing-new" if nothing and plan.how != "as-is" else plan.how,
                "commits": plan.counts[source.id],
                "with": sorted(agents - {source.agent}),
            },
        )
    for source in sources:
        if source.id in plan.conflicts:
            found[source.id] = _conflict(repo, store, batch, plan, source, plan.conflicts[source.id])
    return found


def failed(sources: list[Source], error: str, explain: list[str] | None = None) -> Outcomes:
    """All of `sources` failed for the same reason."""
    return {s.id: (SourceStatus.FAILED, {"error": error, "explain": explain or []}) for s in sources}


def _conflict(
    repo: Repository, store: Store, batch: Batch, plan: Plan, source: Source, conflict: Conflict
) -> tuple[SourceStatus, dict[str, Any]]:
    """Name the files, and whose work is in the way."""
    whose = _in_the_way(repo, store, batch, plan, source, conflict)
    action = plan.action
    files = ", ".join(conflict.files[:5]) + (" ..." if len(conflict.files) > 5 else "")
    return SourceStatus.FAILED, {
        "error": f"conflict in {files} with {whose['words']}",
        "files": list(conflict.files),
        "conflict_with": whose,
        "explain": [
            f"{source.tip[:7]} was not landed on {action.remote}/{short_target(action.ref)}: "
            f"{files} conflicts with {whose['words']}; your commits are untouched",
            f"`git pull --rebase {action.remote} {short_target(action.ref)}`, resolve, and push again",
        ],
    }


def _in_the_way(
    repo: Repository, store: Store, batch: Batch, plan: Plan, source: Source, conflict: Conflict
) -> dict[str, Any]:
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
            return {"agent": other.agent, "batch": batch.number, "commit": lines[0], "words": words}
    lines = [] if plan.old == ZERO else repo.rev_list(
        "--max-count=1", plan.old, f"^{source.tip}", "--", *conflict.files
    )  # fmt: skip
    if not lines:
        return {"agent": "", "batch": None, "commit": plan.old, "words": "what is there already"}
    known = views.landed_as(store, lines[0])
    if known is not None and known[1]:  # a local squash has no sources
        number, agents = known
        whose = "your own work" if agents == [source.agent] else f"the work of {', '.join(agents)}"
        words = f"{whose} in batch {number} ({lines[0][:7]})"
        return {"agent": ", ".join(agents), "batch": number, "commit": lines[0], "words": words}
    author = repo.commit(lines[0]).author_name
    return {"agent": author, "batch": None, "commit": lines[0], "words": f"{lines[0][:7]} by {author}"}


def _not(oid: str) -> list[str]:
    return [] if oid == ZERO else [f"^{oid}"]
