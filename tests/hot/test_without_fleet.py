"""Where no fleet is set, nothing of one is loaded, and psycopg is not needed: neither by a flusher nor by a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scenes import Scene
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.leader import command

ALLOWED = {"uam_hooks.fleet", "uam_hooks.fleet.abroad"}
# psycopg is as good as not installed, and at the end all that was loaded is told
WITHOUT = (
    "import atexit, sys; sys.modules['psycopg'] = None; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
)
CALL = "from uam_hooks.cli import main; main()"


def loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The modules of a fleet that a process has loaded."""
    assert done.returncode == 0, done
    modules = set(done.stderr.splitlines()[-1].split())
    assert "uam_hooks.session" in modules
    return {name for name in modules if name.startswith(("uam_hooks.fleet", "uam_hooks.doctor.fleet", "psycopg"))}


@pytest.mark.parametrize("words", [["status"], ["flush"], ["cancel", "2"], ["wait", "2"], ["doctor"]], ids=" ".join)
def test_a_command_loads_nothing_of_a_fleet(scene: Scene, words: list[str]) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a", message="Add a")
    scene.git("push", "-q", "origin", "main")
    if words == ["wait", "2"]:
        assert scene.run("uam", "flush").code == 0
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + CALL, *words],
        cwd=scene.top, env=scene.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    looking = {"uam_hooks.doctor.fleet", "uam_hooks.fleet.address", "uam_hooks.fleet.neighbour"}
    assert loaded(done) - {"psycopg"} <= ALLOWED | (looking if words == ["doctor"] else set())


def test_a_flusher_loads_nothing_of_a_fleet(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a", message="Add a")
    scene.git("push", "-q", "origin", "main")
    scene.git("config", "uam.push.mode", "queue")
    paths, site = RepoPaths.of(scene.top / ".git"), Path(__file__).resolve().parents[2]
    identity = next(row["identity"] for row in scene.rows("deploy_queue") if row["action_type"] == "push")
    with (scene.uam / "flusher.test").open("w") as lock:
        words = command(sys.executable, site, paths, Lane(identity, "origin"), lock.fileno())
        words[words.index("-c") + 1] = WITHOUT + words[words.index("-c") + 1]
        done = subprocess.run(
            words, cwd=scene.top, env=scene.env, capture_output=True, text=True, check=False, pass_fds=[lock.fileno()]
        )
    assert loaded(done) - {"psycopg"} <= ALLOWED
