"""The result of a batch: from the queue when it has just been executed, or as it was recorded."""

from __future__ import annotations

from uam_hooks.hot.core.errors import Refused
from uam_hooks.hot.queue.model import Batch, BatchResult, SourceStatus, Status
from uam_hooks.session import Session
from uam_hooks.store import views


def result_of(session: Session, batch: Batch, took: float, asked: set[int]) -> BatchResult:
    """Count the outcomes of a batch's actions; `took` is in milliseconds.

    `asked` are the sources that were pending when the batch began: errors of other sources are not reported again.
    """
    done = failed = deferred = unknown = 0
    errors: list[str] = []
    with session.store.reading():
        ended = [(views.action(session.store, a.id), views.sources(session.store, a.id)) for a in batch.actions]
    for now, sources in ended:
        if now is None:
            continue
        done += now.status == Status.COMPLETED
        failed += now.status == Status.FAILED
        deferred += now.status == Status.PENDING
        unknown += now.status in (Status.BATCHED, Status.EXECUTING)  # only the remote can tell
        refused = [s.outcome.error for s in sources if s.status == SourceStatus.FAILED and s.id in asked]
        errors += refused or ([now.error] if now.status in (Status.FAILED, Status.PENDING) else [])
    words = tuple(dict.fromkeys(errors))
    good = not errors and not failed + deferred + unknown
    return BatchResult(batch.id, good, done, failed, words, took, deferred)


def recorded_result(batch: Batch) -> BatchResult:
    """The result that was recorded when the batch ended; raises Refused when it has none."""
    if batch.status not in (Status.COMPLETED, Status.FAILED):
        raise Refused(f"Batch {batch.number} is {batch.status}.", "`git uam status` shows what waits.")
    done = batch.result
    failed, later = int(done.get("failedActions", 0)), int(done.get("deferredActions", 0))
    errors = tuple(done.get("errors", ()))
    good = batch.status == Status.COMPLETED and not failed + later and not errors
    executed, took = int(done.get("executedActions", 0)), float(done.get("duration", 0))
    return BatchResult(batch.id, good, executed, failed, errors, took, later)
