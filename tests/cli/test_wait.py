"""`git uam wait`: what a push would have heard, and its exit status."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.support.commands import asked, call, commit, facts, refused
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import Scene, Worktree, finished, until


def queued(place: Worktree, scene: Scene) -> int:
    """A push whose wait was over; gives its number."""
    before = len(scene.rows("sources"))
    done = place.push("origin", "HEAD:main")
    assert done.code == 1, done
    assert len(scene.rows("sources")) == before + 1
    return int(scene.rows("sources")[-1]["action_id"])


@pytest.fixture
def hasty(scene: Scene) -> Scene:
    scene.git("config", "uam.window.push", WINDOW)
    scene.git("config", "uam.push.waitTimeout", "300ms")
    return scene


def test_c1_wait_says_what_the_push_would_have_said_and_settles_the_branch(hasty: Scene) -> None:
    hasty.commit("a")
    tip = hasty.commit("b")
    number = queued(hasty, hasty)
    other = hasty.worktree("other")
    other.commit("theirs")
    assert queued(other, hasty) == number
    waiting = hasty.start("uam", "wait", str(number), "--timeout", "1m")
    theirs = other.start("uam", "wait", str(number), "--timeout", "1m")
    due_now(hasty)
    done = finished(waiting)
    new = hasty.there()
    assert done.code == 0, done
    own = hasty.bare.oid("main~1")
    said = (
        f"#{number} has landed on origin/main as {own[:7]}: your 2 commits ({tip[:7]}) as one (originals: git uam show"
    )
    assert done.ours[0].startswith(said)
    assert done.ours[0].endswith(f"; other landed in the same push, and origin/main is now at {new[:7]}")
    assert done.ours[1:] == [f"branch main and its files are now at {new[:7]}, what origin/main has"]
    assert hasty.oid("main") == new
    assert hasty.clean()
    assert finished(theirs).code == 0
    assert other.oid("HEAD") == new
    assert hasty.push() == (0, "", "Everything up-to-date\n")


def test_wait_follows_an_action_whose_work_another_one_has_taken(quiet: Scene) -> None:
    """A flush died with the first push; what was queued meanwhile joins that when it is given back."""
    quiet.commit("a")
    assert quiet.push().code == 0
    first = quiet.rows("deploy_queue")[-1]["id"]
    assert quiet.run("uam", "flush", UAM_DIE_AT="claimed").code == 137
    other = quiet.worktree("other")
    other.commit("theirs")
    assert other.push("origin", "HEAD:main").code == 0
    second = quiet.rows("deploy_queue")[-1]["id"]
    assert second != first
    done = other.run("uam", "wait", str(second), "--timeout", "100ms")
    assert (done.code, f"not landed yet, nothing is wrong: #{first} is queued" in done.err) == (1, True), done
    quiet.git("uam", "flush")
    done = other.run("uam", "wait", str(second))
    assert (done.code, done.ours[0].startswith(f"#{first} has landed on origin/main as ")) == (0, True), done


def test_wait_that_is_over_says_so(hasty: Scene) -> None:
    hasty.commit("a")
    number = queued(hasty, hasty)
    done = hasty.run("uam", "wait", str(number), "--timeout", "100ms")
    assert (done.code, done.out) == (1, "")
    assert done.ours == [f"not landed yet, nothing is wrong: #{number} is queued; git uam wait {number}"]
    assert hasty.pushed() == ["pending"]


def test_wait_starts_the_flusher_if_none_lives(hasty: Scene) -> None:
    hasty.git("config", "uam.window.push", "400ms")
    tip = hasty.commit("a")
    process = hasty.start("push")
    until(lambda: hasty.pushed() == ["pending"], "a push in the queue")
    flusher = hasty.flusher()
    process.kill()
    finished(process)
    os.kill(flusher, signal.SIGKILL)
    (number,) = [row["id"] for row in hasty.rows("deploy_queue") if row["action_type"] == "push"]
    done = hasty.run("uam", "wait", str(number), "--timeout", "30s")
    assert done.code == 0, done
    assert hasty.there() == tip
    assert done.ours == [f"#{number} has landed on origin/main as {tip[:7]}"]


def test_wait_for_what_has_failed_gives_the_reason_and_what_helps(hasty: Scene) -> None:
    hasty.commit("same", "mine\n")
    number = queued(hasty, hasty)
    stranger = hasty.stranger()
    stranger.commit("same", "theirs\n")
    assert stranger.push("-q", "origin", "HEAD:main").code == 0
    due_now(hasty)
    hasty.idle()
    for _ in range(2):
        done = hasty.run("uam", "wait", str(number))
        assert done.code == 1
        assert done.ours[0].startswith(f"#{number} did not land: conflict in same"), done
        assert "`git pull --rebase origin main`, resolve, and push again" in done.ours


def test_wait_for_what_others_pushed(hasty: Scene) -> None:
    other = hasty.worktree("other")
    tip = other.commit("theirs")
    number = queued(other, hasty)
    due_now(hasty)
    done = call(hasty, "wait", str(number), "--timeout", "30s")
    assert (done.code, done.ours) == (0, [f"#{number} has landed on origin/main as {tip[:7]}"])
    assert hasty.oid("main") == hasty.start_oid


def test_wait_in_the_mode_manual_leaves_the_landing_to_people(hasty: Scene) -> None:
    hasty.git("config", "uam.push.mode", "manual")
    hasty.commit("a")
    assert hasty.push().code == 0
    done = call(hasty, "wait", "2", "--timeout", "0")
    assert (done.code, done.ours) == (1, ["not landed yet, nothing is wrong: #2 is queued; `git uam flush` lands it"])
    assert hasty.flushers() == []
    assert hasty.run("uam", "flush").code == 0
    assert call(hasty, "wait", "2").code == 0


def test_wait_for_other_kinds_of_action(stocked: Scene) -> None:
    quiet = stocked
    number = commit(quiet)
    failed = asked(quiet, "deploy", "bad")
    quiet.run("uam", "flush")
    done = call(quiet, "wait", str(number))
    assert (done.code, done.ours) == (0, [f"#{number} commit main is completed"])
    done = call(quiet, "wait", str(number), str(failed), "--timeout", "0")
    assert done.code == 1
    assert done.ours[1].startswith(f"#{failed} deploy bad is ")
    told = call(quiet, "wait", str(number), str(failed), "--timeout", "0", "--json")
    assert (told.code, told.ours) == (1, done.ours)
    found = json.loads(told.out)
    assert found["done"] is False
    assert found["actions"] == [facts(quiet, "log", str(one)) for one in (number, failed)]
    assert found["next_action"]["command"] in (["git", "uam", "flush"], ["git", "uam", "log", str(failed)])
    assert facts(quiet, "log", str(number))["status"] == "completed"
    pushed = asked(quiet, "push", "main")
    quiet.git("uam", "cancel", str(pushed))
    done = call(quiet, "wait", str(pushed))
    assert (done.code, done.ours[0]) == (
        1,
        f"#{pushed} was taken out of the queue, nothing of it lands: cancelled by hand",
    )


def test_wait_for_nothing(scene: Scene) -> None:
    refused(call(scene, "wait", "7"), 2, "There is no action #7.")
    refused(call(scene, "wait"), 2, "Missing argument 'IDS...'")
    refused(call(scene, "wait", "1", "--timeout", "soon"), 2, "'soon' is not a duration")
    scene.commit("a")
    scene.report()
    refused(call(scene, "wait", "1"), 4, "#1 are commits that wait for a push. `git push` lands them.")
