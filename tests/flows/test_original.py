"""What the tool before this one did wrong, row by row of the list of its faults: each is right here.

The comment in each test says what the original did, which is what the test would have caught in it. Most rows are
what the tests of a package are about anyway; ELSEWHERE names those, and here is only what nothing else checks.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.commits import commit_of
from tests.support.deploys import deployed, noting
from tests.support.forge import Dispatch, Forge, Merge, Witness, needs_gh
from tests.support.landscape import by_hand, outsiders, sound, truthful, write
from tests.support.marks import bulk
from tests.support.queueing import AT_ONCE, batcher, ends
from tests.support.scenes import Scene, alive, finished, until

# The tests that show a row to be right, beside those named after it here.
ELSEWHERE: dict[int, tuple[str, ...]] = {
    1: ("api/test_batcher_batches.py::test_what_is_shown_is_stored_and_executed",),
    2: (
        "flush/test_gh_requests.py::test_the_same_workflow_of_three_agents_is_one_and_each_of_them_is_told",
        "api/test_batcher_queue.py::test_ids_are_shared_by_what_merges",
    ),
    3: ("land/test_commits_by_name.py::test_a_push_that_is_due_takes_commits_along_that_are_not",),
    4: (
        "flush/test_gh_requests.py::test_a_workflow_waits_for_the_push_of_its_ref",
        "flush/test_execute.py::test_a_deploy_waits_for_the_push_of_its_ref_and_gets_what_landed",
        "land/test_merges_pushed.py::test_a_merge_waits_for_the_commit_on_its_source",
    ),
    5: (
        "api/test_batcher_queue.py::test_many_processes_flush_at_once",
        "flows/test_many.py::test_eight_processes_queue_and_two_flush_and_each_action_is_executed_once",
    ),
    6: (
        "api/test_batcher_queue.py::test_many_processes_queue_at_once",
        "flows/test_many.py::test_eight_processes_queue_and_two_flush_and_each_action_is_executed_once",
    ),
    7: (
        "flush/test_recover.py::test_status_finds_out_what_the_remote_has",
        "flush/test_recover.py::test_the_next_push_finds_out",
        "flush/test_crashes.py::test_a_flush_that_is_killed_while_a_deploy_runs",
    ),
    8: (
        "api/test_batcher_batches.py::test_a_flush_executes_leftover_batches_first",
        "api/test_batcher_queue.py::test_a_process_that_is_killed_between_the_two_calls",
    ),
    9: (
        "flows/test_original_dependencies.py::test_row_09_what_depends_on_a_failed_commit_does_not_run",
        "flows/test_original_dependencies.py::test_row_09_nor_what_depends_on_one_that_fails_in_its_push",
        "flows/test_original_dependencies.py::test_row_09_a_push_that_depends_on_a_failed_commit_by_name_does_not_go_out",
        "flows/test_original_dependencies.py::test_row_09_a_dependency_is_on_the_own_commit_of_a_merged_one",
        "cli/test_cli_batches.py::test_execute_what_failed",
        "flush/test_execute.py::test_a_deploy_does_not_run_when_its_push_conflicts",
        "flows/test_flow_commands.py::test_a_failure_is_exit_1",
    ),
    10: (
        "flows/test_original_dependencies.py::test_row_10_a_push_may_depend_on_its_commit",
        "flows/test_original_dependencies.py::test_row_10_what_is_not_done_yet_is_waited_for",
        "flush/test_execute.py::test_dependencies_are_an_order",
        "flush/test_execute.py::test_what_does_not_depend_on_a_failure_runs",
        "flush/test_execute.py::test_what_stands_between_a_commit_and_its_push_runs_between_them",
        "flush/test_execute.py::test_a_deploy_that_depends_on_a_commit_waits_for_the_push_that_takes_it_along",
        "flush/test_execute.py::test_a_circle_and_unknown_actions_are_refused_when_queued",
        "api/test_batcher_queue.py::test_a_bulk_is_queued_as_a_whole_or_not_at_all",
        "api/test_batcher_queue.py::test_what_is_refused_changes_nothing",
        "cli/test_cli_usage.py::test_queue_refuses",
    ),
    11: (
        "api/test_batcher_batches.py::test_a_dry_run_changes_nothing",
        "api/test_batcher_batches.py::test_a_dry_run_shows_a_leftover_batch",
        "cli/test_cli_batches.py::test_dry_runs_change_nothing",
    ),
    12: (
        "api/test_batcher.py::test_a_window_is_what_the_action_waits",
        "cli/test_cli_batches.py::test_what_flush_says",
        "flows/test_flow_commands.py::test_all_landed_is_exit_0",
        "flows/test_flow_commands.py::test_due_respects_the_windows",
    ),
    13: (
        "flows/test_original_names.py::test_row_13_nothing_that_is_not_a_plain_name_gets_in",
        "flows/test_original_names.py::test_row_13_strange_names_that_are_true_are_taken_literally",
        "flows/test_original_names.py::test_row_13_push_options_are_options_of_the_push_alone",
        "cli/test_cli_usage.py::test_queue_refuses",
        "flush/test_gh_requests.py::test_what_looks_like_an_option_is_one_nowhere",
        "flush/test_commands.py::test_the_command_knows_what_it_is_for",
        "flush/test_commands.py::test_no_shell_reads_the_arguments",
    ),
    14: (
        "api/test_asked_commit.py::test_the_file_as_it_was_when_it_was_queued",
        "api/test_asked_commit.py::test_asking_touches_neither_index_nor_files_nor_branches",
        "api/test_asked_commit.py::test_what_the_caller_has_staged_stays_staged_and_does_not_go_along",
        "api/test_asked_commit.py::test_modes_links_and_deletions",
        "flows/test_examples.py::test_example_3_a_bulk_of_four_is_one_push_and_one_dispatch",
    ),
    15: (
        "land/test_commits_by_name.py::test_a_branch_that_nobody_has_checked_out",
        "land/test_merges.py::test_a_merge_has_its_commit_also_where_it_could_go_forward",
    ),
    16: ("land/test_merges.py::test_a_conflict_leaves_nothing",),
    17: (
        "flows/test_races.py::test_outsiders_who_push_while_the_remote_receives",
        "flows/test_races.py::test_outsiders_who_are_quicker_too_often",
    ),
    18: (
        "api/test_asked_commit.py::test_one_bad_file_refuses_its_own_call_alone",
        "land/test_commits_by_name.py::test_a_file_that_was_deleted_again_stays_deleted",
    ),
    19: (
        "flush/test_commands.py::test_a_command_that_takes_too_long_ends_with_all_that_it_started",
        "flush/test_gh.py::test_a_gh_that_takes_too_long_is_ended_and_the_error_says_so",
    ),
    20: (
        "api/test_batcher_queue.py::test_merging_takes_the_earlier_end_and_the_higher_priority",
        "api/test_batcher_queue.py::test_priority_decides_who_goes_first",
        "cli/test_cli_queue.py::test_priority_zero_is_a_value",
        "hot/test_windows.py::test_an_urgent_push_makes_the_whole_group_earlier",
        "hot/test_windows.py::test_a_normal_push_does_not_slow_an_urgent_one_down",
    ),
    21: (
        "api/test_batcher.py::test_every_worktree_has_the_same_queue",
        "api/test_batcher.py::test_the_working_directory_is_the_repository",
        "api/test_asked_commit.py::test_names_count_from_the_directory_one_stands_in",
        "cli/test_cli_queue.py::test_from_a_subdirectory",
        "cli/test_cli_queue.py::test_from_a_linked_worktree",
    ),
    22: (
        "cli/test_cli_settings.py::test_config",
        "cli/test_cli_settings.py::test_urgent",
        "hot/test_windows.py::test_urgent_mode_ends",
        "hot/test_windows.py::test_urgent_mode_of_a_program_is_everybodys",
    ),
    23: (
        "api/test_batcher.py::test_a_window_that_is_none",
        "api/test_batcher.py::test_a_size_that_is_none",
        "api/test_batcher.py::test_windows_that_name_no_action_type_or_are_no_mapping",
        "cli/test_cli_settings.py::test_config_refuses",
        "cli/test_cli_settings.py::test_config_names_a_value_that_somebody_else_wrote",
        "hot/test_windows.py::test_a_window_that_cannot_be_read_is_an_error_and_not_the_default",
    ),
    24: (
        "api/test_batcher_batches.py::test_a_batch_that_does_not_exist",
        "api/test_batcher_batches.py::test_executed_twice",
        "cli/test_cli_batches.py::test_execute_of_an_unknown_batch",
    ),
    25: (
        "cli/test_cli_queue.py::test_a_merge",
        "cli/test_cli_queue.py::test_a_deploy_gets_its_payload",
        "cli/test_cli_queue.py::test_urgent_shortens_the_window",
        "cli/test_cli_queue.py::test_dependencies",
    ),
    26: ("api/test_batcher_queue.py::test_a_thousand_at_once",),
}  # fmt: skip


def test_every_row_has_a_test_and_every_name_is_that_of_one() -> None:
    tests = Path(__file__).resolve().parents[1]
    defined: dict[str, set[str]] = {}
    for name in {name for names in ELSEWHERE.values() for name in names}:
        file, _, test = name.partition("::")
        if file not in defined:
            body = ast.parse((tests / file).read_text()).body
            defined[file] = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        assert test in defined[file], name
    here = {int(name.split("_")[2]) for name in globals() if name.startswith("test_row_")}
    assert here | set(ELSEWHERE) == set(range(1, 27))


# -- 1 to 4: what a batch is made of, and its order -------------------------------------------------------------------


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


@needs_gh
def test_row_04_what_reads_a_branch_waits_for_what_changes_it(quiet: Scene, github: Forge) -> None:
    # Workflows of a batch ran before its push: CI started on the old commit.
    github.dispatches = seen = Witness(quiet)
    noting(quiet, "prod", f'echo "$UAM_SHA $(git --git-dir="{quiet.remote}" rev-parse main)" >>"$log"')
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


# -- 5 to 8: many processes, and dead ones ----------------------------------------------------------------------------


def test_row_05_a_second_flush_leaves_the_first_ones_batch_alone(quiet: Scene) -> None:
    # Nothing kept two flushers apart. Here the second one waits, and says so when it has waited long enough.
    pipe = quiet.root / "pipe"
    os.mkfifo(pipe)
    noting(quiet, "slow", f'echo "$UAM_ACTION" >>"$log"; read -r line <"{pipe}"')
    with batcher(quiet) as queue:
        number = queue.queue("agent", "deploy", "slow")
        first = quiet.start("uam", "flush")
        try:
            until(lambda: deployed(quiet) == [str(number)], "the start of the deploy")
            done = quiet.run("uam", "flush", "--timeout", "0")
            assert done.code == 3, done
            queue.queue("agent", "commit", "main", {"message": "Besides"})  # nor does any other call touch it
            assert ends(quiet) == ["executing", "pending"]
        finally:
            with pipe.open("w") as command:
                command.write("go on\n")
        assert finished(first).code == 0
    assert deployed(quiet) == [str(number)]
    assert ends(quiet)[0] == "completed"


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
    assert not {"completed", "failed", "pending"} & set(ends(scene)), ends(scene)


@pytest.mark.parametrize("step", ["claimed", pytest.param("pushed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", bulk(_NEXT))
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
    assert "batched" not in ends(scene)
    assert "executing" not in ends(scene)


# -- 14 to 18: commits, merges and pushes ---------------------------------------------------------------------------


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


def test_row_17_who_is_quicker_is_integrated(quiet: Scene) -> None:
    # A push that was no fast-forward failed for good.
    quiet.stranger().commit("before.txt")
    quiet.stranger().push("-q")
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "mine.txt"))
        queue.queue("agent", "push", "main")
        theirs = outsiders(quiet, 2)
        (result,) = queue.flush_all()
    assert (result.success, result.errors) == (True, ())
    assert quiet.files() == sorted(["README", "before.txt", "mine.txt", *theirs])
    assert quiet.landed()[-1] == "Add mine.txt"
    truthful(quiet)


def test_row_17_but_not_for_ever(quiet: Scene) -> None:
    # Somebody who is always quicker does not make it go on without end.
    quiet.git("config", "uam.flush.retries", "2")
    quiet.git("config", "uam.retry.count", "0")
    with batcher(quiet) as queue:
        queue.queue("agent", "commit", "main", commit_of(quiet, "mine.txt"))
        queue.queue("agent", "push", "main")
        theirs = outsiders(quiet, 9)
        (result,) = queue.flush_all()
        assert not result.success
        assert (quiet.root / "quicker").read_text() == f"{9 - 3}\n"
        assert quiet.files() == sorted(["README", *theirs[-3:]])
        # nothing is lost: when they are done it lands
        (quiet.root / "quicker").write_text("0\n")
        waiting = [row["id"] for row in quiet.rows("deploy_queue") if row["status"] == "failed"]
        for number in waiting:
            queue.retry(number)
        assert all(r.success for r in queue.flush_all())
    assert "mine.txt" in quiet.files()


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


@pytest.mark.slow
def test_row_19_nothing_of_a_command_whose_time_is_over_acts_later(quiet: Scene) -> None:
    # Only the child itself was told to end. What it had started went on, and deployed after the failure was reported.
    pipe, acted = quiet.root / "pipe", quiet.root / "acted"
    os.mkfifo(pipe)
    # the grandchild acts as soon as the pipe says so, whatever signal it gets before
    grandchild = f"""trap "" TERM INT HUP; echo "$$" >>"$1"; read -r line <"{pipe}"; touch "{acted}" """
    trap = 'trap "" TERM INT HUP'  # nor does its parent listen
    noting(quiet, "prod", f'{trap}\necho "$$" >>"$log"\nsh -c \'{grandchild}\' sh "$log" &\nwait\nwait')
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


@pytest.mark.slow
@needs_gh
def test_row_25_the_command_line_can_say_all_of_it(quiet: Scene, github: Forge) -> None:
    # It had no words for deploy commands, merge sources, urgency and dependencies.
    quiet.git("branch", "topic")
    quiet.git("branch", "release")
    noting(quiet, "prod", 'cat >>"$log"; echo " $UAM_REF" >>"$log"')
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


@pytest.mark.parametrize("kind", bulk(["commit", "push"]))
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
