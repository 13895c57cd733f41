"""Recovery after a crash: find out what really happened, by asking the remote.

It runs under the flush lock, so every batch that was begun and not ended belongs to a process that is gone.
"""

from __future__ import annotations

from uam_hooks.flush.acting import may_ask
from uam_hooks.git.remote import Remote, Unreachable
from uam_hooks.hot.core.errors import Failure, GitFailed, say
from uam_hooks.hot.queue.model import Action, Status, is_external
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.land.branch import end_here
from uam_hooks.land.finish import contains, finish_landed
from uam_hooks.session import Session
from uam_hooks.store import finish, journal

# a command is not run again automatically: what the first run did is unknown
_UNKNOWN = "its flush ended while it ran, so its outcome is unknown"


def recover(session: Session) -> None:
    """Bring every unfinished batch to a known state; call it under the flush lock.

    What was claimed and never begun goes back into the queue. A batch whose remote does not answer, or leads elsewhere
    for this process, stays as it is, and its targets take no new batch.
    """
    for batch in journal.open_batches(session.store):
        if batch.by_hand and batch.status == Status.PENDING:
            continue  # its execution has not begun: the flush executes it as it is
        for action in batch.actions:
            try:
                _decide(session, action)
            except GitFailed as error:
                say(f"batch {batch.number} stays open: {error.what}")
        finish.close(session.store, batch, 0.0)


def _decide(session: Session, action: Action) -> None:
    landing = journal.planned(session.store, action)
    if landing is None:
        if action.status == Status.EXECUTING and is_external(action):
            failure = Failure(f"{_UNKNOWN}; `git uam retry {action.id}` runs it again")
            finish.action(session.store, action, Outcome(failure=failure))
        else:
            finish.release(session.store, action)
        return
    if not landing.remote:
        if not end_here(session, action, landing):
            finish.release(session.store, action)
        return
    if not may_ask(session, action):
        return  # whoever it acts as asks
    try:
        remote = Remote(session.repo, session.settings, action.remote)
        there = remote.observe([action.ref])[action.ref]
    except Unreachable:
        return
    if contains(session.repo, there, landing):
        finish_landed(session, remote, action, landing, there)
    else:
        finish.release(session.store, action)
