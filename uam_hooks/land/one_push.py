"""One push of plans: written down, pinned and sent, and what landed of it is finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from uam_hooks.git.remote import RefUpdate, Remote, Unreachable
from uam_hooks.git.said import bounded
from uam_hooks.git.scratch import clear
from uam_hooks.git.verdict import Pushed, RefOutcome
from uam_hooks.hot.core.errors import Failure, GitFailed
from uam_hooks.hot.core.refs import originals_ref, shared_shadow_ref
from uam_hooks.hot.core.sideband import Speaking, path_of, together
from uam_hooks.hot.queue.bell import WAITERS, ring
from uam_hooks.hot.queue.model import Batch, Landing, Source
from uam_hooks.hot.queue.outcome import Detail
from uam_hooks.integrate.plan import Plan
from uam_hooks.land import originals, outcomes, shared_shadow
from uam_hooks.land.finish import Landed, contains, finish_landed, finish_renamed
from uam_hooks.land.gated import Gating
from uam_hooks.land.pins import not_pinned
from uam_hooks.land.retry import fail_or_requeue
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import claim, gathered
from uam_hooks.store.claim import NewLanding

# what the remote said of each ref
Said = Mapping[str, tuple[str, ...]]


def push(
    session: Session, batch: Batch, remote: Remote, plans: list[Plan], updates: list[RefUpdate], along: list[RefUpdate],
    there: Mapping[str, str], options: list[str], atomic: bool, last: bool, said: Said, gating: Gating, asked: bool,
) -> dict[str, RefOutcome]:  # fmt: skip
    """Write the plan, pin what it made, push, and finish what landed.

    Where the remote was not `asked` before, and turns out to have all of it, the answer is still to be found. A push
    that broke off before the remote had it may be tried once more: as contended, unless it is the `last` try.
    `said` is what the remote said of each ref in the tries before, which its outcome is to have, too.
    """
    with session.store.reading():
        brought = gathered.sources_of(session.store, [plan.action.id for plan in plans])
        entries = [_journal_entry(session, batch, plan, brought[plan.action.id]) for plan in plans]
    landings = claim.write_plan(session.store, batch, entries)
    reached(Step.PLANNED)
    if (why := not_pinned(session.repo, landings)) is not None:
        return {plan.action.ref: RefOutcome(Pushed.UNPINNED, why) for plan in plans}
    reached(Step.PINNED)
    heard_in = path_of(session.repo.paths.batches, batch.id, landings[0].id)
    about = {name: plan.action.id for plan in plans
             for name in (plan.ref, originals_ref(plan.ref), shared_shadow_ref(plan.ref))}  # fmt: skip
    with Speaking(heard_in, about, partial(ring, session.repo.paths.bells, WAITERS)) as speaking:
        sending = originals.Sending(remote, plans, updates, options, atomic, speaking, along)
        results, kept = shared_shadow.push(session, sending, there, apart=last)
    reached(Step.PUSHED)
    results = {
        ref: result._replace(said=bounded(together(said.get(ref, ()), result.said))) for ref, result in results.items()
    }
    if atomic:
        results = _together(results)
    if not asked:
        results |= {ref: one._replace(pushed=Pushed.CONTENDED) for ref, one in results.items() if one.same}
    results |= _asked(session, remote, [one for one in landings if results[one.ref].pushed == Pushed.UNKNOWN],
                      results, last)  # fmt: skip
    ended = [(plan.action, landing, results[landing.ref]) for plan, landing in zip(plans, landings, strict=True)]
    landed = [
        Landed(action, landing, landing.new,
               "; ".join(filter(None, (originals.noted(result.words, kept, landing, batch), gating.note(action)))),
               result.said)
        for action, landing, result in ended if result.pushed == Pushed.LANDED
    ]  # fmt: skip
    if not landed:  # else that goes with the pins
        clear(session.repo)
    finish_landed(session, remote, landed)
    finish_renamed(session, [one for one in ended if one[2].pushed == Pushed.RENAMED])
    for action, _, result in ended:
        if result.pushed == Pushed.REJECTED:
            fail_or_requeue(session, action, Failure(result.words, result.transient), said=result.said)
    return results


def _together(results: dict[str, RefOutcome]) -> dict[str, RefOutcome]:
    """An atomic push has one outcome: refs that the remote would have taken share the fate of the one it refused."""
    refused = [r for r in results.values() if r.pushed == Pushed.REJECTED and not r.collateral]
    if not refused:
        contended = any(r.pushed == Pushed.CONTENDED for r in results.values())
        return {r: o._replace(pushed=Pushed.CONTENDED) if contended and o.collateral else o for r, o in results.items()}
    why = f"another ref of this atomic push was refused ({refused[0].words})"
    mates = RefOutcome(Pushed.REJECTED, why, said=refused[0].said)
    return {ref: result if result.pushed == Pushed.REJECTED else mates for ref, result in results.items()}


def _journal_entry(session: Session, batch: Batch, plan: Plan, pending: list[Source]) -> NewLanding:
    """The landing of a plan; of the sources that wait, a gate may leave some for later."""
    meant = {*(source.id for source in plan.landed), *plan.conflicts, *plan.refused}
    sources = [source for source in pending if source.id in meant]
    results = outcomes.of_plan(session.repo, session.store, batch, plan, sources)
    detail = Detail(plan.how, results, plan.commits, plan.proof)
    return NewLanding(
        plan.action.id, plan.action.remote, plan.action.ref, plan.old, plan.new, plan.keep,
        tuple(source.id for source in plan.landed), detail,
    )  # fmt: skip


def _asked(
    session: Session, remote: Remote, landings: Sequence[Landing], results: Mapping[str, RefOutcome], last: bool
) -> dict[str, RefOutcome]:
    """The connection broke: only the remote knows. Without an answer the outcomes stay open for recovery."""
    if not landings:
        return {}
    try:
        there = remote.observe([landing.ref for landing in landings])
    except Unreachable:
        return {}
    found = {}
    for landing in landings:
        words, said = results[landing.ref].words, results[landing.ref].said
        with suppress(GitFailed):  # then this one stays open, too
            if contains(session.repo, there[landing.ref], landing):
                found[landing.ref] = RefOutcome(Pushed.LANDED, "", said=said)
            else:
                found[landing.ref] = RefOutcome(Pushed.REJECTED if last else Pushed.CONTENDED, words, True, said)
    return found
