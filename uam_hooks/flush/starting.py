"""What a command leaves behind: flushers for what waits. It loads nothing of a flush."""

from __future__ import annotations

import os
from functools import partial

from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.queue.lane import at_work, waiting_for_others
from uam_hooks.hot.queue.leader import ensure_flusher
from uam_hooks.session import Session
from uam_hooks.store import entrusted


def ensure_flush(session: Session) -> bool:
    """Make sure that flushers execute what waits once it is due; False when uam.push.mode leaves that to people."""
    if session.settings["uam.push.mode"] == "manual":
        return False
    lanes = [*at_work(session.store, session.identity.id), *waiting_for_others(session.store, session.identity.id)]
    lanes += entrusted.lanes(session.store, session.identity.id)
    for lane in dict.fromkeys(lanes):
        ensure_flusher(session.repo.paths, lane, partial(reduced, os.environ, session.settings))
    return True
