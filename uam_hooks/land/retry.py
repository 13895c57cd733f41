"""What becomes of an action that failed: its end, or another try, later and later, and not for ever.

A person or an agent that waits for its push is told at once, as plain git would tell it; everything that nobody
waits for goes back into the queue where the failure may pass by itself.
"""

from __future__ import annotations

import time
import traceback

from uam_hooks.hot.core.errors import Failure, UamError, say
from uam_hooks.hot.queue.model import Action, iso
from uam_hooks.hot.queue.outcome import failed
from uam_hooks.session import Session
from uam_hooks.store import claim, finish

LONGEST_PAUSE = 86400.0


def failure_of(error: Exception) -> Failure:
    """Why something failed. A fault of ours is a failure like any other, instead of blocking its ref for everybody."""
    if isinstance(error, UamError):
        return error.failure
    traceback.print_exception(error)
    return Failure(
        f"uam failed inside ({type(error).__name__}: {error}), see flush.log; UAM=off git push goes without it"
    )


def fail_or_requeue(
    session: Session, action: Action, failure: Failure, *, batch: int | None = None, exit_code: int | None = None
) -> None:
    """End an action that failed, or put it back into the queue: the one place where that is decided.

    It is tried again where the failure may pass, a try is left (uam.retry.count), and somebody is not waiting for the
    answer; who is gets it now.
    """
    sources = claim.sources(session.store, action.id)
    waiting = [source.id for source in sources if source.is_waited_for]
    another = failure.transient and action.attempts < int(session.settings["uam.retry.count"])
    if another and len(waiting) < len(sources):
        finish.failed(session.store, failed(waiting, failure))
        requeue_with_backoff(session, action, failure.what)
        return
    if failure.transient and action.attempts:
        failure = failure._replace(what=f"{failure.what} (tried {action.attempts + 1} times)")
    results = failed((source.id for source in sources), failure, batch=batch, exit_code=exit_code)
    finish.action(session.store, action, results, error=failure.what)


def requeue_with_backoff(session: Session, action: Action, why: str) -> None:
    """Put an action back, with a pause that doubles each time."""
    pause = min(session.settings["uam.retry.delay"] * 2.0 ** min(action.attempts, 40), LONGEST_PAUSE)
    say(f"#{action.id} is tried again in {pause:g} s: {why}")
    finish.requeue(session.store, action, iso(time.time() + pause), why, tried=True)
