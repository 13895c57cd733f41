"""After a crash: decide what really happened, by asking the remote.

Runs under the flush lock, so every batch that was begun and not ended belongs to a process that is gone.
"""

from __future__ import annotations

from .errors import GitFailed
from .land import Flush, contains, finish_landed
from .local import finish_local
from .model import Action, Batch, Status
from .store import finish, journal
from .transport import Remote, Unreachable


def recover(flush: Flush) -> list[Batch]:
    """Bring every unfinished batch to a known state; gives those that were claimed but never begun.

    A batch whose remote does not answer stays as it is, and its targets take no new batch.
    """
    untouched = []
    for batch in journal.open_batches(flush.store):
        if batch.actions and all(action.status == Status.BATCHED for action in batch.actions):
            untouched.append(batch)
            continue
        for action in batch.actions:
            _decide(flush, action)
        finish.close(flush.store, batch, 0.0)
    return untouched


def _decide(flush: Flush, action: Action) -> None:
    landing = journal.planned(flush.store, action)
    if landing is None:
        finish.release(flush.store, action)
        return
    if not landing.remote:
        finish_local(flush, action, landing)
        return
    try:
        remote = Remote(flush.repo, flush.settings, action.remote)
        there = remote.observe([action.ref])[action.ref]
    except (Unreachable, GitFailed):
        return
    if contains(flush.repo, there, landing):
        finish_landed(flush, remote, action, landing)
    else:
        finish.release(flush.store, action)
