"""Fixtures of the tests that act in a whole repository; see scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scenes import Scene


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """One scene of each kind, made once and copied for every test."""
    made = Scene(tmp_path_factory.mktemp("plain"))
    found = {"plain": made}
    for kind in ("wired", "unwired"):
        found[kind] = Scene(tmp_path_factory.mktemp(kind), made)
        found[kind].install(hooks_only=kind == "unwired")
    return found


@pytest.fixture
def plain(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A repository with a remote that we are not installed in."""
    found = Scene(tmp_path, templates["plain"])
    yield found
    found.close()


@pytest.fixture
def scene(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A hooked repository with a wired remote."""
    found = Scene(tmp_path, templates["wired"])
    yield found
    found.close()


@pytest.fixture
def unwired(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Scene]:
    """A hooked repository whose remote is not wired: pushes meet the pre-push hook."""
    found = Scene(tmp_path, templates["unwired"])
    yield found
    found.close()
