"""The pushes of a batch: plan, write down, pin, push. Contention is "again", never "failed"."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import RefUpdate, Remote, Unreachable
from uam_hooks.git.said import heard
from uam_hooks.git.verdict import Pushed
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import original_ref
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, Batch, Source, Status
from uam_hooks.hot.queue.outcome import failed
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land import originals, outcomes, shared_shadow
from uam_hooks.land.ahead import Ahead
from uam_hooks.land.finish import bring_along, contains, noted
from uam_hooks.land.gated import Gating
from uam_hooks.land.one_push import Said, push
from uam_hooks.land.push_plans import Prepared, plan_push, prepare
from uam_hooks.land.remembered import from_memory, over_theirs
from uam_hooks.land.retry import TRIES, fail_or_requeue, failure_of, is_local
from uam_hooks.land.shadow import Memory, move_shadows, remember
from uam_hooks.session import Session
from uam_hooks.store import finish, gathered, journal, views
from uam_hooks.store.finish import End

ATOMIC = "another ref of this atomic push failed"


def land_pushes(session: Session, batch: Batch, pushes: Sequence[Action], ahead: Ahead | None = None) -> None:
    """Land pushes of `batch`, one `git push` for each remote (and for each atomic push).

    While a gate runs, what comes next is tested `ahead`.
    """
    for (remote, options, atomic, _), actions in groups(session, pushes).items():
        with Gating(session, batch, ahead) as gating:
            left = actions
            while left:  # where a gate lets a part of them land, the rest has its turn at once
                _land_or_fail(session, batch, remote, list(options), bool(atomic), left, gating)
                left = [action for action in left if gating.goes_on(action) and _has_more(session, batch, action)]
        session.repo.collection.allow()


def _has_more(session: Session, batch: Batch, action: Action) -> bool:
    return _is_open(session, action) and not _planned_here(session, batch, action)


def _land_or_fail(
    session: Session, batch: Batch, remote: str, options: list[str], atomic: bool, actions: list[Action],
    gating: Gating,
) -> None:  # fmt: skip
    """Land a group. What fails on this machine is tried again, then action by action: only the bad one fails."""
    for left in reversed(range(TRIES)):
        try:
            _land_group(session, batch, remote, options, atomic, actions, gating)
            return
        except Exception as error:
            failure = failure_of(error)
            say(f"batch {batch.number}: {failure.what}")
            # what was planned may have been pushed: recovery asks the remote; the rest has not begun
            actions = [a for a in actions if _has_more(session, batch, a)]
            if not is_local(error):
                left = 0
            elif left:
                session.repo.look_again()
            elif len(actions) > 1 and not atomic:
                for action in actions:
                    _land_or_fail(session, batch, remote, options, atomic, [action], gating)
                return
            if not left:
                _fail(session, actions, failure)
                return


def _is_open(session: Session, action: Action) -> bool:
    now = views.action(session.store, action.id)
    return now is not None and now.batch_id == action.batch_id and now.status in (Status.BATCHED, Status.EXECUTING)


def _planned_here(session: Session, batch: Batch, action: Action) -> bool:
    landing = journal.planned(session.store, action)
    return landing is not None and landing.batch_id == batch.id


def groups(session: Session, pushes: Sequence[Action]) -> dict[tuple[str, tuple[str, ...], str, str], list[Action]]:
    """The actions that share one `git push`, by remote, push options, the name of an atomic push ("": none), and the
    branch that has one to itself ("": none): one that goes with its shadow is not to fail with others.
    """
    found: dict[tuple[str, tuple[str, ...], str, str], list[Action]] = {}
    brought = gathered.sources_of(session.store, [action.id for action in pushes])
    for action in pushes:
        waiting = brought[action.id]
        atomic = next((s.group for s in waiting if s.atomic), "")
        alone = action.ref if not atomic and shared_shadow.refs_of(session, [action.ref]) else ""
        key = action.remote, tuple(action.payload.get("push_options", ())), atomic, alone
        found.setdefault(key, []).append(action)
    return found


def _land_group(
    session: Session, batch: Batch, name: str, options: list[str], atomic: bool, actions: list[Action],
    gating: Gating,
) -> None:  # fmt: skip
    """Land actions that share one `git push`; those whose ref moved are integrated again (uam.flush.retries)."""
    retries = session.settings["uam.flush.retries"]
    asked_again = False
    quicker: list[Plan] = []
    there: dict[str, str] = {}
    hidden: dict[str, str] = {}  # what each ref was listed at when its lease did not hold
    unsent: set[str] = set()  # the refs of which the last try has sent nothing
    said: dict[str, tuple[str, ...]] = {}
    for asked in (False, *[True] * (retries + 1)):
        try:
            remote = Remote(session.repo, session.settings, name)
            if not asked:
                plans, there = ([], {}) if atomic else from_memory(session, batch, remote, actions, gating)
                if not plans:
                    continue
            else:
                plans, there = over_theirs(session, remote, quicker)
                if not there:
                    refs = [action.ref for action in actions]
                    shadows = shared_shadow.refs_of(session, refs)
                    there = remote.observe([*refs, *shadows], originals.refs_of(session, refs))
                plans = plans or _plans(session, batch, remote, actions, there, atomic, asked_again, gating, unsent)
        except Unreachable as error:
            _fail(session, actions, error.failure, said)
            return
        if not plans:
            return
        updates = [RefUpdate(p.action.ref, p.old, p.new, hidden.get(p.action.ref) == p.old) for p in plans]
        along = shared_shadow.updates(session, plans, there, hidden, asked=asked)
        results = push(session, batch, remote, plans, updates, along, there, options, atomic, asked_again, said,
                       gating, asked)  # fmt: skip
        said |= {ref: result.said for ref, result in results.items() if result.said}
        hidden = {one.ref: one.old for one in updates if results[one.ref].stale and not one.hidden}
        hidden |= shared_shadow.unseen(along, results)
        unsent = {ref for ref, result in results.items() if result.same}
        asked_again = asked_again or any(result.transient for result in results.values())
        again = [plan for plan in plans if results[plan.action.ref].pushed in (Pushed.CONTENDED, Pushed.UNPINNED)]
        pinned = all(results[plan.action.ref].pushed == Pushed.CONTENDED for plan in again)
        # where more goes along, it has to be known where that of others is by now; and a gate has to see it
        quick = pinned and not (asked_again or originals.are_pushed(session) or shared_shadow.are_shared(session))
        quicker = again if quick and not any(gating.guards(plan.action) for plan in again) else []
        actions = [plan.action for plan in again]
        if not actions:
            return
    why = f"others pushed in between {retries + 1} times in a row; your commits are safe, push again"
    _fail(session, actions, Failure(why, transient=True), said)


def _plans(
    session: Session, batch: Batch, remote: Remote, actions: Sequence[Action], there: dict[str, str], atomic: bool,
    thorough: bool, gating: Gating, unsent: Collection[str],
) -> list[Plan]:  # fmt: skip
    """The plans that need a push; everything else is finished here. Of the refs `unsent` the batch has sent nothing."""
    found: list[Plan] = []
    broken = False
    shadows = shared_shadow.refs_of(session, [action.ref for action in actions])
    tips = Tips(session.repo).seen(remote.name, {ref: there[ref] for ref in shadows})
    waiting = []
    _finish_late(session, remote, batch, actions, there, unsent)
    brought = gathered.sources_of(session.store, [action.id for action in actions])
    for action in actions:
        if sources := brought[action.id]:
            waiting.append((action, sources))
        else:
            finish.action(session.store, action, {})
    prepared = _prepared(session, remote.name, waiting, there, tips)
    for action, sources in waiting:

        def replan(
            some: Sequence[Source], over: str, action: Action = action, everything: Sequence[Source] = sources
        ) -> Plan:
            known = prepared if (list(some), over) == (list(everything), there[action.ref]) else None
            return plan_push(session, batch, action, some, over, tips, thorough=thorough, prepared=known)

        try:
            part = gating.part(action, sources, there[action.ref], replan, atomic=atomic)
            if part is None:
                gating.blame(action)
                finish.action(session.store, action, {})
                broken = True
                continue
            plan = part
        except Exception as error:
            broken = True
            _fail(session, [action], failure_of(error))
            continue
        for number, why in plan.refused.items():
            finish.failed(session.store, failed([number], why))
        broken = broken or bool(plan.conflicts or plan.refused)
        if plan.new == plan.old:
            _finish_unchanged(session, batch, remote, plan, sources)
        else:
            found.append(plan)
    if atomic and broken:
        _fail(session, [plan.action for plan in found], Failure(ATOMIC))
        return []
    return found


def _prepared(
    session: Session, remote: str, pushes: Sequence[tuple[Action, Sequence[Source]]], there: Mapping[str, str],
    tips: Tips,
) -> Prepared | None:  # fmt: skip
    """What the plans of these pushes need, asked at once; None where something of it is wrong: whose it is comes out
    when they are planned one by one.
    """
    merged = [(action, sources) for action, sources in pushes if not sources[0].verbatim]
    try:
        return prepare(session, remote, merged, there, tips) if merged else None
    except Exception:
        return None


def _finish_late(
    session: Session, remote: Remote, batch: Batch, actions: Sequence[Action], there: Mapping[str, str],
    unsent: Collection[str],
) -> None:  # fmt: skip
    """A push that outlived the process which started it: what it landed must not land again.

    Of the refs `unsent` the batch has sent nothing, so what is there is not its landing, whatever it is called.
    """
    left = journal.landings(session.store, remote.name, [action.ref for action in actions if there[action.ref] != ZERO])
    for action in actions:
        for landing in left.get(action.ref, ()):
            if landing.action_id != action.id or (landing.batch_id == batch.id and action.ref in unsent):
                continue
            at = there[action.ref]
            if contains(session.repo, at, landing):
                remember(session.repo, [landing])
                remote.memory.track([Seen(landing.ref, landing.new, at)])
                bring_along(session, [(action, landing.detail.outcomes)])
                said = heard(session.repo.paths.batches, landing.batch_id, action.id)
                finish.sources(session.store, End(action, noted(landing.detail.outcomes, "", said), landing.id))


def _finish_unchanged(session: Session, batch: Batch, remote: Remote, plan: Plan, sources: list[Source]) -> None:
    """Nothing to push: all of it is on the remote already, or nothing of it merged."""
    results = outcomes.of_plan(session.repo, session.store, batch, plan, sources)
    alone = {source.tip for source in plan.landed} & set(plan.commits)  # no landing will hold these
    session.repo.pin({original_ref(time.time(), tip): tip for tip in alone})
    if plan.landed:
        remote.memory.track([Seen(plan.ref, plan.new, plan.old)])
    if plan.landed and plan.keep != plan.old:
        move_shadows(session.repo, [Memory(plan.remote, plan.ref, plan.keep)])
    bring_along(session, [(plan.action, results)])
    if all(source.id in results for source in gathered.sources(session.store, plan.action.id)):
        finish.action(session.store, plan.action, results, commits=plan.commits)
    else:  # a gate is still to decide about the others
        finish.sources(session.store, End(plan.action, results, commits=plan.commits))


def _fail(session: Session, actions: Sequence[Action], failure: Failure, said: Said = MappingProxyType({})) -> None:
    for action in actions:
        fail_or_requeue(session, action, failure, said=said.get(action.ref, ()))
