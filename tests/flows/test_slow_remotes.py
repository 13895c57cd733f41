"""Remotes that are slow, silent or talk too much: they hold up what is for them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.remotes import BlackHole, black_hole
from tests.support.scenes import Scene, finished, until


@pytest.fixture
def hole(scene: Scene) -> Iterator[BlackHole]:
    """The remote `hole` of the scene, which never answers."""
    with black_hole() as found:
        scene.git("remote", "add", "hole", found.url)
        scene.git("uam", "install")
        yield found
        scene.close()  # whoever waits for the remote must not see it close


def stuck(scene: Scene, hole: BlackHole) -> None:
    """A push to the remote that never answers is under way."""
    scene.commit("for-the-hole")
    assert scene.run("-c", "uam.push.mode=queue", "push", "hole", "main").code == 0
    hole.called()


def test_b3_a_healthy_remote_lands_within_its_window_beside_one_that_is_silent(scene: Scene, hole: BlackHole) -> None:
    stuck(scene, hole)
    agent = scene.worktree("agent", "-b", "agent", scene.start_oid)
    agent.commit("a")
    done = agent.push("origin", "agent:main")
    assert (done.code, scene.landed()) == (0, ["Add a"]), done
    assert agent.clean() or agent.oid("HEAD") == scene.there()
    (still,) = scene.report()["running"]
    assert still["where"] == "hole/main", "a command took the batch from its owner"


def test_b3_two_healthy_remotes_and_work_without_one_go_on(scene: Scene, hole: BlackHole) -> None:
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), "backup.git")
    scene.git("remote", "add", "backup", str(scene.root / "backup.git"))
    scene.git("uam", "install")
    stuck(scene, hole)
    assert scene.push("backup", "main").code == 0
    (scene.top / "by name").write_text("here\n")
    scene.git("uam", "queue", "--action-type", "commit", "--target", "main", "--message", "By name", "by name")
    scene.git("config", "uam.window.commit", "0")
    (scene.top / "other").write_text("here\n")
    scene.git("branch", "topic")
    scene.git("uam", "queue", "--action-type", "commit", "--target", "topic", "--message", "Other", "other")
    until(lambda: scene.subjects("-1", "topic") == ["Other"], "the commit by name")


def test_b3_a_flush_by_hand_executes_everything_else_and_says_what_is_still_going_on(
    scene: Scene, hole: BlackHole
) -> None:
    stuck(scene, hole)
    scene.git("config", "uam.window.push", "1h")
    agent = scene.worktree("agent", "-b", "agent", scene.start_oid)
    agent.commit("a")
    waiting = agent.start("push", "origin", "agent:main")
    until(lambda: scene.pushed()[-1:] == ["pending"], "the push in the queue")
    done = scene.run("uam", "flush", "--timeout", "100ms")
    assert done.code == 3, done
    assert done.ours == [
        "Another flush was still at work after 0.1 s: #2 push hole/main. Wait for it, or give a longer --timeout."
    ]
    assert "landed on origin/main" in done.out
    assert finished(waiting).code == 0
    assert scene.landed() == ["Add a"]
