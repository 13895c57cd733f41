"""Pruning what landed: nothing that has not landed is ever let go of."""

from __future__ import annotations

import os
import time

import pytest

from tests.support.landscape import (
    by_hand,
    collect,
    flushed,
    holds,
    kept,
    landed_together,
    let_go,
    queue,
    record,
    sound,
    states,
    truthful,
    write,
)
from tests.support.scenes import SHADOW, Scene, Worktree, finished, until

# -- prune -------------------------------------------------------------------------------------------------


def test_prune_lets_go_of_what_landed_and_nobody_builds_on(scene: Scene) -> None:
    commits = landed_together(scene)
    everything = [*commits["one"], *commits["two"]]
    scene.git("worktree", "remove", "--force", str(scene.root / "one"))
    scene.git("branch", "-q", "-D", "one")
    # within retention all of it stays
    assert scene.git("uam", "prune") == "deleted 0 pins, 0 landings and 0 originals; 0 shadows cut"
    collect(scene)
    assert holds(scene, everything) == [True] * 4
    scene.git("config", "uam.retention", "0")
    time_passes()
    assert scene.git("uam", "prune").startswith("deleted 0 pins, 1 landings and 0 originals; ")
    collect(scene)
    assert holds(scene, commits["one"]) == [False, False]
    assert scene.oid(f"{SHADOW}^1") == scene.there()
    sound(scene)


def test_what_was_there_already_is_held_by_more_than_the_shadow(scene: Scene) -> None:
    """It has no landing of its own, and the shadow may move away from it."""
    tip = scene.commit("same", "same\n")
    stranger = scene.stranger()
    stranger.commit("same", "same\n", message="The same by somebody else")
    stranger.git("push", "-q", "origin", "HEAD:main")
    there = scene.there()
    done = scene.push()
    assert (done.code, scene.there()) == (0, there), done
    assert done.ours[0].startswith("nothing to land: "), done
    scene.idle()
    scene.git("update-ref", "-d", SHADOW)
    collect(scene)
    assert holds(scene, [tip]) == [True]
    scene.git("config", "uam.retention", "0")
    until(lambda: scene.git("uam", "prune").startswith("deleted 0 pins, 0 landings and 1 originals"), "another second")


def test_prune_lets_go_of_what_a_settle_has_carried(scene: Scene) -> None:
    tip = scene.commit("a")
    young, old = (f"refs/uam/original/{int(time.time()) - days * 86400}/{tip}" for days in (29, 31))
    for ref in (young, old):
        scene.git("update-ref", ref, tip)
    assert scene.git("uam", "prune") == "deleted 0 pins, 0 landings and 1 originals; 0 shadows cut"
    assert [line.split()[-1] for line in scene.our_refs()] == [young]


def time_passes() -> None:
    """Let the clock go on by more than the queue's milliseconds."""
    began = time.time()
    until(lambda: time.time() > began + 0.005, "5 ms")


@pytest.mark.slow
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
    scene.idle()
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


@pytest.mark.slow
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
    for name in ("a", "b", "c"):
        scene.commit(name)
        assert scene.push().code == 0
        scene.idle()
        assert stamp.exists() is (name != "a")  # before a landing, and nothing had ended before the first
    landings = scene.git("for-each-ref", "refs/uam/landing/").splitlines()
    assert landings != []  # pruned today already
    yesterday = time.time() - 25 * 3600
    os.utime(stamp, (yesterday, yesterday))
    scene.commit("d")
    assert scene.push().code == 0
    scene.idle()
    assert set(scene.git("for-each-ref", "refs/uam/landing/").splitlines()).isdisjoint(landings)
    assert stamp.stat().st_mtime > yesterday + 3600
