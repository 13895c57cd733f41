"""Steps by name, so that a test can end everything right after any of them.

`UAM_DIE_AT=<step>` in the environment kills the process there with SIGKILL, which is what a crash looks like to
everybody else. Nothing else reads that variable.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Settling(StrEnum):
    """What has just become durable of a settle that changes an index. All but the first are reached in a child, sh."""

    RECORDED = "settle-recorded"
    BEGUN = "settle-begun"
    FILES = "settle-files"
    LOCKED = "settle-locked"
    INDEX = "settle-index"
    REF = "settle-ref"


def last_step() -> str:
    """The step to die at; "" for none."""
    return os.environ.get("UAM_DIE_AT", "")


def reached(step: StrEnum) -> None:
    """Say that `step` is done."""
    if last_step() == step:
        os.kill(os.getpid(), signal.SIGKILL)
