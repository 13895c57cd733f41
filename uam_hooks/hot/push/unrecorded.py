"""Landings that the remote has and the queue does not know of: the disk was full when they were to be recorded.

The remote is asked about a landing that was planned and whose batch nobody executes, so that a push that waits for it
answers with what is true. Nothing is recorded here; recovery does that, once it can.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO, is_ancestor
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.push import messages
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue.model import Landing, Source, SourceStatus
from uam_hooks.hot.queue.planned import planned

# When a push that waits looks first; the pauses between its looks double.
FIRST_LOOK_SECONDS = 5.0
# The remote may not answer at all.
SILENCE_SECONDS = 10.0
# A disk that has no more than this is full: one change of the queue may need as much.
_FULL_BYTES = 64 * 1024


class Unknown(Exception):
    """A landing was planned, and the remote does not tell whether it has it."""


class Looks:
    """The looks of one push that waits: few, because most landings are recorded at once."""

    def __init__(self, session: PushSession, remote: str) -> None:
        self.session, self.remote = session, remote
        self.next = FIRST_LOOK_SECONDS

    def enough(self, passed: float, states: Sequence[Source]) -> bool:
        """Whether all of it has ended, counting what the remote has, after `passed` seconds."""
        if passed < self.next:
            return False
        self.next = 2 * passed
        try:
            return all(s.status != SourceStatus.PENDING for s in decided(self.session, self.remote, states))
        except Unknown:
            return False


def decided(session: PushSession, remote: str, states: Sequence[Source]) -> list[Source]:
    """The same sources, with the outcomes that hold where the remote has what was planned of pending ones.

    Raises Unknown when the remote does not answer, or has something that is not known here.
    """
    plans = {source.action_id: _left(session, source) for source in states if source.status == SourceStatus.PENDING}
    open_ = [landing for landing in plans.values() if landing is not None]
    if not open_:
        return list(states)
    try:
        there = session.ask_remote(remote, *(landing.ref for landing in open_), silence=SILENCE_SECONDS)
        landed = {one.action_id: one for one in open_ if _has(session, one, there.get(one.ref, ZERO))}
    except GitFailed as error:
        raise Unknown from error
    return [_with_outcome(session, source, landed.get(source.action_id)) for source in states]


def _left(session: PushSession, source: Source) -> Landing | None:
    """What was planned of a source, if nobody is at work on it."""
    landing = planned(session.store, source.action_id)
    if landing is None or source.id not in landing.detail.outcomes:
        return None
    # under the flush lock, as all who take the lock of a batch: its owner is not kept away
    with_all, own = _lock(session.paths.flush_lock), None
    try:
        own = None if with_all is None else _lock(session.paths.batches / f"{landing.batch_id}.lock")
    finally:
        for fd in (own, with_all):
            if fd is not None:
                os.close(fd)
    return None if own is None else landing


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock on a file that is there, else None. Nothing is made: there may be no room."""
    try:
        fd = files.opened(path, os.O_RDWR)
    except OSError:
        return None
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _has(session: PushSession, landing: Landing, there: str) -> bool:
    """Whether a ref that is at `there` on the remote has had this landing."""
    if there == landing.new:
        return True
    return ZERO not in (there, landing.new) and is_ancestor(session.git, landing.new, there)


def _with_outcome(session: PushSession, source: Source, landing: Landing | None) -> Source:
    if landing is None or source.status != SourceStatus.PENDING:
        return source
    outcome = landing.detail.outcomes[source.id]
    if outcome.failure is not None:
        return source._replace(status=SourceStatus.FAILED, outcome=outcome)
    room = os.statvfs(session.paths.uam)
    where = f"{landing.remote}/{short_target(landing.ref)}"
    note = messages.unrecorded(source.action_id, where, outcome.new, full=room.f_bavail * room.f_frsize < _FULL_BYTES)
    note = "; ".join(part for part in (outcome.note, note) if part)
    return source._replace(status=SourceStatus.LANDED, outcome=outcome._replace(note=note))
