"""Originals that a landing takes to the remote, where other clones can fetch them: refs/uam/originals/<branch>.

They go in the landing's own push, and whatever is wrong with them is no reason for it to fail: then they stay here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uam_hooks.git.remote import RefUpdate, Remote
from uam_hooks.git.verdict import Pushed, RefOutcome
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, observed_ref, originals_ref
from uam_hooks.hot.core.sideband import Speaking
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.model import Batch, Landing
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate.merge import originals_of
from uam_hooks.integrate.plan import Plan
from uam_hooks.session import Session
from uam_hooks.store import journal

Results = dict[str, RefOutcome]  # by ref
# What leaves commits that the branch does not have.
_REMADE = (How.SQUASHED, How.SQUASH, How.MOVED, How.KEPT)
# How far back it is looked for what was sent before.
_NEAR = 100


def are_pushed(session: Session) -> bool:
    """Whether originals go to remotes."""
    return bool(session.settings["uam.originals"] == "push")


def refs_of(session: Session, refs: Sequence[str]) -> list[str]:
    """The refs for the originals of what lands on `refs`; none where they stay here."""
    return [originals_ref(ref) for ref in refs if ref.startswith(HEADS)] if are_pushed(session) else []


class Sending(NamedTuple):
    """A push of plans to a remote: the `updates` of their refs, how git is to send them, and what goes `along`: their
    shadows, where machines share them.
    """

    remote: Remote
    plans: Sequence[Plan]
    updates: Sequence[RefUpdate]
    options: Sequence[str]
    atomic: bool
    speaking: Speaking
    along: Sequence[RefUpdate]


def push(session: Session, sending: Sending, there: Mapping[str, str], *, apart: bool) -> tuple[Results, Results]:
    """Push plans with their originals; gives what became of the ones and of the others.

    `there` is what the remote has in the refs for originals. They are sent after the landing where nothing may go with
    it (`apart`): an atomic push lands with all that it has or not at all. Where the landing is refused, it is sent
    once more without them: a hook may judge a push as a whole.
    """
    remote, plans, updates, options, atomic, speaking, along = sending
    apart = apart or atomic or bool(along)
    more, sent = ([], {}) if apart else _updates(session, remote, plans, there)
    results = remote.push([*updates, *more], options, atomic, speaking, along)
    sent |= {update.ref: results.pop(update.ref) for update in more}
    refused = [update for update in updates if results[update.ref].pushed == Pushed.REJECTED]
    if more and refused:
        results |= remote.push(refused, options, atomic, speaking)  # nothing goes along then
    late = [
        plan for plan in plans if results[plan.ref].pushed == Pushed.LANDED
        and (apart or ((one := sent.get(originals_ref(plan.ref))) is not None and one.pushed == Pushed.CONTENDED))
    ]  # fmt: skip
    return results, sent | _later(session, sending, late)


def _later(session: Session, sending: Sending, plans: Sequence[Plan]) -> Results:
    """Send the originals of plans that have landed, over what the remote has by now."""
    remote, refs = sending.remote, refs_of(session, [plan.ref for plan in plans])
    if not refs:
        return {}
    try:
        more, sent = _updates(session, remote, plans, remote.observe([], refs))
        return sent | (remote.push(more, sending.options, False, sending.speaking) if more else {})
    except UamError as error:
        return {ref: RefOutcome(Pushed.REJECTED, error.what) for ref in refs}


def _updates(
    session: Session, remote: Remote, plans: Sequence[Plan], there: Mapping[str, str]
) -> tuple[list[RefUpdate], Results]:
    """What the refs for the originals of these plans are to be, over what the remote has, and those of which nobody
    can say that.

    The new commit of each stands on the one before it, so what was sent once can be reached for ever.
    """
    found: list[RefUpdate] = []
    failed: Results = {}
    for plan in plans if are_pushed(session) else ():
        name = originals_ref(plan.ref)
        try:
            tips = _remade(session, plan)
            if tips and name not in there:
                failed[name] = RefOutcome(Pushed.REJECTED, "what is there could not be fetched")
            elif tips and (update := _update(session, remote, plan, tips, there[name])) is not None:
                found.append(update)
        except UamError as error:
            failed[name] = RefOutcome(Pushed.REJECTED, error.what)
    return found, failed


def _remade(session: Session, plan: Plan) -> list[str]:
    """The tips of what lands on a branch in another form, or was given one here before it was pushed."""
    if not plan.ref.startswith(HEADS) or plan.new == ZERO:
        return []
    hows = {one.tip: plan.became[one.id].how if one.id in plan.became else plan.how for one in plan.landed}
    tips = [tip for tip, how in hows.items() if how in _REMADE and plan.keep != plan.new]
    for keep in journal.kept_here(session.store, plan.commits):
        if session.repo.kind(keep) == "commit":
            tips += session.repo.commit(keep).parents[1:]  # the first is what they became
    return tips


def _update(session: Session, remote: Remote, plan: Plan, tips: Sequence[str], before: str) -> RefUpdate | None:
    repo, name = session.repo, originals_ref(plan.ref)
    known = [] if before == ZERO else [before]
    new = [tip for tip in tips if not any(repo.descends(oid, tip, _NEAR) for oid in known)]
    if not new:  # sent by a push whose landing was refused, because others had moved the branch
        return None
    commit = originals_of(repo, plan.new, plan.ref, known, new)
    # nothing else names it before it is sent, and the next one is made on top of it without fetching it
    own = observed_ref(remote.name, name)
    repo.move_refs([(own, commit, repo.refs(own).get(own, ZERO))], "uam: originals")
    return RefUpdate(name, before, commit)


def noted(words: str, sent: Mapping[str, RefOutcome], landing: Landing, batch: Batch) -> str:
    """The words about a landing, and about its originals where those may be missing on the remote."""
    outcome, here = sent.get(originals_ref(landing.ref)), f"they are here: git uam show {batch.number}"
    if outcome is None or (outcome.pushed == Pushed.LANDED and not outcome.words):
        return words
    if outcome.pushed == Pushed.LANDED:
        more = f"the originals {outcome.words}"
    elif outcome.pushed == Pushed.UNKNOWN:
        more = f"it is not known whether {landing.remote} has the originals, too; {here}"
    else:
        more = f"{landing.remote} did not take the originals ({outcome.words}); {here}"
    return f"{words}; {more}" if words else more
