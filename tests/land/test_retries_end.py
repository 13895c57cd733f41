"""What will not pass fails at once, what depends on it fails with it, and both are tried again by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.forge import Dispatch, Forge, needs_gh, reaching
from tests.support.landscape import away, flushed
from tests.support.queueing import COUNT, ask, askers, batcher, last_push, retry, row, state
from tests.support.scenes import Scene, finished, gate, script, until
from uam_hooks.hot.core.errors import Refused, UsageError

DECLINE = 'echo "not today" >&2; exit 1\n'


# -- what will not pass ----------------------------------------------------------------------------------


def test_a_push_that_a_hook_declines_is_not_pushed_again(patient: Scene) -> None:
    count = patient.root / "asked"
    # what the hook says is prose, and may sound like a network that is down
    says = 'echo "index.lock does not belong here: connection refused" >&2; exit 1'
    script(patient.remote / "hooks" / "pre-receive", f'echo x >>"{count}"\n{says}\n')
    patient.commit("a")
    number = ask(patient, "push", "main")
    (result,) = flushed(patient)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert "pre-receive hook declined" in result.errors[0]
    assert state(patient, number) == ("failed", 0)
    assert flushed(patient) == []
    assert len(count.read_text().splitlines()) == 1


def test_a_conflict_is_not_tried_again(patient: Scene) -> None:
    patient.git("config", "uam.push.accept", "false")
    one, two = patient.worktree("one"), patient.worktree("two")
    for agent in (one, two):
        agent.commit("README", f"{agent.top.name}\n")
        assert agent.push("origin", "HEAD:main").code == 0
        flushed(patient)
    number = last_push(patient)
    assert state(patient, number) == ("failed", 0)
    assert row(patient, number)["error"].startswith("conflict in README with the work of one")
    assert flushed(patient) == []


def test_a_deploy_that_fails_is_not_run_again_whatever_it_says(patient: Scene) -> None:
    count = patient.root / "runs"
    command = script(patient.root / "deploy.sh", f'echo x >>"{count}"\necho "HTTP 502: connection refused"\nexit 3\n')
    patient.git("config", "uam.deploy.prod.command", str(command))
    number = ask(patient, "deploy", "prod", ref="main")
    (result,) = flushed(patient)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert "exit code 3" in result.errors[0]
    assert state(patient, number) == ("failed", 0)
    assert flushed(patient) == []
    assert count.read_text() == "x\n"


# -- what depends on it ----------------------------------------------------------------------------------


def noting(scene: Scene, name: str) -> Path:
    """Configure a deploy that notes each of its runs; gives the note."""
    note = scene.root / f"{name}.note"
    scene.git("config", f"uam.deploy.{name}.command", str(script(scene.root / f"{name}.sh", f'echo x >>"{note}"\n')))
    return note


def test_what_depends_on_it_goes_back_with_it(patient: Scene) -> None:
    notes = {name: noting(patient, name) for name in ("named", "after", "asked", "free")}
    patient.commit("a")
    push = ask(patient, "push", "main")
    named = ask(patient, "deploy", "named", ref="main")  # by its branch
    after = ask(patient, "deploy", "after", named, ref="x")  # by what waits for it
    asked = ask(patient, "deploy", "asked", push, ref="x")  # by its number
    free = ask(patient, "deploy", "free", ref="x")
    with away(patient):
        for tried in (1, 2):
            results = flushed(patient)
            assert sum(result.deferred_actions for result in results) == 4
            assert sum(result.failed_actions for result in results) == 0
            assert state(patient, push) == ("pending", tried)
            # they were not tried, and it is not their failures that are counted
            assert {state(patient, number) for number in (named, asked, after)} == {("pending", 0)}
            assert state(patient, free)[0] == "completed"
            late = row(patient, push)["execute_after"]
            assert [row(patient, number)["execute_after"] for number in (named, asked, after)] == [late] * 3
    assert [name for name, note in notes.items() if note.exists()] == ["free"]
    assert all(result.success for result in flushed(patient))
    assert {state(patient, number)[0] for number in (push, named, asked, after)} == {"completed"}
    assert {note.read_text() for note in notes.values()} == {"x\n"}


def test_what_depends_on_it_fails_with_it_in_the_end(patient: Scene) -> None:
    note = noting(patient, "prod")
    patient.commit("a")
    push = ask(patient, "push", "main")
    deploy = ask(patient, "deploy", "prod", ref="main")
    with away(patient):
        for _ in range(COUNT + 1):
            flushed(patient)
    assert (row(patient, push)["status"], row(patient, deploy)["status"]) == ("failed", "failed")
    assert row(patient, deploy)["error"] == f"dependency #{push} failed"
    assert not note.exists()


# -- by hand ---------------------------------------------------------------------------------------------


def test_a_push_that_was_declined_lands_when_it_is_tried_again_by_hand(patient: Scene) -> None:
    script(patient.remote / "hooks" / "pre-receive", DECLINE)
    one, two = patient.worktree("one"), patient.worktree("two")
    for agent in (one, two):
        agent.commit(f"{agent.top.name}.txt")
        assert agent.push("origin", "HEAD:main").code == 0
    old = last_push(patient)
    flushed(patient)
    assert state(patient, old)[0] == "failed"
    (patient.remote / "hooks" / "pre-receive").unlink()
    new = retry(patient, old)
    assert (new > old, state(patient, new), state(patient, old)[0]) == (True, ("pending", 0), "failed")
    # once: it is in the queue now, and cannot enter it a second time
    with pytest.raises(Refused):
        retry(patient, old)
    assert flushed(patient)[0].success
    assert askers(patient, new) == [("one", "landed"), ("two", "landed")]
    assert (patient.landed(), len(patient.pushes())) == (["Add one.txt", "Add two.txt"], 1)
    assert [found["id"] for found in patient.rows("deploy_queue") if found["action_type"] == "push"] == [old, new]


def test_only_those_who_failed_are_tried_again(patient: Scene) -> None:
    patient.git("config", "uam.push.accept", "false")
    one, two = patient.worktree("one"), patient.worktree("two")
    one.commit("README", "one\n")
    two.commit("README", "two\n")
    for agent in (one, two):
        assert agent.push("origin", "HEAD:main").code == 0
    flushed(patient)
    number = last_push(patient)
    assert askers(patient, number) == [("one", "landed"), ("two", "failed")]
    again = retry(patient, number)
    assert (askers(patient, number), askers(patient, again)) == ([("one", "landed")], [("two", "pending")])
    # a conflict does not go away by itself, and what has landed does not land twice
    assert not flushed(patient)[0].success
    assert (askers(patient, again), patient.landed()) == ([("two", "failed")], ["Add README"])
    assert len(patient.pushes()) == 1


@needs_gh
def test_a_workflow_that_is_tried_again_by_hand_is_dispatched_once_for_all_who_asked(
    patient: Scene, forge: Forge
) -> None:
    reaching(patient, forge)
    forge.unknown.add("new.yml")
    inputs = {"env": "staging"}
    number = ask(patient, "workflow", "new.yml", ref="main", inputs=inputs)
    assert ask(patient, "workflow", "new.yml", agent="bob", ref="main", inputs=inputs) == number
    flushed(patient)
    forge.unknown.clear()
    again = retry(patient, number)
    assert flushed(patient)[0].success
    assert forge.dispatches == [Dispatch("new.yml", "main", inputs)]
    assert askers(patient, again) == [("ada", "landed"), ("bob", "landed")]


def test_what_failed_with_its_dependency_can_be_tried_again_on_its_own(patient: Scene) -> None:
    note = noting(patient, "prod")
    patient.git("config", "uam.deploy.bad.command", "false")
    bad = ask(patient, "deploy", "bad", ref="x")
    good = ask(patient, "deploy", "prod", bad, ref="x")
    flushed(patient)
    assert (state(patient, bad)[0], state(patient, good)[0], note.exists()) == ("failed", "failed", False)
    again = retry(patient, good)
    assert flushed(patient)[0].success
    assert (state(patient, again)[0], note.read_text()) == ("completed", "x\n")


def test_what_was_cancelled_can_be_tried_again_and_nothing_else(patient: Scene) -> None:
    note = noting(patient, "prod")
    number = ask(patient, "deploy", "prod", ref="main")
    with pytest.raises(Refused):
        retry(patient, number)  # it waits
    with batcher(patient) as queue:
        queue.cancel(number)
    assert flushed(patient) == []
    again = retry(patient, number)
    flushed(patient)
    assert note.read_text() == "x\n"
    with pytest.raises(Refused):
        retry(patient, again)  # it is done
    with pytest.raises(UsageError):
        retry(patient, 4711)
    assert flushed(patient) == []
    assert len(patient.rows("deploy_queue")) == 2


def test_what_waits_for_its_next_attempt_can_be_cancelled(patient: Scene) -> None:
    patient.commit("a")
    number = ask(patient, "push", "main")
    with away(patient):
        flushed(patient)
    with batcher(patient) as queue:
        queue.cancel(number)
    assert flushed(patient) == []
    assert (patient.there(), state(patient, number)[0]) == (patient.start_oid, "cancelled")


def test_a_batch_made_by_hand_gives_back_what_may_pass(patient: Scene) -> None:
    tip = patient.commit("a")
    with batcher(patient, batch_window_ms=0) as queue:
        number = queue.queue("ada", "push", "main")
        batch = queue.create_batch()
        assert batch is not None
        with away(patient):
            result = queue.execute_batch(batch.id)
        assert (result.success, result.executed_actions, result.failed_actions) == (False, 0, 0)
        assert result.deferred_actions == 1
        assert state(patient, number) == ("pending", 1)
        with pytest.raises(Refused):
            queue.execute_batch(batch.id)  # what it had is in the queue again
        assert queue.create_batch() is None  # and waits for the end of its pause
        assert [result.success for result in queue.flush_all()] == [True]
    assert (patient.there(), len(patient.pushes())) == (tip, 1)


@pytest.mark.slow
def test_what_a_busy_flush_gave_back_another_one_tries_and_the_first_one_not_again(patient: Scene) -> None:
    """A second flush comes in while the first one still works at something else."""
    patient.commit("a")
    number = ask(patient, "push", "main")
    with gate(patient, patient.root / "slow.sh") as let_through:
        patient.git("config", "uam.deploy.slow.command", str(patient.root / "slow.sh"))
        ask(patient, "deploy", "slow", ref="x")
        with away(patient):
            first = patient.start("uam", "flush")
            until(let_through.reached, "the deploy")
            until(lambda: state(patient, number) == ("pending", 1), "the first attempt")
            second = patient.run("uam", "flush", "--timeout", "0")
            assert second.code == 3
            assert state(patient, number) == ("pending", 2)  # it has tried what the first one gave back
        let_through()
        done = finished(first)
    assert done.code == 1, done
    assert state(patient, number) == ("pending", 2)
    assert flushed(patient)[0].success
    assert len(patient.pushes()) == 1
