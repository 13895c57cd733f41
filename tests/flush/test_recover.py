"""A flush that is killed right after any of its durable steps: the next command asks the remote, and is right."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.marks import bulk
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import SHADOW, TRACKING, Scene, finished, free, gate, until
from uam_hooks.land.steps import Step


def crash_at(scene: Scene, step: str) -> list[str]:
    """Three commits and a push whose flush dies at `step`; nobody is left that could go on. Gives the commits."""
    scene.git("config", "uam.push.mode", "queue")
    commits = [scene.commit(name) for name in ("a", "b", "c")]
    assert scene.push(UAM_DIE_AT=step).code == 0
    until(lambda: not scene.flushers() and scene.unattended(), "the crash")
    return commits


def landed_exactly_once(scene: Scene, commits: list[str]) -> None:
    """The remote, the tracking ref, the shadow and the queue as they are after a landing without any crash."""
    assert scene.landed() == ["Squashed 3 commits:"]
    assert scene.files() == ["README", "a", "b", "c"]
    assert len(scene.pushes()) == 1
    assert scene.oid(TRACKING) == scene.there()
    assert scene.oid(f"{SHADOW}^1") == scene.there()
    for commit in commits:
        assert scene.run("merge-base", "--is-ancestor", commit, SHADOW).code == 0
    nothing_is_open(scene)
    assert {row["status"] for row in scene.rows("sources")} <= {"landed", "replaced"}
    assert [row["status"] for row in scene.rows("queued_commits")] == ["landed"] * 3
    assert [row["status"] for row in scene.rows("landings")].count("landed") == 1
    report = scene.report()
    assert (report["waiting"], report["running"], report["failed"]) == ([], [], [])


def nothing_is_open(scene: Scene) -> None:
    """No row of the queue claims that anything is still to come."""
    ended = {"completed", "cancelled"}
    assert {row["status"] for row in scene.rows("deploy_queue")} <= ended
    assert {row["status"] for row in scene.rows("deploy_batches")} <= ended
    assert "planned" not in [row["status"] for row in scene.rows("landings")]


# whether the landing is on the remote when the process dies after the step
PUSHED = {
    Step.CLAIMED: False,
    Step.PLANNED: False,
    Step.PINNED: False,
    Step.PUSHED: True,
    Step.REMEMBERED: True,
    Step.TRACKED: True,
    Step.FINISHED: True,
}


def test_every_step_is_tested() -> None:
    assert set(Step) == set(PUSHED) | {Step.BEGUN}


@pytest.mark.slow
def test_a_command_whose_flush_died_is_not_run_again_by_itself(scene: Scene) -> None:
    scene.git("config", "uam.deploy.prod.command", f"sh -c 'echo ran >>{scene.root}/ran'")
    scene.git("uam", "deploy", "queue", "--action-type", "deploy", "--target", "prod", "--agent-id", "a")
    assert scene.run("uam", "flush", UAM_DIE_AT=Step.BEGUN).code != 0
    until(lambda: scene.rows("deploy_queue")[0]["status"] == "executing", "the crash")
    report = scene.report()
    assert (report["waiting"], report["running"]) == ([], [])
    assert [failure["error"] for failure in report["failed"]] == [
        "its flush ended while it ran, so its outcome is unknown; `git uam retry 1` runs it again"
    ]
    assert scene.git("uam", "retry", "1") == "#1 is queued again as #2"
    scene.git("uam", "flush")
    assert (scene.root / "ran").read_text() == "ran\n"


@pytest.mark.parametrize("step", bulk(PUSHED, quick=(Step.PLANNED, Step.PUSHED)))
def test_the_next_push_finds_out(scene: Scene, step: Step) -> None:
    commits = crash_at(scene, step)
    assert (scene.there() != scene.start_oid) is PUSHED[step]
    scene.git("config", "uam.push.mode", "wait")
    again = scene.push()
    assert again.code == 0, again
    landed_exactly_once(scene, commits)
    assert scene.clean()
    assert scene.oid("main") == scene.there()


@pytest.mark.parametrize("step", bulk(PUSHED, quick=(Step.PLANNED, Step.PUSHED)))
def test_status_finds_out_what_the_remote_has(scene: Scene, step: Step) -> None:
    commits = crash_at(scene, step)
    scene.git("config", "uam.push.mode", "manual")  # else status also starts a flusher for what is due
    report = scene.report()
    assert report["running"] == []
    if PUSHED[step]:
        assert report["waiting"] == []
    else:
        assert [row["type"] for row in report["waiting"] if row["type"] == "push"] == ["push"]
        assert scene.there() == scene.start_oid
        scene.git("uam", "flush")
    landed_exactly_once(scene, commits)


@pytest.mark.parametrize(
    "step", bulk((Step.CLAIMED, Step.PLANNED, Step.PINNED, Step.PUSHED, Step.TRACKED), quick=(Step.PUSHED,))
)
def test_a_waiting_push_survives_its_flusher(scene: Scene, step: Step) -> None:
    """The flusher of a waiting push dies in the middle of its work: another one goes on where it stopped."""
    commits = [scene.commit(name) for name in ("a", "b", "c")]
    # the pushing process hands its environment on to every flusher it starts: only the first one is to die
    scene.git("config", "uam.window.push", WINDOW)
    process = scene.start("push", UAM_DIE_AT=step)
    until(lambda: scene.pushed() == ["pending"], "a push that waits")
    other = scene.worktree("other")
    started = other.start("push", "origin", f"{scene.start_oid}:refs/heads/spare")
    until(lambda: len(scene.rows("sources")) == 2, "the other push in the queue")
    due_now(scene)
    assert finished(started).code == 0
    finished(process)
    scene.git("uam", "flush")
    assert scene.there() != scene.start_oid
    assert [subject for subject in scene.landed() if subject.startswith("Squashed")] == ["Squashed 3 commits:"]
    assert len([line for line in scene.pushes() if ":refs/heads/main" in line]) == 1
    assert scene.run("merge-base", "--is-ancestor", commits[-1], SHADOW).code == 0


@pytest.mark.parametrize("step", bulk([Step.PLANNED, Step.PINNED]))
def test_a_landing_that_never_left_is_made_anew_on_what_the_remote_has(scene: Scene, step: Step) -> None:
    crash_at(scene, step)
    other = scene.stranger()
    other.commit("theirs")
    other.push("-q", "origin", "main")
    scene.git("uam", "flush")
    assert scene.landed() == ["Add theirs", "Squashed 3 commits:"]
    assert scene.files() == ["README", "a", "b", "c", "theirs"]


def test_a_landing_below_a_strangers_push_is_recognised(scene: Scene) -> None:
    commits = crash_at(scene, Step.PUSHED)
    landing = scene.there()
    other = scene.stranger()
    other.git("pull", "-q", "origin", "main")
    other.commit("theirs")
    other.push("-q", "origin", "main")
    scene.report()
    assert scene.pushed() == ["completed"]
    assert scene.landed() == ["Squashed 3 commits:", "Add theirs"]
    assert scene.oid(f"{SHADOW}^1") == landing
    assert scene.run("merge-base", "--is-ancestor", commits[-1], SHADOW).code == 0
    assert scene.oid(TRACKING) == landing


@pytest.mark.slow
def test_while_the_remote_is_away_nothing_is_decided(scene: Scene) -> None:
    commits = crash_at(scene, Step.PUSHED)
    away = scene.remote.rename(scene.root / "away")
    scene.report()
    assert scene.pushed() == ["executing"]
    assert scene.run("uam", "flush").code == 0
    assert scene.pushed() == ["executing"]
    away.rename(scene.remote)
    assert scene.report()["running"] == []
    landed_exactly_once(scene, commits)


@pytest.mark.parametrize("step", bulk([Step.PLANNED, Step.PUSHED]))
def test_new_work_after_a_crash_goes_on_top(scene: Scene, step: Step) -> None:
    crash_at(scene, step)
    scene.git("config", "uam.push.mode", "wait")
    scene.commit("d")
    assert scene.push().code == 0
    assert scene.files() == ["README", "a", "b", "c", "d"]
    assert scene.clean()
    for name in ("a", "d"):
        assert len(scene.bare.git("log", "--format=%H", "main", "--", name).splitlines()) == 1
    assert scene.report()["running"] == []


@pytest.mark.slow
def test_recovery_that_crashes_is_recovered(scene: Scene) -> None:
    commits = crash_at(scene, Step.PUSHED)
    assert scene.run("uam", "status", UAM_DIE_AT=Step.REMEMBERED).code != 0
    assert scene.run("uam", "status", UAM_DIE_AT=Step.TRACKED).code != 0
    scene.report()
    landed_exactly_once(scene, commits)


@pytest.mark.slow
def test_a_flusher_killed_while_the_remote_still_works_on_the_push(scene: Scene) -> None:
    """The push outlives its flusher: it must not land a second time when it comes through after all."""
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        scene.git("config", "uam.push.mode", "queue")
        commits = [scene.commit(name) for name in ("a", "b", "c")]
        assert scene.push().code == 0
        until(open_gate.reached, "a push that has come to the remote")
        os.kill(scene.flusher(), signal.SIGKILL)
        until(lambda: scene.unattended() and free(scene.paths.flush_lock), "the locks")
        scene.git("config", "uam.push.mode", "manual")  # else status also starts a flusher for what is due
        scene.report()  # asks the remote, which does not have it yet
        assert scene.pushed() == ["pending"]
        open_gate()
        until(lambda: scene.there() != scene.start_oid, "the late landing")
    scene.git("uam", "flush")
    landed_exactly_once(scene, commits)


@pytest.mark.slow
@pytest.mark.parametrize("step", [Step.PINNED, Step.PUSHED, Step.REMEMBERED, Step.TRACKED])
def test_h15_all_refs_of_a_push_survive_a_crash(scene: Scene, step: Step) -> None:
    """They are remembered, tracked and ended together; the remote is asked once for all of them."""
    scene.git("config", "uam.push.mode", "queue")
    names = ["a", "b", "c"]
    for name in names:
        scene.git("switch", "-q", "-c", name, "main")
        scene.commit(name)
    assert scene.push("-q", "origin", *names, UAM_DIE_AT=step).code == 0
    until(lambda: not scene.flushers() and scene.unattended(), "the crash")
    scene.git("uam", "flush")
    for name in names:
        assert scene.there(f"refs/heads/{name}") == scene.oid(name) == scene.oid(f"refs/remotes/origin/{name}")
    assert len(scene.pushes()) == 1
    assert [row["status"] for row in scene.rows("sources")] == ["landed"] * 3
    assert [row["status"] for row in scene.rows("landings")].count("landed") == 3
    nothing_is_open(scene)
