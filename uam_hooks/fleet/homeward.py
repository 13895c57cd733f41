"""What was handed over comes home: for whoever cancels it, and for a clone that leaves.

Another machine may have begun to land it at that moment. The remote decides: what it has landed has landed, and what
lands from here after that brings nothing new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from uam_hooks.fleet import address
from uam_hooks.fleet.clone import clone_of
from uam_hooks.fleet.joining import in_fleet
from uam_hooks.hot.core.errors import Advice, Refused, UamError
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import where
from uam_hooks.hot.queue.reasons import place
from uam_hooks.session import Session
from uam_hooks.store import entrusted
from uam_hooks.store.entrusted import Entrusted

if TYPE_CHECKING:
    from uam_hooks.fleet.database import Fleet

EVERYTHING = Lane(None, None)


def handed_over(session: Session, ids: Collection[int] | None = None) -> list[Entrusted]:
    """What is in the hands of a fleet: of these actions, or all of it."""
    found = entrusted.handed_over(session.store, EVERYTHING)
    return [one for one in found if ids is None or one.action.id in ids]


def bring_home(session: Session, ids: Collection[int]) -> list[Entrusted]:
    """Bring these actions home, as far as they were handed over to a fleet; returns those.

    What became of them elsewhere is written down. Refused where one of them has ended by that, or cannot come home;
    UamError where that cannot be told.
    """
    handed = handed_over(session, ids)
    for place_of in dict.fromkeys(one.action.entrusted for one in handed):
        _from_fleet(session, place_of, [one for one in handed if one.action.entrusted == place_of])
    left = handed_over(session, [one.action.id for one in handed])
    for one in left:
        raise Refused(
            f"#{one.action.id} for {where(one.action)} is being landed by {place(one.action.entrusted)}.",
            Advice.of("{} waits until it has ended.", "git", "uam", "wait", str(one.action.id)),
        )
    return handed


def _from_fleet(session: Session, name: str, handed: Sequence[Entrusted]) -> None:
    now, url = in_fleet(session)
    if now != name:
        raise Refused(
            f"#{handed[0].action.id} is in the hands of the fleet {name}, and this clone is in {now}.",
            Advice.of("{} lands it from here.", "git", "uam", "fleet", "leave", "--force"),
        )
    with connected(session, url, name) as db:
        from_fleet(session, db, handed)


@contextmanager
def connected(session: Session, url: str, name: str) -> Iterator[Fleet]:
    """A connection to the database of a fleet; UamError where it does not answer, or refuses."""
    address.require_extra()
    from uam_hooks.fleet.database import Fleet
    from uam_hooks.fleet.values import Machine

    clone = clone_of(session.repo.paths)
    with closing(Fleet(url, name, Machine(clone.id, clone.name))) as db:
        yield db


def from_fleet(session: Session, db: Fleet, handed: Sequence[Entrusted]) -> None:
    """Take back from the fleet what waits there, and write down what has ended."""
    from uam_hooks.fleet import handing

    for remote in dict.fromkeys(one.action.remote for one in handed):
        those = [one for one in handed if one.action.remote == remote]
        handing.come_home(session, db, those)
        # what did not come home has ended
        handing.hear(session, db, remote, handed_over(session, [one.action.id for one in those]))


def without_fleet(session: Session, handed: Sequence[Entrusted], *, dropping: bool) -> list[str]:
    """Bring home what was handed over to a fleet whose database does not answer: its hidden refs go first.

    Who has not fetched them then lands nothing of it any more. Refused where a remote does not answer either, unless
    all of it is `dropping` out of the queue; returns what could not be done.
    """
    from uam_hooks.fleet import hidden

    said = []
    for remote in dict.fromkeys(one.action.remote for one in handed):
        those = [one for one in handed if one.action.remote == remote]
        try:
            offered = {source.entry: source.tip for one in those for source in one.pending if source.entry}
            if offered.keys() - hidden.clear(session, remote, offered):
                raise UamError(f"{remote} keeps hidden refs of ours.")
        except UamError as error:
            if not dropping:
                raise Refused(
                    f"Neither the fleet's database nor {remote} can be asked, so others may be landing what was handed"
                    f" over: {error.what}",
                    "Try again when one of them answers.",
                ) from error
            said.append(f"others may land what was handed over for {remote}: {error.what}")
        entrusted.bring_home(session.store, [one.action for one in those], waits=True)
    return said
