"""The pushes of a batch: plan, write down, pin, push. Contention is "again", never "failed"."""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.git.remote import Pushed, RefOutcome, RefUpdate, Remote, Unreachable
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Failure, UamError, say
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import landing_ref
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import FAST_FORWARD, Action, ActionType, Batch, Landing, Source
from uam_hooks.hot.queue.outcome import Detail, failed
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Context, Plan, exact_plan, living_shadow, make_plan
from uam_hooks.land import outcomes
from uam_hooks.land.finish import contains, finish_landed
from uam_hooks.land.retry import fail_or_requeue, failure_of
from uam_hooks.land.shadow import memories, move_shadow, remember
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, journal, views
from uam_hooks.store.claim import NewLanding


def land_pushes(session: Session, batch: Batch, pushes: Sequence[Action]) -> None:
    """Land pushes of `batch`, one `git push` for each remote (and for each atomic push)."""
    for (remote, options, atomic), actions in _groups(session.store, pushes).items():
        try:
            _land_group(session, batch, remote, list(options), bool(atomic), actions)
        except Exception as error:
            failure = failure_of(error)
            say(f"batch {batch.number}: {failure.what}")
            # what was planned may have been pushed: recovery asks the remote; the rest has not begun
            _fail(session, [a for a in actions if not _planned_here(session, batch, a)], failure)


def _planned_here(session: Session, batch: Batch, action: Action) -> bool:
    landing = journal.planned(session.store, action)
    return landing is not None and landing.batch_id == batch.id


def _groups(store: Store, pushes: Sequence[Action]) -> dict[tuple[str, tuple[str, ...], str], list[Action]]:
    groups: dict[tuple[str, tuple[str, ...], str], list[Action]] = {}
    for action in pushes:
        waiting = claim.sources(store, action.id)
        atomic = next((s.group for s in waiting if s.atomic), "")
        key = action.remote, tuple(action.payload.get("push_options", ())), atomic
        groups.setdefault(key, []).append(action)
    return groups


def _land_group(
    session: Session, batch: Batch, name: str, options: list[str], atomic: bool, actions: list[Action]
) -> None:
    """Land actions that share one `git push`; those whose ref moved are integrated again (uam.flush.retries)."""
    retries = session.settings["uam.flush.retries"]
    for _ in range(retries + 1):
        try:
            remote = Remote(session.repo, session.settings, name)
            there = remote.observe([action.ref for action in actions])
        except Unreachable as error:
            _fail(session, actions, error.failure)
            return
        plans = _plans(session, batch, actions, there, atomic)
        if not plans:
            return
        results = _push(session, batch, remote, plans, options, atomic)
        actions = [plan.action for plan in plans if results[plan.action.ref].pushed == Pushed.CONTENDED]
        if not actions:
            return
    why = f"others pushed in between {retries + 1} times in a row; your commits are safe, push again"
    _fail(session, actions, Failure(why, transient=True))


def _plans(
    session: Session, batch: Batch, actions: Sequence[Action], there: dict[str, str], atomic: bool
) -> list[Plan]:
    """The plans that need a push; everything else is finished here."""
    found: list[Plan] = []
    broken = False
    for action in actions:
        _finish_late(session, action, there[action.ref])
        sources = claim.sources(session.store, action.id)
        if not sources:
            finish.action(session.store, action, {})
            continue
        plan = _plan_or_fail(session, batch, action, sources, there[action.ref])
        if plan is None:
            broken = True
            continue
        broken = broken or bool(plan.conflicts)
        if plan.new == plan.old:
            _finish_unchanged(session, batch, plan, sources)
        else:
            found.append(plan)
    if atomic and broken:
        _fail(session, [plan.action for plan in found], Failure("another ref of this atomic push failed"))
        return []
    return found


def _plan_or_fail(session: Session, batch: Batch, action: Action, sources: list[Source], there: str) -> Plan | None:
    """The plan; where a source alone cannot be planned, it fails and the others go on without it."""
    try:
        return plan_action(session, batch, action, sources, there)
    except Exception as error:
        bad = (
            {} if len(sources) == 1 else {s.id: e for s in sources if (e := _why_not(session, batch, action, s, there))}
        )
        if not bad or len(bad) == len(sources):
            _fail(session, [action], failure_of(error))
            return None
    for source in sources:
        if source.id in bad:
            finish.failed(session.store, failed([source.id], bad[source.id]))
    rest = [source for source in sources if source.id not in bad]
    return _plan_or_fail(session, batch, action, rest, there)


def _why_not(session: Session, batch: Batch, action: Action, source: Source, there: str) -> Failure | None:
    """Why this source could not even land alone; None when it could."""
    try:
        plan_action(session, batch, action, [source], there)
    except Exception as error:
        return failure_of(error)
    return None


def plan_action(session: Session, batch: Batch, action: Action, sources: list[Source], there: str) -> Plan:
    """What landing this action now would do; moves nothing. Raises UamError where it cannot land."""
    if sources[0].exact:
        _check_expectation(session.repo, sources[0], there)
        return exact_plan(action, sources[0], there)
    context = Context(
        session.repo, session.settings, batch.id,
        lambda oids: views.noted(session.store, oids), lambda *ref: memories(session, *ref),
        _tagged(session, action.remote), session.settings["uam.squash"] and action.action_type == ActionType.PUSH,
    )  # fmt: skip
    plan = make_plan(context, action, sources, there)
    if action.action_type == ActionType.MERGE and action.payload.get("strategy") == "squash" and plan.new != plan.old:
        # what was squashed here has landed, as far as later pushes of it are concerned
        shadow = living_shadow(session.repo, context.memories(action.remote, action.ref), there)
        held = [oid for oid in (plan.keep, shadow, sources[0].base) if oid and oid != plan.new]
        plan = plan._replace(keep=shadow_of(session.repo, plan.new, *dict.fromkeys(held)))
    return plan


def _tagged(session: Session, remote: str) -> frozenset[str]:
    """The commits that pushed tags of this remote name, and those that are about to be pushed."""
    tips = [tip for tip in views.tag_tips(session.store, remote) if session.repo.kind(tip)]
    if not tips:
        return frozenset()
    return frozenset(session.repo.run("rev-parse", *(f"{tip}^{{}}" for tip in tips)).lines)


def _check_expectation(repo: Repository, source: Source, there: str) -> None:
    """What git itself would have checked before a push that is not integrated."""
    if not source.tip and there == ZERO:
        raise UamError("remote ref does not exist")
    if source.expect is None or there == (source.tip or ZERO):
        return
    if source.expect == FAST_FORWARD:
        if there != ZERO and not repo.is_ancestor(there, source.tip):
            raise UamError("non-fast-forward")
    elif source.expect == "" and there != ZERO:
        raise UamError("already exists")
    elif source.expect not in ("", there):
        raise UamError("stale info")


def _push(
    session: Session, batch: Batch, remote: Remote, plans: list[Plan], options: list[str], atomic: bool
) -> dict[str, RefOutcome]:
    """Write the plan, pin what it made, push, and finish what landed."""
    landings = claim.write_plan(session.store, batch, [_journal_entry(session, batch, plan) for plan in plans])
    reached(Step.PLANNED)
    pins = [(landing_ref(entry.batch_id, entry.id), entry.keep, ZERO) for entry in landings if entry.keep != ZERO]
    session.repo.move_refs(pins, "uam: pin")
    reached(Step.PINNED)
    results = remote.push([RefUpdate(plan.action.ref, plan.old, plan.new) for plan in plans], options, atomic)
    reached(Step.PUSHED)
    if atomic:
        results = _together(results)
    for plan, landing in zip(plans, landings, strict=True):
        result = results[plan.action.ref]
        if result.pushed == Pushed.UNKNOWN:
            result = results[plan.action.ref] = _ask(session, remote, landing, result)
        if result.pushed == Pushed.LANDED:
            finish_landed(session, remote, plan.action, landing, landing.new, result.words)
        elif result.pushed == Pushed.REJECTED:
            fail_or_requeue(session, plan.action, Failure(result.words, result.transient))
    return results


def _together(results: dict[str, RefOutcome]) -> dict[str, RefOutcome]:
    """An atomic push has one outcome: refs that the remote would have taken share the fate of the one it refused."""
    refused = [r for r in results.values() if r.pushed == Pushed.REJECTED]
    if not refused:
        return results
    mates = RefOutcome(Pushed.REJECTED, f"another ref of this atomic push was refused ({refused[0].words})")
    return {ref: result if result.pushed == Pushed.REJECTED else mates for ref, result in results.items()}


def _journal_entry(session: Session, batch: Batch, plan: Plan) -> NewLanding:
    sources = claim.sources(session.store, plan.action.id)
    results = outcomes.of_plan(session.repo, session.store, batch, plan, sources)
    detail = Detail(plan.how, results, plan.commits, plan.proof)
    return NewLanding(
        plan.action.id, plan.action.remote, plan.action.ref, plan.old, plan.new, plan.keep,
        tuple(source.id for source in plan.landed), detail,
    )  # fmt: skip


def _ask(session: Session, remote: Remote, landing: Landing, result: RefOutcome) -> RefOutcome:
    """The connection broke: only the remote knows. Without an answer the outcome stays open for recovery."""
    try:
        there = remote.observe([landing.ref])[landing.ref]
    except Unreachable:
        return result
    if contains(session.repo, there, landing):
        return RefOutcome(Pushed.LANDED, "")
    return RefOutcome(Pushed.REJECTED, result.words, transient=True)


def _finish_late(session: Session, action: Action, there: str) -> None:
    """A push that outlived the process which started it: what it landed must not land again."""
    for landing in journal.landings(session.store, action.remote, action.ref):
        if there != ZERO and landing.action_id == action.id and contains(session.repo, there, landing):
            remember(session.repo, landing)
            finish.sources(session.store, landing.detail.outcomes, landing.id)


def _finish_unchanged(session: Session, batch: Batch, plan: Plan, sources: list[Source]) -> None:
    """Nothing to push: all of it is on the remote already, or nothing of it merged."""
    results = outcomes.of_plan(session.repo, session.store, batch, plan, sources)
    if plan.landed and plan.keep != plan.old:
        move_shadow(session.repo, plan.action.remote, plan.action.ref, plan.keep, "uam: nothing to land")
    finish.action(session.store, plan.action, results, commits=plan.commits)


def _fail(session: Session, actions: Sequence[Action], failure: Failure) -> None:
    for action in actions:
        fail_or_requeue(session, action, failure)
