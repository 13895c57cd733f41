"""The durable steps of a flush, by name; see `hot.core.steps`."""

from __future__ import annotations

from enum import StrEnum

from uam_hooks.hot.core import steps


class Step(StrEnum):
    """What has just become durable."""

    CLAIMED = "claimed"
    BEGUN = "begun"
    PLANNED = "planned"
    PINNED = "pinned"
    PUSHED = "pushed"
    REMEMBERED = "remembered"
    TRACKED = "tracked"
    FINISHED = "finished"


def reached(step: Step) -> None:
    """Say that `step` is done."""
    steps.reached(step)
