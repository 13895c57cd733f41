"""The commands about batches: made, executed, flushed, taken back, tried again and looked up."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.commands import (
    ME,
    asked,
    call,
    commit,
    each,
    facts,
    refused,
    said,
    source,
    told,
    unchanged,
)
from tests.support.landscape import write
from tests.support.queueing import change, due_now, row, statuses
from tests.support.scenes import Scene, locked

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


# -- batch and execute -----------------------------------------------------------------------------------------------


def test_batch_and_execute(stocked: Scene) -> None:
    assert said(stocked, "batch") == "nothing is due"
    assert facts(stocked, "batch") == {"batch": None}
    commit(stocked, "a", message="feat: a\n\nwith a body")
    commit(stocked, "b")
    asked(stocked, "push", "main")
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    shown = said(stocked, "batch").splitlines()
    (made,) = stocked.rows("deploy_batches")
    assert shown == [
        f"batch 1: {made['id']}",
        "  #1 commit main: Squashed 2 commits: 1. feat: a 2. Add b",
        "  #2 push origin/main",
        "  #3 deploy prod",
        "`git uam execute --batch-id 1` executes it, and so does any flush",
    ]
    assert statuses(stocked) == ["batched"] * 3
    assert said(stocked, "batch") == "nothing is due"
    done = call(stocked, "execute", "--batch-id", "1")
    new = stocked.there()[:7]
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[-1] == "batch 1: #3 deploy prod done (git uam log 3)"
    assert all(re.fullmatch(rf"batch 1: {re.escape(ME)} [0-9a-f]{{7}} landed on origin/main as {new}", line)
               for line in lines[:-1]), lines  # fmt: skip
    body = stocked.bare.git("log", "-1", "--format=%B", "main")
    assert body.startswith("Squashed 2 commits:\n\n1. feat: a\n2. Add b\n")
    assert statuses(stocked) == ["completed"] * 3
    # executing it once more says what it came to, and does nothing
    again = call(stocked, "execute", "--batch-id", made["id"])
    assert (again.code, again.out.splitlines()) == (0, lines)
    assert len(stocked.pushes()) == 1


def test_a_batch_for_programs(stocked: Scene) -> None:
    first = commit(stocked)
    asked(stocked, "push", "main", "--agent-id", "agent-1", "--priority", "7")
    due_now(stocked)
    found = facts(stocked, "batch")["batch"]
    assert sorted(found) == ["actions", "createdAt", "id", "number", "status"]
    assert re.fullmatch(UUID, found["id"])
    assert (found["number"], found["status"]) == (1, "pending")
    one, two = sorted(found["actions"], key=lambda action: int(action["id"]))
    assert sorted(one) == sorted(two) == [
        "actionType", "agentId", "carriedBy", "dependencies", "executeAfter", "id", "payload", "priority", "queuedAt",
        "status", "target",
    ]  # fmt: skip
    assert (one["id"], one["actionType"], one["target"], one["status"]) == (first, "commit", "main", "batched")
    assert one["payload"] == {"message": "Add a", "files": ["a"]}
    assert (one["carriedBy"], two["agentId"], two["priority"]) == (two["id"], "agent-1", 7)
    done = facts(stocked, "execute", "--batch-id", found["id"])
    assert sorted(done) == [
        "batchId", "deferredActions", "duration", "errors", "executedActions", "failedActions", "success",
    ]  # fmt: skip
    assert (done["batchId"], done["success"], done["failedActions"], done["errors"]) == (found["id"], True, 0, [])
    assert done["executedActions"] == 2
    assert done["duration"] > 0
    assert stocked.landed() == ["Add a"]


def test_dry_runs_change_nothing(stocked: Scene) -> None:
    commit(stocked)
    asked(stocked, "push", "main")
    due_now(stocked)
    with unchanged(stocked):
        assert said(stocked, "batch", "--dry-run").splitlines() == [
            "would be claimed:", "  #1 commit main: Add a", "  #2 push origin/main",
        ]  # fmt: skip
        assert facts(stocked, "batch", "--dry-run")["batch"]["number"] == 0
        assert said(stocked, "flush", "--dry-run").startswith("origin/main: ")
        (plan,) = facts(stocked, "flush", "--dry-run")["plans"]
        assert (plan["where"], plan["type"], plan["old"]) == ("origin/main", "push", stocked.start_oid)
    said(stocked, "batch")
    with unchanged(stocked):
        assert said(stocked, "execute", "--batch-id", "1", "--dry-run").startswith("origin/main: ")


def test_a_dry_run_of_execute_for_programs(stocked: Scene) -> None:
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    said(stocked, "batch")
    with unchanged(stocked):
        assert "prod" in json.dumps(facts(stocked, "execute", "--batch-id", "1", "--dry-run"))


def test_execute_what_failed(stocked: Scene) -> None:
    asked(stocked, "deploy", "bad")
    due_now(stocked)
    said(stocked, "batch")
    done = call(stocked, "execute", "--batch-id", "1")
    assert done.code == 1
    assert done.out.startswith("batch 1: #1 deploy bad failed: ")
    assert "exit code 3" in done.out and "broken" in done.out
    again = call(stocked, "execute", "--batch-id", "1", "--json")
    assert again.code == 1
    found = json.loads(again.out)
    assert (found["success"], found["executedActions"], found["failedActions"]) == (False, 0, 1)
    assert len(found["errors"]) == 1


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_execute_of_an_unknown_batch(stocked: Scene, dry: tuple[str, ...]) -> None:
    asked(stocked, "push", "topic")
    names = ("1", "", "x", "99999999999999999999999", "²", "%", "_", "dry-run", "0", "-1", "../1")
    each(stocked, [(("execute", f"--batch-id={name}", *dry), 2, f"There is no batch '{name}' here.") for name in names])


def test_a_number_is_no_beginning_of_an_id(stocked: Scene) -> None:
    # ids of batches begin with digits, too, and only by chance with the number of another batch
    for target in ("prod", "bad"):
        asked(stocked, "deploy", target)
        due_now(stocked)
        said(stocked, "batch")
    first, second = (found["id"] for found in stocked.rows("deploy_batches"))
    change(stocked, "UPDATE deploy_batches SET id = ? WHERE number = 1", f"2{first[1:]}")
    change(stocked, "UPDATE deploy_queue SET batch_id = ? WHERE batch_id = ?", f"2{first[1:]}", first)
    found = call(stocked, "execute", "--batch-id", "2", "--json")
    assert json.loads(found.out)["batchId"] == second
    assert statuses(stocked) == ["batched", "failed"]


def test_execute_by_the_beginning_of_an_id(stocked: Scene) -> None:
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    number = facts(stocked, "batch")["batch"]["id"]
    assert facts(stocked, "execute", "--batch-id", number[:13])["batchId"] == number
    assert statuses(stocked) == ["completed"]


def test_execute_of_a_batch_that_was_given_back(stocked: Scene) -> None:
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    said(stocked, "batch")
    change(stocked, "UPDATE deploy_batches SET status = 'cancelled'")
    change(stocked, "UPDATE deploy_queue SET status = 'pending', batch_id = NULL")
    with unchanged(stocked):
        refused(call(stocked, "execute", "--batch-id", "1"), 4, "Batch 1 is cancelled. `git uam status` shows")


@pytest.mark.parametrize("command", ["flush", "execute"])
def test_another_flush_holds_the_queue(stocked: Scene, command: str) -> None:
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    stocked.git("config", "uam.flush.lockTimeout", "50ms")
    if command == "execute":
        said(stocked, "batch")
    more = ("--batch-id", "1") if command == "execute" else ()
    with unchanged(stocked), locked(stocked.paths.flush_lock):
        refused(call(stocked, command, *more), 3, "Another flush has held the queue for 0.05 s.")
        if command == "flush":
            refused(call(stocked, "flush", "--timeout", "20ms"), 3, "for 0.02 s.")
    assert call(stocked, command, *more).code == 0


# -- flush -----------------------------------------------------------------------------------------------------------


def test_what_flush_says(stocked: Scene) -> None:
    assert said(stocked, "flush") == "nothing to land"
    assert facts(stocked, "flush") == {"batches": [], "left": 0}
    commit(stocked)
    stocked.git("branch", "other")
    asked(stocked, "deploy", "bad")
    asked(stocked, "merge", "main", "--source", "topic")
    write(stocked, "b", "b\n")
    asked(stocked, "commit", "other", "--message", "Add b", "--files", "b")
    assert said(stocked, "flush", "--due") == "nothing to land"
    done = call(stocked, "flush")
    assert (done.code, done.err) == (1, "")
    lines = done.out.splitlines()
    assert f"batch 1: #1 commit main is at {stocked.short('main')}, not pushed" in lines
    assert f"batch 1: #4 commit other is at {stocked.short('other')}, not pushed" in lines
    assert any(line.startswith("batch 1: #2 deploy bad failed: ") for line in lines)
    assert stocked.pushes() == []


def test_what_flush_says_to_programs(stocked: Scene) -> None:
    commit(stocked)
    asked(stocked, "push", "main")
    asked(stocked, "deploy", "bad")
    done = call(stocked, "flush", "--json")
    assert done.code == 1
    (found,) = json.loads(done.out)["batches"]
    assert (found["success"], found["executedActions"], found["failedActions"]) == (False, 2, 1)


def test_flush_due_takes_what_is_due(stocked: Scene) -> None:
    asked(stocked, "deploy", "prod")
    due_now(stocked)
    asked(stocked, "deploy", "bad")
    assert said(stocked, "flush", "--due") == "batch 1: #1 deploy prod done (git uam log 1)"
    assert statuses(stocked) == ["completed", "pending"]


# -- cancel, retry and log -------------------------------------------------------------------------------------------


def test_cancel(stocked: Scene) -> None:
    first, second, third = commit(stocked), asked(stocked, "push", "main"), asked(stocked, "deploy", "prod")
    assert said(stocked, "cancel", str(first), str(second)).splitlines() == [
        f"#{number} is cancelled; commits in it stay in refs/uam/pin/" for number in (first, second)
    ]
    assert facts(stocked, "cancel", str(third)) == {"cancelled": [third]}
    assert statuses(stocked) == ["cancelled"] * 3
    assert [row["error"] for row in stocked.rows("deploy_queue")] == ["cancelled by hand"] * 3
    assert said(stocked, "flush") == "nothing to land"
    assert (stocked.landed(), stocked.oid("main")) == ([], stocked.start_oid)
    # what it held is there
    assert stocked.git("show", f"{source(stocked, first)['tip']}:a") == "a"


def test_what_cannot_be_cancelled(stocked: Scene) -> None:
    stocked.commit("seen")
    stocked.report()
    number = asked(stocked, "deploy", "prod")
    due_now(stocked)
    said(stocked, "batch")
    with unchanged(stocked):
        refused(call(stocked, "cancel", "1"), 4, "#1 is a commit on a branch here")
        refused(call(stocked, "cancel", str(number)), 4, f"#{number} is batched and cannot be cancelled.")
        refused(call(stocked, "cancel", "77"), 2, "There is no action #77. `git uam status` lists what is queued.")
    said(stocked, "flush")
    with unchanged(stocked):
        refused(call(stocked, "cancel", str(number)), 4, f"#{number} is completed and cannot be cancelled.")


@pytest.mark.parametrize("command", ["cancel", "retry"])
@pytest.mark.parametrize("last", ["77", "2"])
def test_several_at_once_are_all_or_none(stocked: Scene, command: str, last: str) -> None:
    # the exit status says that nothing was changed
    first, second = asked(stocked, "deploy", "prod"), asked(stocked, "deploy", "bad")
    if command == "cancel":
        due_now(stocked)
        change(stocked, f"UPDATE deploy_queue SET not_before = '2999-01-01T00:00:00.000Z' WHERE id = {first}")  # noqa: S608
        said(stocked, "batch")
    else:
        said(stocked, "cancel", str(first))
    assert second == 2
    with unchanged(stocked):
        refused(call(stocked, command, str(first), last), 2 if last == "77" else 4)


def test_retry(stocked: Scene) -> None:
    (stocked.root / "deploy").chmod(0o644)
    first, second = asked(stocked, "deploy", "prod", "--agent-id", "agent-1"), asked(stocked, "push", "main")
    said(stocked, "cancel", str(second))
    assert call(stocked, "flush").code == 1
    (stocked.root / "deploy").chmod(0o755)
    assert said(stocked, "retry", str(first)) == f"#{first} is queued again as #3"
    again = told(stocked, "retry", str(second))
    assert again["retried"] == {str(second): 4}
    assert again["next_action"]["command"] == ["git", "uam", "flush"]  # nobody else does it in manual mode
    assert row(stocked, 3)["agent_id"] == "agent-1"
    stocked.commit("a")
    done = call(stocked, "flush")
    assert done.code == 0, done
    assert statuses(stocked) == ["failed", "cancelled", "completed", "completed", "completed"]
    assert stocked.landed() == ["Add a"]


def test_what_cannot_be_tried_again(stocked: Scene) -> None:
    number = asked(stocked, "deploy", "prod")
    words = "; only what failed or was cancelled can be tried again."
    with unchanged(stocked):
        refused(call(stocked, "retry", str(number)), 4, f"#{number} is pending{words}")
        refused(call(stocked, "retry", "77"), 2, "There is no action #77.")
    said(stocked, "flush")
    with unchanged(stocked):
        refused(call(stocked, "retry", str(number)), 4, f"#{number} is completed{words}")
    asked(stocked, "deploy", "bad")
    said(stocked, "cancel", "2")
    said(stocked, "retry", "2")
    with unchanged(stocked):
        refused(call(stocked, "retry", "2"), 4, "#2 has nothing left to try again.")


def test_log(stocked: Scene) -> None:
    good = asked(stocked, "deploy", "prod", "--payload", '{"region": "eu"}')
    bad = asked(stocked, "deploy", "bad")
    assert said(stocked, "log", str(good)).splitlines()[0] == f"#{good} deploy prod is pending"
    assert facts(stocked, "log", str(good)).items() >= {
        "id": good, "type": "deploy", "target": "prod", "status": "pending", "error": "", "attempts": 0,
        "finished_at": None, "output": None, "exit_code": None, "batch": None,
    }.items()  # fmt: skip
    assert call(stocked, "flush").code == 1
    batch = "it is in batch 1, which is what was carried out together: git uam show 1"
    lines = said(stocked, "log", str(good)).splitlines()
    assert (lines[:2], lines[-2:]) == (
        [f"#{good} deploy prod is completed", batch], ["deployed", '{"region": "eu", "ref": "main"}'],
    )  # fmt: skip
    found = facts(stocked, "log", str(bad))
    assert (found["status"], found["exit_code"], found["output"]) == ("failed", 3, "broken\n")
    lines = said(stocked, "log", str(bad)).splitlines()
    assert (lines[:2], lines[-1]) == ([f"#{bad} deploy bad is failed: {found['error']}", batch], "broken")
    assert f"(`git uam retry {bad}` tries again)" in lines[2]
    refused(call(stocked, "log", "77"), 2, "There is no action #77. `git uam status` lists what is queued.")


@pytest.mark.parametrize("command", ["cancel", "retry", "log"])
def test_what_is_no_number(stocked: Scene, command: str) -> None:
    asked(stocked, "deploy", "prod")
    numbers = ("", "x", "1.5", "-1", "0", "#1", "99999999999999999999999", "1; x")
    each(
        stocked,
        [((command, "--", number), 2, number) for number in numbers]
        + [((command,), 2, "Missing argument")] * (command != "log"),
    )
