"""When a push answers: wait, queue and manual mode, the wait's limits, and a wait that is cut short."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import TRACKING, Scene, finished, gate, until
from uam_hooks.hot.queue.model import seconds_of

# -- queue and manual ------------------------------------------------------------------------------------


def test_queue_mode_answers_at_once_and_a_flusher_lands_it(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", WINDOW)
    scene.commit("a")
    tip = scene.commit("b")
    process = scene.start("push")
    done = finished(process)  # returns when nobody holds the pipes any more
    assert scene.flusher()  # it is the sh that starts it for a moment
    assert scene.there() == scene.oid(TRACKING) == scene.start_oid
    assert scene.pushed() == ["pending"]
    assert done == (
        0,
        "",
        "uam: queued as #2 for origin/main; it lands within 20 s (git uam status)\n"
        f"To uam::origin\n   {scene.start_oid[:7]}..{scene.start_oid[:7]}  main -> main\n",
    )
    due_now(scene)
    scene.idle()
    assert scene.pushed() == ["completed"]
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.oid(TRACKING) == scene.there()
    # nobody waited, and no file has to change: the branch follows
    assert scene.oid("main") == scene.there() != tip
    assert scene.clean()


def test_two_queued_pushes_are_one_landing(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", WINDOW)
    scene.commit("a")
    assert scene.push().code == 0
    scene.commit("b")
    assert scene.push().ours[0].startswith("queued as #2 for origin/main")
    due_now(scene)
    scene.idle()
    assert scene.landed() == ["Squashed 2 commits:"]
    assert len(scene.pushes()) == 1


@pytest.mark.staying
def test_a_flusher_that_lives_for_others_leaves_what_is_manual(scene: Scene) -> None:
    other, third = scene.worktree("other"), scene.worktree("third")
    scene.commit("a")
    assert scene.push().code == 0
    by_hand = scene.commit("b")
    manual = ("-c", "uam.push.mode=manual", "push")
    assert scene.run(*manual).code == 0
    other.commit("c")
    assert other.push("origin", "HEAD:other").code == 0
    assert scene.pushed() == ["completed", "pending", "completed"]
    assert "`git uam flush` executes what waits" in scene.git("uam", "status")
    assert " landed on origin/main " in scene.git("uam", "flush")
    assert (scene.there(), scene.pushed()) == (by_hand, ["completed"] * 3)
    # who waits for the same branch takes along what they merge with
    third.git("reset", "-q", "--hard", by_hand)
    third.commit("d")
    assert third.run(*manual, "origin", "HEAD:main").code == 0
    scene.commit("e")
    assert scene.push().code == 0
    assert scene.files() == ["README", "a", "b", "d", "e"]


def test_manual_mode_waits_for_the_flush_command(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    tip = scene.commit("a")
    done = scene.push()
    assert done.code == 0
    assert done.ours == ["queued as #2 for origin/main; `git uam flush` lands it (git uam status)"]
    # whatever a push starts has begun when it answers, and the window is over
    until(lambda: time.time() > seconds_of(scene.rows("deploy_queue")[-1]["execute_after"]), "the end of the window")
    assert scene.flushers() == []
    assert scene.unattended()
    assert (scene.there(), scene.pushed()) == (scene.start_oid, ["pending"])
    assert scene.report()["next_action"] == {
        "words": "`git uam flush` executes what waits", "command": ["git", "uam", "flush"],
    }  # fmt: skip
    flush = scene.run("uam", "flush")
    assert flush == (0, f"batch 1: ada@example.invalid@work {tip[:7]} landed on origin/main as {tip[:7]}\n", "")
    assert scene.there() == tip == scene.oid(TRACKING)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("uam.push.mode", "later", "The setting uam.push.mode is 'later', which is not one of wait, queue, manual."),
        ("uam.window.push", "soon", "The setting uam.window.push is 'soon', which is not a duration such as"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(scene: Scene, key: str, value: str, why: str) -> None:
    scene.git("config", "--unset", "uam.flusher.linger")  # as it usually is: one that stays is begun at once
    scene.git("config", key, value)
    scene.commit("a")
    done = scene.push()
    assert done.code == 1
    assert why in done.err
    assert scene.pushed() == []
    scene.git("config", "uam.push.mode", "wait")
    scene.git("config", "uam.window.push", "200ms")
    assert scene.push().code == 0


# -- a wait that ends early ------------------------------------------------------------------------------


def test_an_interrupted_wait_takes_the_push_back(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    tip = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    os.killpg(process.pid, signal.SIGINT)
    done = finished(process)
    assert done.code == -signal.SIGINT
    # git may end before its helper has said what it did
    until(lambda: scene.pushed() == ["cancelled"], "the push's withdrawal")
    assert "uam: interrupted: this push is taken back, nothing of it will land.\n" in done.err
    assert [row["status"] for row in scene.rows("sources")] == ["withdrawn"]
    assert scene.there() == scene.oid(TRACKING) == scene.start_oid
    scene.idle()  # it goes away when nothing is left to wait for
    scene.git("config", "uam.window.push", "200ms")
    assert scene.push().code == 0
    assert scene.there() == tip
    assert len(scene.pushes()) == 1


def test_a_push_that_a_newer_one_has_replaced_is_told_so_when_it_is_interrupted(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    agent = scene.worktree("agent")
    agent.commit("one")
    first = agent.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 1, "the first push in the queue")
    agent.commit("two")
    second = agent.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 2, "the second push in the queue")
    os.killpg(first.pid, signal.SIGINT)
    done = finished(first)
    assert done.code == -signal.SIGINT
    due_now(scene)
    assert finished(second).code == 0
    assert "uam: interrupted, but another push of this branch contains this work and continues.\n" in done.err
    assert scene.files() == ["README", "one", "two"]


def test_an_interrupted_push_leaves_the_others_alone(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    mine, theirs = scene.worktree("mine"), scene.worktree("theirs")
    mine.commit("mine")
    theirs.commit("theirs")
    first = mine.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 1, "the first push in the queue")
    second = theirs.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 2, "the second push in the queue")
    os.killpg(first.pid, signal.SIGINT)
    finished(first)
    due_now(scene)
    assert finished(second).code == 0
    assert scene.files() == ["README", "theirs"]


def test_an_interrupt_during_the_landing_does_not_pretend(scene: Scene) -> None:
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        tip = scene.commit("a")
        process = scene.start("push")
        until(open_gate.reached, "a push that has come to the remote")
        os.killpg(process.pid, signal.SIGINT)
        done = finished(process)
        open_gate()
        scene.idle()
    assert done.code == -signal.SIGINT
    assert done.ours == ["interrupted, but this push is landing already; `git uam status` shows how it ends."]
    assert scene.pushed() == ["completed"]
    assert scene.there() == tip == scene.oid(TRACKING)


@pytest.mark.parametrize("whole_group", [False, True], ids=["git alone", "git and its helper"])
def test_a_push_that_is_killed_lands_once_all_the_same(scene: Scene, whole_group: bool) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    tip = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    due_now(scene)  # git alone: its helper waits on
    finished(process)
    scene.idle()
    assert scene.pushed() == ["completed"]
    assert scene.there() == tip == scene.oid(TRACKING)
    again = scene.push()
    assert (again.code, again.err.splitlines()[-1]) == (0, "Everything up-to-date")
    # a helper that waited on had nobody left to tell, either
    assert again.ours == [f"#2 from before has landed on origin/main as {tip[:7]}"]
    assert len(scene.pushes()) == 1


def test_flusher_and_pushes_killed_the_next_command_lands_it(scene: Scene) -> None:
    scene.git("config", "uam.window.push", "500ms")
    mine = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    flusher = scene.flusher()
    os.killpg(process.pid, signal.SIGKILL)
    os.kill(flusher, signal.SIGKILL)
    finished(process)
    until(lambda: scene.unattended(), "the flusher's lock")
    assert scene.pushed() == ["pending"]
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.run("merge-base", "--is-ancestor", mine, "refs/uam/shadow/origin/main").code == 0
    assert len(scene.pushes()) == 1


@pytest.mark.slow
def test_at_a_terminal_people_see_that_it_waits(scene: Scene) -> None:
    """A pseudo-terminal instead of pipes: the countdown shows, and is wiped before the result."""
    import pty
    import subprocess

    scene.git("config", "uam.window.push", "1500ms")
    scene.commit("a")
    master, slave = pty.openpty()
    process = subprocess.Popen(["git", "push"], cwd=scene.top, env=scene.env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait() == 0
    text = shown.decode()
    assert "\r\x1b[Kuam: waiting for others who push to main; lands within 1 s " in text
    assert text.rindex("for others") < text.rindex("\r\x1b[K") < text.index("To uam::origin")
    assert "Writing objects: 100%" in text
