"""Processes with another time of day; see clock.c."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

needs_clocks = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None,
    reason="the clock of a process is changed with a library that cc makes, on Linux: apt-get install gcc libc6-dev",
)

OFFSET = "CLOCK_OFFSET"  # a flusher gets it where uam.identity.env names it


def library(place: Path) -> Path:
    """Make the library, in the directory `place`."""
    made = place / "clock.so"
    source = Path(__file__).with_name("clock.c")
    done = subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cc cannot make a library here: {done.stderr.strip()}")
    return made


def clock(library: Path, seconds: int) -> dict[str, str]:
    """The environment in which it is so much later than it is."""
    return {"LD_PRELOAD": str(library), OFFSET: str(seconds)}
