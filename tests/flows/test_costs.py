"""What each kind of push costs: git processes on this side, all in all, and connections to the remote.

Neither depends on how quick the machine is. Plain git needs two processes here, and one connection.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.scenes import Scene
from tests.support.traces import traced


def one(scene: Scene) -> None:
    scene.commit("one")


def three(scene: Scene) -> None:
    for name in "abc":
        scene.commit(name)


def nothing(_scene: Scene) -> None:
    """Everything is there."""


def others(scene: Scene) -> None:
    """Somebody else has pushed since."""
    other = scene.stranger()
    other.commit("theirs")
    other.git("push", "-q", "origin", "HEAD:main")
    scene.commit("mine")


def by_hand(scene: Scene) -> None:
    """Only queued."""
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("one")


@pytest.mark.parametrize(("kind", "most", "connections"), [
    (one, 17, ["push"]),
    (three, 24, ["push"]),
    (nothing, 6, ["look"]),
    (others, 41, ["push", "look", "push"]),
    (by_hand, 7, []),
])  # fmt: skip
def test_what_a_push_costs(scene: Scene, kind: Callable[[Scene], None], most: int, connections: list[str]) -> None:
    scene.commit("first")
    scene.push()
    scene.idle()
    kind(scene)
    with traced(scene) as trace:
        assert scene.push("origin", "main").code == 0
    assert trace.connections == connections
    assert len(trace.here) <= most, f"{len(trace.here)}:\n" + "\n".join(trace.here)
