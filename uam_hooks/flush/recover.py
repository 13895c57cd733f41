"""Recovery after a crash: find out what really happened, by asking the remote.

An open batch that nobody owns belongs to a process that is gone. Whoever decides what became of it owns it meanwhile.
"""

from __future__ import annotations

from functools import partial

from uam_hooks.flush.acting import may_ask
from uam_hooks.git.remote import Remote, Unreachable
from uam_hooks.git.said import heard
from uam_hooks.hot.core.errors import Failure, GitFailed
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.lane import EVERYTHING, Lane
from uam_hooks.hot.queue.model import Action, Batch, Status, is_external
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.land.branch import end_here
from uam_hooks.land.finish import contains, finish_landed
from uam_hooks.session import Session
from uam_hooks.store import finish, journal, owners

# a command is not run again automatically: what the first run did is unknown
_UNKNOWN = "its flush ended while it ran, so its outcome is unknown"


def recover(session: Session, timeout: float, lane: Lane = EVERYTHING) -> None:
    """Bring every unfinished batch of a lane that nobody executes to a known state.

    What was claimed and never begun goes back into the queue. A batch whose remote does not answer, or leads elsewhere
    for this process, stays as it is, and its targets take no new batch. Raises Locked when the flush lock is not free
    in `timeout` seconds.
    """
    seen: set[str] = set()
    while True:
        left = partial(_left_behind, session, lane, seen)
        with owners.adopted(session.repo.paths, session.store, timeout, left) as batch:
            if batch is None:
                return
            seen.add(batch.id)
            for action in batch.actions:
                try:
                    _decide(session, action)
                except GitFailed as error:
                    say(f"batch {batch.number} stays open: {error.what}")
            finish.close(session.store, batch, 0.0)


def _left_behind(session: Session, lane: Lane, seen: set[str]) -> list[Batch]:
    """The open batches that have begun; one that was made by hand and has not is executed as it is."""
    found = journal.open_batches(session.store, lane)
    return [b for b in found if b.id not in seen and not (b.by_hand and b.status == Status.PENDING)]


def _decide(session: Session, action: Action) -> None:
    landing = journal.planned(session.store, action)
    if landing is None:
        if action.status == Status.EXECUTING and is_external(action):
            failure = Failure(f"{_UNKNOWN}; `git uam retry {action.id}` runs it again")
            finish.action(session.store, action, Outcome(failure=failure))
        else:
            finish.release_after_crash(session.store, action)
        return
    if not landing.remote:
        if not end_here(session, action, landing):
            finish.release_after_crash(session.store, action)
        return
    if not may_ask(session, action):
        return  # whoever it acts as asks
    try:
        remote = Remote(session.repo, session.settings, action.remote)
        there = remote.observe([action.ref])[action.ref]
    except Unreachable:
        return
    if contains(session.repo, there, landing):
        said = heard(session.repo.paths.batches, landing.batch_id, action.id)
        finish_landed(session, remote, action, landing, there, said=said)
    else:
        finish.release_after_crash(session.store, action)
