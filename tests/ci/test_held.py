"""Pushes that wait for CI: they gather and land in one push, and nothing that goes wrong holds them longer."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.forge import Forge, needs_gh, run
from tests.support.scenes import Scene, Worktree, finished, script, until
from uam_hooks.hot.push.voice import TOLD_AFTER_SECONDS
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.store.ci_states import newest_landing


def watched(scene: Scene, text: str, hold: str = "1h") -> Path:
    """Let a command with this text, in which busy is a file, tell whether CI works; returns that file."""
    busy = scene.root / "busy"
    scene.git("config", "uam.ci", "command")
    scene.git("config", "uam.ci.command", str(script(scene.root / "ci", text.replace("BUSY", str(busy)))))
    scene.git("config", "uam.ci.poll", "100ms")
    scene.git("config", "uam.ci.hold", hold)
    return busy


def pushing(place: Worktree, name: str, *args: str) -> subprocess.Popen[str]:
    place.commit(name)
    return place.start("push", *(args or ("origin", "HEAD:main")))


def held(scene: Scene, many: int) -> None:
    """Wait until that many pushes are held for CI, in one action."""
    until(
        lambda: (
            any(row["held"] and row["status"] == "pending" for row in scene.rows("deploy_queue"))
            and sum(row["status"] == "pending" for row in scene.rows("sources")) == many
        ),
        f"{many} held pushes",
    )


def seen(scene: Scene, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(scene.paths.database)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608


@pytest.mark.slow
def test_pushes_gather_while_ci_is_busy_and_land_in_one_push_when_it_is_idle(scene: Scene) -> None:
    """Beside them: another branch, an urgent push, and what is asked."""
    busy = watched(scene, 'echo "$UAM_REMOTE $UAM_BRANCH" >> BUSY.asked\n[ "$UAM_BRANCH" != main ] || ! test -e BUSY\n')
    scene.git("config", "uam.window.push", "1h")  # an idle CI takes a push without its window
    assert finished(pushing(scene, "first")).code == 0
    busy.touch()
    agents = [scene.worktree(f"agent-{number}") for number in (1, 2, 3)]
    waiting = [pushing(agents[0], "a")]
    held(scene, 1)
    waiting.append(pushing(agents[1], "b"))
    held(scene, 2)
    assert finished(pushing(agents[2], "c", "origin", "HEAD:other")).code == 0  # another branch is not held
    assert [process.poll() for process in waiting] == [None, None]
    assert scene.landed() == ["Add first"]
    busy.unlink()
    ends = [finished(process) for process in waiting]
    told = [json.loads(line) for line in (scene.uam / "log" / "events.jsonl").read_text().splitlines()]
    of_ci = [event for event in told if event["event"] in ("held", "released")]
    assert [event["event"] for event in of_ci][:2] == ["held", "released"]
    assert all(list(event) == ["v", "at", "event", "batch", "batch_id", "action", "due"] for event in of_ci)
    together = "landed 2 pushes on origin/main in one push (all had waited for CI)"
    assert [(done.code, done.ours.count(together)) for done in ends] == [(0, 1), (0, 1)]
    assert {"a", "b"} <= set(scene.files())
    assert len(scene.pushes()) == 3
    assert set((scene.root / "busy.asked").read_text().splitlines()) == {"origin main", "origin other"}
    (row,) = [row for row in seen(scene, "ci_runs") if row["first_busy"]]
    assert row["first_busy"] <= row["last_busy"] < row["first_idle"]


def test_an_urgent_push_is_not_held_and_takes_along_what_is(scene: Scene) -> None:
    watched(scene, "exit 1\n")
    other = scene.worktree("agent-1")
    waiting = pushing(scene, "a")
    held(scene, 1)
    other.commit("b")
    done = other.push("origin", "HEAD:main", UAM_URGENT="1")
    assert (done.code, "landed 2 pushes on origin/main in one push (1 of them had waited for CI)" in done.ours) == (
        0,
        True,
    )
    assert finished(waiting).code == 0
    assert {"a", "b"} <= set(scene.files())
    assert len(scene.pushes()) == 1


@pytest.mark.parametrize(
    "text",
    ["exit 1\n", "sleep 3600 & sleep 3600\n", "exit 3\n", "kill -9 $$\n"],
    ids=["lies", "hangs", "fails", "dies"],
)
def test_a_command_that_is_wrong_holds_nobody_longer_than_the_hold(scene: Scene, text: str) -> None:
    watched(scene, text, hold="500ms")
    scene.git("config", "uam.window.push", "1h" if "exit 3" in text or "kill" in text else "50ms")
    scene.commit("a")
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["Add a"]
    scene.idle()


def test_a_flush_by_hand_is_not_held(scene: Scene) -> None:
    watched(scene, "exit 1\n")
    waiting = pushing(scene, "a")
    held(scene, 1)
    assert scene.run("uam", "flush").code == 0
    assert finished(waiting).code == 0


def test_each_landing_keeps_ci_busy_for_a_duration(scene: Scene) -> None:
    scene.git("config", "uam.ci", "1500ms")
    assert finished(pushing(scene, "a")).code == 0
    assert finished(pushing(scene, "b")).code == 0
    first, second = [row for row in seen(scene, "deploy_queue") if row["action_type"] == "push"]
    assert seconds_of(second["finished_at"]) - seconds_of(first["finished_at"]) >= 1.5
    assert {row["how"] for row in seen(scene, "ci_runs")} == {"duration"}


@needs_gh
def test_gh_tells_which_run_of_the_branch_works(hub: Scene, github: Forge) -> None:
    hub.git("config", "uam.ci", "gh")
    hub.git("config", "uam.ci.poll", "100ms")
    github.runs = [run(1, "0" * 40, "in_progress", "schedule")]  # a timer's run says nothing of the branch's landings
    assert finished(pushing(hub, "a")).code == 0
    landed = hub.there()
    github.runs = [run(7, landed, "in_progress"), *github.runs]
    waiting = pushing(hub, "b")
    held(hub, 1)
    until(lambda: [row["run"] for row in seen(hub, "ci_states")] == ["7"], "an answer of gh")
    assert hub.landed() == ["Add a"]
    github.runs[0] = run(7, landed, "completed")
    assert finished(waiting).code == 0
    (row,) = seen(hub, "ci_runs")
    assert (row["run"], row["sha"], row["started"], row["ended"]) == (
        "7", landed, "2026-01-01T00:00:05.000Z", "2026-01-01T00:03:00.000Z",
    )  # fmt: skip
    assert ("GET", "/repos/o/r/actions/runs") in github.requests


@pytest.mark.slow
def test_f3_who_waits_is_told_why_once_and_so_does_the_status(scene: Scene) -> None:
    busy = watched(scene, "! test -e BUSY\n")
    assert finished(pushing(scene, "first")).code == 0
    busy.touch()
    agents = [scene.worktree(f"agent-{number}") for number in (1, 2)]
    waiting = [pushing(agents[0], "a"), pushing(agents[1], "b", "-q", "origin", "HEAD:main")]
    held(scene, 2)
    until(lambda: any(row["state"] == "busy" and row["since"] for row in seen(scene, "ci_states")), "the answer of CI")
    report = scene.report()
    (row,) = [row for row in report["waiting"] if row["type"] == "push"]
    assert row["held"].startswith("waiting for CI of main (")
    assert row["held"].endswith(", with 1 other push")
    assert [(one["where"], one["state"]) for one in report["ci"]] == [("origin/main", "busy")]
    assert f"held:    #{row['action']} is waiting for CI of main (" in scene.git("uam", "status")
    time.sleep(TOLD_AFTER_SECONDS)  # what it is about
    busy.unlink()
    loud, quiet = [finished(process) for process in waiting]
    assert (loud.code, quiet) == (0, (0, "", ""))
    (line,) = loud.waits
    assert line.startswith("waiting for CI of main (") and "s so far); lands within " in line


def test_f3_a_command_that_cannot_tell_is_shown(scene: Scene) -> None:
    watched(scene, "echo no such branch >&2\nexit 3\n")
    scene.commit("a")
    assert scene.push("origin", "HEAD:main").code == 0
    assert "CI:      origin/main: cannot be told, which counts as idle: " in scene.git("uam", "status")


def test_f3_who_waits_for_company_is_told_so(scene: Scene) -> None:
    scene.git("config", "uam.window.push", "1h")
    waiting = pushing(scene, "a")
    until(lambda: scene.pushed() == ["pending"], "a push that waits")
    time.sleep(TOLD_AFTER_SECONDS + 1)  # what it is about
    scene.git("uam", "flush")
    (line,) = finished(waiting).waits
    assert line.startswith("waiting for others who push to main; lands within 35")


def test_the_install_says_who_is_asked_and_what_would_save_runs(scene: Scene) -> None:
    scene.git("config", "remote.origin.uam-pushurl", "https://github.com/o/r.git")
    there = {"PATH": f"{script(scene.root / 'bin' / 'gh', 'exit 1').parent}:{scene.env['PATH']}"}
    assert "CI: pushes wait while GitHub works on their branch" in scene.git("uam", "install", **there)
    scene.git("config", "uam.ci", "off")
    assert "CI: nobody asks whether it is busy; with `git config uam.ci 5m`" in scene.git("uam", "install")
    scene.git("config", "uam.ci", "7m")
    assert "(uam.ci = 7m)" in scene.git("uam", "install")


@pytest.mark.parametrize("setting", ["uam.ci.poll", "uam.ci"])
def test_a_setting_that_is_wrong_holds_nobody_and_is_shown(scene: Scene, setting: str) -> None:
    watched(scene, "exit 1\n")
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    assert scene.push("origin", "HEAD:main").code == 0
    scene.git("config", setting, "soon")
    scene.git("config", "uam.push.mode", "wait")
    waiting = scene.start("uam", "wait", "2")
    assert finished(waiting).code == 0
    assert scene.landed() == ["Add a"]
    assert f"cannot be told, which counts as idle: The setting {setting} is 'soon'" in scene.git("uam", "status")


def test_a_branch_that_was_deleted_keeps_no_ci_busy(scene: Scene) -> None:
    scene.commit("a")
    scene.push("origin", "HEAD:refs/heads/topic")
    scene.push("origin", ":refs/heads/topic")
    with scene.store() as store:
        assert newest_landing(store, "origin", "refs/heads/topic") is None
    assert scene.push("origin", "HEAD:refs/heads/topic").code == 0
    with scene.store() as store, store.transaction() as db:
        db.execute("UPDATE deploy_queue SET finished_at = 'tomorrow'")
    with scene.store() as store:
        assert newest_landing(store, "origin", "refs/heads/topic") is None
