"""What the tool before this one did wrong, row by row of the list of its faults: each is right here.

The comment in each test says what the original did, which is what the test would have caught in it.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.forge import Dispatch, Forge, Merge, Witness, needs_gh
from tests.support.landscape import by_hand, environment, kept, sound, truthful, write
from tests.support.queueing import AT_ONCE, Clock, batcher
from tests.support.scenes import Done, Scene, Worktree, alive, finished, locked, script, until
from uam_hooks import DeployBatcher, Status
from uam_hooks.hot.core.errors import UsageError

LONG = dict.fromkeys(AT_ONCE, 3_600_000)


def commit_of(place: Worktree, name: str, text: str = "", message: str = "") -> dict[str, Any]:
    """The payload of a commit of one file, which is written now."""
    write(place, name, text or f"{name}\n")
    return {"message": message or f"Add {name}", "files": [name]}


def deploys(scene: Scene, name: str, command: str) -> Path:
    """Configure the deploy `name`: sh runs `command`, in which $log is the file that this gives."""
    log = scene.root / "deployed"
    path = script(scene.root / "deploys" / name, f'log="{log}"\n{command}\n')
    scene.git("config", f"uam.deploy.{name}.command", str(path))
    return log


def deployed(scene: Scene) -> list[str]:
    """What deploy commands have written, line by line."""
    log = scene.root / "deployed"
    return log.read_text().splitlines() if log.exists() else []


def statuses(scene: Scene) -> list[str]:
    """The states of all actions that were asked for by name, or that push, in queue order."""
    return [r["status"] for r in scene.rows("deploy_queue") if r["asked"] or r["action_type"] != "commit"]


def python(place: Worktree, code: str, *args: str) -> Done:
    """Run some Python in a process of its own, as a program that uses the API."""
    return place.execute(sys.executable, "-c", code, *args)


def all_at_once(places: Sequence[Worktree], code: str) -> list[Done]:
    """Run `code` in a process for each of `places`, its number in `sys.argv[1]`; all begin at the same moment."""
    marks = places[0].top.parent / "marks"
    marks.mkdir()
    gate = marks / "gate"
    head = (
        "import fcntl, pathlib, sys\n"
        f"pathlib.Path({str(marks)!r}, sys.argv[1]).touch()\n"
        f"fcntl.flock(open({str(gate)!r}, 'a'), fcntl.LOCK_SH)\n"
    )
    with ThreadPoolExecutor(len(places)) as pool:
        with locked(gate):
            running = [
                pool.submit(python, place, f"from uam_hooks import DeployBatcher\n{head}{code}", str(number))
                for number, place in enumerate(places)
            ]
            until(lambda: len(list(marks.iterdir())) > len(places), "the start of all processes")
        return [future.result() for future in running]


# -- 1 to 4: what a batch is made of, and its order -------------------------------------------------------------------


def test_row_01_what_a_batch_shows_is_what_is_stored_and_executed(quiet: Scene) -> None:
    # The original returned the squashed list and executed another one: 3 queued commits became 3 commits.
    with batcher(quiet, dynamic_windows=AT_ONCE) as queue:
        for n in (1, 2, 3):
            queue.queue(f"agent-{n}", "commit", "main", commit_of(quiet, f"{n}.txt"))
        queue.queue("agent-1", "push", "main")
        shown = queue.create_batch()
        assert shown is not None
        queue.queue("agent-4", "commit", "main", commit_of(quiet, "later.txt"))  # is not in what was shown
        assert queue.get_batch(shown.id) == shown
        assert queue.get_pending_batches() == [shown]
        result = queue.execute_batch(shown.id)
        stored = queue.get_batch(shown.id)
        assert stored is not None
    facts = [(a.id, a.action_type, a.target, a.payload) for a in shown.actions]
    assert [(a.id, a.action_type, a.target, a.payload) for a in stored.actions] == facts
    commit, push = shown.actions
    assert (commit.action_type, push.action_type) == ("commit", "push")
    assert (result.success, result.executed_actions) == (True, len(facts))
    assert len(quiet.pushes()) == 1
    assert quiet.landed() == ["Squashed 3 commits:"]
    assert quiet.bare.git("log", "-1", "--format=%B", "main").startswith(commit.payload["message"] + "\n")
    changed = quiet.bare.git("diff-tree", "-r", "--name-only", "main~1", "main").splitlines()
    assert changed == commit.payload["files"] == ["1.txt", "2.txt", "3.txt"]


def test_row_01_pushes_of_a_bulk_are_one_push(quiet: Scene) -> None:
    # In a bulk nothing merged: 4 pushes ran 4 times.
    quiet.commit("work.txt")
    with batcher(quiet) as queue:
        ids = queue.queue_bulk("agent", [{"action_type": "push", "target": "main"}] * 4)
        assert len(set(ids)) == 1
        (result,) = queue.flush_all()
    assert (result.success, result.executed_actions) == (True, 1)
    assert len(quiet.pushes()) == 1


def test_row_02_merged_commits_lose_neither_message_nor_agent_nor_file(quiet: Scene) -> None:
    # The last message and the first agent were all that was left of a merged commit.
    with batcher(quiet) as queue:
        for n in (1, 2):
            payload = commit_of(quiet, f"{n}.txt", message=f"Subject {n}\n\nThe reasons of agent-{n}.")
            queue.queue(f"agent-{n}", "commit", "main", payload)
        queue.queue("agent-2", "push", "main")
        assert all(result.success for result in queue.flush_all())
    message = quiet.bare.git("log", "-1", "--format=%B", "main")
    assert message.startswith("Squashed 2 commits:\n\n1. Subject 1\n2. Subject 2\n")
    assert quiet.files() == ["1.txt", "2.txt", "README"]
    shown = quiet.git("uam", "show", "1")
    assert "agent-1" in shown
    assert "agent-2" in shown
    # the whole of each message is kept with the originals
    held = quiet.git("log", "--all", "--format=%B")
    assert "The reasons of agent-1." in held
    assert "The reasons of agent-2." in held


@needs_gh
def test_row_02_a_staging_and_a_prod_dispatch_are_two(quiet: Scene, github: Forge) -> None:
    # The later inputs overwrote the earlier ones: only prod was dispatched. So did another ref.
    quiet.git("branch", "next")
    quiet.git("push", "-q", "origin", "next", UAM="off")
    wanted = [
        Dispatch("test.yml", "main", {"env": "staging"}), Dispatch("test.yml", "main", {"env": "prod"}),
        Dispatch("test.yml", "next", {"env": "prod"}),
    ]  # fmt: skip
    with batcher(quiet) as queue:
        ids = [queue.queue("agent", "workflow", w.workflow, {"ref": w.ref, "inputs": w.inputs}) for w in wanted]
        assert len(set(ids)) == 3
        assert all(result.success for result in queue.flush_all())
    assert sorted(github.dispatches, key=str) == sorted(wanted, key=str)


@pytest.mark.parametrize("forces_first", [True, False])
def test_row_02_force_stays_with_who_asked_for_it(quiet: Scene, forces_first: bool) -> None:
    # One agent's force flag became everybody's: somebody else's work on the branch was overwritten.
    quiet.stranger().commit("theirs.txt")
    quiet.stranger().push("-q")
    quiet.commit("mine.txt")
    with batcher(quiet) as queue:
        ids = {force: queue.queue(f"agent-{force}", "push", "main", {"force": force})
               for force in (forces_first, not forces_first)}  # fmt: skip
        assert ids[True] != ids[False]
        queue.flush_all()
    assert quiet.files() == ["README", "mine.txt", "theirs.txt"]
    rows = {row["id"]: row["status"] for row in quiet.rows("deploy_queue")}
    assert rows[ids[False]] == "completed"


def test_row_03_a_due_push_takes_its_commits_along(quiet: Scene, clock: Clock) -> None:
    # A push waits 5 s and a commit 30 s: the push went out without the commit that it was for.
    with batcher(quiet, dynamic_windows={"commit": 30_000, "push": 5_000}) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        queue.queue("agent", "push", "main")
        assert queue.flush_all(due_only=True) == []
        clock.pass_by(5.1)
        (result,) = queue.flush_all(due_only=True)
    assert (result.success, result.executed_actions) == (True, 2)
    assert quiet.landed() == ["Add a.txt"]
    assert len(quiet.pushes()) == 1
    assert statuses(quiet) == ["completed", "completed"]


@needs_gh
def test_row_04_what_reads_a_branch_waits_for_what_changes_it(quiet: Scene, github: Forge) -> None:
    # Workflows of a batch ran before its push: CI started on the old commit.
    github.dispatches = seen = Witness(quiet)
    deploys(quiet, "prod", f'echo "$UAM_SHA $(git --git-dir="{quiet.remote}" rev-parse main)" >>"$log"')
    payload = commit_of(quiet, "a.txt")
    with batcher(quiet) as queue:
        queue.queue_bulk("agent", [
            {"action_type": "workflow", "target": "test.yml", "payload": {"ref": "main"}, "priority": 9},
            {"action_type": "deploy", "target": "prod", "payload": {"ref": "main"}, "priority": 9},
            {"action_type": "push", "target": "main"},
            {"action_type": "commit", "target": "main", "payload": payload, "priority": 0},
        ])  # fmt: skip
        (result,) = queue.flush_all()
    assert (result.success, result.executed_actions) == (True, 4)
    assert len(seen) == 1
    assert seen.saw == [["Add a.txt"]]
    assert deployed(quiet) == [f"{quiet.there()} {quiet.there()}"]


def test_row_04_a_merge_waits_for_the_branches_it_names(quiet: Scene) -> None:
    # The same with a merge: it merged what the topic was before the commit of the same batch.
    quiet.git("branch", "topic")
    with batcher(quiet) as queue:
        queue.queue_bulk("agent", [
            {"action_type": "merge", "target": "main", "payload": {"source": "topic", "push": True}, "priority": 9},
            {"action_type": "commit", "target": "topic", "payload": commit_of(quiet, "a.txt")},
        ])  # fmt: skip
        assert all(result.success for result in queue.flush_all())
    assert quiet.files() == ["README", "a.txt"]
    assert len(quiet.pushes()) == 1


# -- 5 to 8: many processes, and dead ones ----------------------------------------------------------------------------


@pytest.mark.slow
def test_row_05_whatever_runs_beside_an_action_is_executed_once(quiet: Scene) -> None:
    # Two flushers executed 100 actions 120 to 140 times.
    for target in ("red", "green", "blue", "white"):
        deploys(quiet, target, 'echo "$UAM_ACTION" >>"$log"')
    quiet.commit("work.txt")
    with batcher(quiet, dynamic_windows=AT_ONCE) as queue:
        ids = queue.queue_bulk("agent", [
            *({"action_type": "deploy", "target": ("red", "green", "blue", "white")[n % 4]} for n in range(100)),
            {"action_type": "push", "target": "main"},
        ])  # fmt: skip
    code = (
        "queue = DeployBatcher(dynamic_windows={'deploy': 0})\n"
        "if int(sys.argv[1]) % 2:\n"
        "    queue.flush_all()\n"
        "else:\n"
        "    while batch := queue.create_batch():\n"
        "        queue.execute_batch(batch.id)\n"
    )
    for done in all_at_once([quiet] * 4, code):
        assert done.code == 0, done
    assert Counter(deployed(quiet)) == {str(number): 1 for number in ids[:-1]}
    assert len(quiet.pushes()) == 1
    assert statuses(quiet) == ["completed"] * 101


def test_row_05_a_second_flush_leaves_the_first_ones_batch_alone(quiet: Scene) -> None:
    # Nothing kept two flushers apart. Here the second one waits, and says so when it has waited long enough.
    pipe = quiet.root / "pipe"
    os.mkfifo(pipe)
    deploys(quiet, "slow", f'echo "$UAM_ACTION" >>"$log"; read -r line <"{pipe}"')
    with batcher(quiet) as queue:
        number = queue.queue("agent", "deploy", "slow")
        first = quiet.start("uam", "flush")
        try:
            until(lambda: deployed(quiet) == [str(number)], "the start of the deploy")
            done = quiet.run("uam", "flush", "--timeout", "0")
            assert done.code == 3, done
            queue.queue("agent", "commit", "main", {"message": "Besides"})  # nor does any other call touch it
            assert statuses(quiet) == ["executing", "pending"]
        finally:
            with pipe.open("w") as command:
                command.write("go on\n")
        assert finished(first).code == 0
    assert deployed(quiet) == [str(number)]
    assert statuses(quiet)[0] == "completed"


@pytest.mark.slow
def test_row_06_every_concurrent_enqueue_is_kept(quiet: Scene) -> None:
    # Four processes that merged at once kept 127 to 198 of 400 files, and all calls exited 0.
    places = [quiet, quiet, quiet.worktree("one"), quiet.worktree("two")]
    code = (
        "import os\n"
        "queue = DeployBatcher()\n"
        "for call in range(10):\n"
        "    names = [f'{sys.argv[1]}-{call}-{n}.txt' for n in range(10)]\n"
        "    for name in names:\n"
        "        open(name, 'w').write(name)\n"
        "    queue.queue('agent-' + sys.argv[1], 'commit', 'main', {'message': f'{names[0]}', 'files': names})\n"
    )
    for done in all_at_once(places, code):
        assert done.code == 0, done
    with batcher(quiet) as queue:
        queue.queue("agent", "push", "main")
        (result,) = queue.flush_all()
    assert (result.success, result.errors) == (True, ())
    wanted = {f"{place}-{call}-{n}.txt" for place in range(4) for call in range(10) for n in range(10)}
    assert len(wanted) == 400
    assert set(quiet.files()) == {"README", *wanted}
    assert len(quiet.pushes()) == 1
    assert quiet.landed() == ["Squashed 40 commits:"]


_NEXT = {
    "status": ("uam", "status"),
    "queue": ("uam", "deploy", "queue", "--action-type", "commit", "--target", "other", "--message", "Empty"),
    "batch": ("uam", "batch"),
    "cancel": ("uam", "cancel", "2"),
    "urgent": ("uam", "urgent"),
}


def crash(scene: Scene, step: str) -> None:
    """A commit and a push, #1 and #2, whose flush is killed at `step`."""
    scene.git("branch", "other")
    payload = commit_of(scene, "a.txt")
    with batcher(scene) as queue:
        assert queue.queue("agent", "commit", "main", payload) == 1
        assert queue.queue("agent", "push", "main") == 2
    done = scene.run("uam", "flush", UAM_DIE_AT=step)
    assert done.code != 0
    assert not {"completed", "failed", "pending"} & set(statuses(scene)), statuses(scene)


@pytest.mark.parametrize("step", ["claimed", pytest.param("pushed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", _NEXT)
def test_row_07_the_next_command_of_any_kind_recovers(quiet: Scene, step: str, command: str) -> None:
    # After a kill -9 the rows stayed batched for ever, and nothing ever looked at them again.
    crash(quiet, step)
    quiet.run(*_NEXT[command])
    stuck = [row for row in quiet.rows("deploy_queue") if row["status"] in ("batched", "executing")]
    if command == "batch" and step != "pushed":  # it has made a batch of them, as it should
        with batcher(quiet) as queue:
            (made,) = queue.get_pending_batches()
            assert [a.id for a in made.actions] == [row["id"] for row in stuck] == [1, 2]
    else:
        assert stuck == []
    with batcher(quiet) as queue:
        queue.flush_all()
        assert queue.status()["running"] == []
    withdrawn = command == "cancel" and step != "pushed"
    assert quiet.landed() == ([] if withdrawn else ["Add a.txt"])
    assert len(quiet.pushes()) == (0 if withdrawn else 1)
    truthful(quiet)
    sound(quiet)


def test_row_07_a_push_by_git_recovers_too(scene: Scene) -> None:
    crash(by_hand(scene), "pinned")
    scene.git("config", "uam.push.mode", "wait")
    scene.commit("b.txt")
    done = scene.push()
    assert done.code == 0, done
    scene.git("uam", "flush")
    assert scene.files() == ["README", "a.txt", "b.txt"]
    assert "batched" not in statuses(scene)
    assert "executing" not in statuses(scene)


def test_row_07_a_flush_that_is_killed_while_a_command_runs(quiet: Scene) -> None:
    # A kill -9 in the middle of a deploy lost all that was batched with it.
    pipe = quiet.root / "pipe"
    os.mkfifo(pipe)
    deploys(quiet, "slow", f'echo "$UAM_ACTION" >>"$log"; read -r line <"{pipe}"')
    deploys(quiet, "after", 'echo "$UAM_ACTION" >>"$log"')
    with batcher(quiet) as queue:
        slow, after, commit = queue.queue_bulk("agent", [
            {"action_type": "deploy", "target": "slow", "name": "slow"},
            {"action_type": "deploy", "target": "after", "dependencies": ["slow"]},
            {"action_type": "commit", "target": "main", "payload": commit_of(quiet, "a.txt"), "execute_after": 1},
        ])  # fmt: skip
        flush = quiet.start("uam", "flush")
        try:
            until(lambda: deployed(quiet) == [str(slow)], "the start of the deploy")
            os.killpg(flush.pid, signal.SIGKILL)
            assert finished(flush).code == -signal.SIGKILL
            # nobody knows what the command has done: it is not run a second time, and says so
            results = queue.flush_all()
            assert deployed(quiet) == [str(slow)]
            rows = {row["id"]: row for row in quiet.rows("deploy_queue")}
            assert {n: rows[n]["status"] for n in (slow, after, commit)} == {
                slow: "failed", after: "failed", commit: "completed",
            }  # fmt: skip
            assert f"git uam retry {slow}" in rows[slow]["error"]
            assert f"#{slow}" in rows[after]["error"]
            assert [result.success for result in results] == [False]
        finally:
            with pipe.open("w") as orphan:  # the command itself is nobody's child now
                orphan.write("go on\n" * 2)
        deploys(quiet, "slow", 'echo "$UAM_ACTION" >>"$log"')
        again = queue.retry(slow)
        assert [result.success for result in queue.flush_all()] == [True]
    assert deployed(quiet) == [str(slow), str(again)]
    assert quiet.subjects(f"{quiet.start_oid}..main") == ["Add a.txt"]


def test_row_08_a_batch_that_nobody_executed_goes_first(quiet: Scene) -> None:
    # createBatch without executeBatch was a loss: no flush ever looked at batches that were there.
    for name in ("first", "second"):
        deploys(quiet, name, 'echo "$UAM_TARGET" >>"$log"')
    with batcher(quiet, dynamic_windows=AT_ONCE) as queue:
        queue.queue("agent", "deploy", "first")
    # the process that made it is gone
    done = python(quiet, "from uam_hooks import DeployBatcher; print(DeployBatcher().create_batch().id)")
    assert done.code == 0, done
    with batcher(quiet) as queue:
        queue.queue("agent", "deploy", "second", priority=99)
        results = queue.flush_all()
        assert queue.get_pending_batches() == []
        made = queue.get_batch(done.out.strip())
        assert made is not None
        assert made.status == Status.COMPLETED
    assert [result.success for result in results] == [True, True]
    assert results[0].batch_id == made.id
    assert deployed(quiet) == ["first", "second"]


# -- 9 to 12: what failed, what depends, what a dry run is, and what now means ----------------------------------------


def conflicting(queue: DeployBatcher, scene: Scene) -> int:
    """Queue a commit of `f` to main that cannot be applied: main has moved on in the same line since."""
    number = queue.queue("agent-1", "commit", "main", commit_of(scene, "f", "as it was queued\n"))
    scene.commit("f", "as it was committed since\n")
    return number


def conflicting_there(queue: DeployBatcher, scene: Scene) -> int:
    """The same, where the remote's main has moved on."""
    scene.stranger().commit("f", "as somebody else has it\n")
    scene.stranger().push("-q")
    return queue.queue("agent-1", "commit", "main", commit_of(scene, "f", "as it was queued\n"))


@pytest.mark.parametrize("needs", ["by name", "by its branch"])
def test_row_09_what_depends_on_a_failed_commit_does_not_run(quiet: Scene, needs: str) -> None:
    # A failed commit stopped nothing: the deploy ran, and flush exited 0.
    deploys(quiet, "prod", 'echo ran >>"$log"')
    with batcher(quiet) as queue:
        commit = conflicting(queue, quiet)
        before = quiet.oid("main")
        deploy = queue.queue("agent-1", "deploy", "prod", dependencies=[commit] if needs == "by name" else [])
    done = quiet.run("uam", "flush")
    assert done.code == 1, done
    rows = {row["id"]: row for row in quiet.rows("deploy_queue")}
    assert (rows[commit]["status"], rows[deploy]["status"]) == ("failed", "failed")
    assert "conflict in f" in rows[commit]["error"]
    assert f"#{commit}" in rows[deploy]["error"]
    assert deployed(quiet) == []
    assert quiet.oid("main") == before
    assert quiet.git("show", "main:f") == "as it was committed since"


@pytest.mark.parametrize("needs", ["by name", "by its branch"])
@pytest.mark.parametrize("besides", ["nothing besides", "other work"])
def test_row_09_nor_what_depends_on_one_that_fails_in_its_push(quiet: Scene, needs: str, besides: str) -> None:
    # Its push went out and the deploy ran. What else the push brings may land, but the deploy waited for the commit.
    deploys(quiet, "prod", 'echo ran >>"$log"')
    if besides == "other work":
        quiet.commit("g")
    with batcher(quiet) as queue:
        commit = conflicting_there(queue, quiet)
        push = queue.queue("agent-1", "push", "main")
        deploy = queue.queue("agent-1", "deploy", "prod", dependencies=[commit] if needs == "by name" else [])
        results = queue.flush_all()
    rows = {row["id"]: row for row in quiet.rows("deploy_queue")}
    assert not all(result.success for result in results)
    assert "conflict" in rows[commit]["error"]
    assert quiet.bare.git("show", "main:f") == "as somebody else has it"
    assert quiet.files() == (["README", "f", "g"] if besides == "other work" else ["README", "f"])
    assert deployed(quiet) == []
    assert (rows[commit]["status"], rows[deploy]["status"]) == ("failed", "failed")
    if besides == "other work":
        assert rows[push]["status"] == "completed"


def test_row_09_a_push_that_depends_on_a_failed_commit_by_name_does_not_go_out(quiet: Scene) -> None:
    # The same for the push itself, when it says so.
    with batcher(quiet) as queue:
        commit = conflicting(queue, quiet)
        push = queue.queue("agent-1", "push", "main", dependencies=[commit])
    done = quiet.run("uam", "flush")
    assert done.code == 1, done
    rows = {row["id"]: row["status"] for row in quiet.rows("deploy_queue")}
    assert (rows[commit], rows[push]) == ("failed", "failed")
    assert quiet.pushes() == []


def test_row_09_a_dependency_is_on_the_own_commit_of_a_merged_one(quiet: Scene) -> None:
    # Two agents' commits share an action, and one of them conflicts: who depends on that one does not run.
    for name in ("one", "two"):
        deploys(quiet, name, 'echo "$UAM_TARGET" >>"$log"')
    quiet.git("branch", "topic")
    with batcher(quiet) as queue:
        good = queue.queue("agent-2", "commit", "topic", commit_of(quiet, "good"))
        bad = queue.queue("agent-1", "commit", "topic", commit_of(quiet, "f", "as it was queued\n"))
        assert good == bad
        other = quiet.worktree("other", "topic")
        other.commit("f", "as it was committed since\n")
        other.git("checkout", "-q", "--detach")
        queue.queue("agent-1", "deploy", "one", {"ref": "topic"}, dependencies=[bad])
        queue.queue("agent-2", "deploy", "two", {"ref": "topic"}, dependencies=[good])
        results = queue.flush_all()
    assert not all(result.success for result in results)
    assert quiet.git("ls-tree", "-r", "--name-only", "topic").splitlines() == ["README", "f", "good"]
    assert deployed(quiet) == ["two"]


def test_row_09_the_exit_status_of_execute_tells_too(quiet: Scene) -> None:
    # executeBatch said so in its result, and the command line threw it away.
    deploys(quiet, "prod", "echo cannot; exit 7")
    quiet.git("config", "uam.window.deploy", "0")
    with batcher(quiet) as queue:
        queue.queue("agent", "deploy", "prod")
        batch = queue.create_batch()
        assert batch is not None
    done = quiet.run("uam", "deploy", "execute", "--batch-id", batch.id)
    assert done.code == 1, done
    assert "exit code 7" in done.out + done.err
    assert "cannot" in done.out + done.err


def test_row_10_a_dependency_gates(quiet: Scene) -> None:
    # Dependencies were stored and never read: priority alone decided.
    for name in ("first", "second", "third"):
        deploys(quiet, name, 'echo "$UAM_TARGET" >>"$log"; [ "$UAM_TARGET" != second ]')
    with batcher(quiet) as queue:
        first = queue.queue("agent", "deploy", "first", priority=0)
        second = queue.queue("agent", "deploy", "second", priority=50, dependencies=[first])
        third = queue.queue("agent", "deploy", "third", priority=99, dependencies=[second])
        queue.flush_all()
    assert deployed(quiet) == ["first", "second"]
    assert statuses(quiet) == ["completed", "failed", "failed"]
    assert f"#{second}" in quiet.rows("deploy_queue")[third - 1]["error"]


def test_row_10_a_push_may_depend_on_its_commit(quiet: Scene) -> None:
    # What every caller of the original wrote: it was of no use there, and may not be in the way here.
    with batcher(quiet) as queue:
        commit = queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        queue.queue("agent", "push", "main", dependencies=[commit])
        assert [result.success for result in queue.flush_all()] == [True]
    assert quiet.landed() == ["Add a.txt"]
    assert statuses(quiet) == ["completed", "completed"]


def test_row_10_what_stands_between_a_commit_and_its_push_runs_between_them(quiet: Scene) -> None:
    # A check that depends on the commit, and a push that depends on the check.
    deploys(quiet, "check", 'echo "ran" >>"$log"')
    with batcher(quiet) as queue:
        commit = queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        check = queue.queue("agent", "deploy", "check", dependencies=[commit])
        queue.queue("agent", "push", "main", dependencies=[check])
        assert all(result.success for result in queue.flush_all())
    assert deployed(quiet) == ["ran"]
    assert quiet.landed() == ["Add a.txt"]


def test_row_10_what_depends_on_a_commit_waits_for_the_push_that_takes_it_along(quiet: Scene) -> None:
    # By name alone: the deploy is of another branch, so nothing but the dependency says that it comes later.
    quiet.git("branch", "other")
    deploys(quiet, "prod", f'git --git-dir="{quiet.remote}" log -1 --format=%s main >>"$log"')
    with batcher(quiet) as queue:
        commit = queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        queue.queue("agent", "push", "main")
        queue.queue("agent", "deploy", "prod", {"ref": "other"}, dependencies=[commit])
        assert [result.success for result in queue.flush_all()] == [True]
    assert deployed(quiet) == ["Add a.txt"]


def test_row_10_what_is_not_done_yet_is_waited_for(quiet: Scene, clock: Clock) -> None:
    # Nor did anything wait for what was to happen later.
    for name in ("early", "late"):
        deploys(quiet, name, 'echo "$UAM_TARGET" >>"$log"')
    with batcher(quiet) as queue:
        late = queue.queue("agent", "deploy", "late", execute_after=time.time() + 3600)
        queue.queue("agent", "deploy", "early", dependencies=[late])
        assert queue.flush_all() == []
        assert statuses(quiet) == ["pending", "pending"]
        clock.pass_by(3601)
        assert all(result.success for result in queue.flush_all())
    assert deployed(quiet) == ["late", "early"]


def test_row_10_unknown_and_circular_dependencies_are_refused_when_queued(quiet: Scene) -> None:
    # Anything was taken as a dependency, an id that never existed as well as the action itself.
    for name in ("a", "b", "c"):
        deploys(quiet, name, 'echo ran >>"$log"')

    def circle(*names: str) -> list[dict[str, Any]]:
        return [
            {"action_type": "deploy", "target": name, "name": name, "dependencies": [names[n - 1]]}
            for n, name in enumerate(names)
        ]

    with batcher(quiet) as queue:
        for number in (1, 99, -1, "missing"):
            with pytest.raises(UsageError, match="to depend on"):
                queue.queue("agent", "deploy", "a", dependencies=[number])
        for names in ("a", "ab", "abc"):
            with pytest.raises(UsageError, match="wait for each other"):
                queue.queue_bulk("agent", circle(*names))
        assert quiet.rows("deploy_queue") == []
    done = quiet.run("uam", "deploy", "queue", "--action-type", "deploy", "--target", "a", "--depends-on", "99")
    assert done.code == 2, done
    assert quiet.rows("deploy_queue") == []


def test_row_11_a_dry_run_prints_the_plan_and_changes_nothing(quiet: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    # A dry run marked everything completed: it was lost.
    deploys(quiet, "prod", 'echo ran >>"$log"')
    with batcher(quiet, dynamic_windows=AT_ONCE) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        queue.queue("agent", "push", "main")
        queue.queue("agent", "deploy", "prod")
        made = queue.create_batch()
        assert made is not None
        # main is taken by that batch
        quiet.git("branch", "topic")
        queue.queue("agent", "commit", "topic", commit_of(quiet, "b.txt"))

    def everything() -> object:
        return quiet.queue(), quiet.git("for-each-ref"), quiet.status(), quiet.bare.git("for-each-ref")

    before = everything()
    with batcher(quiet, dynamic_windows=AT_ONCE, dry_run=True) as dry:
        shown = dry.create_batch()
        assert shown is not None
        assert [action.payload["message"] for action in shown.actions] == ["Add b.txt"]
        for number in (shown.id, made.id):
            assert dry.execute_batch(number).executed_actions == 0
        assert dry.flush_all() == []
    printed = capsys.readouterr().out
    for words in ("origin/main", "prod", "Add b.txt"):
        assert words in printed
    for command in (("flush",), ("batch",), ("execute", "--batch-id", made.id)):
        assert quiet.git("uam", *command, "--dry-run")
    assert everything() == before
    assert deployed(quiet) == []
    assert quiet.pushes() == []
    # and then the real one does what was to be done
    quiet.git("uam", "flush")
    assert deployed(quiet) == ["ran"]
    assert quiet.landed() == ["Add a.txt"]
    assert set(statuses(quiet)) == {"completed"}


def test_row_12_flush_means_now_and_due_means_due(quiet: Scene) -> None:
    # "Flush all" left whatever was inside its window, and said nothing of it.
    deploys(quiet, "prod", 'echo ran >>"$log"')
    with batcher(quiet, dynamic_windows=LONG) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        queue.queue("agent", "push", "main")
        queue.queue("agent", "deploy", "prod")
        assert queue.flush_all(due_only=True) == []
        assert quiet.git("uam", "flush", "--due") == "nothing to land"
        assert statuses(quiet) == ["pending"] * 3
        assert (quiet.pushes(), deployed(quiet)) == ([], [])
        assert all(result.success for result in queue.flush_all())
    assert quiet.landed() == ["Add a.txt"]
    assert deployed(quiet) == ["ran"]


def test_row_12_flush_on_the_command_line_means_now(quiet: Scene) -> None:
    # The same, as it was called most.
    queue = ("uam", "deploy", "queue", "--agent-id", "agent", "--target", "main", "--action-type")
    write(quiet, "a.txt", "a\n")
    quiet.git(*queue, "commit", "--message", "Add a.txt", "--files", "a.txt")
    quiet.git(*queue, "push")
    quiet.git("uam", "deploy", "flush")
    assert quiet.landed() == ["Add a.txt"]


# -- 13: what comes from outside ------------------------------------------------------------------------------------


@pytest.fixture
def guarded(quiet: Scene) -> Iterator[Scene]:
    """A scene with something to lose; at the end all of it must be there, and nothing have been run."""
    quiet.git("push", "-q", "origin", "main:victim", UAM="off")
    quiet.git("branch", "topic")
    (quiet.root / "outside.txt").write_text("not in the repository\n")
    write(quiet, "secret.env", "TOKEN=1\n")
    write(quiet, "src/a.ts", "// a\n")
    deploys(quiet, "prod", 'echo ran >>"$log"')
    before = quiet.bare.git("for-each-ref"), quiet.git("diff", "--cached", "--name-only")
    yield quiet
    assert (quiet.bare.git("for-each-ref"), quiet.git("diff", "--cached", "--name-only")) == before
    for place in (quiet.root, quiet.top, quiet.remote, quiet.home):
        assert not (place / "INJECTED").exists()


_TOUCH = "touch INJECTED"
_REMOTES = (
    f"--receive-pack={_TOUCH}", f"--upload-pack={_TOUCH}", f"--exec={_TOUCH}", f"ext::sh -c {_TOUCH}", "-o", "--mirror",
    "--delete", "--all", "origin main:victim", "../origin.git", "file:///tmp/else.git", "", "ori\ngin", "nowhere", "*",
)  # fmt: skip
_BRANCHES = (
    ":victim", "main:victim", "+main:victim", "+main", "--delete", "-d", "--mirror", "--all", "--force", "main victim",
    "main\nvictim", "refs/heads/*:refs/heads/*", "*", "main..topic", "@{u}", "main^", "main~1", "../victim", "a..b",
    "HEAD", "x.lock", "/main", "main/", "a//b", "", "@", f"--receive-pack={_TOUCH}", "main\x7f", "a\\b",
)  # fmt: skip
_FILES = (
    "-A", "--all", "-f", "--pathspec-from-file=../outside.txt", ".", "*", "*.env", ":/", ":(glob)**", ":!src", "src",
    "src/", "src/*", "../outside.txt", "/etc/passwd", ".git/config", ".GIT/config", "src/../.git/config",
    "a/.git/hooks/x", "src/../../outside.txt", "", "a\nb", "gone.txt", "\0",
)  # fmt: skip
_WORKFLOWS = ("--repo=evil/repo", "-R", "-R evil/repo", "--json", "", "a\nb", "a\x1b[2Jb")
_INPUTS: tuple[Any, ...] = (
    {"a=b": "c"}, {"-f": "x"}, {"--raw-field": "x"}, {"": "x"}, {"a\nb": "x"}, {"a b": "x"}, {"a": "x\0y"}, ["a"],
    "a=b",
)  # fmt: skip
_SOURCES = (
    "--upload-pack=x", "-X", "-Xours", "--exec=x", f"--output={_TOUCH}", "", "nowhere", "main:README", "topic..main",
    "topic main", "topic\nmain", ":/Begin", "@{u}", "topic^", "*", "-",
)  # fmt: skip
_DEPLOYS = (
    f"prod; {_TOUCH}", f"$({_TOUCH})", f"`{_TOUCH}`", "prod prod", "--help", "-x", "../prod", "/bin/true", ".", "..",
    "", "prod\n", "prod.command", "a=b", "unknown", "prod/../prod", "prod\0",
)  # fmt: skip
_AGENTS = ("", "a\nb", "a\0b", "\x1b[31mred", "a\rb", "a\x7f", "a\u2028b", "a\u202eb", "a\tb")


def _not_branches(kind: str, payload: dict[str, Any]) -> list[str]:
    """What is no branch. `+main` could be one to git, where nobody asks whether there is one here."""
    elsewhere = kind == "workflow" or "pr" in payload
    return [branch for branch in _BRANCHES if branch != "+main" or not elsewhere]


def _attacks() -> Iterator[Any]:
    """Every request that has to be refused: type, target, payload, agent."""
    for kind, target, more in (
        ("push", "main", {}), ("merge", "main", {"source": "topic", "push": True}), ("workflow", "test.yml", {}),
        ("merge", "main", {"pr": 1}), ("deploy", "prod", {}),
    ):  # fmt: skip
        for remote in _REMOTES:
            if remote or kind == "push":
                yield pytest.param(kind, target, {**more, "remote": remote}, "agent", id=f"{kind}-remote-{remote!r}")
    for kind, payload in (
        ("push", {}), ("push", {"force": True}), ("commit", {"message": "m", "files": ["src/a.ts"]}),
        ("merge", {"source": "topic"}), ("merge", {"pr": 1}),
    ):  # fmt: skip
        for branch in _not_branches(kind, payload):
            yield pytest.param(kind, branch, payload, "agent", id=f"{kind}-{'-'.join(payload)}-target-{branch!r}")
    for name in _FILES:
        files = {"message": "m", "files": ["src/a.ts", name]}
        yield pytest.param("commit", "main", files, "agent", id=f"file-{name!r}")
    for name in _WORKFLOWS:
        yield pytest.param("workflow", name, {"ref": "main"}, "agent", id=f"workflow-{name!r}")
    for branch in _not_branches("workflow", {}):
        if branch != "HEAD":
            yield pytest.param("workflow", "test.yml", {"ref": branch}, "agent", id=f"workflow-ref-{branch!r}")
            yield pytest.param("deploy", "prod", {"ref": branch}, "agent", id=f"deploy-ref-{branch!r}")
    for inputs in _INPUTS:
        yield pytest.param("workflow", "test.yml", {"inputs": inputs}, "agent", id=f"inputs-{inputs!r}")
    for source in _SOURCES:
        yield pytest.param("merge", "main", {"source": source}, "agent", id=f"source-{source!r}")
    for number in (0, -1, "1; x", "--admin", "1 --admin", True, "", 1.5, "https://evil.invalid/pull/1"):
        yield pytest.param("merge", "main", {"pr": number}, "agent", id=f"pr-{number!r}")
    for method in ("--admin", "squash --admin", "-d", "octopus"):
        yield pytest.param("merge", "main", {"pr": 1, "method": method}, "agent", id=f"method-{method!r}")
        yield pytest.param("merge", "main", {"source": "topic", "strategy": method}, "agent", id=f"strategy-{method!r}")
    for name in _DEPLOYS:
        yield pytest.param("deploy", name, {}, "agent", id=f"deploy-{name!r}")
    for agent in _AGENTS:
        yield pytest.param("push", "main", {}, agent, id=f"agent-{agent!r}")
    for options in (["a\nb"], ["a\0b"], "ci.skip", [1]):
        yield pytest.param("push", "main", {"push_options": options}, "agent", id=f"push_options-{options!r}")
    for message in ("", " \n", "a\0b", None, 7):
        yield pytest.param("commit", "main", {"message": message}, "agent", id=f"message-{message!r}")


ATTACKS = list(_attacks())


def test_row_13_nothing_that_is_not_a_plain_name_gets_in(guarded: Scene) -> None:
    # A remote `--receive-pack=touch X` ran a command, a target `:victim` deleted a branch, a file `-A` staged all.
    taken = []
    with batcher(guarded) as queue:
        for attack in ATTACKS:
            kind, target, payload, agent = attack.values
            try:
                queue.queue(agent, kind, target, payload)
            except UsageError as error:
                # what is printed for people must not act on their terminal
                assert "\x1b" not in error.what
                assert "\n" not in error.what
                continue
            except Exception as error:
                taken.append(f"{attack.id}: {error!r}")
                continue
            taken.append(attack.id)
        assert taken == []
        assert guarded.rows("deploy_queue") == []
        assert queue.flush_all() == []
    assert len(guarded.pushes()) == 1  # the one that made the victim


def test_row_13_nor_on_the_command_line(guarded: Scene) -> None:
    # The same requests, as arguments: what begins with a dash may not become an option of ours either.
    queue = ("uam", "deploy", "queue", "--action-type")
    for args in (
        ("push", "--target", "main", "--remote", f"--receive-pack={_TOUCH}"),
        ("push", "--target", ":victim"),
        ("commit", "--target", "main", "--message", "m", "--files=-A"),
        ("commit", "--target", "main", "--message", "m", "--", "-A"),
        ("workflow", "--target=--repo=evil/repo", "--ref", "main"),
        ("merge", "--target", "main", "--source=--upload-pack=x"),
        ("deploy", "--target", "prod", "--agent-id", "a\nb"),
        ("push", "--target", "main", "--payload", '{"remote": "ext::sh -c x"}'),
    ):
        done = guarded.run(*queue, *args)
        assert done.code == 2, (args, done)
        assert "Traceback" not in done.err
    assert guarded.rows("deploy_queue") == []


def test_row_13_strange_names_that_are_true_are_taken_literally(quiet: Scene) -> None:
    # git allows these names of branches and files. They arrive as what they are, and nothing is run or matched.
    files = [
        "-A", "*", ":(glob)**", ":!README", "--all", "a b", "$(touch INJECTED)", "src/`touch INJECTED`", "ünï", '"a"',
    ]  # fmt: skip
    branches = ["+main", "$(touch${IFS}INJECTED)", "a;touch", "a|b&c", "'quoted'", "refs/heads/main"]
    for name in [*files, "secret.env", "a"]:
        write(quiet, name, f"{name}\n")
    for branch in branches:
        quiet.git("update-ref", f"refs/heads/{branch}", "HEAD")
    with batcher(quiet) as queue:
        queue.queue("--admin", "commit", "main", {"message": "--amend -F/etc/passwd", "files": files})
        queue.queue("$(touch INJECTED)", "push", "main")
        for branch in branches:
            name = "refs/heads/refs/heads/main" if branch == "refs/heads/main" else branch
            queue.queue("agent", "push", name)
        results = queue.flush_all()
    assert [result.errors for result in results] == [()] * len(results)
    there = quiet.bare.git("ls-tree", "-r", "-z", "--name-only", "main").split("\0")[:-1]
    assert sorted(there) == sorted(["README", *files])
    assert {name: quiet.bare.git("show", f"main:{name}") for name in files} == {name: name for name in files}
    assert quiet.landed() == ["--amend -F/etc/passwd"]
    refs = quiet.bare.git("for-each-ref", "--format=%(refname)").splitlines()
    assert sorted(refs) == sorted(["refs/heads/main", *(f"refs/heads/{branch}" for branch in branches)])
    for place in (quiet.root, quiet.top, quiet.remote):
        assert not (place / "INJECTED").exists()


@needs_gh
def test_row_13_what_gh_would_read_as_files_or_options_is_text(guarded: Scene, github: Forge) -> None:
    # gh's -F reads @FILE, and its --body-file any file.
    inputs = {"a": "@/etc/passwd", "b": "--json", "c": "$(touch INJECTED)", "d": "x=y", "e": "two\nlines"}
    with batcher(guarded) as queue:
        queue.queue("agent", "workflow", "test.yml", {"ref": "main", "inputs": inputs})
        queue.queue("agent", "merge", "main", {"pr": 7, "message": "--body-file=/etc/passwd\n\n--admin"})
        assert all(result.success for result in queue.flush_all())
    assert github.dispatches == [Dispatch("test.yml", "main", inputs)]
    assert github.merges == [Merge(7, "merge", "--body-file=/etc/passwd", "--admin")]


def test_row_13_a_payload_reaches_a_deploy_as_data(guarded: Scene) -> None:
    # A deploy's command came through the queue. Here it is configured, and gets the payload on stdin as JSON.
    payload = {"command": "touch INJECTED", "note": "$(touch INJECTED)", "ref": "main"}
    script(guarded.root / "deploys" / "prod", f'cat >"{guarded.root}/stdin"')
    with batcher(guarded) as queue:
        queue.queue("agent", "deploy", "prod", payload)
        assert all(result.success for result in queue.flush_all())
    assert json.loads((guarded.root / "stdin").read_text()) == payload


def test_row_13_push_options_are_options_of_the_push_alone(guarded: Scene) -> None:
    # They come from outside as well, and may look like options of git.
    with batcher(guarded) as queue:
        guarded.commit("a.txt")
        queue.queue("agent", "push", "main", {"push_options": [f"--receive-pack={_TOUCH}", "--delete"]})
        (result,) = queue.flush_all()
    assert not result.success  # this remote takes no push options at all
    assert "push options" in " ".join(result.errors)


# -- 14 to 18: commits, merges and pushes ---------------------------------------------------------------------------


def test_row_14_a_commit_holds_the_files_that_it_names_as_they_were(quiet: Scene) -> None:
    # Without files it did `git add -A` and took .env and its own database; with files, all that was staged besides.
    write(quiet, "named.txt", "as it was queued\n")
    write(quiet, "staged.txt", "staged by somebody else\n")
    write(quiet, ".env", "TOKEN=1\n")
    write(quiet, "README", "changed and not staged\n")
    quiet.git("add", "staged.txt")
    index = quiet.git("ls-files", "-s")
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "main", {"message": "Named", "files": ["named.txt"]})
        queue.queue("agent", "commit", "main", {"message": "Nothing"})
        assert quiet.git("ls-files", "-s") == index
        write(quiet, "named.txt", "as it is now\n")
        queue.queue("agent", "push", "main")
        assert all(result.success for result in queue.flush_all())
    assert quiet.files() == ["README", "named.txt"]
    assert quiet.bare.git("show", "main:named.txt") == "as it was queued"
    assert quiet.bare.git("show", "main:README") == "a project"
    # the caller's files and what is staged are as they were
    assert (quiet.top / "named.txt").read_text() == "as it is now\n"
    assert (quiet.top / "README").read_text() == "changed and not staged\n"
    assert quiet.git("diff", "--cached", "--name-only", quiet.there()) == "staged.txt"
    assert quiet.git("show", ":staged.txt") == "staged by somebody else"
    assert "?? .env" in quiet.status()


def test_row_14_mode_link_and_removal_are_kept_too(quiet: Scene) -> None:
    # What a file is includes whether it is there, and whether it can be run.
    quiet.commit("old.txt")
    quiet.push("-q", UAM="off")
    write(quiet, "run.sh", "#!/bin/sh\n", 0o755)
    (quiet.top / "link").symlink_to("run.sh")
    (quiet.top / "old.txt").unlink()
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "main", {"message": "Three", "files": ["run.sh", "link", "old.txt"]})
        queue.queue("agent", "push", "main")
        assert all(result.success for result in queue.flush_all())
    listed = quiet.bare.git("ls-tree", "-r", "--format=%(objectmode) %(path)", "main").splitlines()
    assert listed == ["100644 README", "120000 link", "100755 run.sh"]
    assert quiet.clean()


def test_row_15_a_commit_and_a_merge_land_where_they_say(quiet: Scene) -> None:
    # A commit for feature-x landed on whatever was checked out: main.
    for branch in ("feature-x", "release"):
        quiet.git("branch", branch)
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "feature-x", commit_of(quiet, "x.txt"))
        queue.queue("agent", "merge", "release", {"source": "feature-x"})
        assert all(result.success for result in queue.flush_all())
    assert quiet.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert quiet.oid("main") == quiet.start_oid
    assert quiet.subjects("main..feature-x") == ["Add x.txt"]
    assert quiet.subjects("--first-parent", "main..release") == ["Merge branch 'feature-x' into release"]
    assert quiet.git("show", "release:x.txt") == "x.txt"
    assert quiet.status() == ["## main...origin/main", "?? x.txt"]


def test_row_15_a_push_is_of_the_branch_that_it_names(quiet: Scene) -> None:
    # And then main was pushed for it.
    quiet.git("branch", "feature-x")
    quiet.commit("not-asked-for.txt")
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "feature-x", commit_of(quiet, "x.txt"))
        queue.queue("agent", "push", "feature-x")
        assert all(result.success for result in queue.flush_all())
    assert quiet.files("feature-x") == ["README", "x.txt"]
    assert quiet.there() == quiet.start_oid


@pytest.mark.parametrize("push", [False, True])
def test_row_16_a_merge_conflict_changes_nothing(quiet: Scene, push: bool) -> None:
    # The conflict stayed in the tree, and the next commit took the markers.
    quiet.git("checkout", "-q", "-b", "topic")
    quiet.commit("f", "topic\n")
    quiet.git("checkout", "-q", "main")
    quiet.commit("f", "main\n")
    quiet.push("-q", UAM="off")

    def everything() -> object:
        return (
            quiet.git("for-each-ref", "refs/heads", "refs/remotes"), quiet.status(), quiet.git("ls-files", "-s"),
            quiet.bare.git("for-each-ref"), len(quiet.pushes()), (quiet.git_dir / "MERGE_HEAD").exists(),
        )  # fmt: skip

    before = everything()
    with batcher(quiet) as queue:
        queue.queue("agent", "merge", "main", {"source": "topic", "push": push})
        (result,) = queue.flush_all()
        assert (result.success, result.executed_actions, result.failed_actions) == (False, 0, 1)
        assert "conflict in f" in " ".join(result.errors)
        assert everything() == before
        assert (quiet.top / "f").read_text() == "main\n"
        queue.queue("agent", "commit", "main", commit_of(quiet, "g"))
        queue.queue("agent", "push", "main")
        assert all(r.success for r in queue.flush_all())
    assert quiet.bare.git("show", "main:f") == "main"


# Somebody else pushes while the remote receives, as often as the file says. What receive-pack exports would make it
# act in the quarantine of the push that is under way.
_QUICKER = """
[ -z "$OUTSIDER" ] || exit 0
read -r left <"{root}/left"
[ "$left" -gt 0 ] || exit 0
echo $((left - 1)) >"{root}/left"
unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH
export OUTSIDER=yes
cd "{root}/stranger"
git pull -q --rebase && echo "$left" >"theirs-$left" && git add -A && git commit -q -m "Theirs $left" && git push -q
"""


def outsider(scene: Scene, times: int) -> list[str]:
    """Let somebody else be quicker the next `times` times; gives their files."""
    scene.stranger()
    (scene.root / "left").write_text(f"{times}\n")
    script(scene.remote / "hooks" / "pre-receive", _QUICKER.format(root=scene.root))
    return [f"theirs-{n}" for n in range(1, times + 1)]


def test_row_17_who_is_quicker_is_integrated(quiet: Scene) -> None:
    # A push that was no fast-forward failed for good.
    quiet.stranger().commit("before.txt")
    quiet.stranger().push("-q")
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "mine.txt"))
        queue.queue("agent", "push", "main")
        theirs = outsider(quiet, 2)
        (result,) = queue.flush_all()
    assert (result.success, result.errors) == (True, ())
    assert quiet.files() == sorted(["README", "before.txt", "mine.txt", *theirs])
    assert quiet.landed()[-1] == "Add mine.txt"
    truthful(quiet)


def test_row_17_and_by_git_push_too(scene: Scene) -> None:
    # An agent had to fetch, rebase and push again, and somebody was quicker again.
    agent = scene.worktree("agent")
    mine = agent.commit("mine.txt")
    theirs = outsider(scene, 2)
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0, done
    assert scene.files() == sorted(["README", "mine.txt", *theirs])
    assert agent.oid("HEAD") == scene.there()
    kept(scene, [mine])


def test_row_17_but_not_for_ever(quiet: Scene) -> None:
    # Somebody who is always quicker does not make it go on without end.
    quiet.git("config", "uam.flush.retries", "2")
    quiet.git("config", "uam.retry.count", "0")
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "mine.txt"))
        queue.queue("agent", "push", "main")
        theirs = outsider(quiet, 9)
        (result,) = queue.flush_all()
        assert not result.success
        assert (quiet.root / "left").read_text() == f"{9 - 3}\n"
        assert quiet.files() == sorted(["README", *theirs[-3:]])
        # nothing is lost: when they are done it lands
        (quiet.root / "left").write_text("0\n")
        waiting = [row["id"] for row in quiet.rows("deploy_queue") if row["status"] == "failed"]
        for number in waiting:
            queue.retry(number)
        assert all(r.success for r in queue.flush_all())
    assert "mine.txt" in quiet.files()


def test_row_18_a_bad_path_is_refused_when_it_is_queued(quiet: Scene) -> None:
    # One path that was not there made all commits fail that were merged with it.
    with batcher(quiet) as queue:
        queue.queue("agent-1", "commit", "main", commit_of(quiet, "good.txt"))
        with pytest.raises(UsageError, match=r"gone\.txt"):
            queue.queue("agent-2", "commit", "main", {"message": "Bad", "files": ["good.txt", "gone.txt"]})
        queue.queue("agent-3", "commit", "main", commit_of(quiet, "brief.txt"))
        (quiet.top / "brief.txt").unlink()  # it was there when it was asked for
        queue.queue("agent-1", "push", "main")
        assert all(result.success for result in queue.flush_all())
    assert quiet.files() == ["README", "brief.txt", "good.txt"]
    assert "Bad" not in quiet.bare.git("log", "--format=%B", "main")


# -- 19 to 26 ---------------------------------------------------------------------------------------------------------


def session_of(leader: int) -> list[int]:
    """Everybody alive in the session that this process leads."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


@pytest.mark.parametrize("parent", ["waits", pytest.param("ignores the signal", marks=pytest.mark.slow)])
def test_row_19_nothing_of_a_command_whose_time_is_over_acts_later(quiet: Scene, parent: str) -> None:
    # Only the child itself was told to end. What it had started went on, and deployed after the failure was reported.
    pipe, acted = quiet.root / "pipe", quiet.root / "acted"
    os.mkfifo(pipe)
    # the grandchild acts as soon as the pipe says so, whatever signal it gets before
    grandchild = f"""trap "" TERM INT HUP; echo "$$" >>"$1"; read -r line <"{pipe}"; touch "{acted}" """
    trap = 'trap "" TERM INT HUP' if parent == "ignores the signal" else ":"
    deploys(quiet, "prod", f'{trap}\necho "$$" >>"$log"\nsh -c \'{grandchild}\' sh "$log" &\nwait\nwait')
    quiet.git("config", "uam.deploy.prod.timeout", "1s")
    with batcher(quiet) as queue:
        number = queue.queue("agent", "deploy", "prod")
        (result,) = queue.flush_all()
    assert (result.success, result.failed_actions) == (False, 1)
    assert "1 s" in quiet.rows("deploy_queue")[number - 1]["error"]
    leader, started = map(int, deployed(quiet))
    try:
        until(lambda: session_of(leader) == [], "the end of the whole session")
        assert not alive(started)
        # nobody reads the pipe any more: there is nobody left who could act
        with pytest.raises(OSError, match="No such device"):
            os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        assert not acted.exists()
    finally:
        for pid in session_of(leader):
            os.kill(pid, signal.SIGKILL)


def test_row_20_merging_takes_the_earlier_time(quiet: Scene, clock: Clock) -> None:
    # An urgent action that was merged into a normal one waited as long as the normal one.
    quiet.commit("work.txt")
    with batcher(quiet, dynamic_windows=LONG) as queue:
        normal = queue.queue("agent-1", "push", "main")
        assert queue.queue("agent-2", "push", "main", urgent=True) == normal
        clock.pass_by(1.1)
        (result,) = queue.flush_all(due_only=True)
        assert result.success
        assert quiet.landed() == ["Add work.txt"]
        # nor does a normal one make an urgent one wait
        quiet.commit("more.txt")
        urgent = queue.queue("agent-1", "push", "main", urgent=True)
        assert queue.queue("agent-2", "push", "main") == urgent
        clock.pass_by(1.1)
        assert [r.success for r in queue.flush_all(due_only=True)] == [True]
    assert len(quiet.pushes()) == 2


def test_row_20_merging_takes_the_higher_priority_and_zero_is_one(quiet: Scene) -> None:
    # The priority of the first stayed, and 0 became 5.
    for name in ("zero", "one", "usual"):
        deploys(quiet, name, 'echo "$UAM_TARGET" >>"$log"')
    with batcher(quiet, dynamic_windows=AT_ONCE, parallel_execution=False) as queue:
        for name, priority in (("zero", 0), ("one", 1), ("usual", None)):
            queue.queue("agent", "deploy", name, priority=priority)
        batch = queue.create_batch()
        assert batch is not None
        assert [a.priority for a in sorted(batch.actions, key=lambda a: a.id)] == [0, 1, 5]
        queue.execute_batch(batch.id)
        assert deployed(quiet) == ["usual", "one", "zero"]
        for priority in (3, 8, 0):
            number = queue.queue("agent", "commit", "main", {"message": f"{priority}"}, priority=priority)
        assert quiet.rows("deploy_queue")[number - 1]["priority"] == 8


def test_row_21_one_queue_for_all_worktrees_and_directories(quiet: Scene) -> None:
    # Every working directory made a queue of its own, and pushes of one never met commits of another.
    linked = quiet.worktree("linked", "--detach")
    for checkout in (quiet, linked):
        write(checkout, "src/deep/here.txt", "here\n")
    places = [quiet.top, quiet.top / "src" / "deep", linked.top, linked.top / "src"]
    with environment(quiet.env):
        ids = set()
        for number, place in enumerate(places):
            (place / f"{number}.txt").write_text("text\n")
            # names count from where the caller is
            payload = {"message": f"From {number}", "files": [f"{number}.txt"]}
            ids.add(DeployBatcher(repository=place).queue(f"agent-{number}", "commit", "main", payload))
        assert len(ids) == 1
        with chdir(linked.top / "src"):
            here = DeployBatcher()
            here.queue("agent", "push", "main")
        assert all(result.success for result in here.flush_all())
    assert len(quiet.pushes()) == 1
    assert quiet.landed() == ["Squashed 4 commits:"]
    assert quiet.files() == ["0.txt", "2.txt", "README", "src/3.txt", "src/deep/1.txt"]
    assert len(list(quiet.root.rglob("queue.db"))) == 1


def test_row_21_nor_does_the_command_line_make_another(quiet: Scene) -> None:
    # The same with `uam deploy` from a subdirectory: files are named as they are seen from there.
    linked = quiet.worktree("linked")
    inside = Worktree(linked.top / "src", linked.env)
    write(linked, "src/a.txt", "a\n")
    queue = ("uam", "deploy", "queue", "--target", "main", "--action-type")
    inside.git(*queue, "commit", "--message", "By git", "--files", "a.txt")
    program = Path(sys.executable).with_name("uam")
    write(quiet, "b.txt", "b\n")
    done = quiet.execute(str(program), *queue[1:], "commit", "--message", "By name", "--files", "b.txt")
    assert done.code == 0, done
    inside.git(*queue, "push")
    quiet.git("uam", "deploy", "flush")
    assert quiet.landed() == ["Squashed 2 commits:"]
    assert quiet.files() == ["README", "b.txt", "src/a.txt"]


def test_row_22_settings_are_saved(quiet: Scene) -> None:
    # It printed "updated" and saved nothing.
    quiet.git("uam", "config", "uam.window.commit", "7s")
    quiet.git("uam", "config", "uam.batch.size", "33")
    assert quiet.git("config", "--get", "uam.window.commit") == "7s"
    with batcher(quiet) as queue:
        assert queue.get_batch_window("commit") == 7000
    # in every worktree, for every process
    linked = quiet.worktree("linked")
    assert linked.git("uam", "config", "uam.window.commit") == "7s"
    assert json.loads(linked.git("uam", "config", "--json"))["uam.batch.size"] == "33"
    quiet.git("uam", "config", "--unset", "uam.window.commit")
    with batcher(linked) as queue:
        assert queue.get_batch_window("commit") == 30000


def test_row_22_urgent_mode_lives_in_the_queue_and_ends(quiet: Scene, clock: Clock) -> None:
    # Urgent mode died with the process that had set it.
    quiet.git("uam", "config", "uam.window.push", "5s")
    linked = quiet.worktree("linked")
    quiet.git("uam", "urgent", "on", "--for", "10m")
    with batcher(linked) as queue:
        assert queue.get_batch_window("push") == 1000
        clock.pass_by(601)
        assert queue.get_batch_window("push") == 5000
        queue.set_urgent_mode(True)
    clock.pass_by(10 * 24 * 3600)
    with batcher(quiet) as queue:
        assert queue.get_batch_window("push") == 1000
    linked.git("uam", "urgent", "off")
    with batcher(quiet) as queue:
        assert queue.get_batch_window("push") == 5000


def test_row_23_what_is_no_window_is_refused(quiet: Scene) -> None:
    # -5 and NaN were taken as they came.
    strange: tuple[Any, ...] = (-5, -0.5, float("nan"), float("inf"), float("-inf"), "30", True, False, 1.5, [], None)
    with environment(quiet.env):
        for value in strange:
            with pytest.raises(UsageError, match="window of commit"):
                DeployBatcher(repository=quiet.top, dynamic_windows={"commit": value})
            if value is not None:
                with pytest.raises(UsageError, match="window of"):
                    DeployBatcher(repository=quiet.top, batch_window_ms=value)
        with pytest.raises(UsageError, match="no action type 'comit'"):
            DeployBatcher(repository=quiet.top, dynamic_windows={"comit": 1})


def test_row_23_zero_is_zero(quiet: Scene) -> None:
    # 0 became the default.
    quiet.commit("work.txt")
    with batcher(quiet, batch_window_ms=0) as queue:
        assert queue.get_window_config() == AT_ONCE
        queue.set_urgent_mode(True)
        assert queue.get_window_config() == AT_ONCE
        queue.queue("agent", "push", "main")
        assert [r.success for r in queue.flush_all(due_only=True)] == [True]
    quiet.git("uam", "config", "uam.window.deploy", "0")
    with batcher(quiet) as queue:
        assert queue.get_batch_window("deploy") == 0


def test_row_23_nor_does_a_setting_take_it(quiet: Scene) -> None:
    # Nothing was checked on the command line either.
    for value in ("-5s", "NaN", ""):
        done = quiet.run("uam", "config", "uam.window.commit", "--", value)
        assert done.code == 2, done
        assert "Traceback" not in done.err
    assert quiet.run("config", "--get", "uam.window.commit").code == 1
    # and what was written past us is an error with a name, not the default
    for value in ("-5", "-5s", "NaN", "inf", "", "soon", "5 parsecs", "0x10", "1e3"):
        quiet.git("config", "uam.window.commit", value)
        with environment(quiet.env), pytest.raises(UsageError, match=r"uam\.window\.commit"):
            DeployBatcher(repository=quiet.top).queue("agent", "commit", "main", {"message": "m"})
    done = quiet.run("uam", "deploy", "queue", "--action-type", "commit", "--target", "main", "--message", "m")
    assert done.code == 2, done
    assert "uam.window.commit" in done.err
    assert quiet.rows("deploy_queue") == []


def test_row_23_limits_are_checked_too(quiet: Scene) -> None:
    # Nor were the other numbers.
    with environment(quiet.env):
        strange: tuple[Any, ...] = (0, -1, 1.5, float("nan"), float("inf"), "5", True)
        for value in strange:
            with pytest.raises(UsageError, match="max_batch_size"):
                DeployBatcher(repository=quiet.top, max_batch_size=value)
            with pytest.raises(UsageError, match="max_parallel_actions"):
                DeployBatcher(repository=quiet.top, max_parallel_actions=value)


def test_row_24_an_unknown_batch_is_an_error(quiet: Scene) -> None:
    # Executing a batch that does not exist was a success with 0 actions.
    with batcher(quiet) as queue:
        for batch in ("no-such-batch", "", "1", "00000000-0000-0000-0000-000000000000", "%", "_"):
            with pytest.raises(UsageError, match="There is no batch"):
                queue.execute_batch(batch)
            assert queue.get_batch(batch) is None
    for command in (("uam", "execute"), ("uam", "deploy", "execute")):
        done = quiet.run(*command, "--batch-id", "no-such-batch")
        assert done.code == 2, done
        assert "no-such-batch" in done.err


def test_row_24_a_batch_is_executed_once(quiet: Scene) -> None:
    # Executing one a second time ran it a second time. Here it says what it came to.
    deploys(quiet, "prod", 'echo ran >>"$log"')
    with batcher(quiet, dynamic_windows=AT_ONCE) as queue:
        queue.queue("agent", "deploy", "prod")
        batch = queue.create_batch()
        assert batch is not None
        first = queue.execute_batch(batch.id)
        again = queue.execute_batch(batch.id)
    assert deployed(quiet) == ["ran"]
    assert (again.batch_id, again.success, again.executed_actions) == (first.batch_id, True, 1)


@pytest.mark.slow
@needs_gh
def test_row_25_the_command_line_can_say_all_of_it(quiet: Scene, github: Forge) -> None:
    # It had no words for deploy commands, merge sources, urgency and dependencies.
    quiet.git("branch", "topic")
    quiet.git("branch", "release")
    deploys(quiet, "prod", 'cat >>"$log"; echo " $UAM_REF" >>"$log"')
    for name in ("a.txt", "b.txt", "c d.txt"):
        write(quiet, name, f"{name}\n")

    def queue(kind: str, target: str, *args: str) -> int:
        found = json.loads(
            quiet.git("uam", "deploy", "queue", "--json", "--agent-id", "agent", "--action-type", kind,
                      "--target", target, *args)
        )  # fmt: skip
        assert isinstance(found["id"], int)
        assert found["type"] == kind
        return found["id"]

    commit = queue("commit", "topic", "--message", "On the topic", "--files", "a.txt,b.txt", "--files", "c d.txt")
    merge = queue("merge", "main", "--source", "topic", "--strategy", "squash", "--message", "Topic", "--push")
    pull = queue("merge", "main", "--pr", "7", "--method", "rebase", "--priority", "0")
    work = queue("workflow", "test.yml", "--ref", "main", "--inputs", '{"env": "staging"}', "--depends-on", str(merge))
    deploy = queue(
        "deploy", "prod", "--ref", "release", "--payload", '{"version": 3}', "--urgent",
        "--depends-on", str(merge), "--depends-on", f"#{work}",
    )  # fmt: skip
    push = queue("push", "release", "--remote", "origin", "--force", "--priority", "9")
    moment = "2999-01-01T00:00:00Z"
    later = queue("deploy", "prod", "--execute-after", moment)
    rows = {row["id"]: row for row in quiet.rows("deploy_queue")}
    assert json.loads(rows[deploy]["dependencies"]) == [merge, work]
    assert (rows[pull]["priority"], rows[push]["priority"], rows[work]["priority"]) == (0, 9, 5)
    in_seconds = datetime.fromisoformat(rows[deploy]["execute_after"]) - datetime.now(UTC)
    assert in_seconds.total_seconds() <= 5  # urgent: 5 s in place of 60
    assert rows[later]["not_before"].startswith("2999-01-01T00:00:00")

    done = quiet.run("uam", "flush")
    assert done.code == 0, done
    assert quiet.landed() == ["Topic"]
    assert quiet.files() == ["README", "a.txt", "b.txt", "c d.txt"]
    assert quiet.there("refs/heads/release") == quiet.start_oid
    assert github.merges == [Merge(7, "rebase", None, None)]
    assert github.dispatches == [Dispatch("test.yml", "main", {"env": "staging"})]
    assert len(deployed(quiet)) == 1
    sent, _, ref = deployed(quiet)[0].rpartition(" ")
    assert (json.loads(sent)["version"], ref) == (3, "release")
    # what is not to happen yet can be taken back, and asked for again
    assert quiet.run("uam", "cancel", str(later)).code == 0
    quiet.git("uam", "retry", str(later))
    after = {row["id"]: row["status"] for row in quiet.rows("deploy_queue") if row["asked"]}
    assert [after[n] for n in (commit, merge, pull, work, deploy, push, later)] == ["completed"] * 6 + ["cancelled"]
    assert after[max(after)] == "pending"


def _counting(scene: Scene) -> None:
    """Let the queue's database note every row that is written, with the length of what is in it."""
    with closing(sqlite3.connect(scene.paths.database)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        db.execute("CREATE TABLE written (what TEXT, size INTEGER)")
        for table in tables:
            if table.startswith("sqlite_"):
                continue
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for change in ("INSERT", "UPDATE", "DELETE"):
                row = "OLD" if change == "DELETE" else "NEW"
                size = " + ".join(f"length(coalesce({row}.{name}, ''))" for name in columns)
                db.execute(
                    f"CREATE TRIGGER noted_{change}_{table} AFTER {change} ON {table}"  # noqa: S608 - names of tables
                    f" BEGIN INSERT INTO written VALUES ('{change} {table}', {size}); END"
                )
        db.commit()


def _written(scene: Scene) -> tuple[dict[str, int], int]:
    """What was written since the last time: rows by table, and the size of the largest."""
    with closing(sqlite3.connect(scene.paths.database)) as db:
        found = db.execute("SELECT what, size FROM written").fetchall()
        db.execute("DELETE FROM written")
        db.commit()
    return Counter(what for what, _ in found), max(size for _, size in found)


@pytest.mark.parametrize("kind", ["commit", "push"])
def test_row_26_an_enqueue_costs_the_same_however_many_it_merges_with(quiet: Scene, kind: str) -> None:
    # Merging rewrote one payload that held all the others: 10,000 merged commits took 12 to 15 s to queue.
    trace = quiet.root / "trace"
    seen: list[tuple[dict[str, int], int, int]] = []
    with batcher(quiet) as queue:
        queue.status()
        _counting(quiet)
        first = 0
        for number in range(15):
            payload = commit_of(quiet, f"{number:02}.txt") if kind == "commit" else {}
            trace.unlink(missing_ok=True)
            os.environ["GIT_TRACE2_EVENT"] = str(trace)
            action = queue.queue(f"agent-{number:02}", kind, "main", payload)
            del os.environ["GIT_TRACE2_EVENT"]
            first = first or action
            assert action == first
            processes = trace.read_text().count('"event":"start"') if trace.exists() else 0
            rows, largest = _written(quiet)
            seen.append((rows, largest, processes))
    # the second one and the last one cost the same, in rows, in the size of a row, and in git processes
    assert sum(seen[1][0].values()) <= 6
    assert seen[1][0] == seen[-1][0]
    assert abs(seen[1][1] - seen[-1][1]) <= 10
    assert seen[1][2] == seen[-1][2]
    assert len([row for row in quiet.rows("deploy_queue") if row["action_type"] == kind]) == 1
    assert [r["status"] for r in quiet.rows("sources")].count("pending") == 15
