"""Into the queue: pins for the tips of a push, then its sources."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from uam_hooks.hot.core.errors import Failure, StoreError
from uam_hooks.hot.core.plumbing import Git, is_ancestor, resolve_names
from uam_hooks.hot.core.refs import pin_ref, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.push.accept import accepted
from uam_hooks.hot.push.resolve import ResolvedSpec
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue import enqueue, refusals, windows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.expected import Passed
from uam_hooks.hot.queue.model import ActionType, NewSource
from uam_hooks.hot.queue.outcome import Outcome

# How often a push is resolved whose branch moves while it is queued.
TRIES = 3
ATOMIC = "another ref of this atomic push conflicts"


class BranchMoved(Exception):
    """A branch is not at what was resolved any more; nothing was queued, and it has to be resolved again."""


class Entered(NamedTuple):
    """The specs of a push that are queued, with their tickets, and those that are not: they conflict, see `state`."""

    queued: list[ResolvedSpec]
    refused: list[tuple[ResolvedSpec, Outcome]]


def enter(session: PushSession, specs: Sequence[ResolvedSpec], *, urgent: bool, waits: bool, last: bool) -> Entered:
    """Queue those of `specs` that do not conflict with what waits; of an atomic push, all or none.

    The tips are pinned first: a row never names a commit that git could collect. A push that `waits` gets no window
    when nobody else is at work, because it would gain nothing from one. Raises BranchMoved, unless it is the `last`
    try: what a settle has put on top of a landing meanwhile would conflict with what it was before. So it does where
    somebody else was queued since.
    """
    store = session.store
    urgent = urgent or windows.urgent_here()
    by_hand = not waits and session.settings["uam.push.mode"] == "manual"
    replaced = [_replaced(one.source, session.git, store) for one in specs]
    specs = [
        one._replace(source=one.source._replace(replaces=older, waited_for=waits, by_hand=by_hand))
        for one, older in zip(specs, replaced, strict=True)
    ]
    found = accepted(session, specs, waits)
    refused = [(one, found[n].refusal) for n, one in enumerate(specs)]
    conflicts = [(one, why) for one, why in refused if why is not None]
    if conflicts:
        with suppress(StoreError):  # a figure less: the push is refused all the same
            kept = session.settings["uam.retention"]
            refusals.record(store, [(one.source, why) for one, why in conflicts], time.time(), kept)
    if conflicts and specs[0].source.atomic:
        mates = Outcome(failure=Failure(ATOMIC))
        return Entered([], [(one, why or mates) for one, why in refused])
    states = [found[n].expected for n, (_, why) in enumerate(refused) if why is None]
    specs = [one for one, why in refused if why is None]
    if not specs:
        return Entered([], conflicts)
    window = windows.window(session.settings, store, ActionType.PUSH, urgent)
    hold = windows.hold(session.settings, store, waits, urgent)
    if waits and window and _is_alone(session, specs[0].source.agent):
        window = 0.0
    targets = {short_target(one.source.ref) for one in specs}
    window = windows.before_gates(session.settings, store, specs[0].source.remote, targets, window)
    pins = sorted({one.source.tip for one in specs if one.source.tip})
    if pins:
        feed = [f"update {pin_ref(tip)} {tip}" for tip in pins]
        alone = len(pins) == 1  # for several, a process that only reads costs less than a lock on each of them
        if alone and not last:
            feed = ["start", *feed, "commit", "start", *_still(specs), "commit"]
        ok = (0,) if last else (0, 128)  # another push may be pinning the same in this moment
        lines = "".join(f"{line}\n" for line in feed).encode("utf-8", "surrogateescape")
        if session.git.run("update-ref", "--stdin", feed=lines, ok=ok).code:
            raise BranchMoved
        if not (alone or last) and _moved(session.git, specs):
            raise BranchMoved
    try:
        tickets = enqueue.push(store, [one.source for one in specs], window, time.time(), hold, states, last)
    except Passed:
        raise BranchMoved from None
    return Entered([one._replace(ticket=ticket) for one, ticket in zip(specs, tickets, strict=True)], conflicts)


def _is_alone(session: PushSession, agent: str) -> bool:
    """Whether nobody else is at work: here, or, as far as it was seen here, on another machine of the fleet."""
    settings = session.settings
    company = windows.who_else(settings, session.store, session.paths, agent)
    if settings["uam.queue"] or not company.alone:  # who else uses another clone's queue is not seen here
        return False
    # others have landed what was pushed here; what they have handed over is among the sources
    return not settings["uam.fleet"] or not enqueue.handed_over(session.store, time.time() - (company.seconds or 0.0))


def _named(specs: Sequence[ResolvedSpec]) -> list[tuple[str, str]]:
    """What is pushed, branches or a detached HEAD, each with the tip that it had.

    A settle moves nothing that is pinned: what it moves after the pins stand is not ours, so they are asked then. Of a
    branch nothing but its value is asked: a git that is killed leaves no lock of it behind.
    """
    named = ((one.source.branch or (one.spec.src == "HEAD" and "HEAD"), one.source.tip) for one in specs)
    return [(name, tip) for name, tip in named if name and tip]


def _still(specs: Sequence[ResolvedSpec]) -> list[str]:
    """For `update-ref --stdin`: that what is pushed is still at what was pinned."""
    return [f"verify {pin_ref(tip)} {name}" for name, tip in _named(specs)]


def _moved(git: Git, specs: Sequence[ResolvedSpec]) -> bool:
    """Whether any of what is pushed is not at what was pinned any more; GitFailed where that is not known."""
    named = _named(specs)
    found = resolve_names(git, [name for name, _ in named])
    return any(oid != tip for (oid, _), (_, tip) in zip(found, named, strict=True))


def _replaced(source: NewSource, git: Git, store: Store) -> tuple[int, ...]:
    """The older pushes whose work `source` contains, as it was pushed or as an amend or a rebase rewrote it.

    Anything else that was pushed from the same worktree and branch is separate work and lands by itself.
    """
    if source.verbatim:
        return ()
    older = enqueue.older(store, source)
    names = [tip for _, tips in older for tip in tips]
    here = {oid for oid, _ in resolve_names(git, names)}  # the result of an amend may have been collected by now
    return tuple(
        old for old, tips in older if any(tip in here and is_ancestor(git, tip, source.tip) for tip in reversed(tips))
    )
