"""Others move the remote while we land: integrated anew, bounded, and everything lands once."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from random import Random

import pytest

from tests.support.landscape import (
    at_remote,
    by_hand,
    environment,
    flushed,
    kept,
    outsiders,
    queue,
    record,
    sound,
    states,
    truthful,
    write,
)
from tests.support.marks import bulk
from tests.support.scenes import Done, Scene, Worktree, finished, script, until
from uam_hooks.land.steps import Step


def test_what_landed_before_a_landing_that_was_forced_away_still_counts(scene: Scene) -> None:
    """Two landings, the second is forced away: the first is still there, and its originals are still known."""
    by_hand(scene, settle="off")
    agent, other = scene.worktree("agent"), scene.worktree("other")
    for text in ("1\n", "2\n"):
        write(agent, "file", text)
        record(agent, f"Say {text}")
    queue(agent)
    flushed(scene)
    first = scene.there()
    for name in ("other-1", "other-2"):
        other.commit(name)
    queue(other)
    flushed(scene)
    scene.bare.git("update-ref", "refs/heads/main", first)
    write(agent, "file", "3\n")
    record(agent, "Say 3")
    queue(agent)
    queue(other)
    flushed(scene)
    assert states(scene)[-2:] == ["landed", "landed"]
    assert scene.bare.git("show", "main:file") == "3"
    assert scene.files() == ["README", "file", "other-1", "other-2"]


# -- somebody is quicker -----------------------------------------------------------------------------------------


def landed_once(scene: Scene, names: Iterable[str]) -> None:
    """Every file is there, and main's history tells of each of these commits once."""
    told = Counter(_ADDED.findall(scene.bare.git("log", "--format=%B", f"{scene.start_oid}..main")))
    assert {name: told[name] for name in names} == dict.fromkeys(names, 1)
    assert set(names) <= set(scene.files())


def ended(scene: Scene) -> None:
    """Nothing waits, nothing is under way, and no plan is open, once the flusher has gone."""
    scene.idle()
    assert {row["status"] for row in scene.rows("deploy_queue")} <= {"completed", "cancelled", "failed"}
    assert {row["status"] for row in scene.rows("deploy_batches")} <= {"completed", "cancelled", "failed"}
    assert "planned" not in [row["status"] for row in scene.rows("landings")]
    truthful(scene)


_ADDED = re.compile(r"Add (\S+)")


@pytest.mark.parametrize("commits", bulk([1, 2]))
def test_outsiders_who_push_while_the_remote_receives(scene: Scene, commits: int) -> None:
    agent = scene.worktree("agent")
    names = [f"mine-{n}" for n in range(commits)]
    tips = [agent.commit(name) for name in names]
    theirs = outsiders(scene, 5)
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0, done
    at_remote(agent, scene)
    landed_once(scene, names)
    assert scene.files() == sorted(["README", *names, *theirs])
    assert [row["status"] for row in scene.rows("landings")] == ["abandoned"] * 5 + ["landed"]
    kept(scene, tips)
    ended(scene)


def test_outsiders_who_push_before_the_push_goes_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the remote was asked and the plan is pinned, main moves: the lease of the push is stale."""
    by_hand(scene)
    agent, other = scene.worktree("agent"), scene.stranger()
    names = [agent.commit(f"mine-{n}") and f"mine-{n}" for n in range(2)]
    left = [1, 2, 3]

    def quicker(step: Step) -> None:
        if step == Step.PINNED and left:
            with environment(scene.env):
                other.git("pull", "-q", "--rebase")
                other.commit(f"theirs-{left.pop()}")
                other.git("push", "-q")

    queue(agent)
    monkeypatch.setattr("uam_hooks.land.one_push.reached", quicker)
    assert [result.errors for result in flushed(scene)] == [()]
    landed_once(scene, names)
    assert scene.files() == sorted(["README", *names, "theirs-1", "theirs-2", "theirs-3"])
    ended(scene)


@pytest.mark.slow
def test_outsiders_who_are_quicker_too_often(scene: Scene) -> None:
    """The push fails with a clear word and loses nothing; the next one lands."""
    scene.git("config", "uam.flush.retries", "2")
    agent = scene.worktree("agent")
    tips = [agent.commit(name) for name in ("mine-1", "mine-2")]
    theirs = outsiders(scene, 3)
    done = agent.push("origin", "HEAD:main")
    assert done.code == 1
    words = "others pushed in between 3 times in a row; your commits are safe, push again"
    assert f"! [remote rejected] HEAD -> main ({words})" in done.err
    assert scene.report()["failed"][0]["error"] == words
    assert scene.files() == sorted(["README", *theirs])
    assert agent.oid("HEAD") == tips[-1]
    scene.git("worktree", "remove", "--force", str(agent.top))
    scene.git("branch", "-D", "-q", "agent")
    kept(scene, tips)
    truthful(scene)
    again = scene.push("origin", f"{tips[-1]}:main")
    assert again.code == 0, again
    landed_once(scene, ["mine-1", "mine-2"])
    ended(scene)


@pytest.mark.slow
def test_a_topic_that_the_remote_has_lands_on_a_main_that_moved_on(scene: Scene) -> None:
    """Nothing of it is to be squashed, and yet main needs a commit that joins both."""
    agent = scene.worktree("agent")
    names = ["mine-1", "mine-2"]
    for name in names:
        agent.commit(name)
    assert agent.push("origin", "HEAD:topic").code == 0
    topic, other = scene.there("refs/heads/topic"), scene.stranger()
    other.commit("theirs")
    other.git("push", "-q")
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0, done
    at_remote(agent, scene)
    assert scene.files() == ["README", *names, "theirs"]
    assert scene.bare.run("merge-base", "--is-ancestor", topic, "main").code == 0
    ended(scene)


# -- two queues ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_hooked_clones_push_to_the_same_remote(scene: Scene) -> None:
    """Each has a queue of its own, and each is an outsider to the other."""
    other = copy(scene)
    other.top = scene.root / "second"
    scene.outside.git("clone", "-q", str(scene.remote), "second")
    other.install(window="50ms")
    scene.git("config", "uam.window.push", "50ms")
    for place in (scene, other):
        place.git("config", "uam.flush.retries", "20")
    agents = [(scene, other)[n % 2].worktree(f"agent-{n}") for n in range(6)]
    start = threading.Barrier(len(agents))
    tips: dict[str, list[str]] = {agent.top.name: [] for agent in agents}

    def work(agent: Worktree) -> list[Done]:
        done = []
        for turn in range(4):
            for half in (1, 2)[: 1 + turn % 2]:
                tips[agent.top.name].append(agent.commit(f"{agent.top.name}-{turn}-{half}"))
            start.wait()
            done.append(agent.push("origin", "HEAD:main"))
        return done

    try:
        with ThreadPoolExecutor(len(agents)) as pool:
            results = [one for each in pool.map(work, agents) for one in each]
        assert [done.code for done in results] == [0] * 24, [done for done in results if done.code]
        landed_once(scene, [f"agent-{n}-{t}-{h}" for n in range(6) for t in range(4) for h in (1, 2)[: 1 + t % 2]])
        for place, mine in ((scene, agents[::2]), (other, agents[1::2])):
            ended(place)
            kept(place, [tip for agent in mine for tip in tips[agent.top.name]])
            sound(place)
    finally:
        other.close()


# -- somebody takes it away -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("settle", bulk(["keep", "off"]))
def test_a_landing_that_was_forced_away_lands_again(scene: Scene, settle: str) -> None:
    scene.git("config", "uam.settle", settle)
    agent, other = scene.worktree("agent"), scene.stranger()
    for name in ("mine-1", "mine-2"):
        agent.commit(name)
    assert agent.push("origin", "HEAD:main").code == 0
    gone = scene.there()
    other.commit("theirs")
    other.git("push", "-q", "--force")
    assert scene.files() == ["README", "theirs"]
    again = agent.push("origin", "HEAD:main")
    assert again.code == 0, again
    assert scene.there() != gone
    assert scene.files() == ["README", "mine-1", "mine-2", "theirs"]
    landed_once(scene, ["mine-1", "mine-2", "theirs"])
    ended(scene)
    # and from then on it counts as landed again
    pushes = len(scene.pushes())
    assert agent.push("origin", "HEAD:main").code == 0
    assert len(scene.pushes()) == pushes


@pytest.mark.parametrize("more", bulk([False, True]))
def test_a_branch_that_somebody_deleted_on_the_remote(scene: Scene, more: bool) -> None:
    agent = scene.worktree("agent")
    names = ["mine-1", "mine-2"]
    for name in names:
        agent.commit(name)
    assert agent.push("origin", "HEAD:topic").code == 0
    scene.stranger().git("push", "-q", "origin", ":topic")
    if more:
        agent.commit("mine-3")
    again = agent.push("origin", "HEAD:topic")
    assert again.code == 0, again
    assert scene.files("topic") == ["README", *names, *["mine-3"] * more]
    assert scene.oid("refs/remotes/origin/topic") == scene.there("refs/heads/topic")
    ended(scene)


def test_a_branch_that_is_deleted_between_the_question_and_the_push(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(scene)
    agent = scene.worktree("agent")
    agent.commit("mine-1")
    queue(agent, "origin", "HEAD:topic")
    flushed(scene)
    agent.commit("mine-2")
    agent.commit("mine-3")
    queue(agent, "origin", "HEAD:topic")
    left = [True]

    def quicker(step: Step) -> None:
        if step == Step.PINNED and left and left.pop():
            with environment(scene.env):
                scene.stranger().git("push", "-q", "origin", ":topic")

    monkeypatch.setattr("uam_hooks.land.one_push.reached", quicker)
    assert [result.errors for result in flushed(scene)] == [()]
    assert scene.files("topic") == ["README", "mine-1", "mine-2", "mine-3"]
    ended(scene)


# -- the flusher dies -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_flushers_that_are_killed_at_random(scene: Scene, seed: int) -> None:
    """Alone, so that their `git push` goes on without them, or with it."""
    dice = Random(seed)  # noqa: S311 - nothing secret
    scene.git("config", "uam.window.push", "50ms")
    agents = [scene.worktree(f"agent-{n}") for n in range(5)]
    names = [f"{agent.top.name}-{turn}" for agent in agents for turn in range(5)]
    tips: dict[str, str] = {}
    over = threading.Event()
    killed: list[int] = []

    def work(agent: Worktree) -> list[Done]:
        done = []
        for turn in range(5):
            name = f"{agent.top.name}-{turn}"
            tips[name] = agent.commit(name)
            for _ in range(4):
                done.append(agent.push("origin", "HEAD:main"))
                if done[-1].code == 0:
                    break
        return done

    def kill() -> None:
        while len(killed) < 6 and not over.wait(dice.uniform(0.05, 0.5)):
            while not (found := scene.flushers()) and not over.wait(0.01):
                pass
            for pid in found[:1]:
                with suppress(ProcessLookupError):
                    (os.killpg if dice.random() < 0.5 else os.kill)(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(len(agents)) as pool:
            results = [one for each in pool.map(work, agents) for one in each]
    finally:
        over.set()
        killer.join()
    assert killed
    for done in results:
        assert done.code == 0 or "! [remote rejected]" in done.err, done
    scene.idle()
    landed_once(scene, names)
    kept(scene, list(tips.values()))
    scene.report()
    ended(scene)
    sound(scene)
    sound(scene.bare)


# Each push that arrives stands before a gate of its own, the pipe go-<n>.
_GATES = """
n=1
while ! mkdir "{root}/reached-$n" 2>/dev/null; do n=$((n + 1)); done
read -r line <"{root}/go-$n"
"""


@pytest.mark.parametrize("commits", bulk([1, 2]))
def test_a_push_that_outlives_its_flusher_and_lands_late(scene: Scene, commits: int) -> None:
    """The next flusher asked the remote before it landed, and is about to push the same work once more."""
    hook = script(scene.remote / "hooks" / "pre-receive", _GATES.format(root=scene.root))
    gates = []
    for n in (1, 2):
        os.mkfifo(scene.root / f"go-{n}")
        gates.append(os.open(scene.root / f"go-{n}", os.O_RDWR))  # both ends, so that neither side waits to open it
    agent = scene.worktree("agent")
    names = [f"mine-{n}" for n in range(commits)]
    tips = [agent.commit(name) for name in names]
    push = agent.start("push", "origin", "HEAD:main")
    try:
        until((scene.root / "reached-1").exists, "the first push at the remote")
        os.kill(scene.flusher(), signal.SIGKILL)
        until((scene.root / "reached-2").exists, "the second push at the remote")
        os.write(gates[0], b"go on\n")
        until(lambda: scene.there() != scene.start_oid, "the late landing")
        late = scene.there()
    finally:
        hook.unlink()
        for one in gates:
            os.write(one, b"go on\n")
    done = finished(push)
    for one in gates:
        os.close(one)
    assert done.code == 0, done
    assert scene.there() == late
    assert len(scene.pushes()) == 1
    landed_once(scene, names)
    at_remote(agent, scene)
    kept(scene, tips)
    scene.idle()
    ended(scene)
    assert states(scene) == ["landed"]
    assert {row["status"] for row in scene.rows("queued_commits")} == {"landed"}
    # it is remembered: the next push is not in the way of it
    agent.commit(names[-1], "more\n", message="Change it")
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.bare.git("show", f"main:{names[-1]}") == "more"
