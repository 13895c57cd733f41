"""Taking a push out of another queue, which somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from uam_hooks.fleet.clone import clone_of
from uam_hooks.fleet.hub import exchanging
from uam_hooks.fleet.neighbour import Neighbour, shown
from uam_hooks.hot.core.errors import Advice, Locked, Refused, UamError
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.model import SourceStatus
from uam_hooks.session import Session
from uam_hooks.store import entrusted, guests
from uam_hooks.store.entrusted import Entrusted

_LOCK_SECONDS = 10.0


def recall(session: Session, action_ids: Sequence[int], why: str = "cancelled by hand") -> list[int]:
    """Cancel those of the actions that other clones have, there and here; returns the others.

    Refused for one that the other queue is landing, or where that cannot be asked.
    """
    handed = entrusted.of(session.store, action_ids)
    if handed:
        with exchanging(session, _LOCK_SECONDS) as mine:
            if not mine:
                raise Locked("Another process was talking to the other queue all the while.", "Try it again.")
            for one in handed:
                _take_back(session, one, why)
    taken = {one.action.id for one in handed}
    return [number for number in action_ids if number not in taken]


def _take_back(session: Session, one: Entrusted, why: str) -> None:
    number, where = one.action.id, shown(Path(one.where))
    own = clone_of(session.repo.paths).id
    origins = [f"{own}/{source.entry}" for source in one.pending]
    try:
        there = Neighbour(Path(one.where), session)
    except (UamError, OSError) as error:
        raise Refused(
            f"#{number} is in the queue of {where}, which cannot be asked: {error}",
            Advice.of("{} says what mends that.", "git", "uam", "doctor"),
        ) from None
    with closing(there):
        enqueue.withdraw(there.store, list(guests.numbers(there.store, origins).values()), why)
        left = [s for s in guests.found(there.store, origins).values() if s.status != SourceStatus.WITHDRAWN]
        if left:
            raise Refused(
                f"#{number} is landing in the queue of {where} and cannot be cancelled.",
                Advice.of("{} says what becomes of it.", "git", "uam", "wait", str(number)),
            )
        entrusted.withdrawn(session.store, one.action, [source.id for source in one.pending], why)
        guests.all_told(there.store, origins)
