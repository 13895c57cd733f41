"""DeployBatcher: batches that are made, executed, and only shown."""

from __future__ import annotations

import time
import uuid

import pytest

from tests.support.batchers import add, created, deploys, made, nothing_changes
from tests.support.marks import bulk
from tests.support.queueing import statuses
from tests.support.scenes import Scene, locked
from uam_hooks import Batch, DeployBatcher, Status
from uam_hooks.hot.core.errors import Locked, UsageError
from uam_hooks.store import claim

# -- batches ---------------------------------------------------------------------------------------------------


def test_nothing_is_due(here: DeployBatcher) -> None:
    assert here.create_batch() is None and here.get_pending_batches() == [] and here.flush_all() == []


def test_what_is_shown_is_stored_and_executed(scene: Scene, here: DeployBatcher) -> None:
    ids = [add(here, "a"), add(here, "b", agent="bob"), here.queue("ann", "push", "main")]
    batch = created(here)
    assert [action.id for action in batch.actions] == sorted(set(ids))
    assert batch.status == Status.PENDING and batch.executed_at is None and len(batch.id) == 36
    commit, push = batch.actions
    assert commit.payload["files"] == ["a", "b"] and len(commit.payload["squashedFrom"]) == 2
    assert commit.payload["message"] == "Squashed 2 commits:\n\n1. Add a\n2. Add b"
    assert {commit.status, push.status} == {Status.BATCHED}
    assert here.get_pending_batches() == [batch]
    for name in (batch.id, batch.id[:8], str(batch.number)):
        assert here.get_batch(name) == batch
    assert here.create_batch() is None  # it has been claimed
    add(here, "later")  # is not in what was shown
    result = here.execute_batch(batch.id)
    assert result._replace(duration=0) == (batch.id, True, 2, 0, (), 0, 0) and result.duration > 0
    assert scene.landed() == ["Squashed 2 commits:"] and len(scene.pushes()) == 1
    assert scene.bare.git("log", "-1", "--format=%B", "main").startswith(commit.payload["message"])
    done = here.get_batch(batch.id)
    assert done is not None and done.status == Status.COMPLETED and done.executed_at
    assert done.result["executedActions"] == 2 and here.get_pending_batches() == []
    facts = [(action.id, action.action_type, action.target, action.payload) for action in batch.actions]
    assert [(action.id, action.action_type, action.target, action.payload) for action in done.actions] == facts
    changed = scene.bare.git("diff-tree", "-r", "--name-only", "main~1", "main").splitlines()
    assert changed == commit.payload["files"]


@pytest.mark.parametrize("name", bulk(["", "0", "99", "no such", "-1", "9" * 30, "²", "%", "_" * 36]))
def test_a_batch_that_does_not_exist(scene: Scene, here: DeployBatcher, name: str) -> None:
    add(here)
    created(here)
    assert here.get_batch(name) is None
    with nothing_changes(scene), pytest.raises(UsageError, match="no batch"):
        here.execute_batch(name)
    with nothing_changes(scene), pytest.raises(UsageError, match="no batch"):
        made(scene, dry_run=True).execute_batch(name)


def test_a_beginning_that_two_batches_share(scene: Scene, here: DeployBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = iter([uuid.UUID(f"abcd000{n}-0000-4000-8000-000000000000") for n in range(2)])
    monkeypatch.setattr(claim, "random_uuid", lambda: str(next(chosen)))
    for name in ("x", "y"):
        scene.git("branch", name)
        here.queue("ann", "push", name)
        created(here)
    assert here.get_batch("abcd") is None
    with nothing_changes(scene), pytest.raises(UsageError):
        here.execute_batch("abcd")
    assert here.execute_batch("abcd0001").success
    assert scene.there("refs/heads/y") and not scene.there("refs/heads/x")


def test_a_number_is_not_the_beginning_of_an_id(
    scene: Scene, here: DeployBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch 1 was executed; one whose id begins with 1 is another one, and not what was asked for."""
    chosen = iter([uuid.UUID(f"{n}aaaaaaa-0000-4000-8000-000000000000") for n in (5, 1)])
    monkeypatch.setattr(claim, "random_uuid", lambda: str(next(chosen)))
    for name in ("x", "y"):
        scene.git("branch", name)
    here.queue("ann", "push", "x")
    first = here.execute_batch(created(here).id)
    here.queue("ann", "push", "y")
    created(here)
    again = here.execute_batch("1")
    assert again.batch_id == first.batch_id
    assert not scene.there("refs/heads/y")


def test_executed_twice(scene: Scene, here: DeployBatcher) -> None:
    add(here)
    here.queue("ann", "push", "main")
    batch = created(here)
    first = here.execute_batch(batch.id)
    for name in (batch.id, batch.id[:10], str(batch.number)):
        again = made(scene).execute_batch(name)
        assert again._replace(duration=0) == first._replace(duration=0)
        assert again.duration == pytest.approx(first.duration, abs=0.1)
    assert len(scene.pushes()) == 1


def broken_scene(scene: Scene, here: DeployBatcher) -> Batch:
    """A batch of a push that lands and one whose remote is away."""
    scene.git("remote", "add", "away", str(scene.root / "away.git"))
    scene.git("config", "uam.retry.delay", "1h")
    here.queue("ann", "push", "main", {"remote": "away"})
    scene.git("branch", "x")
    here.queue("ann", "push", "x")
    return created(here)


def test_executed_twice_with_something_that_is_tried_again(scene: Scene, here: DeployBatcher) -> None:
    batch = broken_scene(scene, here)
    first = here.execute_batch(batch.id)
    assert (first.success, first.executed_actions, first.failed_actions, first.deferred_actions) == (False, 1, 0, 1)
    again = here.execute_batch(batch.id)
    assert again._replace(duration=0) == first._replace(duration=0)


def test_executed_twice_with_something_that_failed(scene: Scene, here: DeployBatcher) -> None:
    scene.git("config", "uam.retry.count", "0")
    batch = broken_scene(scene, here)
    first = here.execute_batch(batch.id)
    assert (first.success, first.executed_actions, first.failed_actions) == (False, 1, 1) and len(first.errors) == 1
    again = here.execute_batch(batch.id)
    assert again._replace(duration=0) == first._replace(duration=0)
    done = here.get_batch(batch.id)
    assert done is not None and done.status == Status.COMPLETED  # one of two has landed


def test_a_flush_executes_leftover_batches_first(scene: Scene, here: DeployBatcher) -> None:
    add(here, "a")
    here.queue("ann", "push", "main")
    batch = created(here)
    here.queue("bob", "push", "main", priority=99)
    results = made(scene).flush_all()
    assert results[0].batch_id == batch.id and results[0].executed_actions == 2
    assert here.get_pending_batches() == []
    done = here.get_batch(batch.id)
    assert done is not None and done.status == Status.COMPLETED
    assert scene.landed() == ["Add a"]
    late = here.execute_batch(batch.id)
    assert late._replace(duration=0) == results[0]._replace(duration=0)
    assert statuses(scene) == ["completed"] * 3 and len(scene.pushes()) == 1


def test_a_leftover_batch_is_executed_by_the_flush_of_the_command_line(scene: Scene, here: DeployBatcher) -> None:
    add(here, "a")
    here.queue("ann", "push", "main")
    batch = created(here)
    scene.git("uam", "flush")
    assert scene.landed() == ["Add a"]
    assert here.execute_batch(batch.id).executed_actions == 2


def test_who_holds_the_flush_is_waited_for(scene: Scene, here: DeployBatcher) -> None:
    add(here)
    batch = created(here)
    scene.git("config", "uam.flush.lockTimeout", "20ms")
    with locked(scene.paths.flush_lock), nothing_changes(scene):
        with pytest.raises(Locked):
            here.execute_batch(batch.id)
        with pytest.raises(Locked):
            here.flush_all()
    assert here.execute_batch(batch.id).success


def test_tell_hears_of_every_action(scene: Scene, here: DeployBatcher) -> None:
    commit, push = add(here), here.queue("ann", "push", "main")
    scene.git("branch", "x")
    other = here.queue("ann", "push", "x")
    heard: list[tuple[int, str]] = []
    here.execute_batch(created(here).id, lambda action, state: heard.append((action.id, state)))
    assert commit not in dict(heard) or dict(heard)[commit] == "completed"
    for number in (push, other):
        assert [state for i, state in heard if i == number] == ["running", "completed"]
    here.queue("ann", "push", "x")
    heard.clear()
    here.flush_all(tell=lambda action, state: heard.append((action.id, state)))
    assert [state for _, state in heard] == ["running", "completed"]


def test_a_dependency_that_fails_or_is_cancelled(scene: Scene, here: DeployBatcher) -> None:
    deploys(scene, "bad", does="exit 3\n")
    deploys(scene, "good", does=f": >{scene.root}/ran\n")
    bad = here.queue("ann", "deploy", "bad")
    after = here.queue("ann", "deploy", "good", dependencies=[bad])
    (result,) = here.flush_all()
    assert result.failed_actions == 2 and f"dependency #{bad} failed" in result.errors
    dropped = here.queue("ann", "push", "main", execute_after=time.time() + 3600)
    last = here.queue("ann", "deploy", "good", dependencies=[dropped])
    assert here.flush_all() == []
    here.cancel(dropped)
    (result,) = here.flush_all()
    assert result.errors == (f"dependency #{dropped} was cancelled",)
    assert not (scene.root / "ran").exists()
    rows = {row["id"]: row["status"] for row in scene.rows("deploy_queue")}
    assert (rows[after], rows[last]) == ("failed", "failed")


# -- a dry run -------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(scene: Scene, here: DeployBatcher, capsys: pytest.CaptureFixture[str]) -> None:
    deploys(scene, "site", does=f": >{scene.root}/ran\n")
    add(here, "f")
    here.queue("ann", "push", "main")
    here.queue("ann", "deploy", "site")
    here.queue("ann", "deploy", "site", execute_after=time.time() + 3600)
    dry = made(scene, dry_run=True)
    with nothing_changes(scene):
        batch = created(dry)
        assert [action.action_type for action in batch.actions] == ["commit", "push", "deploy"]
        assert created(dry)._replace(created_at="") == batch._replace(created_at="")
        result = dry.execute_batch(batch.id)
        assert (result.success, result.executed_actions, result.failed_actions) == (True, 0, 0)
        shown = capsys.readouterr().out
        assert "origin/main" in shown and "site" in shown
        assert dry.flush_all() == [] and capsys.readouterr().out == shown
        assert dry.flush_all(due_only=True) == [] and capsys.readouterr().out == shown
        assert dry.get_pending_batches() == []
    assert not (scene.root / "ran").exists() and scene.landed() == []
    # what was shown is what then happens
    real = created(here)
    assert [a.id for a in real.actions] == [a.id for a in batch.actions]
    with nothing_changes(scene):
        dry.execute_batch(real.id)
    assert here.execute_batch(real.id).executed_actions == 3


def test_a_dry_run_respects_windows_and_sizes(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        scene.git("branch", name)
        made(scene).queue("ann", "push", name)
    slow = made(scene, dynamic_windows={"push": 3_600_000}, dry_run=True)
    scene.git("branch", "c")
    slow.queue("ann", "push", "c")  # a dry run queues: it is the executing that it leaves
    slow.flush_all(due_only=True)
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["origin/a", "origin/b"]
    slow.flush_all()
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(created(made(scene, dry_run=True, max_batch_size=1)).actions) == 1
    assert len(scene.pushes()) == 0


def test_a_dry_run_with_nothing_to_do(scene: Scene) -> None:
    dry = made(scene, dry_run=True)
    assert dry.create_batch() is None and dry.flush_all() == []
    with pytest.raises(UsageError):
        dry.execute_batch("dry-run")


def test_a_dry_run_shows_a_leftover_batch(
    scene: Scene, here: DeployBatcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flush would execute it first."""
    add(here, "f")
    here.queue("ann", "push", "main")
    created(here)
    with nothing_changes(scene):
        made(scene, dry_run=True).flush_all()
    assert "origin/main" in capsys.readouterr().out


def test_a_dry_run_of_a_push_says_what_would_go(
    scene: Scene, here: DeployBatcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """The push brings the branch as it will be, so the plan is of the branch as it is."""
    here.queue("ann", "push", "main")
    scene.commit("f")
    dry = made(scene, dry_run=True)  # takes in what the commit's hook has noted
    with nothing_changes(scene):
        dry.flush_all()
    assert "1 commit" in capsys.readouterr().out
