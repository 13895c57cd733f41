"""Where pushes go that are not landed from here: nowhere, to the queue of another clone, or to a fleet."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path

from uam_hooks.hot.queue.bell import Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.session import Session
from uam_hooks.store import entrusted


class Abroad:
    """What one process does about other queues; this one does nothing, and loads nothing.

    It lives as long as the flusher, or a command that flushes.
    """

    def exchange(self, session: Session, lane: Lane, *, landing: bool = False) -> None:
        """Hand over what is landed elsewhere, and write down what has become of it there; with `landing`, take in what
        is to land in the batch that is claimed next.
        """

    def left(self) -> frozenset[int]:
        """The actions that are not to be claimed here for now."""
        return frozenset()

    def waits(self, _session: Session, _lane: Lane) -> bool:
        """Whether something of the lane is in the hands of others."""
        return False

    def bring_on(self, _session: Session, _lane: Lane, _seconds: float) -> list[str]:
        """Have all that others hold of a lane landed now, and wait for its end, for at most `seconds`.

        Returns the ids of the batches here in which it has ended.
        """
        return []

    def wait(self, bell: Bell, seconds: float) -> bool:
        """Wait until the bell rings, others have something to tell, or for `seconds`; whether there may be something to
        exchange.
        """
        bell.wait(seconds)
        return False

    def due_in(self) -> float:
        """In how many seconds something of others is due that is to be taken in here; infinite where nothing is."""
        return inf

    def close(self) -> None:
        """Let go of everything that is held for a lane."""


class Elsewhere:
    """The `Abroad` of a process, a flusher or a command: that of the settings as they are, and the same while these
    are the same.
    """

    def __init__(self, *, flusher: bool = False) -> None:
        self._is_flusher = flusher
        self._asked: tuple[str, ...] = ()
        self._now = Abroad()

    def now(self, session: Session) -> Abroad:
        """What these settings ask for, and what was handed over under earlier ones."""
        asked = tuple(str(session.settings[name]) for name in ("uam.fleet", "uam.fleet.url", "uam.queue"))
        if not any(asked):
            asked = (*asked, *entrusted.places(session.store))
        if any(asked) and asked != self._asked:
            self.close()
            self._now = _made(asked, flusher=self._is_flusher)
        elif not any(asked):
            self.close()
        self._asked = asked
        return self._now

    def close(self) -> None:
        """Let go of everything; what is asked for next is made anew."""
        self._now.close()
        self._now, self._asked = Abroad(), ()

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _made(asked: tuple[str, ...], *, flusher: bool) -> Abroad:
    fleet, url, queue, *left = asked
    if fleet and url and not flusher:
        from uam_hooks.fleet.beside import Beside

        return Beside()
    if fleet and url:
        _reach_packages()
        from uam_hooks.fleet.member import Member

        return Member()
    if queue or any(map(entrusted.is_directory, left)):
        from uam_hooks.fleet.hub import Hub

        return Hub()
    return Abroad()


def _reach_packages() -> None:
    """Let packages be found that lie in the environment of this interpreter: flushers start without `site`, and this
    one may run from a checkout.
    """
    lib = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = Path(sys.executable).parents[1] / "lib" / lib / "site-packages"
    if str(found) not in sys.path and found.is_dir():
        sys.path.append(str(found))
