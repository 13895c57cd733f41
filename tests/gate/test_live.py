"""What people see at a terminal while a gate runs."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.gate.test_gates import gate
from tests.support.commands import call
from tests.support.landscape import by_hand, queue
from tests.support.scenes import Scene, finished
from tests.support.terminals import Terminal

pytestmark = pytest.mark.slow

FLUSH = ("git", "uam", "flush")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def slow_gate(scene: Scene) -> Scene:
    """A repository in which a gate has passed, which now waits for `go`; a push of one agent waits for a flush."""
    by_hand(scene)
    gate(
        scene,
        "tests",
        f"test -e {scene.root}/go || echo here >>RUNS; while ! test -e {scene.root}/go; do sleep 0.05; done\n",
    )
    (scene.root / "go").touch()
    assert call(scene, "gate", "run").code == 0
    (scene.root / "go").unlink()
    agent = scene.worktree("ann")
    agent.commit("a")
    queue(agent)
    return scene


def go(scene: Scene) -> None:
    (scene.root / "go").touch()


def text(terminal: Terminal) -> str:
    return _COLOUR.sub("", terminal.shown)


def number(scene: Scene) -> str:
    return str(scene.rows("sources")[-1]["action_id"])


def tip(scene: Scene) -> str:
    return str(scene.rows("sources")[-1]["tip"])[:7]


def test_a_flush_and_a_wait_show_the_gate_and_for_whom_it_runs(slow_gate: Scene) -> None:
    flush = Terminal(slow_gate, FLUSH)
    flush.until("gate tests of main, for ann")
    piped = slow_gate.start("uam", "wait", number(slow_gate), FORCE_COLOR="1")
    wait = Terminal(slow_gate, ("git", "uam", "wait", number(slow_gate)), NO_COLOR="1")
    for terminal in (flush, wait):
        terminal.until("gate tests of main, for ann")
        terminal.until("s so far, usually 0 s")
        assert "━━━━" in terminal.shown
    assert f"#{number(slow_gate)} push origin/main" in text(flush)
    assert piped.stderr is not None
    first = piped.stderr.readline()
    assert re.fullmatch(r"uam: waiting for the gate tests of main \(\d+ s so far, usually 0 s\)\n", first)
    go(slow_gate)
    code, out = flush.end()
    assert code == 0
    assert out.startswith(f"batch 1: ann {tip(slow_gate)} landed on origin/main as ")
    assert wait.end()[0] == 0
    # it was taken away before what came of it was said
    assert wait.shown.rindex("gate tests") < wait.shown.rindex("\x1b[2K")
    assert _COLOUR.search(flush.shown)
    assert not [found for found in _COLOUR.findall(wait.shown) if re.search(r"[34][0-9]", found)]
    done = finished(piped)
    assert (done.code, "\x1b" in done.err) == (0, False)


def test_ctrl_c_leaves_the_terminal_as_it_was_and_one_that_is_dumb_gets_lines(slow_gate: Scene) -> None:
    terminal = Terminal(slow_gate, FLUSH)
    terminal.until("gate tests of main, for ann")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end()[0] == -signal.SIGINT
    assert terminal.shown.rindex("gate tests of main") < terminal.shown.rindex("\x1b[2K")
    go(slow_gate)
    dumb = Terminal(slow_gate, FLUSH, TERM="dumb")
    assert dumb.end()[0] == 0
    assert "\x1b" not in dumb.shown
    lines = [re.sub(r"[0-9a-f]{7}|\d+\.\d", "X", line) for line in dumb.shown.splitlines()]
    assert lines == ["uam: gate tests: X", "uam: gate tests: X passes after X s"]
