"""Recovery after a crash: find out what really happened, by asking the remote.

An open batch that nobody owns belongs to a process that is gone. Whoever decides what became of it owns it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from uam_hooks.flush.acting import may_ask
from uam_hooks.git.remote import Remote, Unreachable
from uam_hooks.git.said import heard
from uam_hooks.hot.core.errors import Failure, GitFailed
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.lane import EVERYTHING, Lane
from uam_hooks.hot.queue.model import Action, Batch, Landing, Status, is_external
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.land.branch import end_here
from uam_hooks.land.finish import Landed, contains, finish_landed
from uam_hooks.session import Session
from uam_hooks.store import finish, journal, owners, returns

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
            # a push ends with the commits that it carries
            for remote, left_open in _by_remote(session, batch).items():
                with _kept_open(batch):
                    _ask(session, batch, remote, left_open)
            for action in batch.actions:
                with _kept_open(batch):
                    _decide(session, action)
            finish.close(session.store, batch, 0.0)


def _left_behind(session: Session, lane: Lane, seen: set[str]) -> list[Batch]:
    """The open batches that have begun; one that was made by hand and has not is executed as it is."""
    found = journal.open_batches(session.store, lane)
    return [b for b in found if b.id not in seen and not (b.by_hand and b.status == Status.PENDING)]


@contextmanager
def _kept_open(batch: Batch) -> Iterator[None]:
    """Where git fails, what became of an action stays open, and the next recovery decides it."""
    try:
        yield
    except GitFailed as error:
        say(f"batch {batch.number} stays open: {error.what}")


def _decide(session: Session, action: Action) -> None:
    """End an action that was about no remote, or that had planned nothing for one."""
    landing = journal.planned(session.store, action)
    if landing is not None:
        if not landing.remote and not end_here(session, action, landing):
            returns.release_after_crash(session.store, action)
    elif action.status == Status.EXECUTING and is_external(action):
        failure = Failure(f"{_UNKNOWN}; `git uam retry {action.id}` runs it again")
        finish.action(session.store, action, Outcome(failure=failure))
    else:
        returns.release_after_crash(session.store, action)


def _by_remote(session: Session, batch: Batch) -> dict[str, list[tuple[Action, Landing]]]:
    """The actions of a batch about which their remotes have to be asked; whoever each acts as asks."""
    found: dict[str, list[tuple[Action, Landing]]] = {}
    for action in batch.actions:
        landing = journal.planned(session.store, action)
        if landing is not None and landing.remote and may_ask(session, action):
            found.setdefault(action.remote, []).append((action, landing))
    return found


def _ask(session: Session, batch: Batch, name: str, left_open: Sequence[tuple[Action, Landing]]) -> None:
    """End what a remote has of these landings, and give back what it has not; where it does not answer, neither."""
    try:
        remote = Remote(session.repo, session.settings, name)
        there = remote.observe([action.ref for action, _ in left_open])
    except Unreachable:
        return
    landed = []
    for action, landing in left_open:
        with _kept_open(batch):
            if contains(session.repo, there[action.ref], landing):
                said = heard(session.repo.paths.batches, landing.batch_id, action.id)
                landed.append(Landed(action, landing, there[action.ref], said=said))
            else:
                returns.release_after_crash(session.store, action)
    finish_landed(session, remote, landed)
