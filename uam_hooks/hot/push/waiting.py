"""A push that waits for its landing: group commit.

Waiters only read the queue. Any of them that finds no flusher alive starts one, so a flusher that died is replaced.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import Ticket
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.hot.queue.model import Source, SourceStatus, seconds_of

POLL_SECONDS = 0.03
# A flusher that cannot do its work is started this often, with growing pauses, before the push stops asking.
MAX_ELECTIONS = 5
# The push is queued: a database that is busy for a while is waited for, not despaired of.
STORE_PATIENCE_SECONDS = 60.0
# The remote may not answer at all; a push that has nothing to land need not wait for it for long.
SETTLE_SECONDS = 10.0


_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stuck(Exception):
    """The push is in a batch that no flusher could bring to an end; only a later one can say what became of it."""


class Interrupted(Exception):
    """The user ended the wait. `taken_back` tells whether nothing of it will land, `replaced` whether a newer push
    of the same branch holds all of it."""

    def __init__(self, taken_back: bool, replaced: bool, number: int) -> None:
        super().__init__()
        self.taken_back, self.replaced = taken_back, replaced
        self.signal = number


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise _Signalled(number)


class _Signalled(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def wait(store: Store, paths: RepoPaths, tickets: Sequence[Ticket], timeout: float) -> list[Source] | None:
    """Wait until every source has its outcome, or `timeout` seconds; gives how they stand then.

    None: no flusher could do its work, so all was taken back and may go straight to the remote. Raises Stuck when
    it was too late to take it back.
    Raises Interrupted on SIGINT, SIGTERM and SIGHUP, after taking back what is still pending; call it inside
    `holding_signals`, which keeps a signal that comes while the push is being queued until it is known what to
    take back.
    """
    ids = [ticket.source for ticket in tickets]
    countdown = _Countdown(max(ticket.due for ticket in tickets))
    before = {number: signal.signal(number, _interrupt) for number in _ENDINGS}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
        return _poll(store, paths, ids, timeout, countdown)
    except _Signalled as stopped:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        taken = enqueue.withdraw(store, ids, "taken back: the push was interrupted while it waited")
        replaced = all(now.id != source for now, source in zip(enqueue.state(store, ids), ids, strict=True))
        raise Interrupted(len(taken) == len(ids), replaced, stopped.number) from None
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        countdown.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def holding_signals() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP wait until the block ends or `wait` is ready for them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _poll(
    store: Store, paths: RepoPaths, ids: Sequence[int], timeout: float, countdown: _Countdown
) -> list[Source] | None:
    started = time.monotonic()
    answered, elections, next_election = 0.0, 0, 0.0
    while True:
        passed = time.monotonic() - started
        try:
            states = enqueue.state(store, ids)
            answered = passed
        except StoreError:
            if passed - answered > STORE_PATIENCE_SECONDS:
                raise
            time.sleep(POLL_SECONDS)
            continue
        if all(s.status != SourceStatus.PENDING for s in states) or passed >= timeout:
            return states
        if passed >= next_election and ensure_flusher(paths, start=elections < MAX_ELECTIONS):
            if elections == MAX_ELECTIONS:
                taken = enqueue.withdraw(store, ids, "taken back: no flusher could run, see flush.log")
                if len(taken) == len(ids):
                    return None
                raise Stuck
            elections += 1
            next_election = passed + 0.1 * 2**elections
        countdown.show(passed)
        time.sleep(POLL_SECONDS)


class _Countdown:
    """A line for people at a terminal, who would wonder; agents' logs get none."""

    def __init__(self, due: str) -> None:
        self.due = seconds_of(due)
        self.shown = ""

    def show(self, passed: float) -> None:
        if passed > 0.5 and sys.stderr.isatty():
            left = self.due - time.time()
            text = f"waiting {left:.0f} s for company" if left > 0 else "landing ..."
            if text != self.shown:
                sys.stderr.write(f"\r\033[Kuam: {text} ")
                sys.stderr.flush()
                self.shown = text

    def clear(self) -> None:
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def until_settled(store: Store, paths: RepoPaths) -> None:
    """Have somebody find out what became of a batch whose flusher died; gives up after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while enqueue.unsettled(store) and time.monotonic() < deadline:
        ensure_flusher(paths)
        time.sleep(POLL_SECONDS)
