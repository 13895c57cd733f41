"""The flush: recover -> claim what is due -> execute each batch (see execute) -> squash ready commits.

Several may run beside each other: each executes the batches that it owns (see owners).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from uam_hooks.fleet.abroad import Elsewhere
from uam_hooks.flush import notices
from uam_hooks.flush.acting import is_ours
from uam_hooks.flush.batch_run import Tell
from uam_hooks.flush.execute import execute
from uam_hooks.flush.noted_commits import refresh
from uam_hooks.flush.recover import recover
from uam_hooks.flush.result import recorded_result
from uam_hooks.hot.core.errors import Advice, Locked, Refused
from uam_hooks.hot.queue.lane import EVERYTHING, Lane, Mark, mark, unsettled
from uam_hooks.hot.queue.model import Batch, BatchResult, names_of
from uam_hooks.land import retention
from uam_hooks.land.ahead import Ahead
from uam_hooks.land.local_squash import squash_ready
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session, open_session
from uam_hooks.store import claim, journal, owners, views

NAP_SECONDS = 0.1
# How long a command waits for the flush lock before it leaves what a crash left behind to the next one.
RECOVERY_SECONDS = 2.0


class StillGoing(Locked):
    """Another process is still at work on a batch; `results` are those of the batches that were executed here."""

    def __init__(self, timeout: float, others: Sequence[Batch], results: Sequence[BatchResult]) -> None:
        names = names_of(others)
        at = f": {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else ""
        super().__init__(
            f"Another flush was still at work after {timeout:g} s{at}.", "Wait for it, or give a longer --timeout."
        )
        self.results = tuple(results)


def flush(
    session: Session, due_only: bool, timeout: float, tell: Tell | None = None, lane: Lane | None = None,
    before_claim: Callable[[], object] | None = None, ahead: Ahead | None = None, elsewhere: Elsewhere | None = None,
) -> list[BatchResult]:  # fmt: skip
    """Execute everything that is queued in a lane, or what is due; returns a result for each batch. Without a `lane`
    it is all that this process may do.

    Batches that a crashed flush left unfinished come first, then batches that were created and never executed. A flush
    of all lanes then waits for what other processes are executing. `before_claim` may change what is due. What comes
    next may be tested `ahead`. What other queues land is handed over, by the `elsewhere` of the process if it has one.
    Raises StillGoing when that takes more than `timeout` seconds, and Locked when the flush lock is not free in that
    time.
    """
    if elsewhere is None:
        with Elsewhere() as elsewhere:
            return flush(session, due_only, timeout, tell, lane, before_claim, ahead, elsewhere)
    own = lane or session.lane
    # what others queue from now on is theirs to wait for: otherwise a flush by hand might never end
    newest = None if due_only else views.newest_action(session.store)
    results: list[BatchResult] = []
    tried: set[int] = set()
    deadline = time.monotonic() + timeout
    while True:
        since = mark(session.store)
        recover(session, timeout, own)
        notices.tell(session)
        for result in _executed(session, due_only, timeout, tell, own, tried, newest, before_claim, ahead,
                                elsewhere):  # fmt: skip
            results.append(result)
            notices.tell(session)
        if not due_only:
            for batch_id in elsewhere.now(session).bring_on(session, own, timeout):
                results.append(recorded_result(views.existing_batch(session.store, batch_id)))
        if not due_only or session.settings["uam.commit.onWindow"] == "squash":
            refresh(session.repo, session.store)
            results += squash_ready(session, time.time() if due_only else None, timeout)
        if own.remote is not None or not unsettled(session.store):
            return results
        others = _others(session, timeout)
        if not others:
            return results
        if time.monotonic() >= deadline:
            raise StillGoing(timeout, others, results)
        _wait_for_change(session, since, len(others), deadline)


def _executed(
    session: Session, due_only: bool, timeout: float, tell: Tell | None, lane: Lane, tried: set[int],
    newest: int | None, before_claim: Callable[[], object] | None, ahead: Ahead | None, elsewhere: Elsewhere,
) -> Iterator[BatchResult]:  # fmt: skip
    """Execute batches that were made by hand, then all that can be claimed of the actions up to `newest`."""
    paths, store = session.repo.paths, session.store
    while True:
        with owners.adopted(paths, store, timeout, lambda: made_by_hand(session, lane)) as batch:
            if batch is None:
                break
            yield execute(session, batch, tell, ahead)
    while True:
        if before_claim is not None:
            newest = views.newest_action(store)  # what comes after that has not been seen by these
        abroad = elsewhere.now(session)
        abroad.exchange(session, lane, landing=True)
        if before_claim is not None:
            before_claim()
        without = frozenset(tried) | abroad.left()
        claim_next = partial(_claim, session, due_only, lane, without=without, upto=newest)
        with owners.claimed(paths, store, timeout, claim_next) as batch:
            if batch is None:
                return
            reached(Step.CLAIMED)
            # an action that was put back waits for its next turn, even in a flush of everything
            tried.update(action.id for action in batch.actions)
            yield execute(session, batch, tell, ahead)


def _wait_for_change(session: Session, since: Mark, others: int, deadline: float) -> None:
    """Wait until a batch has begun or ended since `since`, one of those of others has no owner, or until the
    deadline.
    """
    while time.monotonic() < deadline and mark(session.store)[1:] == since[1:]:
        time.sleep(NAP_SECONDS)
        if len(_others(session, RECOVERY_SECONDS)) < others:
            return


def _others(session: Session, timeout: float) -> list[Batch]:
    """The batches that other processes are executing, and that this one might."""
    found = owners.held(session.repo.paths, session.store, timeout)
    return [batch for batch in found if all(is_ours(session, action) for action in batch.actions)]


def create_batch(session: Session) -> Batch | None:
    """Claim what is due as a batch for `execute_batch`, or for the next flush; None when nothing is due."""
    return _claim(session, True, session.lane, by_hand=True)


def made_by_hand(session: Session, lane: Lane = EVERYTHING) -> list[Batch]:
    """Batches of a lane that nobody has begun to execute, and that this process may."""
    found = journal.made_by_hand(session.store, lane)
    return [batch for batch in found if all(is_ours(session, action) for action in batch.actions)]


def execute_batch(session: Session, name: str, timeout: float, tell: Tell | None = None) -> BatchResult:
    """Execute one batch from `create_batch`; returns the recorded result if a flush has executed it meanwhile.

    Raises UsageError for an unknown name, StillGoing when another process executes it for more than `timeout` seconds,
    Refused for a batch that was put back into the queue, or that acts as somebody else.
    """
    paths, store = session.repo.paths, session.store
    wanted = views.existing_batch(store, name)
    if not all(is_ours(session, action) for action in wanted.actions):
        raise Refused(
            f"Batch {wanted.number} was made with other settings than those here.",
            Advice.of("See {}.", "git", "uam", "status"),
        )
    deadline = time.monotonic() + timeout
    while True:
        recover(session, timeout)
        mine = partial(_of_id, session, wanted.id)
        with owners.adopted(paths, store, timeout, mine) as batch:
            if batch is not None:
                done = execute(session, batch, tell)
                notices.tell(session)
                return done
        others = [batch for batch in owners.held(paths, store, timeout) if batch.id == wanted.id]
        if not others:
            return recorded_result(views.existing_batch(store, wanted.id))
        if time.monotonic() >= deadline:
            raise StillGoing(timeout, others, ())
        time.sleep(NAP_SECONDS)


def _of_id(session: Session, batch_id: str) -> list[Batch]:
    return [batch for batch in made_by_hand(session) if batch.id == batch_id]


def _claim(
    session: Session, due_only: bool, lane: Lane, *, by_hand: bool = False, without: frozenset[int] = frozenset(),
    upto: int | None = None,
) -> Batch | None:  # fmt: skip
    """Claim the next batch from the actions up to the id `upto`; None when there is nothing to claim."""
    now = time.time() if due_only else None
    if now is not None:
        claim.put_right(session.store, now)
    size = session.settings["uam.batch.size"]
    return claim.due(session.store, now, size, by_hand=by_hand, without=without, upto=upto, lane=lane)


def prune(session: Session, timeout: float) -> retention.Pruned:
    """Delete expired refs (see retention.prune); raises Locked when the flush lock is not free in `timeout` seconds.

    What rests on no ref any more is folded later, without that lock (see upkeep).
    """
    with owners.deciding(session.repo.paths, timeout):
        owners.sweep(session.repo.paths, session.store)
        return retention.prune(session, session.settings["uam.retention"])


# -- what a command does before ------------------------------------------------------------------


@contextmanager
def open_recovered(at: Path, own: Mapping[str, str] | None = None, database: Path | None = None) -> Iterator[Session]:
    """`open_session`, with what a crashed flush left behind decided first.

    A command that flushes needs `open_session` only: a flush begins with recovery.
    """
    with open_session(at, own, database) as session:
        recover_here(session)
        yield session


def recover_here(session: Session) -> None:
    """Decide what a crashed flush left behind, before a command does what it was called for."""
    if unsettled(session.store):
        with suppress(Locked):  # then the next command finds out
            recover(session, RECOVERY_SECONDS)
            notices.tell(session)
