"""What fails on this machine fails nobody who has nothing to do with it: it is tried again, and then source by source.

A git that is killed is that of a directory of the test (GIT_EXEC_PATH), as in the tests of failed questions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.flows.test_failed_questions import mortal
from tests.support.landscape import by_hand, enqueue, flushed, kept, sound, states
from tests.support.scenes import SHADOW, Scene, Worktree, until


def queued(scene: Scene, *names: str) -> list[Worktree]:
    """An agent for each name, whose push of one commit waits in the queue."""
    agents = [scene.worktree(name) for name in names]
    for agent, name in zip(agents, names, strict=True):
        agent.commit(f"file-{name}")
        enqueue(agent)
    return agents


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_g6_a_killed_git_fails_no_push_of_its_batch(scene: Scene) -> None:
    """The first git of a flush, the second, ...: all that was queued lands in that flush or in the one after it."""
    env = mortal(scene)
    by_hand(scene)
    agents = [scene.worktree(name) for name in ("one", "two", "three")]
    for number in range(1, 120, 4):
        for agent in agents:
            agent.commit(f"{agent.top.name}-{number}")
            assert enqueue(agent)
        counted = scene.root / "counted"
        counted.unlink(missing_ok=True)
        done = scene.run("uam", "flush", **env, KILL_NTH=str(number), COUNTED=str(counted))
        flushed(scene)
        assert set(states(scene)) <= {"landed", "replaced"}, (number, done)
        if len(counted.read_text()) < number:
            break
    assert {f"{agent.top.name}-{n}" for agent in agents for n in range(1, number + 1, 4)} <= set(scene.files())
    sound(scene)


def test_g6_a_source_whose_objects_are_gone_fails_alone(scene: Scene) -> None:
    by_hand(scene)
    _, bad, _ = queued(scene, "one", "bad", "three")
    tree = bad.oid("HEAD:file-bad")
    (scene.top / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    flushed(scene)
    assert states(scene) == ["landed", "failed", "landed"]
    assert {"file-one", "file-three"} <= set(scene.files())
    assert "file-bad" not in scene.files()
    (_, said, _) = [row["outcome"] for row in scene.rows("sources")]
    assert "git " in said


@pytest.mark.parametrize("damage", ["commit", "tree"])
def test_g6_a_source_that_cannot_be_read_fails_alone(scene: Scene, damage: str) -> None:
    by_hand(scene)
    _, bad, _ = queued(scene, "one", "bad", "three")
    oid = bad.oid("HEAD" if damage == "commit" else "HEAD^{tree}")
    (scene.top / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    flushed(scene)
    assert states(scene) == ["landed", "failed", "landed"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_g6_gc_beside_the_flush_fails_nothing(scene: Scene) -> None:
    """What a plan has made is named by no ref for a moment; when gc takes it then, it is made again."""
    by_hand(scene)
    agents = [scene.worktree(name) for name in ("one", "two", "three", "four")]
    tips = []
    for number in range(3):
        for agent in agents:  # git's own commits would not survive what begins now
            tips.append(agent.commit(f"{agent.top.name}-{number}"))
            assert enqueue(agent)
        with collecting(scene):
            done = scene.run("uam", "flush")
        assert set(states(scene)) <= {"landed", "replaced"}, (done, [row["outcome"] for row in scene.rows("sources")])
        kept(scene, tips)
        sound(scene)


@contextmanager
def collecting(scene: Scene) -> Iterator[None]:
    """Meanwhile git throws away, again and again, whatever no ref holds."""
    rounds: list[int] = []
    ended = threading.Event()

    def collect() -> None:
        while not ended.is_set():
            scene.run("gc", "-q", "--prune=now")
            rounds.append(1)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        until(lambda: rounds, "a first collection")
        yield
    finally:
        ended.set()
        collector.join()


def test_g6_a_memory_that_could_not_be_written_is_found_in_the_journal(scene: Scene) -> None:
    """A git that was killed left the shadow where it was: what came after conflicted with its own squash for ever."""
    by_hand(scene, settle="off")
    for n in range(4):
        scene.commit("file", f"{n}\n", message=f"Say {n}")
        if n == 1:
            assert enqueue(scene)
            flushed(scene)
            before = scene.oid(SHADOW)
    assert enqueue(scene)
    flushed(scene)
    scene.git("update-ref", SHADOW, before)
    scene.commit("file", "4\n", message="Say 4")
    scene.commit("file", "5\n", message="Say 5")
    assert enqueue(scene)
    flushed(scene)
    assert states(scene) == ["landed", "landed", "landed"]
    assert scene.bare.git("show", "main:file") == "5"
