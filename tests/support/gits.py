"""Another git than the one on PATH: a newer one for what it can do more, an older one that uses the same repository.

`UAM_TEST_GIT` is the directory of a newer git (its `bin`); without it the one on PATH is tried.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache

import pytest

from tests.support.scenes import Scene

_NEWER = os.environ.get("UAM_TEST_GIT", "")


def path_of(directory: str) -> str:
    """A PATH on which the git of this directory is found first; "" is the one on PATH."""
    return f"{directory}:{os.environ['PATH']}" if directory else os.environ["PATH"]


@cache
def version(directory: str = "") -> tuple[int, int]:
    """The version of the git in a directory, or of the one on PATH."""
    env = {**os.environ, "PATH": path_of(directory)}
    said = subprocess.run(["git", "version"], env=env, capture_output=True, text=True, check=True).stdout
    major, minor = said.split()[2].split(".")[:2]
    return int(major), int(minor)


def _has(wanted: tuple[int, int]) -> str | None:
    """Where there is a git of at least this version; None for nowhere."""
    return next((directory for directory in ("", _NEWER) if version(directory) >= wanted), None)


def _needs(wanted: tuple[int, int], what: str) -> pytest.MarkDecorator:
    words = f"{what}: git {wanted[0]}.{wanted[1]}, see UAM_TEST_GIT in CONTRIBUTING.md"
    return pytest.mark.skipif(_has(wanted) is None, reason=words)


CONFIG_HOOKS, REFTABLE = (2, 54), (2, 48)  # of reftable: where repositories can be migrated with their reflogs
needs_config_hooks = _needs(CONFIG_HOOKS, "hooks from config")
needs_reftable = _needs(REFTABLE, "reftable")
needs_older = pytest.mark.skipif(version() >= CONFIG_HOOKS, reason="the git on PATH has hooks from config")


def newer(scene: Scene, wanted: tuple[int, int]) -> Scene:
    """The scene, in which git is one of at least this version."""
    scene.env["PATH"] = path_of(_has(wanted) or "")
    return scene
