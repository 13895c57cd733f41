"""What failed for a reason that may pass is tried again: later and later, and not for ever.

A person or an agent that waits for its push is told at once, as plain git would tell it; everything that nobody
waits for goes back into the queue.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from uam_hooks.hot.core.errors import say
from uam_hooks.hot.core.paths import process_alive
from uam_hooks.hot.queue.model import Action, Source, iso
from uam_hooks.land import outcomes
from uam_hooks.session import Session
from uam_hooks.store import claim, finish

LONGEST_PAUSE = 86400.0

_SERVER = re.compile(r"(?:HTTP|status code:|returned error:) (\d{3})\b")
_PASSING = re.compile(
    r"connection (?:refused|reset|timed out|closed)|could(?:n't| not) connect|could not resolve host|: EOF\b"
    r"|error connecting to|operation timed out|unexpected (?:EOF|disconnect)|internal server error"
    r"|i/o timeout|TLS handshake timeout|rate limit|Base branch was modified|index\.lock|cannot lock ref"
    r"|unable to lock|database is locked|temporary failure|network is unreachable|no route to host|\.lock': File exists"
    r"|hung up unexpectedly|did not answer|could not be fetched|another git command is running"
    r"|another settle is running|a commit on it is in flight|at the same moment",
    re.IGNORECASE,
)


def may_pass(words: str) -> bool:
    """Whether a failure with these words is one of the network, a lock, or a server that has trouble.

    What a hook of the remote says is its judgement, whatever words it finds for it.
    """
    if "hook declined" in words:
        return False
    status = _SERVER.search(words)
    if status is not None:
        return status[1][0] == "5" or status[1] == "429" or "rate limit" in words
    return bool(_PASSING.search(words))


def give_up(session: Session, actions: Sequence[Action], why: str, *, passing: bool) -> None:
    """End actions that have failed, or give them back to the queue where trying again may help."""
    for action in actions:
        sources = claim.sources(session.store, action.id)
        if may_try_again(session, action, passing) and not all(map(_waits, sources)):
            waiting = [source for source in sources if _waits(source)]
            finish.failed(session.store, outcomes.failed(waiting, why))
            again(session, action, why)
        else:
            finish.action(session.store, action, outcomes.failed(sources, counted(action, why, passing)), None, ())


def may_try_again(session: Session, action: Action, passing: bool) -> bool:
    """Whether an action that failed for such a reason has a try left."""
    return passing and action.attempts < int(session.settings["uam.retry.count"])


def counted(action: Action, why: str, passing: bool) -> str:
    """Why an action failed for good, with how often it was tried."""
    return why + (f" (tried {action.attempts + 1} times)" if passing and action.attempts else "")


def again(session: Session, action: Action, why: str) -> None:
    """Put an action back, with a pause that doubles each time."""
    pause = min(session.settings["uam.retry.delay"] * 2.0 ** min(action.attempts, 40), LONGEST_PAUSE)
    say(f"#{action.id} is tried again in {pause:g} s: {why}")
    finish.later(session.store, action, iso(time.time() + pause), why, tried=True)


def _waits(source: Source) -> bool:
    return bool(source.waiter) and process_alive(source.waiter)
