"""The flush: lock -> recover -> claim what is due -> execute each batch (see execute) -> squash ready commits."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from uam_hooks.flush.acting import is_ours
from uam_hooks.flush.batch_run import Tell
from uam_hooks.flush.execute import execute
from uam_hooks.flush.noted_commits import refresh
from uam_hooks.flush.recover import recover
from uam_hooks.flush.result import recorded_result
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Locked, Refused
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.queue.lane import Lane, at_work, unsettled
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.hot.queue.model import Batch, BatchResult
from uam_hooks.land import retention
from uam_hooks.land.local_squash import squash_ready
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session, open_session
from uam_hooks.store import claim, journal, views


def flush(
    session: Session, due_only: bool, timeout: float, tell: Tell | None = None, lane: Lane | None = None
) -> list[BatchResult]:
    """Execute everything that is queued in a lane, or what is due; returns a result for each batch. Without a `lane`
    it is all that this process may do.

    Batches that a crashed flush left unfinished come first, then batches that were created and never executed. Raises
    Locked when another flush holds the lock for more than `timeout` seconds.
    """
    own = lane or session.lane
    with _locked_and_recovered(session, timeout):
        # what others queue from now on is theirs to wait for: otherwise a flush by hand might never end
        newest = None if due_only else views.newest_action(session.store)
        results = [execute(session, batch, tell) for batch in made_by_hand(session)]
        tried: set[int] = set()
        while (batch := _claim(session, due_only, own, without=frozenset(tried), upto=newest)) is not None:
            reached(Step.CLAIMED)
            results.append(execute(session, batch, tell))
            # an action that was put back waits for its next turn, even in a flush of everything
            tried.update(action.id for action in batch.actions)
        if not due_only or session.settings["uam.commit.onWindow"] == "squash":
            refresh(session.repo, session.store)
            results += squash_ready(session, time.time() if due_only else None)
    return results


def create_batch(session: Session) -> Batch | None:
    """Claim what is due as a batch for `execute_batch`, or for the next flush; None when nothing is due."""
    return _claim(session, True, session.lane, by_hand=True)


def made_by_hand(session: Session) -> list[Batch]:
    """Batches that nobody has begun to execute, and that this process may."""
    return [batch for batch in journal.made_by_hand(session.store) if all(is_ours(session, a) for a in batch.actions)]


def execute_batch(session: Session, name: str, timeout: float, tell: Tell | None = None) -> BatchResult:
    """Execute one batch from `create_batch`; returns the recorded result if a flush has executed it meanwhile.

    Raises UsageError for an unknown name, Locked when another flush holds the lock for more than `timeout` seconds,
    Refused for a batch that was put back into the queue, or that acts as somebody else.
    """
    wanted = views.existing_batch(session.store, name)
    if not all(is_ours(session, action) for action in wanted.actions):
        raise Refused(f"Batch {wanted.number} was made with other settings than those here.", "See `git uam status`.")
    with _locked_and_recovered(session, timeout):
        for batch in made_by_hand(session):
            if batch.id == wanted.id:
                return execute(session, batch, tell)
    return recorded_result(views.existing_batch(session.store, wanted.id))


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
    """Delete expired refs (see retention.prune); raises Locked when a flush runs for more than `timeout` seconds."""
    with locked(session.repo, timeout):
        return retention.prune(session, session.settings["uam.retention"])


# -- the lock, and what a command does before and after ----------------------------------------------------


@contextmanager
def locked(repo: Repository, timeout: float) -> Iterator[None]:
    """Hold the flush lock of this repository; raises Locked after `timeout` seconds."""
    try:
        with FileLock(repo.paths.flush_lock, timeout=timeout, poll_interval=0.02):
            yield
    except Timeout:
        raise Locked(
            f"Another flush has held the queue for {timeout:g} s.", "Wait for it, or give a longer --timeout."
        ) from None


@contextmanager
def _locked_and_recovered(session: Session, timeout: float) -> Iterator[None]:
    """Hold the flush lock with the outcome of every unfinished batch decided, as far as remotes answer."""
    with locked(session.repo, timeout):
        recover(session)
        yield


@contextmanager
def open_recovered(at: Path, own: Mapping[str, str] | None = None, database: Path | None = None) -> Iterator[Session]:
    """`open_session`, with what a crashed flush left behind decided first, unless another flush is running.

    A command that flushes needs `open_session` only: it recovers once it holds the lock.
    """
    with open_session(at, own, database) as session:
        if unsettled(session.store):
            try:
                with _locked_and_recovered(session, timeout=0):
                    pass
            except Locked:
                pass  # whoever holds the lock has recovered already
        yield session


def ensure_flush(session: Session) -> bool:
    """Make sure that flushers execute what waits once it is due; False when uam.push.mode leaves that to people."""
    if session.settings["uam.push.mode"] == "manual":
        return False
    for lane in at_work(session.store, session.identity.id):
        ensure_flusher(session.repo.paths, lane, reduced(os.environ, session.settings))
    return True
