"""Fixtures of the tests that act as a program in the scene."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.batchers import made
from tests.support.landscape import by_hand, environment
from tests.support.scenes import Scene
from uam_hooks import DeployBatcher


@pytest.fixture
def scene(scene: Scene) -> Iterator[Scene]:
    """Nothing happens by itself, and this process has the scene's environment."""
    by_hand(scene)
    scene.git("config", "uam.flush.lockTimeout", "10s")
    with environment(scene.env):
        yield scene


@pytest.fixture
def here(scene: Scene) -> DeployBatcher:
    """A batcher without windows."""
    return made(scene)
