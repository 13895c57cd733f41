"""`git uam status --watch`: what it shows, when it looks, and how it leaves a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import UAM
from tests.support.landscape import by_hand, enqueue, environment, flushed, queue
from tests.support.scenes import PATIENCE, Scene, until
from tests.support.terminals import Terminal
from uam_hooks.cli.board import Look, board
from uam_hooks.cli.live import Row
from uam_hooks.cli.screen import len_of
from uam_hooks.cli.watch import LOOK_SECONDS, follow
from uam_hooks.hot.queue.bell import WATCHERS, Bell
from uam_hooks.report.next_step import Step
from uam_hooks.session import open_session
from uam_hooks.store.views import Waiting

_ACTING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
WATCH = ("status", "--watch")
OTHER_SCREEN, FIRST_SCREEN, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"


def screen(terminal: Terminal) -> list[str]:
    """The lines of the last whole screen."""
    return [line.rstrip() for line in _ACTING.sub("", terminal.shown.split(HOME)[-1]).splitlines()]


@pytest.mark.slow
def test_it_shows_who_waits_and_what_has_landed_as_it_happens(scene: Scene) -> None:
    by_hand(scene)
    agent = scene.worktree("ann")
    agent.commit("a")
    watch = Terminal(scene, [*UAM, *WATCH], out=True)
    watch.until("0 pushes of 0 actions waiting, 0 running")
    queue(agent)
    number = scene.rows("sources")[-1]["action_id"]
    watch.until(f"#{number} push origin/main ann: ")
    flushed(scene)
    watch.until(f"ann Add a: origin/main {scene.there()[:7]} after ")
    assert watch.shown.count(OTHER_SCREEN) == 1
    # a smaller terminal gets a screen of its size
    before = len(watch.shown)
    watch.resize(40)
    watch.until("Ctrl-C ends this", before)
    until(lambda: "Ctrl-C ends this" in screen(watch), "a whole screen")
    assert max(map(len_of, screen(watch))) <= 40
    # stopped, the terminal is as it was, and goes on where it was
    os.kill(watch.process.pid, signal.SIGTSTP)
    watch.until(FIRST_SCREEN)
    status = Path(f"/proc/{watch.process.pid}/status")
    until(lambda: "T (stopped)" in status.read_text(), "the stop")
    os.kill(watch.process.pid, signal.SIGCONT)
    until(lambda: watch.shown.count(OTHER_SCREEN) == 2, "its screen")
    os.kill(watch.process.pid, signal.SIGINT)
    assert watch.end()[0] == -signal.SIGINT
    assert watch.shown.count(FIRST_SCREEN) == 2
    assert watch.shown.endswith(FIRST_SCREEN)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_it_leaves_the_terminal_as_it_was(scene: Scene, number: signal.Signals) -> None:
    watch = Terminal(scene, [*UAM, *WATCH], out=True, NO_COLOR="1")
    watch.until("Ctrl-C ends this")
    assert not re.search(r"\x1b\[3[0-9]", watch.shown)
    os.kill(watch.process.pid, number)
    assert watch.end()[0] == -number
    assert watch.shown.endswith(FIRST_SCREEN)
    assert "Traceback" not in watch.shown


@pytest.mark.slow
def test_without_a_terminal_it_prints_the_status_each_time_that_it_changes(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    for kind in ("push", "commit"):
        scene.git("config", f"uam.window.{kind}", "1h")
    lines, rows = scene.start("uam", *WATCH), scene.start("uam", *WATCH, "--json")
    assert lines.stdout is not None and rows.stdout is not None
    head = [lines.stdout.readline() for _ in range(5)]
    assert (head[0], head[-1]) == ("waiting: 0 pushes in 0 actions, 0 commits\n", "next:    nothing\n")
    assert json.loads(rows.stdout.readline())["waiting"] == []
    scene.commit("a")
    assert [row["type"] for row in json.loads(rows.stdout.readline())["waiting"]] == ["commit"]
    assert lines.stdout.readline() == "\n"
    assert lines.stdout.readline().split() == ["id", "type", "where", "agents", "what", "when"]
    scene.push()
    assert [row["type"] for row in json.loads(rows.stdout.readline())["waiting"]] == ["commit", "push"]
    for process in (lines, rows):
        assert process.stdout is not None
        process.stdout.close()  # nobody reads any more: it ends, though nothing changes
    for process in (lines, rows):
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(timeout=PATIENCE)) == ("", 0)
        process.stderr.close()
    scene.git("uam", "cancel", str(scene.rows("sources")[-1]["action_id"]))


class _Enough(Exception):
    """Nobody looks any more."""


class _Counted(Bell):
    """A bell that is rung at once, and ends the watch after so many looks; what happens `after` the third is free."""

    looks = 0
    after: Callable[[], object] | None = None

    def wait(self, seconds: float) -> bool:
        assert seconds == LOOK_SECONDS
        self.looks += 1
        if self.looks == 3 and self.after is not None:
            self.after()
        if self.looks == 50:
            raise _Enough
        return True


class _Kept:
    """Where looks are kept."""

    def __init__(self) -> None:
        self.looks: list[Look] = []

    def show(self, look: Look) -> None:
        self.looks.append(look)

    def stale(self) -> bool:
        return False


def test_while_nothing_happens_nothing_is_asked_and_nothing_drawn(scene: Scene) -> None:
    """A commit waits that nobody pushes, and a CI is idle."""
    scene.commit("a")
    scene.git("config", "uam.window.commit", "0")
    shows = _Kept()
    statements: list[str] = []
    bell = _Counted(scene.paths.bells, WATCHERS)
    with environment(scene.env), open_session(scene.top) as session, bell:
        session.store.db.set_trace_callback(statements.append)
        with pytest.raises(_Enough):
            follow(session, shows, bell, None, starting=True)
        assert (bell.looks, len(shows.looks)) == (50, 1)
        assert statements[-45:] == ["PRAGMA data_version"] * 45
        # the change of another process is seen by the next look
        bell.looks = 48
        enqueue(scene)
        with pytest.raises(_Enough):
            follow(session, shows, bell, None, starting=False)
    assert [row["type"] for row in shows.looks[-1].found["waiting"]] == ["commit", "push"]


@pytest.mark.parametrize("what", ["settings", "queue"])
def test_what_a_session_rests_on_is_looked_at_each_time(scene: Scene, what: str) -> None:
    """With other settings, or a queue that another one took the place of, it is opened anew."""
    shows, bell = _Kept(), _Counted(scene.paths.bells, WATCHERS)
    with environment(scene.env), open_session(scene.top) as session, bell:
        if what == "settings":
            bell.after = lambda: scene.git("config", "uam.window.push", "2s")
        else:
            bell.after = lambda: scene.paths.database.rename(scene.root / "aside")
        assert follow(session, shows, bell, None, starting=False)
    assert bell.looks == 3


def test_a_change_wakes_whoever_watches(scene: Scene) -> None:
    with Bell(scene.paths.bells, WATCHERS) as bell:
        woken = subprocess.run(
            ["git", "uam", "urgent", "on"], cwd=scene.top, env=scene.env, capture_output=True, check=True
        )
        assert woken.returncode == 0
        assert bell._poll.poll(0)


@pytest.mark.parametrize("height", [10, 14, 60])
def test_a_board_has_the_height_of_its_terminal(height: int) -> None:
    row = {"action": 1, "type": "push", "where": "origin/main", "agents": ["ann"], "members": [], "depends_on": [],
           "state": "waiting", "seconds_left": 3.0}  # fmt: skip
    failure = {"agent": "bob", "type": "push", "action": 2, "tip": "0" * 40, "where": "origin/main", "error": "no"}
    entry = {"status": "landed", "landed_as": "1" * 40, "ended_at": "2026-01-01T00:00:00.000Z", "waited": 1.5,
             "agent": "cy", "subject": "Add c", "where": "origin/main"}  # fmt: skip
    busy = {"state": "busy", "where": "origin/main", "run": "7", "since": "2026-01-01T00:00:00.000Z", "said": ""}
    found = {"repository": "/r", "running": [row], "waiting": [row] * 20, "failed": [failure] * 9, "ci": [busy],
             "hooks": []}  # fmt: skip
    waits, past = Waiting({"push": 30}, {"push": 30}, 0, 30, None), [{"entries": [entry] * 9, "created_at": ""}]
    look = Look(found, waits, [Row("gate tests of main")], {1: "waiting for CI of main"}, past, Step("nothing"))
    lines = board(look, 100, height)
    text = ["".join(cell if isinstance(cell, str) else cell.text for cell in line)
            for line in lines if not isinstance(line, Row)]  # fmt: skip
    assert len(lines) <= height
    assert sum(line.startswith("waiting: #1 push origin/main ann: waiting for CI") for line in text) >= 1
    assert any("more" in line for line in text)
    if height == 60:
        assert sum(line.startswith("failed:") for line in text) == 5
        assert sum(line.startswith("landed:") for line in text) == 8
        assert text[-2] == "next:    nothing"
    assert look.counts()
