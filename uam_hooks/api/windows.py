"""How long actions wait for company, and urgent mode, which shortens that for everybody."""

from __future__ import annotations

import time

from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.model import URGENT_WINDOWS, ActionType
from uam_hooks.session import Session
from uam_hooks.store import requests as queue


def window_config(session: Session) -> dict[str, int]:
    """The windows of all action types in milliseconds, as they are now: shorter in urgent mode."""
    urgent = enqueue.urgent_mode(session.store, time.time()) is not None
    usual = {kind.value: float(session.settings[f"uam.window.{kind.value}"]) for kind in ActionType}
    return {
        kind: round(1000 * (min(seconds, URGENT_WINDOWS[kind]) if urgent else seconds))
        for kind, seconds in usual.items()
    }


def set_urgent_mode(session: Session, urgent: bool, seconds: float | None = None) -> None:
    """Turn urgent mode on, until it is turned off or for `seconds`, or turn it off.

    Raises UsageError, before anything is changed, for a window in git config that cannot be read.
    """
    until = None if seconds is None else time.time() + _positive(seconds)
    window_config(session)
    queue.set_urgent(session.store, until, urgent)


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**10:
        raise UsageError(f"The time of urgent mode is {value!r}, which is not a valid number of seconds.")
    return float(value)
