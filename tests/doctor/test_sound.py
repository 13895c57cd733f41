"""Nothing is found where nothing is wrong, whatever is going on; and what a kill leaves is found."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import asked, call, commit, refused
from tests.support.landscape import flushed, queue
from tests.support.scenes import Scene, Worktree, finished, gate, until
from uam_hooks.doctor.finding import Code


def sound(place: Worktree) -> None:
    done = call(place, "doctor")
    assert (done.code, done.out, done.err) == (0, "nothing is wrong\n", "")


def test_nothing_is_wrong_with_a_new_one_and_after_a_landing(scene: Scene) -> None:
    sound(scene)
    assert not scene.paths.database.exists()
    scene.commit("a")
    scene.git("push", "-q", "origin", "main")
    sound(scene)  # its process may still be there, and holds the queue open
    scene.idle()
    sound(scene)


def test_nothing_is_wrong_while_something_waits_or_lands_in_any_worktree(scene: Scene) -> None:
    """The process that lands stands in the middle of its push, and another push is noted and waits behind it."""
    scene.git("config", "uam.settle", "ref")
    one, two = scene.worktree("one"), scene.worktree("two")
    one.commit("a")
    two.commit("b")
    with gate(scene, scene.remote / "hooks" / "pre-receive") as door:
        pushing = one.start("push", "-q", "origin", "HEAD:main")
        until(door.reached, "the push at the remote")
        two.git("-c", "uam.push.mode=queue", "push", "-q", "origin", "HEAD:main")
        sound(scene)
        sound(two)
        assert [row["status"] for row in scene.rows("deploy_batches")] == ["executing"]
        door()
        assert finished(pushing).code == 0
        until(door.reached, "the second push")
        door()
        scene.idle()
    sound(two)


def test_nothing_is_wrong_with_all_that_can_be_queued_and_what_it_comes_to(stocked: Scene) -> None:
    commit(stocked, "a")
    asked(stocked, "merge", "main", "--source", "topic", "--strategy", "no-ff", "--push")
    asked(stocked, "push", "main")
    asked(stocked, "deploy", "prod")
    stocked.commit("b")
    queue(stocked, "origin", "main:other", "HEAD:refs/tags/v1")
    sound(stocked)
    assert call(stocked, "batch").code == 0
    sound(stocked)
    flushed(stocked)
    sound(stocked)


@pytest.mark.parametrize("options", [("--hooks-only",), ("--door-only",)])
def test_nothing_is_wrong_with_half_of_it_where_that_was_asked_for(plain: Scene, options: tuple[str, ...]) -> None:
    assert call(plain, "install", *options).code == 0
    sound(plain)
    below = plain.top / "below"
    below.mkdir()
    assert call(plain, "doctor", at=below).code == 0


def test_where_it_was_taken_out_it_says_so(scene: Scene) -> None:
    assert call(scene, "uninstall").code == 0
    refused(call(scene, "doctor"), 4, "git uam is not enabled in this repository", "git uam install")
    refused(call(scene, "doctor", at=scene.root), 2, "is not in a git repository")


@pytest.mark.slow
@pytest.mark.parametrize("step", ["claimed", "planned", "pushed"])
def test_what_a_kill_leaves_is_found_and_lands(scene: Scene, step: str) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.commit("a")
    scene.git("push", "-q", "origin", "main", UAM_DIE_AT=step)
    until(lambda: scene.rows("deploy_batches") and scene.unattended(), "the death")
    scene.idle()
    done = call(scene, "doctor", "--json")
    assert [one["code"] for one in json.loads(done.out)["findings"]] == [Code.BATCH_ABANDONED.value]
    done = call(scene, "doctor", "--fix")
    assert done.code == 0
    assert done.out.splitlines()[0] == "will mend batch 1: ask the remote what became of it"
    until(lambda: scene.pushed() == ["completed"], "the landing")
    scene.idle()
    assert scene.landed() == ["Add a"]
    sound(scene)


def test_what_has_landed_is_kept_by_its_landing_until_that_is_recorded(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    tip = scene.commit("a")
    scene.git("push", "-q", "origin", "main", UAM_DIE_AT="tracked")
    until(lambda: scene.rows("deploy_batches") and scene.unattended(), "the death")
    scene.idle()
    scene.git("update-ref", "-d", f"refs/uam/pin/{tip}")  # as a moment later
    done = call(scene, "doctor", "--json")
    assert [one["code"] for one in json.loads(done.out)["findings"]] == [Code.BATCH_ABANDONED.value]
