"""Rows 9 and 10 of the faults of the tool before this one: what depends on something runs after it, or not at all."""

from __future__ import annotations

import time

import pytest

from tests.support.commits import commit_of
from tests.support.deploys import deployed, noting
from tests.support.queueing import Clock, batcher, ends
from tests.support.scenes import Scene
from uam_hooks import DeployBatcher


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
    noting(quiet, "prod", 'echo ran >>"$log"')
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
    noting(quiet, "prod", 'echo ran >>"$log"')
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
        noting(quiet, name, 'echo "$UAM_TARGET" >>"$log"')
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


def test_row_10_a_push_may_depend_on_its_commit(quiet: Scene) -> None:
    # What every caller of the original wrote: it was of no use there, and may not be in the way here.
    with batcher(quiet) as queue:
        commit = queue.queue("agent", "commit", "main", commit_of(quiet, "a.txt"))
        queue.queue("agent", "push", "main", dependencies=[commit])
        assert [result.success for result in queue.flush_all()] == [True]
    assert quiet.landed() == ["Add a.txt"]
    assert ends(quiet) == ["completed", "completed"]


def test_row_10_what_is_not_done_yet_is_waited_for(quiet: Scene, clock: Clock) -> None:
    # Nor did anything wait for what was to happen later.
    for name in ("early", "late"):
        noting(quiet, name, 'echo "$UAM_TARGET" >>"$log"')
    with batcher(quiet) as queue:
        late = queue.queue("agent", "deploy", "late", execute_after=time.time() + 3600)
        queue.queue("agent", "deploy", "early", dependencies=[late])
        assert queue.flush_all() == []
        assert ends(quiet) == ["pending", "pending"]
        clock.pass_by(3601)
        assert all(result.success for result in queue.flush_all())
    assert deployed(quiet) == ["late", "early"]
