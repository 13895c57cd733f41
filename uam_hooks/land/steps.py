"""The durable steps of a flush, by name, so that a test can end the process right after any of them.

`UAM_DIE_AT=<step>` in the environment kills the process there with SIGKILL, which is what a crash looks like to
everybody else. Nothing else reads that variable.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


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
    if os.environ.get("UAM_DIE_AT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
