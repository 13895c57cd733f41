"""The result of a batch: from the queue when it has just been executed, or as it was recorded."""

from __future__ import annotations

from uam_hooks.hot.core.errors import Advice, Refused
from uam_hooks.hot.queue.model import Batch, BatchResult, Status
from uam_hooks.session import Session
from uam_hooks.store import views


def result_of(session: Session, batch: Batch, took: float, asked: set[int]) -> BatchResult:
    """Count the outcomes of a batch's actions; `took` is in milliseconds.

    `asked` are the sources that were pending when the batch began: errors of other sources are not reported again.
    """
    done = failed = deferred = unknown = 0
    errors: list[str] = []
    ids = [action.id for action in batch.actions]
    with session.store.reading():
        ended, sources = views.standing(session.store, ids), views.failed_of(session.store, ids)
    for number in ids:
        if number not in ended:
            continue
        now, error = ended[number]
        done += now == Status.COMPLETED
        failed += now == Status.FAILED
        deferred += now == Status.PENDING
        unknown += now in (Status.BATCHED, Status.EXECUTING)  # only the remote can tell
        refused = [source.outcome.error for source in sources.get(number, ()) if source.id in asked]
        errors += refused or ([error] if now in (Status.FAILED, Status.PENDING) else [])
    words = tuple(dict.fromkeys(errors))
    good = not errors and not failed + deferred + unknown
    return BatchResult(batch.id, good, done, failed, words, took, deferred)


def recorded_result(batch: Batch) -> BatchResult:
    """The result that was recorded when the batch ended; raises Refused when it has none."""
    if batch.status not in (Status.COMPLETED, Status.FAILED):
        raise Refused(
            f"Batch {batch.number} is {batch.status}.", Advice.of("{} shows what waits.", "git", "uam", "status")
        )
    done = batch.result
    failed, later = int(done.get("failedActions", 0)), int(done.get("deferredActions", 0))
    errors = tuple(done.get("errors", ()))
    good = batch.status == Status.COMPLETED and not failed + later and not errors
    executed, took = int(done.get("executedActions", 0)), float(done.get("duration", 0))
    return BatchResult(batch.id, good, executed, failed, errors, took, later)
