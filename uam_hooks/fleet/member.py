"""A clone in a fleet: what it lands for others, and what others land for it.

Of each branch one machine at a time lands what waits, the one that holds it in the database. It takes in what the
others have handed over, as sources of its own queue, lands them like those of its own agents, and tells what became of
them. The others hand over what they have, as hidden refs of the remote, and hear its end. Nothing of that decides what
has landed: the remote does, by the lease of each push and by the shadow that goes with it. So a machine that lands
without holding the branch, because it was stopped or the database is gone, does no harm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf

from uam_hooks.fleet import handing
from uam_hooks.fleet.abroad import Abroad
from uam_hooks.fleet.clone import clone_of, terms_of
from uam_hooks.fleet.database import Fleet
from uam_hooks.fleet.values import Branch, FleetAway, FleetRefused, Machine, Verdict
from uam_hooks.git.remote import Remote, Unreachable
from uam_hooks.hot.core.errors import GitFailed, UamError, UsageError
from uam_hooks.hot.core.refs import full_target
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.bell import Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import iso
from uam_hooks.session import Session
from uam_hooks.store import entrusted, guests, traces, verdicts
from uam_hooks.store.entrusted import Entrusted
from uam_hooks.store.guests import Staying

# How long a database is left alone that does not answer, and that says no; the first times less.
AWAY_SECONDS, REFUSED_SECONDS = 5.0, 30.0
_FIRST_SECONDS = 1.0


class Member(Abroad):
    """What a process of this clone does in its fleet, by one connection to its database."""

    def __init__(self) -> None:
        self._db: Fleet | None = None
        self._left: frozenset[int] = frozenset()
        self._away: tuple[float, UamError] | None = None
        self._failed = 0  # how often it was asked in vain, one time after the other
        self._due: dict[Branch, float] = {}  # when something of others is to be taken in, by the monotonic clock
        self._heard: dict[Branch, int] = {}  # how much was told when that was asked
        self._told: dict[str, dict[int, str]] = {}  # by remote, when what was handed over was said to be due
        self._shared: dict[tuple[str, str, str], bool] = {}  # verdicts that the fleet has, and whether they are sure
        self._learned = 0
        self._entered: set[str] = set()  # the remotes of which this connection was told what is handed over
        self._retention = 0.0  # of what is to be folded at the end; 0 for nothing

    def exchange(self, session: Session, lane: Lane, *, landing: bool = False) -> None:
        """See Abroad. Where the database does not answer, uam.fleet.onLoss says what becomes of what waits."""
        fleet = str(session.settings["uam.fleet"])
        self._left = frozenset()
        for remote in _remotes(session, lane):
            here = Lane(lane.identity, remote)
            ended = [one for one in guests.ended(session.store, fleet) if _is_of(one, session, remote)]
            if self._db is None and not (ended or self._has_work(session, here)):
                continue
            try:
                self._exchange(session, here, ended, landing)
                self._failed = 0
            except (FleetAway, FleetRefused, UsageError) as why:
                self._lost(session, here, why)

    def _has_work(self, session: Session, lane: Lane) -> bool:
        store = session.store
        return bool(
            traces.to_take_back(store, str(lane.remote))
            or entrusted.candidates(store, lane) or entrusted.handed_over(store, lane)
            or _staying(session, str(lane.remote))
        )  # fmt: skip

    def _exchange(self, session: Session, lane: Lane, ended: Sequence[Staying], landing: bool) -> None:
        """Tell and hear what has ended; then decide who lands each branch of which something waits."""
        store, db, remote = session.store, self._connected(session), str(lane.remote)
        terms = terms_of(session.settings, os.environ)
        if remote not in self._entered:
            handing.enter(session, db, remote, entrusted.handed_over(store, lane), terms)
            self._entered.add(remote)
        handing.tell(session, db, ended)
        handing.take_back(session, db, remote)
        handing.hear(session, db, remote, entrusted.handed_over(store, lane))
        handed = entrusted.handed_over(store, lane)
        own, staying = entrusted.candidates(store, lane), _staying(session, remote)
        self._hasten(session, db, remote, own, handed, terms)
        past = [one.action.id for one in (*own, *handed) if one.action.error and not one.action.attempts]
        if past:  # the database answers again
            entrusted.hold_up(store, past, "")
        branches = {_branch(remote, one) for one in (*own, *handed)} | {_of_guest(one) for one in staying}
        held = {branch for branch in branches if db.hold(branch)}
        for branch in [one for one in db.held if one.remote == remote and one not in branches]:
            db.release(branch)
        handing.come_home(session, db, [one for one in handed if _branch(remote, one) in held])
        lost = [one.source for one in staying if _of_guest(one) not in held]
        if lost:
            guests.send_away(store, lost, "another machine of the fleet lands it")
        others = [one for one in entrusted.candidates(store, lane) if _branch(remote, one) not in held]
        apart = self._hand_over(session, db, remote, others, terms, landing) if others else set()
        now = entrusted.candidates(store, lane)
        self._left |= {one.action.id for one in now if _branch(remote, one) not in held} - apart
        if held and landing:
            self._retention = session.settings["uam.retention"]
            self._share(session, db)
        for branch in [one for one in self._due if one.remote == remote and one not in held]:
            del self._due[branch], self._heard[branch]
        for branch in sorted(held):
            own_due = [one.action.execute_after for one in now if _branch(remote, one) == branch]
            self._look(session, db, branch, terms, any(moment <= iso(time.time()) for moment in own_due), landing)

    def _hasten(
        self, session: Session, db: Fleet, remote: str, own: Sequence[Entrusted], handed: Sequence[Entrusted],
        terms: str,
    ) -> None:  # fmt: skip
        """Tell that what was handed over is due sooner: somebody flushes here."""
        told = self._told.get(remote, {})
        sooner = [one for one in handed if one.action.execute_after < told.get(one.action.id, "")]
        if sooner:
            handing.enter(session, db, remote, sooner, terms)
        self._told[remote] = {one.action.id: one.action.execute_after for one in (*own, *handed)}

    def _look(self, session: Session, db: Fleet, branch: Branch, terms: str, due: bool, landing: bool) -> None:
        """Take in what others have handed over for a branch; before that is to be, see when something of it is due."""
        heard = db.link.heard
        if landing:
            seconds = handing.take_in(session, db, branch, terms, due)
        elif due or self._heard.get(branch) == heard:
            return
        else:
            seconds = db.due_in(branch, terms)
        self._due[branch], self._heard[branch] = time.monotonic() + seconds, heard

    def _hand_over(
        self, session: Session, db: Fleet, remote: str, own: Sequence[Entrusted], terms: str, landing: bool
    ) -> set[int]:
        """Hand these over; returns what lands from here all the same: the remote takes no hidden refs, or cannot be
        asked although they are due.
        """
        try:
            handing.hand_over(session, db, Remote(session.repo, session.settings, remote), own, terms)
        except (handing.NotTaken, UsageError) as error:
            say(f"{error.what} This lands from here, without the fleet.")
        except (Unreachable, GitFailed) as error:
            say(error.what)
            if not landing:
                return set()  # it is tried again when they are due
        else:
            return set()
        return {one.action.id for one in own}

    def _share(self, session: Session, db: Fleet) -> None:
        """Tell the fleet what gates have said here, and learn what they have said elsewhere."""
        if not session.settings.gates():
            return
        own = [one for one in verdicts.everything(session.store) if self._shared.get(one[:3]) is not one.sure]
        db.share_verdicts([Verdict(*one) for one in own])
        while told := db.verdicts(self._learned):
            verdicts.learn(session.store, [verdicts.Verdict(*one[:6]) for one in told])
            self._shared |= {(one.gate, one.fingerprint, one.tree): one.sure for one in told}
            self._learned = told[-1].number

    def _connected(self, session: Session) -> Fleet:
        if self._away is not None and time.monotonic() < self._away[0]:
            raise self._away[1]
        if self._db is None:
            clone = clone_of(session.repo.paths)
            url, name = str(session.settings["uam.fleet.url"]), str(session.settings["uam.fleet"])
            self._db = Fleet(url, name, Machine(clone.id, clone.name))
            self._shared, self._learned, self._entered = {}, 0, set()
            self._away = None
        return self._db

    def _lost(self, session: Session, lane: Lane, why: UamError) -> None:
        """The database does not answer: what waits goes on waiting, or lands from here."""
        if self._away is None or self._away[1].what != why.what:
            say(f"{iso(time.time())} {why.what} {why.do}")
        if self._away is None or self._away[1] is not why:  # it was asked
            self._disconnect()
            most = AWAY_SECONDS if isinstance(why, FleetAway) else REFUSED_SECONDS
            self._away = (time.monotonic() + min(most, _FIRST_SECONDS * 2.0 ** min(self._failed, 9)), why)
            self._failed += 1
        handed = entrusted.handed_over(session.store, lane)
        if session.settings["uam.fleet.onLoss"] == "local":
            entrusted.bring_home(session.store, [one.action for one in handed], waits=True)
            return
        own, staying = entrusted.candidates(session.store, lane), _staying(session, str(lane.remote))
        self._left |= {one.action.id for one in own} | {one.action for one in staying}
        entrusted.hold_up(session.store, [*self._left, *(one.action.id for one in handed)], why.what)

    def left(self) -> frozenset[int]:
        return self._left

    def waits(self, session: Session, lane: Lane) -> bool:
        return entrusted.any_handed_over(session.store, lane)

    def wait(self, bell: Bell, seconds: float) -> bool:
        """See Abroad: until the database tells something, too; where it is away, until it may be asked again."""
        if self._db is None:
            away = self._away[0] - time.monotonic() if self._away is not None else 0.0
            rung = bell.wait(min(seconds, away) if away > 0 else seconds)
            return (rung and bool(bell.descriptors)) or 0 < away <= seconds
        try:
            told = self._db.wait(seconds, *bell.descriptors)
        except (FleetAway, FleetRefused):
            self._disconnect()
            told = True
        bell.wait(0)
        return told or not bell.descriptors  # who hears no bell looks each time

    def due_in(self) -> float:
        """See Abroad."""
        return min(self._due.values(), default=inf) - time.monotonic()

    def close(self) -> None:
        """See Abroad. Nobody waits for a flusher that ends: it folds what has ended in the fleet long ago."""
        if self._db is not None and self._retention:
            with suppress(UamError):
                self._db.fold(self._retention)
        self._disconnect()

    def _disconnect(self) -> None:
        self._due, self._heard = {}, {}
        if self._db is not None:
            self._db.close()
            self._db = None


def _remotes(session: Session, lane: Lane) -> list[str]:
    """The remotes of a lane about which there may be something to do."""
    if lane.remote is not None:
        return [lane.remote] if lane.remote else []
    return entrusted.remotes(session.store, lane)


def _staying(session: Session, remote: str) -> list[Staying]:
    found = guests.staying(session.store, str(session.settings["uam.fleet"]))
    return [one for one in found if _is_of(one, session, remote)]


def _is_of(guest: Staying, session: Session, remote: str) -> bool:
    """Whether a guest was taken in by the lane of this process: others have connections of their own."""
    return guest.remote == remote and guest.identity in ("", session.identity.id)


def _branch(remote: str, one: Entrusted) -> Branch:
    return Branch(remote, one.action.ref)


def _of_guest(one: Staying) -> Branch:
    return Branch(one.remote, full_target(one.target))
