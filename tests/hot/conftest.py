"""Fixtures of the tests of windows."""

from __future__ import annotations

import pytest

from tests.support.scenes import Scene


@pytest.fixture
def lone(scene: Scene) -> Scene:
    """A scene with the Alone rule, and a window that only that rule can end."""
    scene.git("config", "uam.window.company", "10m")
    scene.git("config", "uam.window.push", "10m")
    return scene


@pytest.fixture
def slow(scene: Scene) -> Scene:
    """A scene in which every push waits for a window that does not end."""
    scene.git("config", "uam.window.push", "10m")
    return scene
