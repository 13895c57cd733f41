"""The flush: lock -> recover -> claim what is due -> execute each batch (see execute) -> squash ready commits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from uam_hooks.flush.batch_run import Tell
from uam_hooks.flush.execute import execute
from uam_hooks.flush.noted_commits import look_up
from uam_hooks.flush.recover import recover
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Locked
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.hot.queue.model import Batch, BatchResult
from uam_hooks.land.local_squash import squash_ready
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import claim, journal, views


@contextmanager
def locked(repo: Repository, timeout: float) -> Iterator[None]:
    """Be the one flush of this repository; Locked after `timeout` seconds."""
    try:
        with FileLock(repo.paths.flush_lock, timeout=timeout, poll_interval=0.02):
            yield
    except Timeout:
        raise Locked(
            f"Another flush has held the queue for {timeout:g} s.", "Wait for it, or give a longer --timeout."
        ) from None


def flush(session: Session, due_only: bool, timeout: float, tell: Tell | None = None) -> list[BatchResult]:
    """Execute everything that is queued, or what is due; gives a result for each batch.

    What a flush that died left behind comes first, and then batches that were made and never executed. Raises Locked
    when another flush runs for longer than `timeout` seconds.
    """
    results: list[BatchResult] = []
    tried: set[int] = set()
    with locked(session.repo, timeout):
        # what others queue meanwhile is theirs to wait for: otherwise a flush by hand would never end
        newest = None if due_only else views.newest_action(session.store)
        recover(session)
        for left in journal.made_by_hand(session.store):
            results.append(execute(session, left, tell))
        while True:
            batch = next_batch(session, due_only, frozenset(tried), upto=newest)
            if batch is None:
                break
            reached(Step.CLAIMED)
            results.append(execute(session, batch, tell))
            # what was given back waits for its time, however much of a hurry the others are in
            tried.update(action.id for action in batch.actions)
        if not due_only or session.settings["uam.commit.onWindow"] == "squash":
            look_up(session.repo, session.store)
            results += squash_ready(session, time.time() if due_only else None)
    return results


def next_batch(
    session: Session, due_only: bool, tried: frozenset[int], *, by_hand: bool = False, upto: int | None = None
) -> Batch | None:
    """Claim the next batch, of the actions up to the id `upto`; None when there is nothing to claim."""
    now = time.time() if due_only else None
    return claim.due(session.store, now, session.settings["uam.batch.size"], by_hand=by_hand, without=tried, upto=upto)


def recover_if_idle(session: Session) -> None:
    """After a crash any command finds out what happened, unless a flush is at work."""
    if enqueue.unsettled(session.store):
        try:
            with locked(session.repo, 0):
                recover(session)
        except Locked:
            return


def keep_going(session: Session) -> None:
    """See to it that what waits is executed when it is due, unless that is left to people."""
    if session.settings["uam.push.mode"] != "manual" and enqueue.due_at(session.store) is not None:
        ensure_flusher(session.repo.paths)
