"""The rules of composing a landing: what is squashed, what goes as it is, and what one push carries."""

from __future__ import annotations

import pytest

from tests.support.landscape import by_hand, flushed, queue, record, states, write
from tests.support.scenes import Scene


@pytest.mark.slow
def test_a_branch_below_the_name_of_a_deleted_one(scene: Scene) -> None:
    """topic, then topic/more: git cannot have both, and what is remembered of the first must not be in the way."""
    by_hand(scene, settle="off")
    agent = scene.worktree("agent")
    for name in ("a", "b"):
        agent.commit(f"{name}-1")
        agent.commit(f"{name}-2")
        queue(agent, "origin", "HEAD:topic")
        flushed(scene)
    queue(agent, "origin", ":topic")
    flushed(scene)
    assert scene.there("refs/heads/topic") == ""
    for name in ("c", "d"):
        agent.commit(f"{name}-1")
        agent.commit(f"{name}-2")
        queue(agent, "origin", "HEAD:topic/more")
        flushed(scene)
    scene.commit("main")
    queue(scene, "origin", "main")
    flushed(scene)
    assert set(states(scene)) == {"landed"}
    assert "d-2" in scene.files("topic/more")


@pytest.mark.slow
def test_more_branches_than_a_batch_usually_holds_are_one_push(scene: Scene) -> None:
    by_hand(scene)
    names = [f"branch-{n}" for n in range(25)]
    scene.commit("a")
    for name in names:
        scene.git("branch", name)
    queue(scene, "origin", *names)
    flushed(scene)
    assert states(scene) == ["landed"] * 25
    assert len(scene.pushes()) == 1


@pytest.mark.slow
def test_an_atomic_push_of_many_branches_lands_and_blocks_nobody(scene: Scene) -> None:
    by_hand(scene)
    names = [f"branch-{n}" for n in range(25)]
    scene.commit("a")
    for name in names:
        scene.git("branch", name)
    queue(scene, "--atomic", "origin", *names)
    queue(scene, "origin", "main")
    flushed(scene)
    assert states(scene) == ["landed"] * 26


def test_an_atomic_push_with_one_ref_that_has_it_already(scene: Scene) -> None:
    """A stranger made the same change: nothing to land on main is no reason to hold back the rest."""
    other = scene.stranger()
    other.commit("same", message="Theirs")
    other.git("push", "-q")
    tip = scene.commit("same", message="Mine")
    done = scene.push("--atomic", "origin", "main", "main:topic")
    assert (done.code, scene.there("refs/heads/topic")) == (0, tip), done


def test_attributes_are_those_of_what_is_merged(scene: Scene) -> None:
    """merge=union counts as in a plain merge there, whatever the main worktree has checked out."""
    by_hand(scene, settle="off")
    write(scene, ".gitattributes", "log merge=union\n")
    write(scene, "log", "begin\n")
    record(scene, "Begin a log")
    queue(scene)
    flushed(scene)
    scene.git("checkout", "-q", "-b", "old", scene.start_oid)
    for name in ("a", "b"):
        agent = scene.worktree(name, "-b", name, "origin/main")
        write(agent, "log", f"begin\n{name}\n")
        record(agent, f"Log {name}")
        queue(agent)
    flushed(scene)
    assert states(scene) == ["landed"] * 3
    assert scene.bare.git("show", "main:log") == "begin\na\nb"
