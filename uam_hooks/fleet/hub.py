"""The pushes of this clone in the queue of another one on this machine (uam.queue): no server, and nothing to agree on.

What is handed over is written down here first: from then on nobody lands it from here or takes it back, and whoever
finds that the other queue does not have it enters it there once more, under the same name. So it lands once, however
often that is tried. What has become of it is read there and written down here, as if it had landed from here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from select import POLLIN, poll

from uam_hooks.fleet.abroad import Abroad
from uam_hooks.fleet.clone import clone_of
from uam_hooks.fleet.entering import NotTaken, enter
from uam_hooks.fleet.home import write_down
from uam_hooks.fleet.neighbour import Berth, Neighbour, Unfit, home_of, shown
from uam_hooks.hot.core.errors import StoreError, UamError
from uam_hooks.hot.core.identity import place_of
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.bell import WAITERS, Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.hot.queue.model import Source, SourceStatus
from uam_hooks.session import Session
from uam_hooks.store import entrusted, guests
from uam_hooks.store.entrusted import Entrusted

# Where a bell cannot be heard, one looks that often.
_DEAF_SECONDS = 0.5
# How long one waits for who exchanges just now, and how often it is looked.
_PATIENCE_SECONDS, _LOCK_SECONDS = 2.0, 0.02


class Hub(Abroad):
    """The queues of other clones that have, or are to have, pushes of this one."""

    def __init__(self) -> None:
        self._neighbours: dict[str, Neighbour] = {}
        self._own = ""
        self._left: frozenset[int] = frozenset()
        self._home: set[int] = set()  # the actions that the other clone could not take
        self._said: set[str] = set()

    def exchange(self, session: Session, lane: Lane, *, landing: bool = False) -> None:  # noqa: ARG002 - nothing lands here for others
        """See Abroad. Whoever comes while another process does that leaves it to that one."""
        self._own = clone_of(session.repo.paths).id
        waits: set[int] = set()
        with exchanging(session, _PATIENCE_SECONDS) as mine:
            if mine:
                waits = self._hand_over(session, lane)
                for where, some in _by_place(entrusted.in_clones(session.store, lane)).items():
                    self._see_to(session, where, some)
            else:
                waits = {one.action.id for one in entrusted.candidates(session.store, lane)}
        self._left = frozenset(waits - self._home) | entrusted.behind(session.store)

    def left(self) -> frozenset[int]:
        """See Abroad: what is yet to be handed over, and what would overtake something that was."""
        return self._left

    def waits(self, session: Session, lane: Lane) -> bool:
        """See Abroad."""
        return entrusted.any_handed_over(session.store, lane)

    def wait(self, bell: Bell, seconds: float) -> bool:
        """See Abroad: for as long as nothing of ours has ended in the other queues."""
        until = time.monotonic() + seconds
        bells = [bell, *(one.bell for one in self._neighbours.values())]
        waiting = poll()
        for fd in (fd for one in bells for fd in one.descriptors):
            waiting.register(fd, POLLIN)
        deaf = not all(one.descriptors for one in bells)
        while (left := until - time.monotonic()) > 0:
            rung = {fd for fd, _ in waiting.poll(min(left, _DEAF_SECONDS if deaf else left) * 1000)}
            for one in bells:
                if one.descriptors:
                    one.wait(0)
            if rung & {*bell.descriptors} or deaf or self._any_ended():
                return True
        return False

    def _any_ended(self) -> bool:
        try:
            return any(guests.any_ended(one.store, self._own) for one in self._neighbours.values())
        except StoreError:
            return True

    def bring_on(self, session: Session, lane: Lane, seconds: float) -> list[str]:
        """See Abroad."""
        until = time.monotonic() + seconds
        asked = entrusted.in_clones(session.store, lane)
        numbers = {one.action.id for one in asked}
        with Bell(session.repo.paths.bells, WAITERS) as bell:
            for where, some in _by_place(asked).items():
                with suppress(UamError):  # it is told by who exchanges
                    there = self._opened(session, where)
                    guests.hasten(there.store, [o for one in some for o in self._origins(one)], time.time())
            while (open_ := entrusted.unfinished(session.store, numbers)) and time.monotonic() < until:
                self.wait(bell, min(1.0, until - time.monotonic()))
                self.exchange(session, lane)
        return entrusted.batches(session.store, numbers - open_)

    def close(self) -> None:
        """See Abroad."""
        while self._neighbours:
            self._neighbours.popitem()[1].close()

    # -- handing over --------------------------------------------------------------------------------

    def _hand_over(self, session: Session, lane: Lane) -> set[int]:
        """Write down what goes to the other queue from now on; returns the actions that wait until it can be opened."""
        waiting = [one for one in entrusted.candidates(session.store, lane) if one.action.id not in self._home]
        if not waiting or not session.settings["uam.queue"]:
            return set()
        try:
            where = str(home_of(Path(session.settings["uam.queue"])))
            there = self._opened(session, where)
        except Unfit as why:
            self._say(f"pushes land from here: {why.what}")
            return set()
        except (UamError, OSError) as error:
            self._say(f"pushes wait for the other queue: {error}")
            return {one.action.id for one in waiting}
        for one in waiting:
            if _is_own(session, one) and self._berth(session, there, one.action.remote) is not None:
                named = entrusted.name(session.store, [one])[0]
                entrusted.entrust(session.store, named, where)
        return set()

    def _berth(self, session: Session, there: Neighbour, remote: str) -> Berth | None:
        found = there.berth(session, remote)
        if isinstance(found, Berth):
            return found
        self._say(f"pushes to {remote} land from here: {found}")
        return None

    # -- what was handed over --------------------------------------------------------------------------

    def _see_to(self, session: Session, where: str, some: Sequence[Entrusted]) -> None:
        """Have what is in the hands of one clone entered there, landed there, and written down here."""
        try:
            there = self._opened(session, where)
            self._enter(session, there, some)
            looked = guests.found(there.store, [origin for one in some for origin in self._origins(one)])
            for one in some:
                self._follow(session, there, one, looked)
        except Unfit as why:
            if not (why.gone and self._taken_elsewhere(session, where, some)):
                self._say(f"{_pushes(some)} in another queue: {why.what}")
        except (UamError, OSError) as error:
            self._forget(where)
            self._say(f"the queue of {shown(Path(where))} could not be asked: {error}")

    def _taken_elsewhere(self, session: Session, where: str, some: Sequence[Entrusted]) -> bool:
        """Whether what a clone had that is gone is somewhere else now: where uam.queue says that it is now, or here.

        As long as uam.queue names what is gone, it may come back, and land what it has.
        """
        queue = session.settings["uam.queue"]
        try:
            now = str(home_of(Path(queue))) if queue else ""
            there = self._opened(session, now) if now else None
        except (UamError, OSError):
            return False
        origins = {one.action.id: self._origins(one) for one in some}
        names = [name for own in origins.values() for name in own]
        known = guests.known(there.store, names) if there is not None else set()
        moved = [number for number, own in origins.items() if known.intersection(own)]
        entrusted.moved(session.store, moved, now)
        home = [one.action for one in some if one.action.id not in moved]
        entrusted.bring_home(session.store, home, waits=None)
        if home:
            self._say(f"{_pushes(home)} here again: there is no repository at {shown(Path(where))} any more")
        return True

    def _enter(self, session: Session, there: Neighbour, some: Sequence[Entrusted]) -> None:
        """Enter what is missing there, and see that it is landed."""
        known = guests.known(there.store, [origin for one in some for origin in self._origins(one)])
        lanes = set()
        for one in some:
            berth = self._berth(session, there, one.action.remote)
            if berth is None:
                missing = {self.origin(source.entry) for source in one.pending} - known
                if missing and not any(origin in known for origin in self._origins(one)):
                    entrusted.bring_home(session.store, [one.action], waits=None)
                continue
            try:
                enter(session, there, berth, one, some, self._own, known)
            except NotTaken as why:
                self._home.add(one.action.id)
                entrusted.bring_home(session.store, [one.action], waits=None)
                self._say(f"#{one.action.id} lands from here: {why}")
                continue
            lanes.add(berth.lane)
        for lane in lanes:
            there.ensure_flusher(lane)

    def _follow(self, session: Session, there: Neighbour, one: Entrusted, looked: Mapping[str, Source]) -> None:
        """Write down what has ended of one push, and that the other queue need not keep that for us any more."""
        write_down(session, there, one, {s.id: looked.get(self.origin(s.entry)) for s in one.sources if s.entry})
        now = entrusted.sources(session.store, one.action)
        guests.all_told(
            there.store, [self.origin(s.entry) for s in now if s.entry and s.status != SourceStatus.PENDING]
        )

    def _origins(self, one: Entrusted) -> list[str]:
        return [self.origin(source.entry) for source in one.sources if source.entry]

    def origin(self, entry: str) -> str:
        """What a source of this clone is called in another queue."""
        return f"{self._own}/{entry}"

    # -- neighbours ------------------------------------------------------------------------------------

    def _opened(self, session: Session, where: str) -> Neighbour:
        found = self._neighbours.get(where)
        if found is not None and not found.is_there:
            self._forget(where)
            found = None
        if found is None:
            found = self._neighbours[where] = Neighbour(Path(where), session)
        else:
            found.look_again(session)
        return found

    def _forget(self, where: str) -> None:
        if where in self._neighbours:
            self._neighbours.pop(where).close()

    def _say(self, words: str) -> None:
        """Say something to the log, or to who flushes by hand; once."""
        if words not in self._said:
            self._said.add(words)
            say(words)


@contextmanager
def exchanging(session: Session, seconds: float) -> Iterator[bool]:
    """Let nobody else exchange until the block ends; gives whether that is so, after `seconds` at most."""
    path, until = session.repo.paths.uam / "exchange.lock", time.monotonic() + seconds
    while (lock := try_lock(path)) is None and time.monotonic() < until:
        time.sleep(_LOCK_SECONDS)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def _is_own(session: Session, one: Entrusted) -> bool:
    """Whether a push acts as this process does, and its remote leads where it led then."""
    action = one.action
    place = place_of(session.identity, session.settings, os.environ, action.remote)
    return action.identity == session.identity.id and action.place.id == place.id


def _by_place(some: Sequence[Entrusted]) -> dict[str, list[Entrusted]]:
    found: dict[str, list[Entrusted]] = {}
    for one in some:
        found.setdefault(one.where, []).append(one)
    return found


def _pushes(some: Sequence[object]) -> str:
    return "1 push is" if len(some) == 1 else f"{len(some)} pushes are"
