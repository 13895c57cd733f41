"""A command that flushes in a clone of a fleet. The fleet knows the flushers of this clone, one for each lane, so the
command has these land what waits, and waits for that.
"""

from __future__ import annotations

import os
import time
from functools import partial

from uam_hooks.fleet.abroad import Abroad
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.queue.bell import WAITERS, Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.session import Session
from uam_hooks.store import entrusted, guests

LOOK_SECONDS = 1.0


class Beside(Abroad):
    """What such a command does: it claims nothing that a flusher is to hand over, or has in hand for others."""

    def __init__(self) -> None:
        self._left: frozenset[int] = frozenset()

    def exchange(self, session: Session, lane: Lane, *, landing: bool = False) -> None:  # noqa: ARG002 - as Abroad has it
        """See Abroad."""
        staying = guests.staying(session.store, str(session.settings["uam.fleet"]))
        own = entrusted.candidates(session.store, lane)
        self._left = frozenset([one.action.id for one in own] + [one.action for one in staying])

    def left(self) -> frozenset[int]:
        """See Abroad."""
        return self._left

    def bring_on(self, session: Session, lane: Lane, seconds: float) -> list[str]:
        """See Abroad. What is in the hands of another machine is due there, too."""
        until = time.monotonic() + seconds
        own, handed = entrusted.candidates(session.store, lane), entrusted.handed_over(session.store, lane)
        numbers = {one.action.id for one in (*own, *handed)}
        entrusted.hasten(session.store, numbers)
        open_ = set(numbers)
        with Bell(session.repo.paths.bells, WAITERS) as bell:
            while (open_ := entrusted.still_open(session.store, open_)) and time.monotonic() < until:
                for remote in entrusted.remotes(session.store, lane):
                    environment = partial(reduced, os.environ, session.settings)
                    ensure_flusher(session.repo.paths, Lane(lane.identity, remote), environment)
                bell.wait(min(LOOK_SECONDS, until - time.monotonic()))
        return entrusted.batches(session.store, numbers - open_)
