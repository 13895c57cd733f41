"""The result of a batch that has just been executed, from what the queue has of its actions."""

from __future__ import annotations

from uam_hooks.hot.queue.model import Batch, BatchResult, SourceStatus, Status
from uam_hooks.session import Session
from uam_hooks.store import views


def result_of(session: Session, batch: Batch, took: float, asked: set[int]) -> BatchResult:
    """Count the outcomes of a batch's actions; `took` is in milliseconds.

    `asked` are the sources that were pending when the batch began: errors of other sources are not reported again.
    """
    done = failed = deferred = unknown = 0
    errors: list[str] = []
    for action in batch.actions:
        now = views.action(session.store, action.id)
        if now is None:
            continue
        done += now.status == Status.COMPLETED
        failed += now.status == Status.FAILED
        deferred += now.status == Status.PENDING
        unknown += now.status in (Status.BATCHED, Status.EXECUTING)  # only the remote can tell
        sources = views.sources(session.store, action.id)
        refused = [s.outcome.error for s in sources if s.status == SourceStatus.FAILED and s.id in asked]
        errors += refused or ([now.error] if now.status in (Status.FAILED, Status.PENDING) else [])
    words = tuple(dict.fromkeys(errors))
    good = not errors and not failed + deferred + unknown
    return BatchResult(batch.id, good, done, failed, words, took, deferred)
