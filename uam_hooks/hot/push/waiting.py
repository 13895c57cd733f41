"""A push that waits for its landing: group commit.

Waiters only read the queue. Any of them that finds no flusher alive starts one, which replaces a flusher that died.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from uam_hooks.hot.core.colours import Colours
from uam_hooks.hot.core.errors import NotInstalled, StoreError, UamError
from uam_hooks.hot.push import unrecorded
from uam_hooks.hot.push.listening import Listener
from uam_hooks.hot.push.messages import UNINSTALLED, UNINSTALLED_UNDER_WAY
from uam_hooks.hot.push.resolve import ResolvedSpec
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.push.voice import Voice
from uam_hooks.hot.queue import again, enqueue
from uam_hooks.hot.queue.bell import WAITERS, Bell
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import unsettled
from uam_hooks.hot.queue.model import Source, SourceStatus

# Whatever changes rings; nobody may have rung, and a flusher that dies does not.
POLL_SECONDS = 1.0
# After an error, and where a flusher is seen to have died, one looks again that soon.
SOON_SECONDS = 0.03
# How often a flusher that fails is started, with growing pauses, before the push gives up on it.
MAX_ELECTIONS = 5
# The push is already queued, so tolerate a database that is busy for a while.
STORE_PATIENCE_SECONDS = 60.0
# The remote may not answer at all, and a push that has nothing to land need not wait long for it.
SETTLE_SECONDS = 10.0

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stuck(Exception):
    """No flusher could run, or none could finish the batch; only a later one can tell what becomes of the push."""


class Interrupted(Exception):
    """The user ended the wait with SIGINT.

    `taken_back` tells whether the push is out of the queue, `replaced` whether another push of the same branch contains
    all of it. `older` are the actions of earlier pushes that it had replaced and that wait again.
    """

    def __init__(self, taken_back: bool, replaced: bool, older: Sequence[int]) -> None:
        super().__init__()
        self.taken_back, self.replaced, self.older = taken_back, replaced, older


class Ended(Exception):
    """Signal `number` ended this process, not the push: it stays queued."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def wait(
    session: PushSession, specs: Sequence[ResolvedSpec], timeout: float, quiet: bool = False, progress: bool = False
) -> list[ResolvedSpec] | None:
    """Wait until every queued spec has ended, or for `timeout` seconds; returns them with their states.

    It is told what for, unless the push is `quiet`; what the remote says meanwhile is printed, and with
    `progress` how the landing comes on.
    None means that no flusher could run, so that the whole push was taken back and may go straight to the remote.
    Where git uam is uninstalled meanwhile, nobody lands what still waits: then it has ended, too.
    Raises Stuck when it was too late to take it back, Interrupted on SIGINT, after taking back what is still pending,
    and Ended on SIGTERM and SIGHUP, which say nothing about the push: shells end what takes them too long. Call it
    inside `holding_signals`: a signal that arrives while the push is being queued then waits until it is known what to
    take back. What the remote has and nobody could record counts as landed; Unknown when that cannot be told.
    """
    tickets = [one.ticket for one in specs if one.ticket is not None]
    ids = [ticket.source for ticket in tickets]
    remote = specs[0].source.remote

    def ensure(_states: Sequence[Source], start: bool) -> bool:
        return session.ensure_flusher(remote, start)

    with suppress(ImportError):  # what a branch that was behind needs when it has landed, while a flusher is at work
        import uam_hooks.hot.worktree.settle  # noqa: F401
    voice = Voice(session.store, [ticket.action for ticket in tickets], quiet)
    listener = Listener(session.store, session.paths, Colours(session.git, session.settings), progress)

    def show(passed: float, states: Sequence[Source]) -> None:
        listener.listen(states, voice.clear)
        voice.speak(passed)

    # Collected and looked at between two steps: an exception raised by a handler is lost where Python happens to run a
    # destructor (that of Popen, when a flusher has just been started), and the push would wait on.
    caught: list[int] = []
    heard = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in heard}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
        looks = unrecorded.Looks(session, remote)
        states = poll(session.store, ids, timeout, ensure, show, caught, looks.enough, voice.step)
        if states is not None:
            states = unrecorded.decided(session, remote, states)
    except Stuck:
        if takes_back(session.store, ids, "taken back: no flusher could run, see flush.log"):
            return None
        states = unrecorded.decided(session, remote, enqueue.state(session.store, ids))
        if any(state.status == SourceStatus.PENDING for state in states):
            raise
    except NotInstalled:
        states = _removed(session.store, ids)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        voice.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught and states is None:
        raise _take_back(session, ids) if caught[0] == signal.SIGINT else Ended(caught[0])
    if caught:  # after the last look: as if it had arrived after the wait
        signal.raise_signal(caught[0])
    assert states is not None
    listener.rest(states)
    return [one._replace(state=state) for one, state in zip(specs, states, strict=True)]


def takes_back(store: Store, ids: Sequence[int], why: str) -> bool:
    """Withdraw the sources `ids`; returns whether all of them are out of the queue, so that nothing of them lands."""
    try:
        return len(enqueue.withdraw(store, ids, why)) == len(ids)
    except StoreError:
        return False


def _removed(store: Store, ids: Sequence[int]) -> list[Source]:
    """What became of the sources `ids` of a queue that is being removed, or was.

    Whoever has it open may read it on. Raises UamError where something was under way that nobody knows the end of.
    """
    enqueue.withdraw(store, ids, UNINSTALLED)
    states = enqueue.state(store, ids)
    if any(state.status == SourceStatus.PENDING for state in states):
        raise UamError(UNINSTALLED_UNDER_WAY)
    return states


def _take_back(session: PushSession, ids: Sequence[int]) -> Interrupted:
    """Withdraw what is still pending; returns what is to be raised."""
    me = os.getpid()
    older = again.replaced_by(session.store, ids)
    taken = enqueue.withdraw(session.store, ids, "taken back: the push was interrupted while it waited", me)
    newest = enqueue.state(session.store, ids)
    replaced = all(state.id != source or state.waiter != me for state, source in zip(newest, ids, strict=True))
    return Interrupted(len(taken) == len(ids), replaced, older)


@contextmanager
def holding_signals() -> Iterator[None]:
    """Block SIGINT, SIGTERM and SIGHUP until the block ends or `wait` handles them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def poll(
    store: Store, ids: Sequence[int], timeout: float, ensure: Callable[[Sequence[Source], bool], bool],
    show: Callable[[float, Sequence[Source]], None] = lambda _passed, _states: None, caught: Sequence[int] = (),
    enough: Callable[[float, Sequence[Source]], bool] = lambda _passed, _states: False,
    step: float = POLL_SECONDS,
) -> list[Source] | None:  # fmt: skip
    """Look at the sources `ids` until they have ended, or for `timeout` seconds, with a flusher alive all the while.

    `ensure` tells whether no flusher lives for these sources, and starts one if it is given true. `show` is called with
    the seconds that have passed and the sources, and so is `enough`, which tells whether there is nothing more to wait
    for. Both are called every `step` seconds as well, where that is sooner. None as soon as there is a signal in
    `caught`; Stuck when no flusher lives and none can be started.
    """
    with Bell(store.database.with_name("bells"), WAITERS) as bell, bell.rung_by_signals():
        return _poll(store, ids, timeout, ensure, show, caught, enough, min(step, POLL_SECONDS), bell)


def _poll(
    store: Store, ids: Sequence[int], timeout: float, ensure: Callable[[Sequence[Source], bool], bool],
    show: Callable[[float, Sequence[Source]], None], caught: Sequence[int],
    enough: Callable[[float, Sequence[Source]], bool], step: float, bell: Bell,
) -> list[Source] | None:  # fmt: skip
    started = time.monotonic()
    answered, elections, next_election = 0.0, 0, 0.0
    states: list[Source] = []
    read = -1
    while not caught:
        passed = time.monotonic() - started
        try:
            changes = store.changes()  # asked before the states are, so that none is missed
            if changes != read or not states:
                states = enqueue.state(store, ids)
            read, answered = changes, passed
        except StoreError:
            if passed - answered > STORE_PATIENCE_SECONDS:
                raise
            bell.wait(SOON_SECONDS)
            continue
        if all(s.status != SourceStatus.PENDING for s in states) or passed >= timeout or enough(passed, states):
            return states
        if passed >= next_election and ensure(states, elections < MAX_ELECTIONS):
            if elections == MAX_ELECTIONS:
                raise Stuck
            elections += 1
            next_election = passed + 0.1 * 2**elections
        show(passed, states)
        moments = (step, timeout - passed, next_election - passed)
        bell.wait(max(SOON_SECONDS, min(seconds for seconds in moments if seconds > 0)))
    return None


def until_settled(session: PushSession, remote: str) -> None:
    """Have a flusher find out what became of a batch whose flusher died; gives up after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while unsettled(session.store, session.lane(remote)) and time.monotonic() < deadline:
        session.ensure_flusher(remote)
        time.sleep(SOON_SECONDS)
