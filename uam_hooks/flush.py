"""The flush: lock -> recover -> claim what is due -> plan -> land each target -> settle -> finish."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from .commits import look_up
from .errors import Locked
from .keep import unpin
from .land import land_batch
from .local import squash_ready
from .model import Action, Batch, BatchResult, SourceStatus, Status, short_target
from .opened import Flush as Flush
from .opened import opened as opened
from .paths import process_alive
from .recover import recover
from .repo import Repository
from .settle import Landed, settle
from .steps import Step, reached
from .store import claim, finish, views


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


def flush(flush: Flush, due_only: bool, timeout: float) -> list[BatchResult]:
    """Land everything that is queued, or what is due; gives a result for each batch.

    What a flush that died left behind comes first. Raises Locked when another flush runs for longer than `timeout`
    seconds.
    """
    results = []
    with locked(flush.repo, timeout):
        recover(flush)
        while True:
            claimed = claim.pushes(flush.store, time.time() if due_only else None)
            if claimed is None:
                break
            reached(Step.CLAIMED)
            results.append(execute(flush, claimed))
        if not due_only or flush.settings["uam.commit.onWindow"] == "squash":
            look_up(flush.repo, flush.store)
            results += squash_ready(flush, time.time() if due_only else None)
    return results


def execute(flush: Flush, batch: Batch) -> BatchResult:
    """Run one batch to its end, settle what nobody waits for, and close it."""
    began = time.monotonic()
    land_batch(flush, batch)
    for action in batch.actions:
        settle_unattended(flush, action)
        unpin(flush, views.sources(flush.store, action.id))
    took = (time.monotonic() - began) * 1000
    finish.close(flush.store, batch, took)
    ended = views.batch(flush.store, batch.id)
    assert ended is not None
    actions = [action for action in ended.actions if action.action_type != "commit"]
    done = sum(action.status == Status.COMPLETED for action in actions)
    errors = tuple(
        str(source.outcome["error"])
        for action in actions
        for source in views.sources(flush.store, action.id)
        if source.status == SourceStatus.FAILED
    )
    success = not errors and done == len(actions)
    return BatchResult(batch.id, success, done, len(actions) - done, errors, took)


def settle_unattended(flush: Flush, action: Action) -> None:
    """Branches whose push nobody waits for: they follow where neither index nor files need anything."""
    if flush.settings["uam.settle"] == "off":
        return
    for source in views.sources(flush.store, action.id):
        if source.status != SourceStatus.LANDED or source.exact or not source.branch:
            continue
        if source.waiter and process_alive(source.waiter):
            continue
        paths = flush.repo.paths.seen_from(source.worktree)
        landed = Landed(source.branch, source.tip, source.outcome["new"], source.outcome["keep"])
        settle(flush.repo, paths, landed, files=False)


def queued_lines(repo: Repository) -> list[str]:
    """One line for each thing that waits to land, for people who are about to take the queue away."""
    with opened(repo) as flush:
        waiting = views.actions(flush.store, "pending", "batched", "executing")
        return [
            f"#{a.id} {a.action_type} to {a.remote}/{short_target(a.ref)} by {a.agent_id}"
            for a in waiting
            if a.action_type != "commit"
        ]
