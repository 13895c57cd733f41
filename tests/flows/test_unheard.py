"""Failures that nobody waits for: the next commit or push of that agent says them once, a command is told of them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.deploys import command
from tests.support.queueing import acting, ask
from tests.support.scenes import Scene, Worktree, finished, script, until
from uam_hooks.doctor.examine import examine
from uam_hooks.doctor.finding import Code
from uam_hooks.git.repo import Repository


def flush(scene: Scene) -> None:
    with acting(scene) as queue:
        queue.flush_all()


def two_that_conflict(scene: Scene) -> tuple[Worktree, Worktree]:
    """Agents of which the second fails by a conflict when nobody waits."""
    scene.git("config", "uam.push.mode", "manual")
    scene.git("config", "uam.push.accept", "false")
    one, two = scene.worktree("one"), scene.worktree("two")
    for agent in (one, two):
        agent.commit("file", f"{agent.top}\n")
        assert agent.push("origin", "HEAD:main").code == 0
    flush(scene)
    return one, two


def committed(place: Worktree, name: str, **env: str) -> list[str]:
    """What a commit said of ours."""
    (place.top / name).write_text(name)
    place.git("add", name)
    done = place.run("commit", "-q", "-m", name, **env)
    assert done.code == 0, done
    return done.ours


def told(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def notified(scene: Scene, more: str = "") -> Path:
    """Let a command write down what it is told; gives where."""
    log = scene.root / "told"
    scene.git("config", "uam.notify.command", shlex.quote(str(script(scene.root / "notify", f'cat >>"{log}"\n{more}'))))
    return log


def test_the_next_commit_says_once_what_failed_and_nobody_else_hears_it(scene: Scene) -> None:
    one, two = two_that_conflict(scene)
    assert committed(one, "a") == []
    assert committed(two, "b", UAM_AGENT_ID="another") == []  # in the same worktree
    failed, *ways = committed(two, "c")
    assert failed.startswith("#2 from before did not land: conflict in file with the work of one"), failed
    assert any("git pull --rebase origin main" in way for way in ways)
    assert committed(two, "d") == []
    assert two.push("origin", "HEAD:other").ours[0].startswith("queued as ")
    assert not list(scene.uam.glob("news*"))


def test_the_next_push_says_it_and_then_no_commit_does(scene: Scene) -> None:
    _, two = two_that_conflict(scene)
    command(scene, "prod", "echo no disk >&2; exit 3")
    number = ask(two, "deploy", "prod", agent="two")
    flush(scene)
    done = two.push("origin", "HEAD:other")
    assert any(line.startswith("#2 from before did not land: conflict") for line in done.ours), done
    assert f"#{number} from before, deploy prod, has failed: prod ended with exit code 3: no disk" in done.ours, done
    assert any(f"`git uam retry {number}`" in line for line in done.ours), done
    assert committed(two, "b") == []


def test_a_commit_is_made_whatever_becomes_of_the_words(scene: Scene) -> None:
    _, two = two_that_conflict(scene)
    scene.with_interpreter("exit 7")
    assert committed(two, "b") == []
    env = scene.uam / "env"
    env.write_text("/nowhere/python\n" + env.read_text().split("\n", 1)[1])
    assert committed(two, "c") == []


def test_a_command_is_told_once_of_each_failure_that_nobody_waits_for(scene: Scene) -> None:
    """On stdin, what the file of events has; not of what a push is waiting for, and of a push that was killed."""
    log = notified(scene)
    two_that_conflict(scene)
    (event,) = until(lambda: told(log), "the command")
    (written,) = [one for one in told(scene.uam / "log" / "events.jsonl") if one["event"] == "conflict"]
    assert {**event, "at": ""} == {**written, "at": ""}
    scene.git("config", "uam.push.mode", "wait")
    three, four = scene.worktree("three"), scene.worktree("four")
    three.commit("file", "three\n")
    assert three.push("origin", "HEAD:main").code == 1
    scene.git("config", "uam.window.push", "20s")
    four.commit("file", "four\n")
    push = four.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 4, "the push in the queue")
    os.killpg(push.pid, signal.SIGKILL)
    finished(push)
    flush(scene)
    assert [one["agent"] for one in until(lambda: len(told(log)) > 1 and told(log), "the command again")] == [
        "two", "four"]  # fmt: skip
    assert [row["notice"] for row in scene.rows("sources")] == [0, 0, 0, 0]


def test_a_command_that_fails_is_in_nobodys_way_and_the_doctor_sees_it(scene: Scene) -> None:
    log = notified(scene, "echo no bell >&2\nexit 4")
    two_that_conflict(scene)
    until(lambda: told(log) and (scene.uam / "log" / "notify.failed").exists(), "the command's end")
    assert "no bell" in (scene.uam / "log" / "notify.log").read_text()
    with Repository.at(scene.top) as repo:
        found = [one for one in examine(repo) if one.code is Code.NOTIFY_FAILED]
    assert ["exit code 4: no bell" in one.means for one in found] == [True]
    assert len(told(log)) == 1


def test_without_a_command_nothing_is_kept_for_one_that_comes_later(scene: Scene) -> None:
    two_that_conflict(scene)
    assert {row["notice"] for row in scene.rows("sources")} == {0}


def test_who_waits_by_command_counts_as_long_as_it_lives(scene: Scene) -> None:
    log = notified(scene)
    scene.git("config", "uam.push.mode", "manual")
    scene.git("config", "uam.push.accept", "false")
    agents = [scene.worktree(name) for name in ("one", "two", "three")]
    for agent in agents:
        agent.commit("file", f"{agent.top}\n")
        assert agent.push("origin", "HEAD:main").code == 0
    number = str(scene.rows("sources")[0]["action_id"])
    waits = [agent.start("uam", "wait", number, "--timeout", "1m") for agent in agents[1:]]
    until(lambda: all(row["listener"] for row in scene.rows("sources")[1:]), "commands that wait")
    os.killpg(waits[1].pid, signal.SIGKILL)
    finished(waits[1])
    os.killpg(waits[0].pid, signal.SIGSTOP)  # it lives, and is not quick
    flush(scene)
    assert [one["agent"] for one in until(lambda: told(log), "the command")] == ["three"]
    until(lambda: [row["notice"] for row in scene.rows("sources")] == [0, 1, 0], "all that is to be told")
    os.killpg(waits[0].pid, signal.SIGCONT)
    done = finished(waits[0])
    assert (done.code, any("did not land: conflict in file" in line for line in done.ours)) == (1, True), done
    assert scene.rows("sources")[1]["notice"] == 0
    assert len(told(log)) == 1
    assert committed(agents[1], "a") == []
    assert committed(agents[2], "a")[0].startswith("#")


def test_who_tells_a_command_loads_no_more_than_a_flusher(stocked: Scene) -> None:
    ask(stocked, "deploy", "prod", agent="one")  # it needs a queue
    start = "import sys; from uam_hooks.flush.notifier import main; main(sys.argv[1], 'nobody'); print(*sys.modules)"
    done = stocked.execute(sys.executable, "-I", "-c", start, str(stocked.paths.common_dir))
    assert (done.code, done.err) == (0, "")
    assert {"git", "click", "rich"}.isdisjoint(done.out.split())
