"""The tools that git uam is held against, as pip installs them, and the versions of everything."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

PEERS = ("prek", "lefthook", "pre-commit", "mergetrain==3.7.1")


def install(at: Path) -> Path:
    """An environment with the peers; raises CalledProcessError where pip cannot get them."""
    venv.create(at, with_pip=True)
    pip = [str(at / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
    subprocess.run([*pip, *PEERS], check=True, stdout=sys.stderr)
    return at


def versions(peers: Path | None) -> dict[str, str]:
    """Of git, Python, SQLite, and the peers that are there."""
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    found = {"git": git, "Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    if peers:
        places = [str(place) for place in peers.glob("lib/python*/site-packages")]
        there = {one.name.replace("_", "-"): one.version for one in distributions(path=places)}
        found |= {name: there[name] for name in (peer.partition("==")[0] for peer in PEERS) if name in there}
    return found


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
