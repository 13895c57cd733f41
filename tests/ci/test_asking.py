"""Who is asked about CI: gh that is not there or not logged in, one that knows how runs ended, a command that hangs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.ci.test_held import seen, watched
from tests.support.forge import Forge, needs_gh, run
from tests.support.scenes import Scene, alive, script, until


def without_gh(scene: Scene) -> None:
    """Let PATH be one directory that has everything but gh."""
    programs = scene.root / "programs"
    programs.mkdir()
    for directory in scene.env["PATH"].split(":"):
        for program in Path(directory).iterdir() if Path(directory).is_dir() else ():
            link = programs / program.name
            if program.name != "gh" and not link.is_symlink():
                link.symlink_to(program)
    scene.env["PATH"] = str(programs)


def at_github(scene: Scene) -> None:
    """Let the remote be one of GitHub's, as far as its URL goes."""
    ssh = f"for last; do :; done\ncase $last in git-*-pack*) exec ${{last%% *}} '{scene.remote}' ;; esac\n"
    scene.git("config", "remote.origin.uam-pushurl", "git@github.com:o/r.git")
    scene.git("config", "ssh.variant", "simple")
    scene.git("config", "core.sshCommand", str(script(scene.root / "ssh", ssh)))


@pytest.mark.parametrize("gh", ["missing", pytest.param("not logged in", marks=needs_gh)])
def test_where_gh_cannot_be_asked_nobody_is_held_and_windows_stay(scene: Scene, gh: str) -> None:
    at_github(scene)
    if gh == "missing":
        without_gh(scene)
    scene.env["GH_CONFIG_DIR"] = str(scene.root / "gh")
    scene.commit("a")
    done = scene.push("origin", "HEAD:main")
    assert (done.code, scene.landed()) == (0, ["Add a"]), done
    (state,) = seen(scene, "ci_states")
    assert (state["how"], state["state"]) == ("gh", "off")
    assert [row["held"] for row in seen(scene, "sources")] in ([0], [1])  # until that was known
    assert "CI:" not in scene.git("uam", "status")
    scene.git("config", "uam.window.push", "1h")
    scene.git("config", "uam.push.mode", "queue")
    scene.commit("b")
    assert "lands within 3600 s" in scene.push("origin", "HEAD:main").err


@pytest.mark.slow
@needs_gh
def test_stats_asks_gh_how_the_last_run_ended(hub: Scene, github: Forge) -> None:
    """Nobody has waited for CI since, so no flusher has asked."""
    hub.git("config", "uam.ci", "gh")
    hub.commit("a")
    assert hub.push("origin", "HEAD:main").code == 0
    hub.idle()
    github.runs = [run(7, hub.there(), "in_progress")]
    assert json.loads(hub.git("uam", "stats", "--json"))["ci_minutes"] is None
    github.runs = [run(7, hub.there(), "completed")]
    found = json.loads(hub.git("uam", "stats", "--json"))["ci_minutes"]
    assert (found["measured_runs"], found["each"]) == (1, 2.92)
    asked = len(github.requests)
    assert "at 2.92 for a run (all measured by GitHub)" in hub.git("uam", "stats")
    assert len(github.requests) == asked  # everything is known
    hub.commit("b")
    hub.git("config", "uam.push.mode", "manual")
    hub.push("origin", "HEAD:main")
    hub.git("uam", "flush")
    without_gh(hub)
    assert "(1 of 2 measured, estimated to be as long as those)" in hub.git("uam", "stats")


def test_a_command_ends_with_the_flusher_that_is_killed(scene: Scene) -> None:
    """With all that it has started, also what ignores a polite request."""
    pids = watched(scene, "trap '' TERM\nsleep 3600 &\necho $$ $! >BUSY.new; mv BUSY.new BUSY\nwait\n")
    scene.git("config", "uam.push.mode", "queue")
    scene.commit("a")
    scene.push("origin", "HEAD:main")
    until(pids.exists, "the question")
    asking = [int(word) for word in pids.read_text().split()]
    assert all(map(alive, asking))
    os.kill(scene.flusher(), signal.SIGKILL)
    until(lambda: not any(map(alive, asking)), "the end of the command")
