"""Never a success that is not one: what a push says whose wait is over, and one whose process is ended or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.support.marks import bulk
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import SHADOW, TRACKING, Done, Scene, Worktree, another_git, finished, gate, until
from uam_hooks.hot.core.settings import KEYS

NOT_YET = "not landed yet, nothing is wrong: #{0} is queued; git uam wait {0}"


def impatient(scene: Scene, window: str = WINDOW) -> None:
    """Pushes do not wait long, for a window that does not end while a test looks."""
    scene.git("config", "uam.window.push", window)
    scene.git("config", "uam.push.waitTimeout", "300ms")


def patient(scene: Scene) -> None:
    scene.git("config", "--unset", "uam.push.waitTimeout")


def not_landed_yet(done: Done, number: int = 2, dst: str = "main") -> None:
    assert done.code == 1, done
    assert f" ! [remote rejected] main -> {dst} ({NOT_YET.format(number)})\n" in done.err
    assert done.ours == [f"#{number} for origin/{dst} lands by itself; pushing again waits on."]


def waiting_on(scene: Scene, *args: str) -> subprocess.Popen[str]:
    """A push that waits for what is queued already."""
    before = scene.rows("sources")[-1]["waiter"]
    process = scene.start("push", *args)
    until(lambda: scene.rows("sources")[-1]["waiter"] != before, "a push that waits on")
    return process


def two_commits(place: Worktree) -> str:
    place.commit("a")
    return place.commit("b")


# -- a wait that is over -------------------------------------------------------------------------------------------


def test_c1_exit_0_means_landed_also_when_the_wait_is_over(scene: Scene) -> None:
    impatient(scene)
    tip = scene.commit("a")
    not_landed_yet(scene.push())
    assert scene.there() == scene.oid(TRACKING) == scene.start_oid
    assert scene.pushed() == ["pending"]
    due_now(scene)
    scene.idle()
    assert scene.there() == tip == scene.oid(TRACKING)
    assert len(scene.pushes()) == 1


def test_c1_a_push_that_went_straight_and_got_no_answer_is_no_success(scene: Scene) -> None:
    """git takes a ref that the helper says nothing of for one that is up to date."""
    killed = 'case " $* " in *" cat-file "*) kill -KILL $$ ;; *" push --porcelain "*) kill -KILL $PPID ;; esac'
    env = another_git(scene, f'{killed}\nexec "$REAL_GIT" "$@"\n')
    scene.commit("a")
    done = scene.push(**env)
    assert "goes straight to the remote" in done.err
    assert done.code == 1, done
    assert "(it is not known whether this reached the remote; push again)" in done.err
    assert scene.push().code == 0
    assert scene.files() == ["README", "a"]


def test_c1_a_push_waits_less_than_a_shell_does() -> None:
    """Agents' shells end a command after 30 to 120 seconds."""
    (key,) = [key for key in KEYS if key.name == "uam.push.waitTimeout"]
    assert key.check(key.default) == 80.0


def test_c1_pushing_again_waits_on_for_the_same_entry(scene: Scene) -> None:
    impatient(scene)
    tip = two_commits(scene)
    for _ in range(3):
        not_landed_yet(scene.push())
    patient(scene)
    process = waiting_on(scene)
    due_now(scene)
    done = finished(process)
    assert done.code == 0, done
    new = scene.there()
    assert done.ours[0].startswith(f"landed on origin/main as {new[:7]}: your 2 commits ({tip[:7]}) as one")
    assert [row["status"] for row in scene.rows("sources")] == ["landed"]
    assert scene.oid("main") == new
    assert len(scene.pushes()) == 1


def test_c1_pushing_again_while_it_is_landing_joins_it_as_well(scene: Scene) -> None:
    impatient(scene, "50ms")
    tip = scene.commit("a")
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        not_landed_yet(scene.push())
        until(open_gate.reached, "a push that has come to the remote")
        not_landed_yet(scene.push())
        patient(scene)
        process = waiting_on(scene)
        open_gate()
        done = finished(process)
    assert done.code == 0, done
    assert scene.there() == tip
    assert scene.pushed() == ["completed"]
    assert len(scene.pushes()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("args", [("--force-with-lease",), ("--force",), ("--atomic",)], ids=lambda args: args[0])
def test_c1_what_goes_as_it_is_waits_on_too(scene: Scene, args: tuple[str, ...]) -> None:
    """A second forced push would find the lease taken, by the first."""
    scene.commit("a")
    assert scene.push().code == 0
    scene.git("branch", "other", "HEAD^")
    scene.git("commit", "-q", "--amend", "-m", "Reworded") if args != ("--atomic",) else scene.commit("b")
    refs = ("main", "other") if args == ("--atomic",) else ("main",)
    impatient(scene)
    for _ in range(2):
        done = scene.push(*args, "origin", *refs)
        assert done.code == 1
        assert done.err.count("not landed yet, nothing is wrong: #") == len(refs), done
    before = len(scene.rows("sources"))
    patient(scene)
    process = waiting_on(scene, *args, "origin", *refs)
    due_now(scene)
    assert finished(process).code == 0
    assert scene.there() == scene.oid("main")
    assert len(scene.rows("sources")) == before == 1 + len(refs)


def test_c1_after_it_has_landed_pushing_again_says_what_became_of_it(scene: Scene) -> None:
    impatient(scene)
    scene.git("config", "uam.settle", "keep")
    other = scene.worktree("other")
    tip = two_commits(scene)
    not_landed_yet(scene.push())
    # the branch cannot simply follow: others' work comes with it
    other.commit("theirs")
    not_landed = other.push("origin", "HEAD:main")
    assert not_landed.code == 1
    due_now(scene)
    scene.idle()
    new = scene.there()
    assert scene.oid("main") == tip
    done = scene.push()
    assert done.code == 0
    own = scene.bare.oid("main~1")
    assert done.ours[0].startswith(
        f"#2 from before has landed on origin/main as {own[:7]}: your 2 commits ({tip[:7]}) as one (originals: git uam"
    )
    assert done.ours[0].endswith(f"; other landed in the same push, and origin/main is now at {new[:7]}")
    assert done.ours[1] == f"branch main and its files are now at {new[:7]}, what origin/main has"
    assert done.err.splitlines()[-1] == "Everything up-to-date"
    assert scene.oid("main") == new
    assert scene.clean()
    assert scene.push() == (0, "", "Everything up-to-date\n")  # it is said once


def test_c1_what_failed_meanwhile_is_said_as_well(scene: Scene) -> None:
    impatient(scene)
    scene.commit("same", "mine\n")
    not_landed_yet(scene.push())
    stranger = scene.stranger()
    stranger.commit("same", "theirs\n")
    assert stranger.push("-q", "origin", "HEAD:main").code == 0
    due_now(scene)
    scene.idle()
    done = scene.run("uam", "status")
    assert any(line.startswith("#2 from before did not land: conflict in same") for line in done.ours), done
    assert scene.run("uam", "status").ours == []


# -- a process that is ended -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", bulk([signal.SIGTERM, signal.SIGHUP]))
def test_c4_a_push_that_is_told_to_end_stays_queued_and_lands(scene: Scene, number: signal.Signals) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    tip = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    os.killpg(process.pid, number)
    done = finished(process)
    assert done.code == -number
    assert done.ours == ["it stays queued as #2 and lands; git uam wait 2"]
    assert scene.pushed() == ["pending"]
    assert scene.flushers(), "the flusher is nobody's child, and nobody's group"
    due_now(scene)
    scene.idle()
    assert scene.there() == tip
    assert len(scene.pushes()) == 1


def test_c4_what_a_shell_ends_by_its_time_limit_lands(scene: Scene) -> None:
    """`timeout` ends the command and then its whole group."""
    scene.git("config", "uam.window.push", "4s")
    tip = scene.commit("a")
    done = scene.execute("timeout", "-k", "0.1", "2", "git", "push")
    assert done.code in (124, 137)
    scene.idle()
    assert scene.there() == tip
    assert scene.pushed() == ["completed"]


@pytest.mark.parametrize("number", bulk([signal.SIGKILL, signal.SIGTERM]))
def test_c4_the_next_push_says_what_landed_and_brings_the_branch_over(scene: Scene, number: signal.Signals) -> None:
    tip, new = killed_and_landed(scene, number)
    mine = scene.worktree("elsewhere")
    assert not any("from before" in line for line in mine.run("uam", "status").ours)  # news for whom it concerns
    next_one = scene.commit("c")
    done = scene.push()
    assert done.code == 0, done
    own = json.loads(scene.rows("sources")[0]["outcome"])["own"]
    assert done.ours[0].startswith(f"#2 from before has landed on origin/main as {own[:7]}: your 2 commits ({tip[:7]})")
    assert f"origin/main is now at {new[:7]}" in done.ours[0]
    assert scene.subjects("main") == ["Add c", "Add theirs", "Squashed 2 commits:", "Begin"]
    assert scene.oid("main") == scene.there() != next_one
    assert scene.clean()


@pytest.mark.parametrize("command", bulk(["status", "sync", "flush", "log 2"]))
def test_c4_the_next_command_says_what_landed_and_brings_the_branch_over(scene: Scene, command: str) -> None:
    tip, new = killed_and_landed(scene, signal.SIGKILL)
    done = scene.run("uam", *command.split())
    assert done.code == 0, done
    own = json.loads(scene.rows("sources")[0]["outcome"])["own"]
    assert done.ours[0].startswith(f"#2 from before has landed on origin/main as {own[:7]}: your 2 commits ({tip[:7]})")
    assert f"origin/main is now at {new[:7]}" in done.ours[0]
    assert done.ours[1] == f"branch main and its files are now at {new[:7]}, what origin/main has"
    assert scene.oid("main") == new
    assert scene.clean()
    assert scene.run("uam", "status").ours == []


def killed_and_landed(scene: Scene, number: signal.Signals) -> tuple[str, str]:
    """A push of two commits that is killed as it waits, and lands with somebody else's: the tip, and the landing."""
    scene.git("config", "uam.window.push", WINDOW)
    other = scene.worktree("other")
    tip = two_commits(scene)
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    other.commit("theirs")
    second = other.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 2, "the second push in the queue")
    os.killpg(process.pid, number)
    finished(process)
    due_now(scene)
    assert finished(second).code == 0
    scene.idle()
    new = scene.there()
    assert scene.oid("main") == tip, "its files would have to change, and nobody was there"
    assert scene.run("merge-base", "--is-ancestor", tip, SHADOW).code == 0
    scene.git("config", "uam.window.push", "50ms")
    return tip, new


def test_c4_what_passes_is_tried_again_for_a_push_that_was_killed(scene: Scene) -> None:
    """Somebody who waits is told at once; who was killed is not somebody who waits."""
    scene.git("config", "uam.window.push", WINDOW)
    scene.git("config", "uam.retry.delay", "100ms")
    tip = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    os.killpg(process.pid, signal.SIGKILL)
    finished(process)
    away = scene.remote.rename(scene.root / "away.git")
    due_now(scene)
    until(lambda: scene.rows("deploy_queue")[-1]["attempts"], "a try that failed")
    away.rename(scene.remote)
    scene.idle()
    assert scene.there() == tip
    assert scene.pushed() == ["completed"]


def test_c4_an_interrupted_push_tells_what_of_before_stays_queued(scene: Scene) -> None:
    impatient(scene)
    tip = scene.commit("a")
    not_landed_yet(scene.push())
    scene.commit("b")
    patient(scene)
    process = scene.start("push")
    until(lambda: len(scene.rows("sources")) == 2, "the second push in the queue")
    os.killpg(process.pid, signal.SIGINT)
    done = finished(process)
    assert done.ours == [
        "interrupted: this push is taken back. What was pushed before it: it stays queued as #2 and lands;"
        " git uam wait 2"
    ]
    due_now(scene)
    scene.idle()
    assert scene.there() == tip


def test_c4_what_was_accepted_with_exit_0_is_not_taken_back_by_a_second_push(scene: Scene) -> None:
    scene.git("config", "uam.window.push", "10m")
    scene.git("config", "uam.push.mode", "queue")
    tip = scene.commit("a")
    assert scene.push().code == 0
    (before,) = [row["execute_after"] for row in scene.rows("deploy_queue") if row["action_type"] == "push"]
    scene.git("config", "uam.push.mode", "wait")
    scene.git("config", "uam.window.push", WINDOW)
    process = scene.start("push")
    until(lambda: scene.rows("deploy_queue")[-1]["execute_after"] < before, "a push that waits on")
    os.killpg(process.pid, signal.SIGINT)
    done = finished(process)
    assert done.ours == ["interrupted, but another push of this branch contains this work and continues."]
    assert scene.pushed() == ["pending"]
    due_now(scene)
    scene.idle()
    assert scene.there() == tip


def test_g3_a_push_that_cannot_wait_is_out_of_the_queue_before_it_goes_straight(scene: Scene) -> None:
    """A wait that a fault has ended takes the push back, or says that it may land."""
    scene.git("config", "uam.window.push", WINDOW)
    tip = scene.commit("a")
    scene.paths.log.unlink(missing_ok=True)
    scene.paths.log.mkdir()  # so no flusher can be started
    done = scene.push()
    assert done.code == 0, done
    assert scene.there() == tip
    assert scene.pushed() == ["cancelled"]
    assert any("This push goes straight to the remote." in line for line in done.ours)
