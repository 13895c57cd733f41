"""Showing, restoring and pruning what landed: nothing that has not landed is ever let go of."""

from __future__ import annotations

import json
import os
import time

from landscape import by_hand, flushed, inside, kept, queue, record, sound, states, truthful, write
from scenes import SHADOW, Scene, Worktree, finished, script, until

from uam_hooks.land.retention import prune


def collect(scene: Scene) -> None:
    """Let git throw away everything that no ref holds."""
    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")


def let_go(scene: Scene) -> tuple[int, int, int]:
    """Prune as if all retention had ended."""
    with inside(scene) as session:
        return prune(session, -1.0)


def here(scene: Scene, commits: list[str]) -> list[bool]:
    """Which of the commits the repository still has."""
    return [scene.run("cat-file", "-e", f"{oid}^{{commit}}").code == 0 for oid in commits]


def landed_together(scene: Scene) -> dict[str, list[str]]:
    """Two agents with two commits each that landed as one; gives each agent's commits."""
    by_hand(scene)
    commits = {}
    for name in ("one", "two"):
        agent = scene.worktree(name)
        commits[name] = [agent.commit(f"{name}-{n}") for n in (1, 2)]
        queue(agent)
    flushed(scene)
    return commits


# -- show --------------------------------------------------------------------------------------------------


def test_show_tells_what_landed_from_whom(scene: Scene) -> None:
    commits = landed_together(scene)
    batch = scene.rows("deploy_batches")[0]
    new = scene.there()
    text = scene.git("uam", "show", "1").splitlines()
    assert text[0].startswith(f"batch 1 ({batch['id']}) completed, ")
    assert text[1:] == [
        "",
        f"origin/main: {scene.start_oid[:7]}..{new[:7]} squashed (landed)",
        *(
            line
            for name in ("one", "two")
            for line in (
                f"  {name}, {name} at {commits[name][1][:7]}",
                f"    {commits[name][0][:7]} Add {name}-1 (Ada <ada@example.invalid>)",
                f"    {commits[name][1][:7]} Add {name}-2 (Ada <ada@example.invalid>)",
            )
        ),
        "  proof: 4 paths changed, all by the sources; 4 as pushed",
    ]
    for name in (batch["id"], batch["id"][:8], new, new[:10], "origin/main"):
        assert scene.git("uam", "show", name).splitlines() == text


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
    last = scene.git("uam", "show", "1").splitlines()[-1]
    assert last.startswith(f"failed: second {second.short('HEAD')} to origin/main: conflict in README with ")


def test_a_batch_that_is_not_there(scene: Scene) -> None:
    for command, name in (("show", "7"), ("show", "nonsense"), ("show", "HEAD"), ("show", ""), ("restore", "0000000")):
        done = scene.run("uam", command, name)
        assert (done.code, done.out) == (2, "")
        assert f"There is no batch '{name}' here." in done.err


# -- restore -----------------------------------------------------------------------------------------------


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
    assert "restored-1-1 exists already" in again.err
    scene.git("uam", "restore", scene.there(), "--branch", "back")
    assert [scene.oid(f"back-{n}") for n in (1, 2)] == [commits["one"][1], commits["two"][1]]


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
    assert "no longer kept: its retention has ended" in done.err
    shown = scene.run("uam", "show", "1")
    assert (shown.code, "Traceback" in shown.err) == (0, False)


# -- prune -------------------------------------------------------------------------------------------------


def test_prune_lets_go_of_what_landed_and_nobody_builds_on(scene: Scene) -> None:
    commits = landed_together(scene)
    everything = [*commits["one"], *commits["two"]]
    scene.git("worktree", "remove", "--force", str(scene.root / "one"))
    scene.git("branch", "-q", "-D", "one")
    # within retention all of it stays
    assert scene.git("uam", "prune") == "let go of 0 pins and 0 landings; 0 shadows cut"
    collect(scene)
    assert here(scene, everything) == [True] * 4
    scene.git("config", "uam.retention", "0")
    time_passes()
    assert scene.git("uam", "prune").startswith("let go of 0 pins and 1 landings; ")
    collect(scene)
    assert here(scene, commits["one"]) == [False, False]
    assert scene.oid(f"{SHADOW}^1") == scene.there()
    sound(scene)


def time_passes() -> None:
    """Let the clock go on by more than the queue's milliseconds."""
    began = time.time()
    until(lambda: time.time() > began + 0.005, "5 ms")


def test_prune_never_lets_go_of_what_has_not_landed(scene: Scene) -> None:
    """Failed, withdrawn, pending, and open after a crash: with branches and worktrees gone, all of it stays."""
    by_hand(scene, settle="off")
    tips = {}
    good, bad = scene.worktree("good"), scene.worktree("bad")
    good.commit("README", "good\n")
    good.commit("good")
    queue(good)
    tips["failed"] = bad.commit("README", "bad\n")
    queue(bad)
    flushed(scene)
    assert states(scene) == ["landed", "failed"]
    scene.git("config", "uam.push.mode", "wait")
    scene.git("config", "uam.window.push", "1h")
    withdrawn = scene.worktree("withdrawn")
    tips["withdrawn"] = withdrawn.commit("withdrawn")
    process = withdrawn.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 3, "the push in the queue")
    os.killpg(process.pid, 2)
    finished(process)
    until(lambda: states(scene)[-1] == "withdrawn", "the push taken back")
    scene.close()
    scene.git("config", "uam.push.mode", "manual")
    waiting = scene.worktree("waiting")
    tips["pending"] = waiting.commit("waiting")
    queue(waiting)
    for name in ("good", "bad", "withdrawn", "waiting"):
        scene.git("worktree", "remove", "--force", str(scene.root / name))
        scene.git("branch", "-q", "-D", name)
    let_go(scene)
    collect(scene)
    kept(scene, list(tips.values()))
    assert [r.errors for r in flushed(scene)] == [()]
    assert "waiting" in scene.files()
    truthful(scene)
    sound(scene)


def test_prune_while_the_outcome_of_a_push_is_open(scene: Scene) -> None:
    """The flush died after the push, and the remote does not answer: nobody knows yet whether it landed."""
    by_hand(scene, settle="off")
    commits = [scene.commit(name) for name in ("a", "b")]
    queue(scene, "origin", "main")
    assert scene.run("uam", "flush", UAM_DIE_AT="pushed").code != 0
    landing = scene.there()
    away = scene.remote.rename(scene.root / "away")
    scene.git("switch", "-q", "--detach", scene.start_oid)
    scene.git("branch", "-q", "-D", "main")
    let_go(scene)
    collect(scene)
    kept(scene, [*commits, landing])
    away.rename(scene.remote)
    flushed(scene)
    assert states(scene) == ["landed"]
    assert len(scene.pushes()) == 1
    kept(scene, commits)


def edit(agent: Worktree, number: int, text: str) -> str:
    lines = (agent.top / "table").read_text().splitlines(keepends=True)
    lines[number * 4] = f"{number}: {text}\n"
    write(agent, "table", "".join(lines))
    return record(agent, f"Set {number} to {text}")


def test_the_same_line_in_three_batches_with_pruning_in_between(scene: Scene) -> None:
    """Branches that never sync build on originals: those are what a shadow must not forget."""
    write(scene, "table", "".join(f"{n}: 0\n\n\n\n" for n in range(4)))
    record(scene, "Begin a table")
    scene.git("push", "-q", "origin", "main", UAM="off")
    by_hand(scene, settle="off")
    agents = [scene.worktree(f"agent-{n}", *(["--detach"] if n == 2 else ())) for n in range(3)]
    other = scene.stranger()
    for turn in range(1, 5):
        for number, agent in enumerate(agents):
            if number == 1 and turn % 2 == 0:
                continue  # this one lands only every other time
            edit(agent, number, f"{turn}.1")
            edit(agent, number, f"{turn}.2")
            queue(agent)
        other.git("pull", "-q", "--rebase")
        edit(other, 3, str(turn))
        other.git("push", "-q")
        assert [result.errors for result in flushed(scene)] == [()]
        let_go(scene)
        collect(scene)
        truthful(scene)
    there = scene.bare.git("show", "main:table").splitlines()
    assert there[0:16:4] == ["0: 4.2", "1: 3.2", "2: 4.2", "3: 4"]
    sound(scene)


def test_pruning_cuts_history_off_a_shadow(scene: Scene) -> None:
    by_hand(scene)
    for turn in range(3):
        scene.commit("file", f"{turn}.1\n")
        scene.commit("file", f"{turn}.2\n")
        queue(scene, "origin", "main")
        flushed(scene)
    before = len(scene.git("rev-list", SHADOW, "^origin/main").split())
    let_go(scene)
    after = scene.git("rev-list", SHADOW, "^origin/main").split()
    assert len(after) < before
    assert scene.oid(f"{SHADOW}^{{tree}}") == scene.bare.oid("main^{tree}")
    # again changes nothing
    shadow = scene.oid(SHADOW)
    let_go(scene)
    assert scene.oid(SHADOW) == shadow


def test_the_background_process_prunes_once_a_day(scene: Scene) -> None:
    scene.git("config", "uam.retention", "0")
    stamp = scene.uam / "pruned"
    scene.commit("a")
    assert scene.push().code == 0
    scene.idle()
    assert stamp.exists()
    for name in ("b", "c"):
        scene.commit(name)
    assert scene.push().code == 0
    scene.idle()
    landings = scene.git("for-each-ref", "refs/uam/landing/").splitlines()
    assert landings != []  # pruned today already
    yesterday = time.time() - 25 * 3600
    os.utime(stamp, (yesterday, yesterday))
    scene.commit("d")
    assert scene.push().code == 0
    scene.idle()
    assert set(scene.git("for-each-ref", "refs/uam/landing/").splitlines()).isdisjoint(landings)
    assert stamp.stat().st_mtime > yesterday + 3600


# -- out and in again --------------------------------------------------------------------------------------


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
    scene.git("worktree", "remove", "--force", str(agent.top))
    scene.git("branch", "-q", "-D", "agent")
    collect(scene)
    assert json.loads(scene.git("uam", "show", "1", "--json"))["failed"][0]["tip"] == tip
    scene.git("uam", "restore", tip, "--branch", "rescued")
    assert scene.subjects(f"{scene.start_oid}..rescued") == ["Add b", "Add a"]
