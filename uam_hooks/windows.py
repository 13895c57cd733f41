"""How long an action waits for company. HOT: standard library only."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from .errors import UsageError
from .model import URGENT_WINDOWS, ActionType
from .paths import RepoPaths
from .settings import Settings, boolean
from .store import enqueue
from .store.connection import Store

URGENT_OPTION = "urgent"


class Company(NamedTuple):
    """Whether somebody else is at work. `seconds` is how far back was looked, None where the rule is off."""

    others: list[str]
    seconds: float | None

    @property
    def alone(self) -> bool:
        """A push that is waited for gains nothing from its window."""
        return self.seconds is not None and not self.others


def window(settings: Settings, store: Store, kind: ActionType, urgent: bool) -> float:
    """How long an action of this type waits from now, in seconds."""
    usual: float = settings[f"uam.window.{kind.value}"]
    if urgent or enqueue.urgent_mode(store, time.time()) is not None:
        return min(usual, URGENT_WINDOWS[kind.value])
    return usual


def urgent_here() -> bool:
    """Whether the environment asks for urgency: UAM_URGENT."""
    text = os.environ.get("UAM_URGENT", "")
    try:
        return boolean(text)
    except ValueError:
        raise UsageError(f"UAM_URGENT is '{text}', which is neither true nor false.", "Set it to 1 or 0.") from None


def who_else(settings: Settings, store: Store, paths: RepoPaths, agent: str, most: int = 1) -> Company:
    """Who else has been at work within uam.window.company, seen from the worktree of `paths`."""
    seconds: float | None = settings["uam.window.company"]
    if seconds is None:
        return Company([], None)
    email = (settings.all("user.email") or ["somebody"])[-1]
    # commits that were made without a name are noted under this one
    names = [agent, f"{email}@{paths.worktree.name}"]
    return Company(enqueue.company(store, names, str(paths.git_dir), time.time() - seconds, most), seconds)
