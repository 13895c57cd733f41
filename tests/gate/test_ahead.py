"""With two slots, what comes while a gate runs is tested on top of the tree that is being tested.

A run of the gate is named after the files that the tests add, and goes on until the test lets it: what runs beside
what is seen from the order in which runs begin and end, never from the time.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.gate.test_gates import errors, gate, runs
from tests.support.scenes import Scene, until

TESTS = """key=$(ls | grep -v README | tr -d '\\n')
echo "begin:$key" >> RUNS
while ! test -e GO/"go-$key"; do sleep 0.02; done
echo "end:$key" >> RUNS
if test -e bad; then exit 1; fi
"""


@pytest.fixture
def gated(scene: Scene) -> Scene:
    """A repository with a gate and two slots, in which pushes are answered at once; what it has passes."""
    gate(scene, "tests", TESTS.replace("GO", str(scene.root)))
    scene.git("config", "uam.gate.tests.retries", "0")
    scene.git("config", "uam.gate.slots", "2")
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.push.accept", "false")
    go(scene, "")
    return scene


def go(scene: Scene, *keys: str) -> None:
    for key in keys:
        (scene.root / f"go-{key}").touch()


def pushed(scene: Scene, name: str) -> None:
    """A push of an agent of that name, which adds a file of that name."""
    agent = scene.worktree(name)
    agent.commit(name)
    assert agent.push("origin", "HEAD:main").code == 0


def begun(scene: Scene, key: str) -> None:
    until(lambda: f"begin:{key}" in runs(scene), f"a run on {key}")


def landed(scene: Scene, *names: str) -> None:
    until(lambda: scene.landed() == [f"Add {name}" for name in names], f"the landing of {names}")


def first_and_second(scene: Scene, first: str, second: str, both: str) -> None:
    """A push whose gate runs, and one that came meanwhile and is tested on top of it."""
    pushed(scene, first)
    begun(scene, first)
    pushed(scene, second)
    begun(scene, both)
    assert runs(scene) == [f"begin:{first}", f"begin:{both}"]


def held(scene: Scene) -> list[str]:
    """Why things wait that have not ended."""
    report = scene.report()
    return [row["held"] for part in ("running", "waiting") for row in report[part] if row.get("held")]


def at_work(scene: Scene) -> list[str]:
    """The runs of the gate, without what watches them, and ends itself a little later."""
    found = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if line == f"/bin/sh {scene.root}/gate-tests"]


def free_of_gates(scene: Scene) -> None:
    until(lambda: not at_work(scene), "the end of the gates")
    assert scene.rows("gate_running") == []


@pytest.mark.slow
def test_what_comes_lands_a_gate_time_earlier(gated: Scene) -> None:
    first_and_second(gated, "a", "b", "ab")
    assert [words.startswith("waiting for the gate tests of main (") for words in held(gated)] == [True, True]
    pushed(gated, "c")  # too late for the second run: both slots are taken
    go(gated, "a")
    landed(gated, "a")
    begun(gated, "abc")  # the slot is free, and the second run goes on
    assert "end:ab" not in runs(gated)
    assert held(gated)[0].startswith("waiting for the gate tests of main (")
    go(gated, "ab")
    landed(gated, "a", "b")  # at once, although c is in the same batch
    go(gated, "abc")
    landed(gated, "a", "b", "c")
    gated.idle()
    assert runs(gated) == ["begin:a", "begin:ab", "end:a", "begin:abc", "end:ab", "end:abc"]
    assert len(gated.pushes()) == 3
    assert [row["status"] for row in gated.rows("sources")] == ["landed"] * 3
    free_of_gates(gated)
    assert [row["green"] for row in gated.rows("gate_runs")] == [1, 1, 1]


@pytest.mark.slow
def test_what_passed_before_the_first_did_lands_with_no_run_more(gated: Scene) -> None:
    first_and_second(gated, "a", "b", "ab")
    go(gated, "ab")
    until(lambda: "end:ab" in runs(gated), "the end of the second run")
    assert gated.landed() == []
    go(gated, "a")
    landed(gated, "a", "b")
    gated.idle()
    assert runs(gated) == ["begin:a", "begin:ab", "end:ab", "end:a"]


@pytest.mark.slow
def test_where_the_first_fails_what_runs_on_top_is_thrown_away(gated: Scene) -> None:
    first_and_second(gated, "bad", "c", "badc")
    go(gated, "bad")
    begun(gated, "c")
    until(lambda: len(at_work(gated)) == 1, "the end of what ran on top")
    go(gated, "c")
    landed(gated, "c")
    gated.idle()
    assert "end:badc" not in runs(gated)
    assert errors(gated) == ["the gate tests fails", ""]
    assert [row["green"] for row in gated.rows("gate_runs")] == [0, 1, 1]  # bad, what was there before, c
    free_of_gates(gated)


@pytest.mark.slow
def test_a_flusher_that_is_killed_with_both_runs_leaves_nothing(gated: Scene) -> None:
    first_and_second(gated, "a", "b", "ab")
    os.kill(gated.flusher(), signal.SIGKILL)
    until(lambda: not at_work(gated), "the end of the gates of a flusher that was killed")
    go(gated, "a", "ab")
    assert gated.run("uam", "flush").code == 0
    gated.idle()
    assert sorted(gated.landed()) == ["Add a", "Add b"]
    free_of_gates(gated)


@pytest.mark.slow
def test_a_flusher_that_has_nothing_left_ends_what_it_ran_ahead(gated: Scene) -> None:
    first_and_second(gated, "a", "b", "ab")
    gated.git("uam", "cancel", str(gated.rows("sources")[-1]["action_id"]))
    go(gated, "a")
    landed(gated, "a")
    gated.idle()
    assert runs(gated) == ["begin:a", "begin:ab", "end:a"]
    free_of_gates(gated)


@pytest.mark.slow
def test_with_one_slot_nothing_runs_beside_another(gated: Scene) -> None:
    gated.git("config", "uam.gate.slots", "1")
    pushed(gated, "a")
    begun(gated, "a")
    pushed(gated, "b")
    go(gated, "a")
    landed(gated, "a")
    begun(gated, "ab")
    go(gated, "ab")
    landed(gated, "a", "b")
    assert runs(gated) == ["begin:a", "end:a", "begin:ab", "end:ab"]
    assert not Path(gated.paths.gates / "1").exists()


def test_with_one_slot_those_who_come_next_gather_a_little_longer(gated: Scene) -> None:
    gated.git("config", "uam.gate.slots", "1")
    pushed(gated, "a")
    begun(gated, "a")
    pushed(gated, "b")
    go(gated, "a")
    landed(gated, "a")
    go(gated, "ab")
    landed(gated, "a", "b")
    first, second = gated.rows("gate_runs")
    due = [row for row in gated.rows("deploy_queue") if row["action_type"] == "push"][1]["execute_after"]
    assert first["ended_at"] < due < second["ended_at"]
