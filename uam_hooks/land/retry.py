"""What becomes of an action that failed: its end, or another try, later and later, and not for ever.

A person or an agent that waits for its push is told at once, as plain git would tell it; everything that nobody
waits for goes back into the queue where the failure may pass by itself.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from uam_hooks.hot.core.errors import Failure, GitFailed, UamError
from uam_hooks.hot.core.typed import TypeVar
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, iso
from uam_hooks.hot.queue.outcome import failed
from uam_hooks.session import Session
from uam_hooks.store import finish, gathered, returns

Made = TypeVar("Made")

LONGEST_PAUSE = 86400.0
# how often what fails on this machine is tried before that is an answer
TRIES = 3
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)


def is_local(error: Exception) -> bool:
    """Whether it failed on this machine: a git that was killed, an object that is gone, no room on disk or in memory.

    That may have been a moment's trouble, so it is tried again at once, also for a push that is waited for.
    """
    return isinstance(error, (GitFailed, OSError, MemoryError))


def persistently(session: Session, make: Callable[[], Made]) -> Made:
    """What `make` makes, which moves nothing; made again, from what is there then, where that fails on this machine."""
    for _ in range(TRIES - 1):
        try:
            return make()
        except Exception as error:
            if not is_local(error):
                raise
            session.repo.look_again()
    return make()


def failure_of(error: Exception) -> Failure:
    """Why something failed. A fault of ours is a failure like any other, instead of blocking its ref for everybody."""
    if isinstance(error, UamError):
        return error.failure
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _NO_ROOM):
        why = error.strerror if isinstance(error, OSError) else "out of memory"
        return Failure(f"this machine has no room left: {why}", transient=True)
    import traceback  # it takes long to load, and is hardly ever needed

    traceback.print_exception(error)
    return Failure(
        f"uam failed inside ({type(error).__name__}: {error}), see flush.log; UAM=off git push goes without it"
    )


def fail_or_requeue(
    session: Session, action: Action, failure: Failure, *, batch: int | None = None, exit_code: int | None = None,
    said: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """End an action that failed, or put it back into the queue: the one place where that is decided.

    It is tried again where the failure may pass, a try is left (uam.retry.count), and somebody is not waiting for the
    answer; who is gets it now, with what the remote `said`.
    """
    sources = gathered.sources(session.store, action.id)
    waiting = [source.id for source in sources if source.is_waited_for]
    another = failure.transient and action.attempts < int(session.settings["uam.retry.count"])
    if another and len(waiting) < len(sources):
        finish.failed(session.store, failed(waiting, failure, said=said))
        requeue_with_backoff(session, action, failure.what)
        return
    if failure.transient and action.attempts:
        failure = failure._replace(what=f"{failure.what} (tried {action.attempts + 1} times)")
    results = failed((source.id for source in sources), failure, batch=batch, exit_code=exit_code, said=said)
    finish.action(session.store, action, results, error=failure.what)


def requeue_with_backoff(session: Session, action: Action, why: str) -> None:
    """Put an action back, with a pause that doubles each time."""
    pause = min(session.settings["uam.retry.delay"] * 2.0 ** min(action.attempts, 40), LONGEST_PAUSE)
    say(f"#{action.id} is tried again in {pause:g} s: {why}")
    returns.requeue(session.store, action, iso(time.time() + pause), why, tried=True)
