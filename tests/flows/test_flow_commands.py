"""`git uam flush` and `git uam status`: what they print, what they change, and how they exit."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.support.commands import call
from tests.support.queueing import WINDOW, due_now
from tests.support.scenes import TRACKING, Scene, locked, script, until


def queued(scene: Scene, *names: str, window: str = "1h") -> list[str]:
    """Commits, and a push that waits for a window far away."""
    scene.git("config", "uam.push.mode", "manual")
    scene.git("config", "uam.window.push", window)
    commits = [scene.commit(name) for name in names]
    assert scene.push().code == 0
    return commits


# -- flush -----------------------------------------------------------------------------------------------


def test_nothing_to_do(scene: Scene) -> None:
    assert scene.run("uam", "flush") == (0, "nothing to land\n", "")
    assert scene.run("uam", "flush", "--json") == (
        0, '{\n  "version": 1,\n  "batches": [],\n  "left": 0,\n  "next_action": null\n}\n', "",
    )  # fmt: skip


def test_all_landed_is_exit_0(scene: Scene) -> None:
    commits = queued(scene, "a", "b")
    done = scene.run("uam", "flush")
    new = scene.there()[:7]
    assert done == (0, f"batch 1: ada@example.invalid@work {commits[-1][:7]} landed on origin/main as {new}\n", "")
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.oid("main") == scene.oid(TRACKING) == scene.there()


def test_due_respects_the_windows(scene: Scene) -> None:
    queued(scene, "a")
    assert scene.run("uam", "flush", "--due") == (0, "nothing to land\n", "")
    assert scene.there() == scene.start_oid
    scene.git("config", "uam.window.push", "0")
    assert scene.push().code == 0  # an urgent push shortens the window of those it joins
    assert scene.run("uam", "flush", "--due").code == 0
    assert scene.landed() == ["Add a"]


def test_dry_run_shows_and_changes_nothing(scene: Scene) -> None:
    queued(scene, "a", "b")
    scene.report()
    before = scene.queue(), scene.our_refs(), scene.oid(TRACKING)
    done = scene.run("uam", "flush", "--dry-run")
    assert done == (0, "origin/main: squashed, 2 commits from ada@example.invalid@work\n", "")
    plans = json.loads(scene.git("uam", "flush", "--dry-run", "--json"))["plans"]
    assert [(p["remote"], p["target"], p["how"], p["old"]) for p in plans] == [
        ("origin", "main", "squashed", scene.start_oid)
    ]
    assert plans[0]["proof"]["ok"] is True
    assert (scene.queue(), scene.our_refs(), scene.oid(TRACKING)) == before
    assert scene.there() == scene.start_oid


def test_json_has_the_names_of_the_original(scene: Scene) -> None:
    queued(scene, "a")
    found = json.loads(scene.git("uam", "flush", "--json"))["batches"]
    assert len(found) == 1
    assert found[0].pop("duration") > 0
    assert found[0] == {
        "batchId": scene.rows("deploy_batches")[0]["id"],
        "success": True,
        "executedActions": 1,
        "failedActions": 0,
        "deferredActions": 0,
        "errors": [],
    }


def test_a_failure_is_exit_1(scene: Scene) -> None:
    script(scene.remote / "hooks" / "update", "exit 1\n")
    commits = queued(scene, "a")
    done = scene.run("uam", "flush")
    assert done.code == 1
    assert done.out.startswith(f"batch 1: #2 ada@example.invalid@work {commits[0][:7]} failed: hook declined")
    assert scene.there() == scene.start_oid


def test_wrong_usage_is_exit_2(scene: Scene) -> None:
    for arguments in (["--timeout", "soon"], ["--nonsense"], ["more"]):
        done = scene.run("uam", "flush", *arguments)
        assert (done.code, done.out) == (2, "")
    assert (
        "Invalid value for '--timeout': 'soon' is not a duration such as"
        in scene.run("uam", "flush", "--timeout", "soon").err
    )
    assert scene.outside.execute(str(scene.uam / "bin" / "git-uam"), "flush").code == 2


def test_a_flush_that_is_running_is_exit_3(scene: Scene) -> None:
    queued(scene, "a")
    with locked(scene.paths.flush_lock):
        done = scene.run("uam", "flush", "--timeout", "200ms")
        assert done == (
            3, "", "uam: Another flush has held the queue for 0.2 s. Wait for it, or give a longer --timeout.\n",
        )  # fmt: skip
        scene.git("config", "uam.flush.lockTimeout", "100ms")
        assert scene.run("uam", "flush").code == 3
    assert scene.run("uam", "flush").code == 0
    assert scene.landed() == ["Add a"]


def test_two_flushes_at_once_land_it_once(scene: Scene) -> None:
    queued(scene, "a", "b")
    both = [scene.start("uam", "flush") for _ in range(2)]
    assert [process.communicate() and process.returncode for process in both] == [0, 0]
    assert scene.landed() == ["Squashed 2 commits:"]
    assert len(scene.pushes()) == 1


def test_a_corrupt_queue_is_exit_5(scene: Scene) -> None:
    scene.paths.database.write_bytes(b"no database" * 1000)
    done = scene.run("uam", "flush")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith(f"uam: The queue {scene.paths.database} cannot be used: file is not a database.")
    assert scene.run("uam", "status").code == 5


# -- status ----------------------------------------------------------------------------------------------


def test_an_empty_queue(scene: Scene) -> None:
    assert scene.run("uam", "status") == (
        0,
        "waiting: 0 pushes in 0 actions, 0 commits\nrunning: 0 actions\nfailed:  0\nwindow:  a push waits 0.05 s\n"
        "next:    nothing\n",
        "",
    )  # fmt: skip


def test_a_waiting_push_and_its_commits(scene: Scene) -> None:
    commits = queued(scene, "a", "b")
    table = scene.git("uam", "status").splitlines()
    assert table[0].split() == ["id", "type", "where", "agents", "what", "when"]
    rows = {line.split()[0]: line for line in table[1:3]}
    assert f"{commits[0][:7]} Add a; {commits[1][:7]} Add b" in rows["#1"]
    assert f"push  origin/main  ada@example.invalid@work  {commits[1][:7]} main" in " ".join(rows["#2"].split("   "))
    assert table[-5:] == [
        "waiting: 1 push in 1 action, 2 commits",
        "running: 0 actions",
        "failed:  0",
        "window:  a push waits 3600 s",
        "next:    `git uam flush` executes what waits",
    ]
    report = scene.report()
    assert sorted(report) == [
        "ci", "enabled", "failed", "fleet", "hooks", "mode", "next_action", "repository", "running", "straight",
        "version", "waiting", "window",
    ]  # fmt: skip
    assert [(row["type"], row["where"], row["status"]) for row in report["waiting"]] == [
        ("commit", "main", "pending"),
        ("push", "origin/main", "pending"),
    ]
    push = report["waiting"][1]
    assert push["members"] == [
        {"agent": "ada@example.invalid@work", "branch": "main", "worktree": "work", "tip": commits[1]}
    ]
    assert 3500 < push["seconds_left"] <= 3600


def test_commits_that_nobody_pushed(scene: Scene) -> None:
    tip = scene.commit("a", UAM_AGENT_ID="agent-7")
    report = scene.report()
    assert [row["members"] for row in report["waiting"]] == [
        [{"agent": "agent-7", "commit": tip, "subject": "Add a", "files": 1}]
    ]
    words = "`git push` the waiting commits when they are done"
    assert report["next_action"] == {"words": words, "command": None}  # they are another agent's
    own = json.loads(call(scene, "status", "--json", agent="agent-7").out)
    assert own["next_action"] == {"words": words, "command": ["git", "push"]}


@pytest.mark.slow
def test_failures_are_shown_until_they_are_mended(scene: Scene) -> None:
    hook = script(scene.remote / "hooks" / "update", "echo not on Fridays >&2\nexit 1\n")
    tip = scene.commit("a")
    assert scene.push().code == 1
    failed = scene.report()["failed"]
    assert [(f["agent"], f["where"], f["tip"], f["batch"]) for f in failed] == [
        ("ada@example.invalid@work", "origin/main", tip, 1)
    ]
    assert (failed[0]["error"], failed[0]["remote_said"][0]) == ("hook declined", "not on Fridays")
    assert "    remote: not on Fridays" in scene.git("uam", "status").splitlines()
    text = scene.git("uam", "status").splitlines()
    assert f"  ada@example.invalid@work push #2 {tip[:7]} to origin/main: {failed[0]['error']}" in text
    assert text[-1] == "next:    `git uam log 2` shows what failed; mend it and push again, or `git uam retry 2`"
    assert scene.report()["next_action"] == {"words": text[-1][9:], "command": ["git", "uam", "log", "2"]}
    hook.unlink()
    assert scene.push().code == 0
    assert scene.report()["failed"] == []


def test_status_without_an_installation_is_exit_4(plain: Scene) -> None:
    plain.install()
    (plain.uam / "env").rename(plain.root / "env")
    shim = plain.root / "shim" / "bin" / "git-uam"
    shim.parent.mkdir(parents=True)
    shim.write_bytes((plain.uam / "bin" / "git-uam").read_bytes())
    (plain.root / "env").rename(plain.root / "shim" / "env")
    done = plain.execute("sh", str(shim), "status")
    assert (done.code, done.err) == (
        4, "uam: git uam is not enabled in this repository. Run `git uam install`.\n",
    )  # fmt: skip


def test_what_status_says_of_the_next_step_is_true(scene: Scene) -> None:
    """The flusher was killed: if status says that nothing needs to be done, then it lands all by itself."""
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", WINDOW)
    scene.commit("a")
    assert scene.push().code == 0
    os.kill(scene.flusher(), signal.SIGKILL)
    until(lambda: scene.unattended(), "the flusher's end")
    if (step := scene.report()["next_action"]) is not None:
        assert step["command"] == ["git", "uam", "flush"]
        return
    due_now(scene)
    until(lambda: scene.there() != scene.start_oid, "the landing that status promised", patience=8)


def test_git_uam_works_everywhere_in_the_repository(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.commit("sub/a")
    for place in (scene, agent):
        assert json.loads(place.git("uam", "status", "--json"))["waiting"][0]["where"] == "agent"
    assert json.loads(agent.git("-C", "sub", "uam", "status", "--json"))["repository"] == str(scene.top / ".git")
