"""Fixtures of the tests that act in a whole repository; see scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scenes import Scene


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Scene]:
    """A repository with a remote that we are not installed in."""
    scene = Scene(tmp_path)
    yield scene
    scene.close()


@pytest.fixture
def scene(plain: Scene) -> Scene:
    """A hooked repository with a wired remote."""
    plain.install()
    return plain


@pytest.fixture
def unwired(plain: Scene) -> Scene:
    """A hooked repository whose remote is not wired: pushes meet the pre-push hook."""
    plain.install(hooks_only=True)
    return plain
