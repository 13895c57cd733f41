"""What another clone's queue says became of a push from here: brought here, and written down."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from uam_hooks.fleet import ended
from uam_hooks.fleet.neighbour import Neighbour, bring
from uam_hooks.git.remote import Remote, Unreachable
from uam_hooks.git.scratch import SCRATCH
from uam_hooks.hot.core.errors import GitFailed, Refused
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.queue.model import Source, SourceStatus
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.session import Session
from uam_hooks.store import entrusted
from uam_hooks.store.entrusted import Entrusted


def write_down(
    session: Session, there: Neighbour, one: Entrusted, guests: Mapping[int, Source | None]
) -> None:  # fmt: skip
    """End what has ended there of a push; `guests` is what its sources are there, None for what is not there."""
    said: dict[int, Outcome] = {}
    for source in one.pending:
        guest = guests.get(source.id)
        if guest is None or guest.status == SourceStatus.PENDING:
            continue
        if guest.status == SourceStatus.WITHDRAWN:
            entrusted.withdrawn(session.store, one.action, [source.id], guest.outcome.error or "it was withdrawn")
        else:
            said[source.id] = guest.outcome
    if said:
        _end(session, there, one, said)
    # what a newer push from here has replaced may be landing there: nothing here overtakes it before that has ended
    if not one.pending and all(g is None or g.status != SourceStatus.PENDING for g in guests.values()):
        entrusted.end_empty(session.store, one.action)


def _end(session: Session, there: Neighbour, one: Entrusted, said: Mapping[int, Outcome]) -> None:
    """End sources of a push, those of each landing for themselves: that says what the remote had after it."""
    landings: dict[str, dict[int, Outcome]] = {}
    for number, outcome in said.items():
        landings.setdefault("" if outcome.failure is not None else outcome.new, {})[number] = outcome
    remote = Remote(session.repo, session.settings, one.action.remote)
    for new, outcomes in landings.items():
        fresh = one._replace(sources=entrusted.sources(session.store, one.action))
        if not new:
            ended.end(session, remote, fresh, outcomes, ZERO)
            continue
        keeps = dict.fromkeys(outcome.keep or outcome.new for outcome in outcomes.values())
        try:
            _fetch(session, there, one, list(keeps))
        except (GitFailed, Refused):  # it may be on the remote, if not there any more
            _ask(session, remote, fresh, outcomes)
            continue
        if not ended.end(session, remote, fresh, outcomes, _newest(session, remote, one, new)):
            _ask(session, remote, fresh, outcomes)


def _fetch(session: Session, there: Neighbour, one: Entrusted, keeps: Sequence[str]) -> None:
    """Bring what a landing made here; what holds it until it is pinned goes with the pins of what has landed."""
    tips = {source.tip for source in one.sources}
    missing = [keep for keep in keeps if keep not in tips]
    if missing:
        names = {f"{SCRATCH}{os.getpid()}.h{n}": keep for n, keep in enumerate(missing)}
        specs = [f"+{keep}:{name}" for name, keep in names.items()]
        bring(session.repo, session.settings, there.paths.common_dir, specs)
        session.repo.used_up += [(name, ZERO, keep) for name, keep in names.items()]


def _newest(session: Session, remote: Remote, one: Entrusted, new: str) -> str:
    """What the remote is known to have: the landing, or what somebody has fetched since that stands on it.

    That the landing is there says the journal of the other queue, which has pushed it.
    """
    tracking = remote.memory.tracking(one.action.ref)
    known = session.repo.name_of(tracking)[0] if tracking is not None else ""
    return known if known and session.repo.is_ancestor(new, known) else new


def _ask(session: Session, remote: Remote, one: Entrusted, outcomes: Mapping[int, Outcome]) -> None:
    """End what the remote itself says to have."""
    try:
        there = remote.observe([one.action.ref])[one.action.ref]
    except Unreachable:
        return  # another time
    ended.end(session, remote, one, outcomes, there)
