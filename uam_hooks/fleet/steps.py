"""The durable steps between the queue here and a fleet, by name; see `hot.core.steps`."""

from __future__ import annotations

from enum import StrEnum

from uam_hooks.hot.core import steps


class Handing(StrEnum):
    """What has just become durable."""

    NAMED = "handing-named"
    SENT = "handing-sent"
    ENTERED = "handing-entered"
    ENTRUSTED = "handing-entrusted"
    BROUGHT = "handing-brought"
    TAKEN_IN = "handing-taken-in"
    TOLD = "handing-told"
    HOME = "handing-home"


def reached(step: Handing) -> None:
    """Say that `step` is done."""
    steps.reached(step)
