"""After a crash: decide what really happened, by asking the remote.

Runs under the flush lock, so every batch that was begun and not ended belongs to a process that is gone.
"""

from __future__ import annotations

from .errors import GitFailed, say
from .landed import contains, finish_landed
from .local import finish_local
from .model import Action
from .opened import Flush
from .store import finish, journal
from .transport import Remote, Unreachable


def recover(flush: Flush) -> None:
    """Bring every unfinished batch to a known state.

    What was claimed and never begun goes back into the queue. A batch whose remote does not answer stays as it is,
    and its targets take no new one.
    """
    for batch in journal.open_batches(flush.store):
        for action in batch.actions:
            try:
                _decide(flush, action)
            except GitFailed as error:
                say(f"batch {batch.number} stays open: {error.what}")
        finish.close(flush.store, batch, 0.0)


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
    except Unreachable:
        return
    if contains(flush.repo, there, landing):
        finish_landed(flush, remote, action, landing, there)
    else:
        finish.release(flush.store, action)
