"""What gates cost in processes of git: nothing where there are none, next to nothing where the verdict is known."""

from __future__ import annotations

import json

import pytest

from tests.gate.test_gates import gate, runs
from tests.support.commands import call
from tests.support.landscape import by_hand, queue
from tests.support.scenes import Scene

# All that a flush starts here for one landing of two commits without gates. A guard, not a wish: whoever needs more, or
# less, changes the number and says why.
TO_LAND = 16
# what a verdict that is known takes: with gates nothing is planned on what the remote was last known to have, so it is
# asked, and the refs here that are about it are read once more, before and after
KNOWN = 4
# what a run in a slot that is there takes, besides the gate
TO_TEST = 5


def queued(scene: Scene, name: str) -> None:
    """Two commits that wait for a flush."""
    for number in range(2):
        scene.commit(f"{name}{number}")
    queue(scene)


def flushed(scene: Scene, name: str) -> list[str]:
    """The git commands that a flush starts on this side."""
    trace = scene.root / name
    trace.mkdir()
    scene.env["GIT_TRACE2_EVENT"] = str(trace)
    assert call(scene, "flush").code == 0
    del scene.env["GIT_TRACE2_EVENT"]
    found = []
    for path in sorted(trace.iterdir()):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "start" and "/" not in event["sid"]:
                found.append(" ".join(event["argv"]))
    return found


@pytest.mark.slow
def test_a_landing_costs_no_git_more_without_gates_and_one_with_a_verdict_that_is_known(scene: Scene) -> None:
    by_hand(scene)
    queued(scene, "first")
    flushed(scene, "warm")
    queued(scene, "without")
    commands = flushed(scene, "trace")
    assert len(commands) == TO_LAND, "\n".join(commands)
    gate(scene, "tests", "echo run >>RUNS\n")
    queued(scene, "known")
    assert call(scene, "gate", "run").code == 0
    commands = flushed(scene, "gated")
    assert len(commands) <= TO_LAND + KNOWN, "\n".join(commands)
    assert runs(scene) == ["run"]
    queued(scene, "anew")
    commands = flushed(scene, "tested")
    assert len(commands) <= TO_LAND + KNOWN + TO_TEST, "\n".join(commands)
    assert runs(scene) == ["run", "run"]
