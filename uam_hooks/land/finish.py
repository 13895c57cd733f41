"""Landings that the remote has: remember their originals, follow with tracking refs and branches, end the actions.

Whatever happens after a plan was written down, `Landing.detail` holds what is needed to finish it, so a flush and a
recovery after a crash end a landing with the same `finish_landed`.
"""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import Remote
from uam_hooks.git.repo import Repository
from uam_hooks.git.verdict import RefOutcome
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.model import Action, Landing, Source, SourceStatus
from uam_hooks.hot.queue.outcome import How, Outcomes
from uam_hooks.land import shared_shadow
from uam_hooks.land.follow import settle_unattended
from uam_hooks.land.retention import unpin
from uam_hooks.land.shadow import remember
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import finish, gathered
from uam_hooks.store.finish import End


def contains(repo: Repository, there: str, landing: Landing) -> bool:
    """Whether a ref that is at `there` on the remote has had this landing."""
    if there == landing.new:
        return True
    return ZERO not in (there, landing.new) and repo.is_ancestor(landing.new, there)


class Landed(NamedTuple):
    """A landing that the remote has, whose ref is at `there` by now. `note` is something that its agents should hear,
    `said` are the lines of the remote's hooks.
    """

    action: Action
    landing: Landing
    there: str
    note: str = ""
    said: tuple[str, ...] = ()


def finish_landed(session: Session, remote: Remote, landed: Sequence[Landed]) -> None:
    """Remember what went into landings of one remote, let the tracking refs be at them, end their actions.

    Each of these is one step for all of them: a process or a transaction costs as much as a hundred refs in it.
    """
    if not landed:
        return
    remember(session.repo, [one.landing for one in landed])
    reached(Step.REMEMBERED)
    remote.memory.track([
        *(Seen(one.landing.ref, one.landing.new, one.there) for one in landed),
        *shared_shadow.seen(session, [one.landing for one in landed]),
    ])  # fmt: skip
    reached(Step.TRACKED)
    ends = [
        End(one.action, noted(one.landing.detail.outcomes, one.note, one.said), one.landing.id,
            one.landing.detail.commits)
        for one in landed
    ]  # fmt: skip
    bring_along(session, [(one.action, one.landing.detail.outcomes) for one in landed])
    _record(session, ends)
    reached(Step.FINISHED)


def _record(session: Session, ends: Sequence[End]) -> None:
    """End actions; where a gate let a part of one land, record that, and the rest of it goes on."""
    brought = gathered.sources_of(session.store, [end.action.id for end in ends])
    whole = [all(source.id in end.outcomes for source in brought[end.action.id]) for end in ends]
    finish.actions(session.store, [end for end, ended in zip(ends, whole, strict=True) if ended])
    for end in (end for end, ended in zip(ends, whole, strict=True) if not ended):
        finish.sources(session.store, end)


def finish_renamed(session: Session, ended: Sequence[tuple[Action, Landing, RefOutcome]]) -> None:
    """End actions whose landing the remote has taken under a name of its own, as a review is.

    Their refs are as they were there, so nothing here follows.
    """
    ends = []
    for action, landing, result in ended:
        old = "" if result.created else landing.old
        results = {
            source: o if o.failure else o._replace(how=How.EXACT, ref=result.name, old=old, keep="", said=result.said)
            for source, o in landing.detail.outcomes.items()
        }
        unpin(session, [_ended(source, results) for source in gathered.with_carried(session.store, action.id)])
        ends.append(End(action, results))
    if ends:
        _record(session, ends)


def bring_along(session: Session, ending: Sequence[tuple[Action, Outcomes]]) -> None:
    """What follows when actions end with these outcomes: branches that nobody waits for move, and pins that are not
    needed go.

    It comes before they end: who is told the end may remove the repository, and finds nothing in the way.
    """
    everything: list[Source] = []
    brought = gathered.all_with_carried(session.store, [action.id for action, _ in ending])
    for action, results in ending:
        sources = [_ended(source, results) for source in brought[action.id]]
        settle_unattended(session, action, sources)
        everything += sources
    unpin(session, everything)


def _ended(source: Source, results: Outcomes) -> Source:
    outcome = results.get(source.id)
    if outcome is None or source.status != SourceStatus.PENDING:
        return source
    return source._replace(outcome=outcome, status=SourceStatus.after(outcome))


def noted(results: Outcomes, note: str, said: tuple[str, ...]) -> Outcomes:
    """The same outcomes, with a note and the words of the remote for those who landed."""
    return {source: o if o.failure else o._replace(note=note, said=said) for source, o in results.items()}
