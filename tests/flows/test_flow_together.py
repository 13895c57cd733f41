"""Several agents at once: in one checkout, and each in a worktree of its own."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tests.support.queueing import WINDOW, due_now, in_one_window
from tests.support.scenes import SHADOW, TRACKING, Done, Scene, Worktree, finished, script, together, until

pytestmark = pytest.mark.staying


def test_five_processes_in_one_checkout(scene: Scene) -> None:
    index = threading.Lock()  # git itself lets one process at a time write the index
    everybody = threading.Barrier(5)

    def work(number: int) -> Done:
        with index:
            scene.commit(f"file-{number}", UAM_AGENT_ID=f"agent-{number}")
        everybody.wait()
        return scene.push(UAM_AGENT_ID=f"agent-{number}")

    results = in_one_window(scene, [lambda n=n: work(n) for n in range(5)])  # type: ignore[misc]
    assert [done.code for done in results] == [0] * 5, results
    assert len(scene.pushes()) == 1
    assert scene.files() == ["README", *(f"file-{n}" for n in range(5))]
    assert scene.oid("main") == scene.oid(TRACKING) == scene.there()
    assert scene.status() == ["## main...origin/main"]
    originals = scene.git("log", "--format=%s", "--grep=^Add file-", SHADOW if scene.oid(SHADOW) else "main")
    assert sorted(originals.splitlines()) == [f"Add file-{n}" for n in range(5)]


def test_every_worktree_gets_what_all_of_them_landed(scene: Scene) -> None:
    agents = [scene.worktree(f"agent-{n}") for n in range(3)]
    tips = [agent.commit(f"file-{n}") for n, agent in enumerate(agents)]
    results = in_one_window(scene, [lambda a=a: a.push("origin", "HEAD:main") for a in agents])  # type: ignore[misc]
    new = scene.there()
    mine = {subject: oid for oid, subject in (line.split(" ", 1) for line in
            scene.bare.git("log", "--format=%h %s", f"{scene.start_oid}..main").splitlines())}  # fmt: skip
    names = ["agent-0", "agent-1", "agent-2"]
    for number, (agent, done) in enumerate(zip(agents, results, strict=True)):
        others = " and ".join(name for name in names if name != f"agent-{number}")
        own, at = mine[f"Add file-{number}"], ""
        if own != new[:7]:
            at = f", and origin/main is now at {new[:7]}"
        how = f" as {own}: your commit ({tips[number][:7]}) moved on top of others' work, message and date kept"
        if own == tips[number][:7]:
            how = f": your commit ({own}) as pushed"
        assert done == (
            0,
            "",
            f"uam: landed on origin/main{how}; {others} landed in the same push{at}\n"
            f"uam: branch agent-{number} and its files are now at {new[:7]}, what origin/main has\n"
            f"To uam::origin\n   {scene.start_oid[:7]}..{new[:7]}  HEAD -> main\n",
        )
        assert agent.oid("HEAD") == new
        assert agent.git("status", "--porcelain") == ""
        assert (agent.top / "file-2").exists()
    assert len(scene.pushes()) == 1
    assert scene.files() == ["README", "file-0", "file-1", "file-2"]
    assert sorted(mine) == ["Add file-0", "Add file-1", "Add file-2"]
    for tip in tips:
        assert scene.run("merge-base", "--is-ancestor", tip, SHADOW).code == 0


@pytest.mark.slow
def test_rounds_on_the_same_file_never_conflict_with_themselves(scene: Scene) -> None:
    """Each agent edits its own line again and again, while the others' landings come in between."""
    (scene.top / "table").write_text("".join(f"{n}: 0\n\n\n\n" for n in range(3)))
    scene.git("add", "table")
    scene.git("commit", "-q", "-m", "Begin a table")
    scene.push()
    agents = [scene.worktree(f"agent-{n}") for n in range(3)]

    def edit(number: int, turn: int) -> Done:
        path = agents[number].top / "table"
        path.write_text(path.read_text().replace(f"{number}: {turn - 1}\n", f"{number}: {turn}\n"))
        agents[number].git("commit", "-q", "-a", "-m", f"Agent {number}, turn {turn}")
        return agents[number].push("origin", "HEAD:main")

    for turn in (1, 2, 3):
        results = together([lambda n=n, t=turn: edit(n, t) for n in range(3)])  # type: ignore[misc]
        assert [done.code for done in results] == [0, 0, 0], results
    assert scene.bare.git("show", "main:table") == "".join(f"{n}: 3\n\n\n\n" for n in range(3)).rstrip("\n")


def test_one_conflict_fails_alone(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    scene.git("config", "uam.push.accept", "false")
    first, second, third = (scene.worktree(name) for name in ("first", "second", "third"))
    first.commit("README", "first\n")
    second.commit("README", "second\n")
    third.commit("other")
    early = first.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 1, "the first push in the queue")
    late = in_one_window(scene, [lambda: second.push("origin", "HEAD:main"), lambda: third.push("origin", "HEAD:main")])
    assert early.wait() == 0
    early.communicate()
    assert [done.code for done in late] == [1, 0]
    tip = second.oid("HEAD")
    assert late[0].ours[0] == (
        f"{tip[:7]} was not landed on origin/main: README conflicts with the work of first in the same batch"
        f" ({scene.rows('sources')[0]['tip'][:7]}); your commits are untouched"
    )
    assert late[0].err.endswith("error: failed to push some refs to 'uam::origin'\n")
    assert scene.files() == ["README", "other"]
    assert scene.bare.git("show", "main:README") == "first"
    assert [f["agent"] for f in scene.report()["failed"]] == ["second"]
    assert third.oid("HEAD") == scene.there()


def test_a_newer_push_of_the_same_branch_replaces_the_older(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    scene.commit("a")
    early = scene.start("push")
    until(lambda: len(scene.rows("sources")) == 1, "the first push in the queue")
    scene.commit("b")
    (late,) = in_one_window(scene, [scene.push])
    assert (early.wait(), late.code) == (0, 0)
    early.communicate()
    assert len(scene.pushes()) == 1
    assert scene.landed() == ["Squashed 2 commits:"]
    assert [row["status"] for row in scene.rows("sources")] == ["replaced", "landed"]
    assert scene.clean()


def test_somebody_else_pushes_between_fetch_and_push(scene: Scene) -> None:
    """The remote's tip moves under every attempt but the last; the agent sees none of it."""
    other = scene.stranger()
    for number in range(3):
        other.commit(f"theirs-{number}")
    theirs = other.git("rev-list", "--reverse", f"{scene.start_oid}..main").split()
    scene.bare.git("fetch", "-q", str(other.top), "main:refs/hidden/theirs")
    (scene.root / "todo").write_text("\n".join(theirs) + "\n")
    # stands for the pushes of a stranger: they come in after our objects and before our ref
    script(
        scene.remote / "hooks" / "pre-receive",
        f'todo="{scene.root}/todo"\nread -r next <"$todo" || exit 0\nsed -i 1d "$todo"\n'
        "unset GIT_QUARANTINE_PATH\nexec git update-ref refs/heads/main $next\n",
    )
    mine = scene.commit("mine")
    done = scene.push()
    assert done.code == 0, done
    assert scene.landed() == ["Add theirs-0", "Add theirs-1", "Add theirs-2", "Add mine"]
    assert done.ours[0].endswith(f"your commit {mine[:7]} moved on top of others' work, message and date kept")
    assert scene.clean()


def test_a_remote_that_never_holds_still_is_given_up_in_words(scene: Scene) -> None:
    scene.git("config", "uam.flush.retries", "1")
    scene.bare.git("branch", "spare", "main")
    script(
        scene.remote / "hooks" / "pre-receive",
        "unset GIT_QUARANTINE_PATH\n"
        'new=$(git commit-tree -p main -m "$$" "main^{tree}")\nexec git update-ref refs/heads/main $new\n',
    )
    tip = scene.commit("mine")
    done = scene.push()
    assert done.code == 1
    assert "(others pushed in between 2 times in a row; your commits are safe, push again)" in done.err
    assert scene.oid("main") == tip
    (scene.remote / "hooks" / "pre-receive").unlink()
    assert scene.push().code == 0
    assert scene.files() == ["README", "mine"]


def test_a_branch_that_was_taken_back_meanwhile_is_not_put_there_again(scene: Scene) -> None:
    """The remote's tip goes back to an older commit between our fetch and our push: the lease sees it."""
    other = scene.stranger()
    other.commit("regretted")
    other.push("-q", "origin", "main")
    # runs when our fetch gets the stranger's commit: at that moment the stranger takes it back
    hook = script(
        scene.root / "pack-objects-hook",
        f'git --git-dir "{scene.remote}" update-ref refs/heads/main {scene.start_oid}\nexec "$@"\n',
    )
    scene.git("config", "--global", "uploadpack.packObjectsHook", str(hook))
    mine = scene.commit("mine")
    assert scene.push().code == 0
    assert scene.landed() == ["Add mine"]
    assert scene.there() == mine
    assert scene.files() == ["README", "mine"]
    assert scene.oid(TRACKING) == scene.there()


def landed_once(scene: Scene, agents: list[Worktree]) -> None:
    """Every agent's file came onto the remote in exactly one commit."""
    for number, _ in enumerate(agents):
        touched = scene.bare.git("log", "--format=%H", "main", "--", f"file-{number}").splitlines()
        assert len(touched) == 1


def test_a_flusher_that_is_killed_is_replaced_by_a_waiter(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    agents = [scene.worktree(f"agent-{n}") for n in range(3)]
    for number, agent in enumerate(agents):
        agent.commit(f"file-{number}")
    waiting = [agent.start("push", "origin", "HEAD:main") for agent in agents]
    until(lambda: len(scene.rows("sources")) == 3, "three pushes in the queue")
    first = scene.flusher()
    os.kill(first, signal.SIGKILL)
    second = until(lambda: [pid for pid in scene.flushers() if pid != first], "another flusher")
    due_now(scene)
    results = [process.communicate() and process.returncode for process in waiting]
    assert results == [0, 0, 0]
    assert len(second) == 1
    landed_once(scene, agents)
    assert len(scene.pushes()) == 1


@pytest.mark.slow
def test_a_single_waiter_replaces_its_flusher_again_and_again(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    tip = scene.commit("a")
    process = scene.start("push")
    first = scene.flusher()
    os.kill(first, signal.SIGKILL)
    second = until(lambda: [pid for pid in scene.flushers() if pid != first], "another flusher")
    os.kill(second[0], signal.SIGKILL)
    due_now(scene)
    assert finished(process).code == 0
    assert scene.there() == tip
    assert len(scene.pushes()) == 1
