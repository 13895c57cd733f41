"""Showing and restoring what landed, and what did not."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import (
    by_hand,
    collect,
    flushed,
    kept,
    landed_together,
    let_go,
    queue,
    truthful,
)
from tests.support.scenes import Scene, script

# -- show --------------------------------------------------------------------------------------------------


def test_show_tells_what_landed_from_whom(scene: Scene) -> None:
    commits = landed_together(scene)
    batch = scene.rows("deploy_batches")[0]
    new = scene.there()
    text = scene.git("uam", "show", "1").splitlines()
    assert text[0].startswith(f"batch 1 ({batch['id']}) completed, ")
    assert text[1:] == [
        "a batch is what is carried out together, with one push to each remote",
        "",
        f"origin/main went from {scene.start_oid[:7]} to {new[:7]}, for 2 pushes:",
        *(
            line
            for name, own in (("one", scene.bare.oid("main^")), ("two", new))
            for line in (
                f"  {name} pushed {commits[name][1][:7]} from branch {name}:",
                f"    {commits[name][0][:7]} Add {name}-1 (Ada <ada@example.invalid>)",
                f"    {commits[name][1][:7]} Add {name}-2 (Ada <ada@example.invalid>)",
                "  landed as one:",
                f"    {own[:7]} Squashed 2 commits: (Ada <ada@example.invalid>)",
            )
        ),
        "  checked before the push: it changes 4 files, all of them changed by these commits;",
        "  4 changed by one push alone, and with the very content that was pushed",
    ]
    for name in (batch["id"], batch["id"][:8], new, new[:10], "origin/main"):
        assert scene.git("uam", "show", name).splitlines() == text


@pytest.mark.slow
def test_f4_show_and_log_tell_what_became_of_each(scene: Scene) -> None:
    """As it was, moved, one by one, with others' in one commit, and a branch that is gone."""
    by_hand(scene)
    agents = [scene.worktree(name) for name in ("one", "two", "three")]
    agents[2].commit("three-1")
    for agent in agents:
        agent.commit(agent.top.name)
        agent.git("push", "-q", *(["-o", "keep"] if agent is agents[2] else []), "origin", "HEAD:main")
    flushed(scene)
    kept, options = scene.bare.git("rev-list", "--reverse", "-2", "main").split(), scene.git("uam", "show", "1")
    lines = options.splitlines()
    assert [line for line in lines if line.startswith(("  one", "  two", "  three", "  landed"))] == [
        f"  one pushed {agents[0].short('one')} from branch one, which landed as it is:",
        f"  two pushed {agents[1].short('two')} from branch two:",
        "  landed on top of others' work:",
        f"  three pushed {agents[2].short('three')} from branch three:",
        "  landed one by one:",
    ]
    (sources,) = [one["sources"] for one in json.loads(scene.git("uam", "show", "1", "--json"))["landings"]]
    assert [commit["commit"] for commit in sources[-1]["became"]] == kept

    push = max(row["id"] for row in scene.rows("deploy_queue") if row["action_type"] == "push")
    assert scene.git("uam", "log", str(push)).splitlines()[1] == (
        "it is in batch 1, which is what was carried out together: git uam show 1"
    )
    scene.git("config", "uam.squash", "batch")
    for agent in agents[:2]:
        agent.git("reset", "-q", "--hard", "origin/main")
        for number in (1, 2):
            agent.commit(f"{agent.top.name}-b{number}")
        agent.git("push", "-q", "origin", "HEAD:topic")
    scene.git("config", "uam.squash.branches", "*")
    flushed(scene)
    shown = scene.git("uam", "show", "2").splitlines()
    assert f"origin/topic is new, at {scene.there('refs/heads/topic')[:7]}, for 2 pushes:" in shown
    assert shown.count("  landed with others' work, in one commit:") == 2
    scene.git("push", "-q", "origin", ":topic")
    flushed(scene)
    shown = scene.git("uam", "show", "3").splitlines()
    assert any(line.startswith("origin/topic was deleted, it was at ") for line in shown)


def test_a_landing_whose_name_has_digits_only(scene: Scene) -> None:
    """One commit in 27 begins with seven of them, which is what is printed of it."""
    tip, number = scene.commit("a"), 0
    while not tip[:7].isdigit():
        scene.git("commit", "-q", "--amend", "-m", f"Add a, {number}")
        tip, number = scene.oid("HEAD"), number + 1
    assert scene.push().code == 0
    assert scene.there() == tip
    for name in (tip, tip[:7], tip[:10]):
        assert scene.git("uam", "show", name).startswith("batch 1 ")
    assert scene.run("uam", "show", tip[:6]).code == (2 if tip[:6].isdigit() else 0)


def test_show_as_data(scene: Scene) -> None:
    commits = landed_together(scene)
    found = json.loads(scene.git("uam", "show", "1", "--json"))
    assert (found["batch"], found["status"], found["failed"]) == (1, "completed", [])
    (landing,) = found["landings"]
    assert (landing["where"], landing["old"], landing["new"]) == ("origin/main", scene.start_oid, scene.there())
    assert [(s["agent"], s["branch"], s["tip"]) for s in landing["sources"]] == [
        (name, name, commits[name][1]) for name in ("one", "two")
    ]
    assert [c["commit"] for s in landing["sources"] for c in s["commits"]] == commits["one"] + commits["two"]
    assert landing["sources"][0]["commits"][0] == {
        "commit": commits["one"][0], "subject": "Add one-1", "author": "Ada <ada@example.invalid>",
    }  # fmt: skip
    assert landing["proof"]["ok"] is True


def test_show_tells_what_failed_and_why(scene: Scene) -> None:
    scene.git("config", "uam.push.accept", "false")
    by_hand(scene)
    first, second = scene.worktree("first"), scene.worktree("second")
    for agent in (first, second):
        agent.commit("README", f"{agent.top.name}\n")
        queue(agent)
    flushed(scene)
    found = json.loads(scene.git("uam", "show", "1", "--json"))
    assert [(f["agent"], f["tip"], f["where"]) for f in found["failed"]] == [
        ("second", second.oid("HEAD"), "origin/main")
    ]
    last, number = scene.git("uam", "show", "1").splitlines()[-1], found["failed"][0]["action"]
    assert last.startswith(f"failed: #{number} second {second.short('HEAD')} to origin/main: conflict in README with ")


def test_a_batch_that_is_not_there(scene: Scene) -> None:
    for command, name in (("show", "7"), ("show", "nonsense"), ("show", "HEAD"), ("show", ""), ("restore", "0000000")):
        done = scene.run("uam", command, name)
        assert (done.code, done.out) == (2, "")
        assert f"There is no batch '{name}' here." in done.err


# -- restore -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_restore_brings_every_source_back(scene: Scene) -> None:
    commits = landed_together(scene)
    for name in ("one", "two"):
        scene.git("worktree", "remove", "--force", str(scene.root / name))
        scene.git("branch", "-q", "-D", name)
    collect(scene)
    out = scene.git("uam", "restore", "1").splitlines()
    assert out == [
        f"branch restored-1-{n} is at {commits[name][1][:7]} ({name}); undo: git branch -D restored-1-{n}"
        for n, name in enumerate(("one", "two"), 1)
    ]
    assert scene.subjects(f"{scene.start_oid}..restored-1-2") == ["Add two-2", "Add two-1"]
    # the same under another name, and not where a branch is
    again = scene.run("uam", "restore", "1")
    assert (again.code, again.out) == (4, "")
    assert "restored-1-1 already exists" in again.err
    scene.git("uam", "restore", scene.there(), "--branch", "back")
    assert [scene.oid(f"back-{n}") for n in (1, 2)] == [commits["one"][1], commits["two"][1]]


@pytest.mark.slow
def test_restore_one_original_commit(scene: Scene) -> None:
    commits = landed_together(scene)
    first = commits["one"][0]
    out = scene.git("uam", "restore", first[:10], "--branch", "team/first")
    assert out.startswith(f"branch team/first is at {first[:7]} ")
    assert scene.oid("refs/heads/team/first") == first
    scene.git("branch", "taken")
    for name, code in (("taken", 4), ("no..name", 2), ("-x", 2), ("a b", 2), ("", None)):
        before = scene.git("for-each-ref")
        done = scene.run("uam", "restore", first, f"--branch={name}")
        if code is not None:
            assert (done.code, scene.git("for-each-ref")) == (code, before), done
        assert "Traceback" not in done.err


def test_restore_after_retention_says_so(scene: Scene) -> None:
    landed_together(scene)
    for name in ("one", "two"):
        scene.git("worktree", "remove", "--force", str(scene.root / name))
        scene.git("branch", "-q", "-D", name)
    let_go(scene)
    collect(scene)
    done = scene.run("uam", "restore", "1")
    assert done.code == 4
    assert "no longer available: its retention has ended" in done.err
    shown = scene.run("uam", "show", "1")
    assert (shown.code, "Traceback" in shown.err) == (0, False)


# -- out and in again --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_out_and_in_again_keeps_what_was_kept(scene: Scene) -> None:
    """A new queue counts from 1 again; refs of the old one neither collide with it nor get lost."""
    commits = []
    for turn in range(3):
        commits += [scene.commit("file", f"{turn}.1\n"), scene.commit("file", f"{turn}.2\n")]
        done = scene.push()
        assert done.code == 0, done
        assert scene.clean()
        scene.idle()
        commits.append(scene.commit("file", f"{turn}.3\n"))
        assert scene.run("uam", "uninstall", "--force").code == 0
        scene.git("push", "-q")
        scene.install()
        assert scene.rows("deploy_batches") == []
    assert scene.landed() == ["Squashed 2 commits:", "Add file"] * 3
    kept(scene, commits)
    truthful(scene)


def test_a_failed_push_can_be_restored(scene: Scene) -> None:
    """What did not land is not in the batch's landing, and still only one command away."""
    script(scene.remote / "hooks" / "update", "exit 1\n")
    scene.git("config", "uam.push.mode", "wait")
    agent = scene.worktree("agent")
    agent.commit("a")
    tip = agent.commit("b")
    assert agent.push("origin", "HEAD:main").code == 1
    scene.idle()  # no gc beside somebody who moves refs
    scene.git("worktree", "remove", "--force", str(agent.top))
    scene.git("branch", "-q", "-D", "agent")
    collect(scene)
    assert json.loads(scene.git("uam", "show", "1", "--json"))["failed"][0]["tip"] == tip
    scene.git("uam", "restore", tip, "--branch", "rescued")
    assert scene.subjects(f"{scene.start_oid}..rescued") == ["Add b", "Add a"]
