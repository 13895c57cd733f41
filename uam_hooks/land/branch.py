"""A plan for a branch of this repository, executed: written down, pinned, and then the branch moves.

Commits and merges by name and local squashes go through the same journal as a landing, with an empty remote; recovery
looks at the branch instead of a remote.
"""

from __future__ import annotations

from uam_hooks.hot.core.errors import Failure, GitFailed, last_line
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import landing_ref, short_target
from uam_hooks.hot.queue.model import Action, ActionType, Batch, Landing
from uam_hooks.hot.queue.outcome import Detail, Outcome, Outcomes
from uam_hooks.hot.worktree.landed import Landed, Settled
from uam_hooks.hot.worktree.settle import advance, obstacle, settle
from uam_hooks.integrate.plan import Plan
from uam_hooks.land.retention import drop_pins
from uam_hooks.land.retry import fail_or_requeue
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, gathered
from uam_hooks.store.claim import NewLanding


def land_here(session: Session, batch: Batch, plan: Plan) -> None:
    """Execute the plan of a commit or a merge by name; one whose branch does not move fails, or is tried again."""
    failed = left_out(plan)
    failure = move_branch(session, batch, plan, failed)
    if failure is not None:
        finish.failed(session.store, failed)
        fail_or_requeue(session, plan.action, failure)


def move_branch(session: Session, batch: Batch, plan: Plan, failed: Outcomes) -> Failure | None:
    """Write the plan down, pin it, move the branch, and end the action if it moved.

    Returns why the branch stays where it is; None when it moved.
    """
    landing = claim.write_plan(session.store, batch, [_journal_entry(batch, plan, failed)])[0]
    reached(Step.PLANNED)
    session.repo.move_refs([(landing_ref(landing.batch_id, landing.id), plan.keep, ZERO)], "uam: pin")
    reached(Step.PINNED)
    try:
        settled = _moved(session, plan)
    except GitFailed as error:
        settled = Settled(plan.old, why=error.what, transient=error.transient)
    except OSError as error:
        settled = Settled(plan.old, why=last_line(str(error)))
    reached(Step.PUSHED)
    if end_here(session, plan.action, landing):
        return None
    why = settled.why or f"it was moved to {settled.at[:7]} at the same moment"
    return Failure(stays(plan, why), settled.transient or not settled.why)


def _moved(session: Session, plan: Plan) -> Settled:
    paths = session.repo.paths.seen_from(plan.worktree)
    if plan.landed:
        return advance(session.repo, paths, plan.ref, plan.old, plan.new, plan.mine)
    # a squash changes no file, so commits that were made meanwhile are carried
    return settle(session.repo, paths, Landed(plan.ref, plan.old, plan.new, plan.keep), files=False)


def end_here(session: Session, action: Action, landing: Landing) -> bool:
    """End an action by what its branch is now; returns whether the branch has the landing."""
    now = session.repo.refs(landing.ref).get(landing.ref, ZERO)
    if now == ZERO or not session.repo.is_ancestor(landing.new, now):
        return False
    if landing.sources:
        window = session.settings["uam.window.commit"]
        landed = {number for number, outcome in landing.detail.outcomes.items() if outcome.failure is None}
        sources = gathered.with_carried(session.store, action.id)
        drop_pins(session, [source.tip for source in sources if source.id in landed], [s.id for s in sources])
        finish.on_branch(session.store, action, landing, window)
    else:
        finish.squashed(session.store, action, landing)
    reached(Step.FINISHED)
    return True


def would_stay(session: Session, plan: Plan) -> Failure | None:
    """Why the branch of a plan would not move now; None when it would. Changes nothing.

    Commits that are in flight and locks are not looked at: they pass.
    """
    paths = session.repo.paths.seen_from(plan.worktree)
    why = obstacle(session.repo, paths, plan.ref, plan.old, plan.new, plan.mine)
    return Failure(stays(plan, why)) if why else None


def stays(plan: Plan, why: str) -> str:
    """That a branch is left where it is, in words."""
    return f"{short_target(plan.ref)} stays where it is: {why}"


def conflict_words(action: Action, conflict: Conflict) -> str:
    """What a conflict with a branch of this repository is, in words."""
    files, target = ", ".join(conflict.files[:5]), short_target(action.ref)
    if action.action_type == ActionType.MERGE:
        return f"conflict in {files} between {action.payload['source']} and {target}"
    return f"conflict in {files} with what {target} has by now"


def left_out(plan: Plan) -> Outcomes:
    """The outcomes of the sources that conflict."""
    return {
        number: Outcome(failure=Failure(conflict_words(plan.action, conflict)), files=conflict.files)
        for number, conflict in plan.conflicts.items()
    }


def _journal_entry(batch: Batch, plan: Plan, failed: Outcomes) -> NewLanding:
    done = {
        s.id: Outcome(
            batch=batch.number,
            how=plan.how,
            ref=plan.ref,
            old="" if plan.old == ZERO else plan.old,
            new=plan.new,
            keep=plan.keep,
            commits=plan.counts[s.id],
            company=tuple(sorted({o.agent for o in plan.landed} - {s.agent})),
        )
        for s in plan.landed
    }
    detail = Detail(plan.how, {**done, **failed}, plan.commits, plan.proof, plan.worktree)
    return NewLanding(
        plan.action.id, plan.remote, plan.ref, plan.old, plan.new, plan.keep, tuple(s.id for s in plan.landed), detail
    )
