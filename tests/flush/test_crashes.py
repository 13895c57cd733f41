"""Batches whose process ends: no command is left behind, and the next flush goes on."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import uam_hooks
from tests.support.deploys import command, ends, logging, ran
from tests.support.landscape import kept, sound, truthful, write
from tests.support.queueing import acting, row
from tests.support.scenes import Scene, alive, finished, free, until
from uam_hooks.land.steps import Step

# -- when a process ends -----------------------------------------------------------------------------------------

FLUSH = f"""
import sys
sys.path.insert(0, {str(Path(uam_hooks.__file__).parent.parent)!r})
from uam_hooks import DeployBatcher
DeployBatcher(batch_window_ms=0).flush_all()
"""


def started(scene: Scene, **env: str) -> Any:
    """`flush_all` in a process of its own."""
    return scene._start([sys.executable, "-c", FLUSH], env)


def test_a_flush_that_is_killed_while_a_deploy_runs(scene: Scene) -> None:
    """Nobody knows what the command has done: it is not run a second time until somebody says so."""
    at = command(scene, "prod", 'echo "$UAM_ACTION" >>log; echo $$ >pid; [ -e go ] || exec sleep 300')
    log = logging(scene, "after")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod")
        after = agents.queue("ada", "deploy", "after", dependencies=[number])
        write(scene, "a", "a\n")
        commit = agents.queue("ada", "commit", "main", {"message": "Add a", "files": ["a"]})
        process = started(scene)
        pid = int(until(lambda: (at / "pid").exists() and (at / "pid").read_text(), "the deploy"))
        process.kill()
        process.communicate()
        os.kill(pid, signal.SIGKILL)
        (at / "go").touch()  # from here on it would end at once
        results = agents.flush_all()
        assert [result.success for result in results] == [False]
        assert ran(at / "log") == [number]
        assert row(scene, number)["status"] == "failed"
        assert f"`git uam retry {number}`" in row(scene, number)["error"]
        assert ends(scene, after) == [("failed", f"dependency #{number} failed")]
        # what was in the same batch is not lost with it
        assert row(scene, commit)["status"] == "completed"
        assert scene.subjects("main") == ["Add a", "Begin"]
        again = agents.retry(number)
        (result,) = agents.flush_all()
    assert result.success
    assert ran(log) == [number, again]


def test_an_interrupted_flush_ends_its_deploys(scene: Scene) -> None:
    at = command(scene, "prod", "sleep 300 & echo $! >child; echo $$ >pid; wait")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod")
        process = started(scene)
        until(lambda: (at / "pid").exists() and (at / "pid").read_text(), "the deploy")
        process.send_signal(signal.SIGINT)
        assert finished(process).code != 0
        for name in ("pid", "child"):
            pid = int((at / name).read_text())
            until(lambda pid=pid: not alive(pid), f"the end of {name}")  # type: ignore[misc]
        assert free(scene.paths.flush_lock)
        agents.flush_all()
    assert row(scene, number)["status"] == "failed"
    assert "retry" in row(scene, number)["error"]


def test_a_flush_that_is_killed_before_the_command_starts(scene: Scene) -> None:
    """It was written down as begun: from here on nobody can tell."""
    log = logging(scene, "prod")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod")
        assert finished(started(scene, UAM_DIE_AT=Step.BEGUN)).code == -signal.SIGKILL
        agents.flush_all()
        assert ran(log) == []
        assert row(scene, number)["status"] == "failed"
        assert f"`git uam retry {number}`" in row(scene, number)["error"]
        again = agents.retry(number)
        agents.flush_all()
    assert ran(log) == [again]


# no command is begun for these; and what stays here has no remote to be followed
PUSHING = [step for step in Step if step != Step.BEGUN]
LOCAL = [step for step in PUSHING if step not in (Step.REMEMBERED, Step.TRACKED)]


def died_at(scene: Scene, step: Step) -> None:
    """A flush that is killed at a step, and one that goes on."""
    died = finished(started(scene, UAM_DIE_AT=step))
    assert died.code == -signal.SIGKILL, died
    with acting(scene) as agents:
        agents.flush_all()
    assert {one["status"] for one in scene.rows("deploy_queue") if one["asked"]} == {"completed"}
    assert {one["status"] for one in scene.rows("deploy_batches")} <= {"completed", "cancelled"}
    assert [one["status"] for one in scene.rows("landings")].count("landed") == 1
    sound(scene)
    truthful(scene)


@pytest.mark.slow
@pytest.mark.parametrize("step", LOCAL)
def test_commits_survive_a_crash(scene: Scene, step: Step) -> None:
    with acting(scene) as agents:
        for name in ("a", "b"):
            write(scene, name, f"{name}\n")
            agents.queue(name, "commit", "main", {"message": f"Add {name}", "files": [name]})
    tips = [one["tip"] for one in scene.rows("sources")]
    died_at(scene, step)
    assert scene.subjects("main") == ["Squashed 2 commits:", "Begin"]
    assert scene.git("ls-tree", "--name-only", "main").split() == ["README", "a", "b"]
    assert scene.status() == ["## main...origin/main [ahead 1]"]
    kept(scene, tips)


@pytest.mark.slow
@pytest.mark.parametrize("step", PUSHING)
def test_commits_with_their_push_survive_a_crash(scene: Scene, step: Step) -> None:
    with acting(scene) as agents:
        for name in ("a", "b"):
            write(scene, name, f"{name}\n")
            agents.queue(name, "commit", "main", {"message": f"Add {name}", "files": [name]})
        agents.queue("ada", "push", "main")
    tips = [one["tip"] for one in scene.rows("sources") if one["base"]]
    died_at(scene, step)
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.files() == ["README", "a", "b"]
    assert len(scene.pushes()) == 1
    kept(scene, tips)


@pytest.mark.slow
@pytest.mark.parametrize("step", LOCAL)
def test_a_merge_survives_a_crash(scene: Scene, step: Step) -> None:
    prepare_merge(scene)
    with acting(scene) as agents:
        agents.queue("ada", "merge", "release", {"source": "topic"})
    died_at(scene, step)
    assert scene.subjects("--first-parent", "release") == ["Merge branch 'topic' into release", "On release", "Begin"]
    assert scene.pushes() == []


@pytest.mark.slow
@pytest.mark.parametrize("step", PUSHING)
def test_a_merge_that_is_pushed_survives_a_crash(scene: Scene, step: Step) -> None:
    prepare_merge(scene)
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic", "push": True})
    died_at(scene, step)
    assert scene.bare.subjects("--first-parent", "main") == ["Merge branch 'topic' into main", "Begin"]
    assert len(scene.pushes()) == 1
    assert scene.files() == ["README", "t"]


def prepare_merge(scene: Scene) -> None:
    """A branch topic that is ahead of main, and a branch release that went another way; main is checked out."""
    scene.git("switch", "-q", "-c", "topic")
    scene.commit("t")
    scene.git("switch", "-q", "-c", "release", "main")
    scene.commit("r", message="On release")
    scene.git("switch", "-q", "main")
