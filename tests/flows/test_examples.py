"""The seed's examples and strategies, each to its end at a real remote: one line of its log is one CI run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.forge import Dispatch, Forge, Witness, needs_gh
from tests.support.landscape import sound, truthful, write
from tests.support.queueing import Clock, batcher
from tests.support.scenes import Scene, finished, until
from uam_hooks import DeployBatcher, Status, UamError

NORMAL = {"commit": 30_000, "push": 5_000, "merge": 10_000, "workflow": 5_000, "deploy": 60_000}
URGENT = {"commit": 2_000, "push": 1_000, "merge": 2_000, "workflow": 1_000, "deploy": 5_000}


@pytest.fixture
def seed(scene: Scene) -> Scene:
    """A scene with the seed's windows, where nothing runs unless the test says so."""
    scene.git("config", "--unset", "uam.window.push")
    scene.git("config", "uam.push.mode", "manual")
    return scene


def left_in_order(scene: Scene) -> None:
    """Nothing waits, the tracking branches are true, and the repository has no fault."""
    assert {row["status"] for row in scene.rows("deploy_queue")} <= {"completed"}
    truthful(scene)
    sound(scene)


def body(scene: Scene) -> list[str]:
    """The message of the remote's main, without trailers."""
    return scene.bare.git("log", "-1", "--format=%B", "main").split("\n\nUam-")[0].splitlines()


# -- the key problem: agents A, B and C commit, A pushes. 4 runs of 5 minutes become 1 ----------------------------


def test_the_key_problem_by_name(seed: Scene) -> None:
    agents = [seed.worktree(f"agent-{x}") for x in "abc"]
    for agent in agents:
        name = agent.env["UAM_AGENT_ID"]
        write(agent, f"{name}.txt", f"by {name}\n")
        with batcher(agent) as queue:
            queue.queue(name, "commit", "main", {"message": f"Work of {name}", "files": [f"{name}.txt"]})
    with batcher(agents[0]) as queue:
        queue.queue("agent-a", "push", "main")
        results = queue.flush_all()
    assert [result.success for result in results] == [True]
    assert len(seed.pushes()) == 1
    assert body(seed) == ["Squashed 3 commits:", "", *(f"{n}. Work of agent-{x}" for n, x in enumerate("abc", 1))]
    assert seed.landed() == ["Squashed 3 commits:"]
    assert seed.files() == ["README", "agent-a.txt", "agent-b.txt", "agent-c.txt"]
    assert seed.bare.git("show", "main:agent-b.txt") == "by agent-b"
    left_in_order(seed)


def test_the_key_problem_by_plain_git_in_one_checkout(scene: Scene) -> None:
    for x in "abc":
        scene.commit(f"{x}.txt", message=f"Work of agent-{x}", UAM_AGENT_ID=f"agent-{x}")
    assert scene.pushes() == []
    done = scene.push(UAM_AGENT_ID="agent-a")
    assert done.code == 0, done
    assert len(scene.pushes()) == 1
    assert body(scene) == ["Squashed 3 commits:", "", *(f"{n}. Work of agent-{x}" for n, x in enumerate("abc", 1))]
    assert scene.files() == ["README", "a.txt", "b.txt", "c.txt"]
    assert scene.clean()
    left_in_order(scene)


def test_the_key_problem_by_plain_git_in_worktrees(scene: Scene) -> None:
    """In worktrees each agent has to push its own branch; all of them together are still one run."""
    scene.git("config", "uam.window.push", "1h")  # nobody lands before all have pushed
    agents = [scene.worktree(f"agent-{x}") for x in "abc"]
    for agent in agents:
        name = agent.env["UAM_AGENT_ID"]
        agent.commit(f"{name}.txt", message=f"Work of {name}")
    agents[0].commit("more.txt", message="More of agent-a")
    pushes = [agent.start("push", "origin", "HEAD:main") for agent in agents]
    until(lambda: [row["status"] for row in scene.rows("sources")] == ["pending"] * 3, "three pushes in the queue")
    scene.git("uam", "flush")
    for push in pushes:
        done = finished(push)
        assert done.code == 0, done
    assert len(scene.pushes()) == 1
    assert sorted(scene.landed()) == ["Squashed 2 commits:", "Work of agent-b", "Work of agent-c"]
    assert scene.files() == ["README", "agent-a.txt", "agent-b.txt", "agent-c.txt", "more.txt"]
    for agent in agents:
        assert agent.oid("HEAD") == scene.there()
    left_in_order(scene)


# -- example 1: multi-agent commit batching -----------------------------------------------------------------------


def test_example_1_commits_within_a_window_become_one(seed: Scene, clock: Clock) -> None:
    for name in ("src/auth.ts", "src/user.ts", "src/logger.ts"):
        write(seed, name, f"// {name}\n")
    with batcher(seed, dynamic_windows={"commit": 30000}, parallel_execution=True) as queue:
        first = queue.queue(
            "agent-1", "commit", "main", {"message": "feat: add user auth", "files": ["src/auth.ts", "src/user.ts"]}
        )
        clock.pass_by(10)
        second = queue.queue("agent-2", "commit", "main", {"message": "feat: add logging", "files": ["src/logger.ts"]})
        assert first == second
        assert queue.create_batch() is None
        # the window is that of the first commit: the second one did not extend it
        clock.pass_by(20.1)
        batch = queue.create_batch()
        assert batch is not None
        result = queue.execute_batch(batch.id)
    assert (result.batch_id, result.success) == (batch.id, True)
    assert (result.executed_actions, result.failed_actions, result.errors) == (1, 0, ())
    assert result.duration > 0
    # nobody asked for a push: the commit is on the branch of this repository, and the checkout follows
    assert seed.pushes() == []
    assert seed.subjects(f"{seed.start_oid}..main") == ["Squashed 2 commits:"]
    assert seed.git("log", "-1", "--format=%B", "main").splitlines()[:4] == [
        "Squashed 2 commits:", "", "1. feat: add user auth", "2. feat: add logging",
    ]  # fmt: skip
    assert seed.git("status", "--porcelain") == ""
    assert seed.push(UAM_AGENT_ID="agent-1").code == 0
    seed.git("uam", "flush")
    assert len(seed.pushes()) == 1
    assert seed.landed() == ["Squashed 2 commits:"]
    assert seed.files() == ["README", "src/auth.ts", "src/logger.ts", "src/user.ts"]
    left_in_order(seed)


# -- example 2: urgent deployment -----------------------------------------------------------------------------------


def hotfix(queue: DeployBatcher) -> None:
    queue.queue(
        "agent-1", "commit", "main", {"message": "hotfix: critical security patch", "files": ["src/security.ts"]},
        urgent=True,
    )  # fmt: skip
    queue.queue("agent-1", "push", "main", {}, urgent=True)


def test_example_2_an_urgent_fix_goes_out_at_once(seed: Scene) -> None:
    write(seed, "src/security.ts", "// safe\n")
    with batcher(seed) as queue:
        assert queue.get_window_config() == NORMAL
        queue.set_urgent_mode(True)
        assert queue.get_window_config() == URGENT
        hotfix(queue)
        results = queue.flush_all()
        queue.set_urgent_mode(False)
        assert queue.get_window_config() == NORMAL
    assert [(r.success, r.failed_actions, r.errors) for r in results] == [(True, 0, ())]
    assert len(seed.pushes()) == 1
    assert seed.landed() == ["hotfix: critical security patch"]
    assert seed.bare.git("show", "main:src/security.ts") == "// safe"
    left_in_order(seed)


@pytest.mark.parametrize("how", ["mode", "option"])
def test_example_2_urgency_shortens_the_wait(seed: Scene, clock: Clock, how: str) -> None:
    """What nobody flushes by hand is due after 1 s instead of 5: the mode and the option do so each for itself."""
    write(seed, "src/security.ts", "// safe\n")
    urgent = how == "option"
    with batcher(seed) as queue:
        queue.set_urgent_mode(how == "mode")
        payload = {"message": "hotfix", "files": ["src/security.ts"]}
        queue.queue("agent-1", "commit", "main", payload, urgent=urgent)
        queue.queue("agent-1", "push", "main", {}, urgent=urgent)
        clock.pass_by(0.4)
        assert queue.flush_all(due_only=True) == []
        clock.pass_by(0.7)
        assert [result.success for result in queue.flush_all(due_only=True)] == [True]
    assert seed.landed() == ["hotfix"]
    assert len(seed.pushes()) == 1


# -- example 3: bulk queue ------------------------------------------------------------------------------------------

BULK: list[dict[str, Any]] = [
    {"actionType": "commit", "target": "main", "payload": {"message": "feat: A"}},
    {"actionType": "commit", "target": "main", "payload": {"message": "feat: B"}},
    {"actionType": "push", "target": "main"},
    {"actionType": "workflow", "target": "deploy.yml", "payload": {"ref": "main"}},
]


@needs_gh
def test_example_3_a_bulk_of_four_is_one_push_and_one_dispatch(seed: Scene, github: Forge) -> None:
    github.dispatches = seen = Witness(seed)
    write(seed, "unnamed.txt", "nobody has named this file\n")
    with batcher(seed) as queue:
        ids = queue.queue_bulk("agent-1", BULK)
        assert len(ids) == 4
        assert ids[0] == ids[1]
        assert len(set(ids)) == 3
        results = queue.flush_all()
    assert [(result.success, result.errors) for result in results] == [(True, ())]
    assert len(seed.pushes()) == 1
    assert body(seed) == ["Squashed 2 commits:", "", "1. feat: A", "2. feat: B"]
    # commits that name no files hold none
    assert seed.files() == ["README"]
    assert list(seen) == [Dispatch("deploy.yml", "main", {})]
    assert seen.saw == [["Squashed 2 commits:"]]  # CI runs on what was pushed, not on what was there before
    left_in_order(seed)


@needs_gh
def test_example_3_a_bulk_is_queued_as_a_whole_or_not_at_all(seed: Scene, github: Forge) -> None:
    with batcher(seed) as queue:
        with pytest.raises(UamError):
            queue.queue_bulk("agent-1", [*BULK, {"actionType": "push", "target": "no such branch"}])
        assert seed.rows("deploy_queue") == []
        assert queue.flush_all() == []
    assert seed.pushes() == []
    assert github.requests == []


# -- strategy 1: commit squashing -------------------------------------------------------------------------------------


def test_strategy_1_three_commits_are_one_run(seed: Scene) -> None:
    wanted = [
        ("fix: typo in auth", "src/auth.ts"), ("feat: add logging", "src/logger.ts"),
        ("test: add auth tests", "test/auth.test.ts"),
    ]  # fmt: skip
    with batcher(seed, dynamic_windows=dict.fromkeys(NORMAL, 0)) as queue:
        for number, (message, name) in enumerate(wanted, 1):
            write(seed, name, f"// {name}\n")
            queue.queue(f"agent-{number}", "commit", "main", {"message": message, "files": [name]})
        queue.queue("agent-1", "push", "main")
        batch = queue.create_batch()
        assert batch is not None
        commit = batch.actions[0].payload
        assert commit["message"] == "Squashed 3 commits:\n\n" + "\n".join(
            f"{number}. {message}" for number, (message, _) in enumerate(wanted, 1)
        )
        assert commit["files"] == [name for _, name in wanted]
        assert len(commit["squashedFrom"]) == 3
        assert queue.execute_batch(batch.id).success
    assert len(seed.pushes()) == 1
    assert seed.landed() == ["Squashed 3 commits:"]
    assert "\n".join(body(seed)) == commit["message"]
    assert seed.files() == ["README", *(name for _, name in wanted)]
    left_in_order(seed)


# -- strategy 2: push deduplication -----------------------------------------------------------------------------------


def test_strategy_2_two_pushes_by_name_are_one_run(seed: Scene) -> None:
    seed.commit("work.txt")
    with batcher(seed) as queue:
        ids = [queue.queue(f"agent-{n}", "push", "main") for n in (1, 2)]
        assert ids[0] == ids[1]
        (result,) = queue.flush_all()
    assert (result.success, result.executed_actions) == (True, 1)
    assert len(seed.pushes()) == 1
    assert seed.landed() == ["Add work.txt"]
    left_in_order(seed)


def test_strategy_2_pushes_by_name_and_by_git_are_one_run(seed: Scene) -> None:
    """An agent with plain git and a program with the API push the same branch."""
    agent = seed.worktree("agent")
    agent.commit("plain.txt")
    seed.commit("named.txt")
    assert agent.push("origin", "HEAD:main").code == 0
    with batcher(seed) as queue:
        queue.queue("program", "push", "main")
        (result,) = queue.flush_all()
    assert result.success
    assert len(seed.pushes()) == 1
    assert seed.files() == ["README", "named.txt", "plain.txt"]
    left_in_order(seed)


# -- strategy 3: workflow trigger batching ----------------------------------------------------------------------------


@needs_gh
def test_strategy_3_identical_dispatches_are_one(seed: Scene, github: Forge) -> None:
    with batcher(seed) as queue:
        staging = {"ref": "main", "inputs": {"env": "staging", "level": "1"}}
        turned = {"ref": "main", "inputs": {"level": "1", "env": "staging"}}  # the same, written differently
        ids = [queue.queue(f"agent-{n}", "workflow", "test.yml", p) for n, p in enumerate((staging, turned, staging))]
        assert len(set(ids)) == 1
        other = queue.queue("agent-9", "workflow", "deploy.yml", {"ref": "main"})
        assert other not in ids
        results = queue.flush_all()
    assert all(result.success for result in results)
    assert sorted(github.dispatches) == [
        Dispatch("deploy.yml", "main", {}), Dispatch("test.yml", "main", {"env": "staging", "level": "1"}),
    ]  # fmt: skip
    left_in_order(seed)


# -- strategy 4: time-window batching ---------------------------------------------------------------------------------


def test_strategy_4_actions_at_0_3_and_5_seconds_are_one_run_at_30(seed: Scene, clock: Clock) -> None:
    with batcher(seed, batch_window_ms=30_000) as queue:
        for number, pause in enumerate((3, 2, 24.8), 1):
            write(seed, f"{number}.txt", f"{number}\n")
            payload = {"message": f"Action {number}", "files": [f"{number}.txt"]}
            queue.queue(f"agent-{number}", "commit", "main", payload)
            queue.queue(f"agent-{number}", "push", "main")
            clock.pass_by(pause)
            assert queue.flush_all(due_only=True) == []
        assert seed.pushes() == []
        clock.pass_by(0.3)
        (result,) = queue.flush_all(due_only=True)
    assert (result.success, result.executed_actions) == (True, 2)
    assert len(seed.pushes()) == 1
    assert body(seed)[2:] == ["1. Action 1", "2. Action 2", "3. Action 3"]
    assert seed.files() == ["1.txt", "2.txt", "3.txt", "README"]
    left_in_order(seed)


def test_strategy_4_without_a_window_each_is_a_run_of_its_own(seed: Scene) -> None:
    """What the window saves: the same three actions, each executed at once."""
    with batcher(seed, batch_window_ms=0) as queue:
        for number in (1, 2, 3):
            write(seed, f"{number}.txt", f"{number}\n")
            payload = {"message": f"Action {number}", "files": [f"{number}.txt"]}
            queue.queue(f"agent-{number}", "commit", "main", payload)
            queue.queue(f"agent-{number}", "push", "main")
            assert [result.success for result in queue.flush_all(due_only=True)] == [True]
    assert len(seed.pushes()) == 3
    assert seed.landed() == ["Action 1", "Action 2", "Action 3"]


# -- the command line of the seed -------------------------------------------------------------------------------------


@needs_gh
def test_the_commands_of_the_seed(seed: Scene, github: Forge) -> None:
    github.dispatches = seen = Witness(seed)
    write(seed, "src/feature.ts", "// feature\n")
    for name in ("commit", "push", "workflow"):
        seed.git("config", f"uam.window.{name}", "1h")  # however slow the machine is
    deploy = ("uam", "deploy")
    queue = (*deploy, "queue", "--agent-id", "agent-1", "--action-type")
    seed.git(*queue, "commit", "--target", "main", "--message", "feat: new feature", "--files", "src/feature.ts")
    seed.git(*queue, "push", "--target", "main")
    seed.git(*queue, "workflow", "--target", "test.yml", "--ref", "main", "--inputs", '{"env":"staging"}')
    shown = seed.git(*deploy, "status")
    for word in ("commit", "push", "workflow", "agent-1"):
        assert word in shown
    # all of it is inside its window: there is nothing to make a batch of yet
    assert seed.git(*deploy, "batch") == "nothing is due"
    for name in ("commit", "push", "workflow"):
        seed.git("config", f"uam.window.{name}", "0")
    seed.git(*deploy, "flush")
    assert len(seed.pushes()) == 1
    assert seed.landed() == ["feat: new feature"]
    assert list(seen) == [Dispatch("test.yml", "main", {"env": "staging"})]
    assert seen.saw == [["feat: new feature"]]
    # with windows of 0 a batch is due at once, and can be executed by its id
    write(seed, "src/more.ts", "// more\n")
    seed.git(*queue, "commit", "--target", "main", "--message", "feat: more", "--files", "src/more.ts")
    seed.git(*queue, "push", "--target", "main")
    seed.git(*deploy, "batch")
    with batcher(seed) as here:
        (made,) = here.get_pending_batches()
        assert made.status == Status.PENDING
        seed.git(*deploy, "execute", "--batch-id", made.id)
        ended = here.get_batch(made.id)
        assert ended is not None
        assert ended.status == Status.COMPLETED
        assert here.get_pending_batches() == []
    assert len(seed.pushes()) == 2
    assert seed.landed() == ["feat: new feature", "feat: more"]
    left_in_order(seed)
