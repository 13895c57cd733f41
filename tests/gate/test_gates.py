"""Gates: nothing is pushed whose exact tree has not passed, and nobody is punished for the work of another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.marks import bulk
from tests.support.scenes import Done, Scene, Worktree, finished, script, until

# What the gate of these tests says: a file `bad` fails by itself, `one` and `two` together.
TESTS = """echo "$(cat .git >/dev/null && git rev-parse HEAD^{tree})" >> RUNS
echo testing
if test -e bad; then echo there is a bad file; exit 1; fi
if test -e one && test -e two; then echo one and two; exit 1; fi
"""


@pytest.fixture
def gated(scene: Scene) -> Scene:
    """A repository with a gate, in which nothing lands by itself; its remote runs the same tests for each push."""
    gate(scene, "tests", TESTS)
    scene.git("config", "uam.gate.tests.retries", "0")
    scene.git("config", "uam.push.mode", "manual")
    scene.git("config", "uam.push.accept", "false")
    return scene


def gate(scene: Scene, name: str, text: str) -> None:
    path = script(scene.root / f"gate-{name}", text.replace("RUNS", str(scene.root / "runs")))
    scene.git("config", f"uam.gate.{name}.command", str(path))


def runs(scene: Scene) -> list[str]:
    """The trees that were tested, one line for each run."""
    path = scene.root / "runs"
    return path.read_text().split() if path.exists() else []


def queued(scene: Scene, *names: str) -> list[Worktree]:
    """An agent for each name, whose push adds a file of that name and waits in the queue."""
    agents = [scene.worktree(name) for name in names]
    for agent, name in zip(agents, names, strict=True):
        agent.commit(name)
        assert agent.push("origin", "HEAD:main").code == 0
    return agents


def flush(scene: Scene) -> Done:
    return scene.run("uam", "flush")


def states(scene: Scene) -> dict[str, str]:
    return {row["agent_id"].partition("@")[2] or row["agent_id"]: row["status"] for row in scene.rows("sources")}


def errors(scene: Scene) -> list[str]:
    return [json.loads(row["outcome"]).get("error", "") for row in scene.rows("sources")]


def green(scene: Scene) -> bool:
    """Whether the remote's main would pass."""
    files = set(scene.files())
    return "bad" not in files and not {"one", "two"} <= files


def test_what_passes_lands_and_is_not_tested_again(gated: Scene) -> None:
    queued(gated, "a", "b")
    (foreseen,) = json.loads(gated.git("uam", "flush", "--dry-run", "--json"))["plans"]
    assert (foreseen["gates"], runs(gated)) == ({"tests": None}, [])
    assert foreseen["summary"].endswith("; gates: tests would run")
    assert flush(gated).code == 0
    tree = gated.bare.git("rev-parse", "main^{tree}")
    assert runs(gated) == [tree]
    assert gated.pushes() and len(gated.pushes()) == 1
    # the next landing finds what it stands on tested, and a tree that comes back is known
    gated.git("fetch", "-q")
    other = gated.worktree("other")
    other.git("reset", "-q", "--hard", "origin/main")
    other.commit("c")
    other.git("revert", "--no-edit", "HEAD")
    assert other.push("origin", "HEAD:main").code == 0
    assert flush(gated).code == 0
    assert runs(gated) == [tree]


def test_the_culprit_fails_and_the_others_land(gated: Scene) -> None:
    agents = queued(gated, "a", "b", "bad", "c", "d")
    assert flush(gated).code == 1
    assert [row["status"] for row in gated.rows("sources")] == ["landed", "landed", "failed", "landed", "landed"]
    assert set(gated.files()) >= {"a", "b", "c", "d"}
    assert green(gated)
    assert errors(gated)[2] == "the gate tests fails"
    assert len(set(runs(gated))) == len(runs(gated))  # no tree twice
    assert agents[2].oid("HEAD") != gated.bare.oid("main")
    assert [row["status"] for row in gated.rows("deploy_queue") if row["action_type"] == "push"] == ["completed"]


def test_two_that_fail_together_the_first_lands(gated: Scene) -> None:
    flush_first(gated)
    queued(gated, "one", "two")
    before = len(runs(gated))
    assert flush(gated).code == 1
    assert [row["status"] for row in gated.rows("sources")][-2:] == ["landed", "failed"]
    assert len(runs(gated)) - before == 3
    outcome = json.loads(gated.rows("sources")[-1]["outcome"])
    assert outcome["error"].startswith("the gate tests fails together with the work of ")
    assert outcome["conflict_with"]["words"].startswith("the work of ")
    assert "it passes alone and fails together with " in outcome["explain"][0]


def flush_first(scene: Scene) -> None:
    """Land something, so that what the branch has is known to pass."""
    queued(scene, "first")
    assert flush(scene).code == 0


@pytest.mark.slow
def test_who_waits_reads_what_the_gate_said(gated: Scene) -> None:
    flush_first(gated)
    gated.git("config", "uam.push.mode", "wait")
    agent = gated.worktree("agent")
    tip = agent.commit("bad")
    done = agent.push("origin", "HEAD:main")
    assert done.code == 1
    assert "! [remote rejected] HEAD -> main (the gate tests fails)" in done.err
    number = gated.rows("sources")[-1]["action_id"]
    assert done.ours == [
        f"{tip[:7]} was not landed on origin/main: the gate tests fails, it fails by itself;"
        " your commits are untouched",
        "| testing",
        "| there is a bad file",
        "| gate-tests ended with exit code 1",
        f"`git uam gate run {tip[:7]}` runs it again; `git uam log {number}` shows all of it",
    ]
    assert f"gate tests on {tip[:7]} of " in (log := gated.git("uam", "log", str(number)))
    assert "there is a bad file" in log
    again = agent.run("uam", "gate", "run")
    assert (again.code, again.out.splitlines()[0]) == (1, f"tests fails on {tip[:7]}")
    assert agent.oid("HEAD") == tip
    assert agent.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_flake_blames_nobody_and_is_counted(gated: Scene) -> None:
    flush_first(gated)
    gated.git("config", "--unset", "uam.gate.tests.retries")
    once = gated.root / "once"
    gate(gated, "tests", f"{TESTS}if ! test -e {once}; then touch {once}; exit 1; fi\n")
    once.touch()  # what the branch has passes
    queued(gated, "quiet")
    assert flush(gated).code == 0
    once.unlink()
    queued(gated, "a")
    assert flush(gated).code == 0
    (has,) = json.loads(gated.git("uam", "gate", "list", "--json"))["gates"]
    assert has["flaky"] == 1
    assert json.loads(gated.git("uam", "stats", "--json"))["gates"][0]["flaky"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("land", 0), ("hold", 1)])
def test_a_branch_that_is_red_by_itself_blames_nobody(gated: Scene, how: str, code: int) -> None:
    stranger = gated.stranger()
    stranger.commit("bad")
    stranger.git("push", "-q", "origin", "HEAD:main")
    gated.git("config", "uam.gate.onRedBase", how)
    gated.git("config", "uam.retry.count", "0")
    queued(gated, "a", "b", "c")
    assert flush(gated).code == code
    assert len(runs(gated)) == 2
    outcomes = [json.loads(row["outcome"]) for row in gated.rows("sources")]
    why = "the gate tests fails on what the remote had before, so nobody here is to blame"
    if how == "land":
        assert [one["note"] for one in outcomes] == [f"{why}; it landed all the same (uam.gate.onRedBase)"] * 3
        assert set(gated.files()) >= {"a", "b", "c"}
    else:
        assert {one["error"] for one in outcomes} == {why}
        assert not set(gated.files()) & {"a", "b", "c"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hold", "land"])
def test_a_gate_that_cannot_run(gated: Scene, how: str) -> None:
    gated.git("config", "uam.gate.onError", how)
    gated.git("config", "uam.gate.tests.command", str(gated.root / "nowhere"))
    queued(gated, "a")
    assert flush(gated).code == (how == "hold")
    outcome = json.loads(gated.rows("sources")[-1]["outcome"])
    said = outcome["error"] if how == "hold" else outcome["note"]
    assert said.startswith("the gate tests cannot run: ")
    assert ("a" in gated.files()) == (how == "land")


@pytest.mark.slow
def test_setup_makes_a_slot_ready_and_again_when_its_files_change(gated: Scene) -> None:
    made = script(gated.root / "setup", f"echo made >> {gated.root}/setups; mkdir -p built\n")
    gate(gated, "tests", "test -d built || exit 1\necho run >> RUNS\n")
    gated.git("config", "uam.gate.setup", str(made))
    gated.git("config", "uam.gate.setup.paths", "requirements*")
    ignoring = gated.worktree("ignoring")
    ignoring.commit(".gitignore", "built\n")
    assert ignoring.push("origin", "HEAD:main").code == 0
    assert flush(gated).code == 0
    queued(gated, "a")
    assert flush(gated).code == 0
    assert (gated.root / "setups").read_text().count("made") == 1
    queued(gated, "requirements.txt")
    assert flush(gated).code == 0
    assert (gated.root / "setups").read_text().count("made") == 2
    gated.git("config", "uam.gate.setup", "false")
    queued(gated, "b")
    assert flush(gated).code == 1
    assert errors(gated)[-1].startswith("the gate tests cannot run: uam.gate.setup has failed")


@pytest.mark.slow
def test_paths_branches_and_order(gated: Scene) -> None:
    gated.git("config", "--unset", "uam.gate.tests.command")
    for name in ("late", "early"):
        gate(gated, name, f"echo {name} >> RUNS\n")
    gated.git("config", "uam.gate.late.needs", "early")
    gated.git("config", "uam.gate.late.paths", ":(glob)src/**")
    gated.git("config", "uam.gate.early.branches", "main")
    agent = gated.worktree("agent")
    agent.commit("doc")
    assert agent.push("origin", "HEAD:main").code == 0
    assert flush(gated).code == 0
    assert runs(gated) == ["early"]
    (agent.top / "src").mkdir()
    agent.commit("src/code")
    assert agent.push("origin", "HEAD:main").code == 0
    assert flush(gated).code == 0
    assert runs(gated) == ["early", "early", "late"]
    agent.commit("src/more")
    assert agent.push("origin", "HEAD:refs/heads/topic").code == 0
    assert flush(gated).code == 0
    assert runs(gated)[3:] == ["late"]


@pytest.mark.slow
def test_the_environment_is_what_was_named(gated: Scene) -> None:
    gate(gated, "tests", "env > RUNS\n")
    gated.git("config", "--add", "uam.gate.tests.env", "WANTED")
    agent, env = gated.worktree("agent"), {"WANTED": "yes", "GH_TOKEN": "none", "UAM_AGENT_ID": "x"}
    agent.commit("a")
    assert agent.push("origin", "HEAD:main", **env).code == 0
    assert gated.run("uam", "flush", **env).code == 0
    names = [line.partition("=")[0] for line in (gated.root / "runs").read_text().splitlines()]
    assert {"WANTED", "PATH"} <= set(names)
    assert not [name for name in names if name.startswith(("GIT_", "UAM_", "GH_"))]


@pytest.mark.slow
def test_whoever_waits_is_told_which_gate_runs(gated: Scene) -> None:
    go = gated.root / "go"
    gate(gated, "tests", f"while ! test -e {go}; do sleep 0.05; done\n")
    gated.git("config", "uam.push.mode", "wait")
    agent = gated.worktree("agent")
    agent.commit("a")
    waiting = agent.start("push", "origin", "HEAD:main")
    until(lambda: gated.rows("gate_running"), "a gate that runs")
    (row,) = json.loads(gated.git("uam", "status", "--json"))["running"]
    assert row["held"].startswith("waiting for the gate tests of main (")
    go.touch()
    assert finished(waiting).code == 0
    assert gated.rows("gate_running") == []


@pytest.mark.slow
def test_others_who_were_quicker_are_tested_with(gated: Scene) -> None:
    """The remote moves while the gate runs: what lands is tested again as it is then."""
    go = gated.root / "go"
    gate(gated, "tests", f"{TESTS}while ! test -e {go}; do sleep 0.05; done\n")
    gated.git("config", "uam.push.mode", "wait")
    agent = gated.worktree("agent")
    agent.commit("one")
    waiting = agent.start("push", "origin", "HEAD:main")
    until(lambda: runs(gated), "a gate that runs")
    stranger = gated.stranger()
    stranger.commit("two")
    stranger.git("push", "-q", "origin", "HEAD:main")
    go.touch()
    assert finished(waiting).code == 1
    assert green(gated)
    assert "one" not in gated.files()


def gates_at_work(scene: Scene) -> list[str]:
    """The processes that run the gate."""
    found = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if f"{scene.root}/gate-tests" in line]


@pytest.mark.slow
def test_a_flusher_that_is_killed_in_a_gate_leaves_the_work(gated: Scene) -> None:
    """The batch is given back, the slot is taken over, and verdicts count."""
    go = gated.root / "go"
    gate(gated, "tests", f"{TESTS}while ! test -e {go}; do sleep 0.05; done\n")
    gated.git("config", "uam.push.mode", "queue")
    agent = gated.worktree("agent")
    agent.commit("a")
    assert agent.push("origin", "HEAD:main").code == 0
    until(lambda: runs(gated), "a gate that runs")
    for number in gated.flushers():
        os.kill(number, signal.SIGKILL)
    until(lambda: not gates_at_work(gated), "the end of the gate of a flusher that was killed")
    go.touch()
    assert gated.rows("gate_running")
    gated.git("config", "uam.push.mode", "manual")
    gated.git("config", "--unset", "uam.gate.tests.command")
    assert flush(gated).code == 0
    assert gated.rows("gate_running") == []
    assert "a" in gated.files()


@pytest.mark.slow
def test_the_next_gate_begins_when_that_of_a_dead_flusher_has_ended(gated: Scene) -> None:
    first, beat = gated.root / "first", gated.root / "beat"
    gate(gated, "tests", (
        f"trap '' TERM\nif test -e {first}; then rm {beat}; sleep 0.3; test -e {beat} && echo both >>RUNS; exit 0; fi\n"
        f"echo alone >>RUNS; touch {first}; while :; do touch {beat}; sleep 0.05; done\n"
    ))  # fmt: skip
    queued(gated, "a")
    process = gated.start("uam", "flush")
    until(first.exists, "a gate that runs")
    os.killpg(process.pid, signal.SIGKILL)
    finished(process)
    assert flush(gated).code == 0
    assert runs(gated) == ["alone"]
    assert "a" in gated.files()


@pytest.mark.slow
def test_ctrl_c_of_a_flush_ends_its_gate_and_gives_the_work_back(gated: Scene) -> None:
    gate(gated, "tests", f"{TESTS}while :; do sleep 0.05; done\n")
    queued(gated, "a")
    process = gated.start("uam", "flush")
    until(lambda: runs(gated), "a gate that runs")
    os.killpg(process.pid, signal.SIGINT)
    assert finished(process).code == -signal.SIGINT
    until(lambda: not gates_at_work(gated), "the end of the gate")
    gate(gated, "tests", TESTS)
    assert flush(gated).code == 0
    assert "a" in gated.files()


@pytest.mark.slow
def test_a_gate_that_takes_too_long_has_failed(gated: Scene) -> None:
    flush_first(gated)
    gate(gated, "tests", "sleep 60\n")
    gated.git("config", "uam.gate.tests.timeout", "300ms")
    queued(gated, "a")
    assert flush(gated).code == 1
    outcome = json.loads(gated.rows("sources")[-1]["outcome"])
    assert outcome["error"] == "the gate tests fails"
    assert outcome["explain"][-2] == "| gate-tests was ended after 0.3 s, with all that it started"
    assert not gates_at_work(gated)


@pytest.mark.slow
def test_a_forced_push_is_tested_and_an_atomic_one_passes_as_a_whole(gated: Scene) -> None:
    flush_first(gated)
    agent = gated.worktree("agent")
    agent.commit("bad")
    for args in (("--force",), ("--atomic", "HEAD:refs/heads/topic")):
        assert agent.push("origin", *args, "HEAD:main").code == 0
        assert flush(gated).code == 1
    assert "bad" not in gated.files()
    assert gated.there("refs/heads/topic") == ""
    agent.git("reset", "-q", "--hard", "HEAD^")
    agent.commit("a")
    assert agent.push("origin", "--atomic", "HEAD:refs/heads/topic", "HEAD:main").code == 0
    assert flush(gated).code == 0
    assert gated.there("refs/heads/topic") == gated.there("refs/heads/main") or "a" in gated.files()


@pytest.mark.slow
@pytest.mark.parametrize("step", bulk(["pushed", "planned", "pinned", "remembered", "tracked", "finished"]))
def test_a_flush_that_dies_between_the_parts_of_a_landing(gated: Scene, step: str) -> None:
    """Whatever of it has landed has landed once, and the rest has its turn."""
    queued(gated, "a", "b", "bad", "c")
    assert gated.run("uam", "flush", UAM_DIE_AT=step).code == 137
    before = len(runs(gated))
    assert flush(gated).code in (0, 1)
    assert [row["status"] for row in gated.rows("sources")] == ["landed", "landed", "failed", "landed"]
    assert gated.landed() == ["Add a", "Add b", "Add c"]
    assert gated.bare.git("log", "-1", "--format=%H", "main") == gated.oid("refs/remotes/origin/main")
    tested = runs(gated)
    assert len(set(tested)) == len(tested) > before > 0


@pytest.mark.slow
def test_a_slot_has_all_of_the_tree_where_the_checkout_is_sparse(gated: Scene) -> None:
    flush_first(gated)
    gated.git("sparse-checkout", "set", "--no-cone", "/README")
    agent = gated.worktree("agent")
    agent.git("sparse-checkout", "disable")
    agent.commit("bad")
    assert agent.push("origin", "HEAD:main").code == 0
    for number in range(2):  # in a slot that is there, and in one that is new
        assert flush(gated).code == 1
        assert errors(gated)[-1] == "the gate tests fails"
        if not number:
            gated.git("worktree", "remove", "--force", "--force", str(gated.paths.gates / "0" / "tree"))
            gated.git("uam", "gate", "forget")
            agent.commit("more")
            assert agent.push("origin", "HEAD:main").code == 0


@pytest.mark.slow
def test_uninstall_takes_the_slots_away(gated: Scene) -> None:
    queued(gated, "a")
    assert flush(gated).code == 0
    places = [Path(line.split()[0]) for line in gated.git("worktree", "list").splitlines()]
    assert [place for place in places if place.is_relative_to(gated.paths.uam)]
    assert "locked git uam runs gates here" in gated.git("worktree", "list", "--porcelain")
    gated.git("uam", "uninstall")
    assert "uam" not in gated.git("worktree", "list")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((("uam.gate.tests.needs", "others"),), "The gate tests needs others, which is none."),
        ((("uam.gate.tests.needs", "tests"),), "The gates tests, tests need each other."),
        ((("uam.gate.setup.command", "true"),), "A gate cannot be called setup."),
    ],
)
def test_settings_that_make_no_sense_hold_pushes_and_are_said(
    gated: Scene, settings: Sequence[tuple[str, str]], said: str
) -> None:
    for key, value in settings:
        gated.git("config", key, value)
    queued(gated, "a")
    assert flush(gated).code == 1
    assert errors(gated) == [said]
    done = gated.run("uam", "gate", "list")
    assert (done.code, done.ours[0].startswith(said)) == (2, True)
    assert "a" not in gated.files()


def test_verdicts_can_be_forgotten(gated: Scene) -> None:
    assert gated.git("uam", "gate", "forget") == "0 verdicts forgotten"
    queued(gated, "a")
    assert flush(gated).code == 0
    assert gated.git("uam", "gate", "forget", "tests") == "1 verdict forgotten"
    lines = gated.git("uam", "gate", "list").splitlines()
    assert lines[0] == f"tests: {gated.root}/gate-tests"
    assert lines[1].startswith("  1 run, 0 failed, passes in ")
