"""What failed for a reason that may pass is tried again, later and later and not for ever; all else fails at once."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from threading import Event

import pytest

from tests.support.forge import Dispatch, Forge, needs_gh, reaching
from tests.support.landscape import away, enqueue, flushed, record, write
from tests.support.marks import bulk
from tests.support.queueing import COUNT, ask, askers, batcher, last_push, retry, row, state
from tests.support.scenes import TRACKING, Scene, Worktree, script, until
from uam_hooks.git.verdict import is_transient


def pauses(said: str) -> list[float]:
    """The pauses that people were told of."""
    return [float(found) for found in re.findall(r"is tried again in ([\d.e+]+) s: ", said)]


# -- what may pass ---------------------------------------------------------------------------------------


PASSING = [
    # gh, as in test_forge.py
    "gh: could not create workflow dispatch event: HTTP 502: Bad Gateway (http://api.github.localhost/repos/o/r)",
    'gh: could not create workflow dispatch event: Post "http://api.github.localhost/repos/o/r": EOF',
    "gh: HTTP 503: No server is currently available to service your request. (https://api.github.com/graphql)",
    "gh: HTTP 429: You have exceeded a secondary rate limit. (https://api.github.com/repos/o/r)",
    "gh: HTTP 403: API rate limit exceeded for user ID 1. (https://api.github.com/repos/o/r)",
    'gh: non-200 OK status code: 502 Bad Gateway body: ""',
    "gh: GraphQL: Base branch was modified. Review and try the merge again. (mergePullRequest)",
    "gh: error connecting to api.github.com",
    'gh: Get "https://api.github.com/repos/o/r": dial tcp 127.0.0.1:1: connect: connection refused',
    'gh: Get "https://api.github.com/repos/o/r": dial tcp 140.82.121.6:443: i/o timeout',
    'gh: Post "https://api.github.com/graphql": net/http: TLS handshake timeout',
    'gh: Post "https://api.github.com/graphql": read tcp 1.2.3.4:5: read: connection reset by peer',
    'gh: Get "https://api.github.com/": dial tcp: lookup api.github.com: Temporary failure in name resolution',
    # git's own, of 2.39, each the line that tells
    "unable to access 'http://127.0.0.1:1/x/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to"
    " server",
    "unable to access 'https://github.com/o/r/': The requested URL returned error: 502",
    "unable to access 'https://github.com/o/r/': The requested URL returned error: 429",
    "unable to access 'http://nosuch.invalid/x/': Could not resolve host: nosuch.invalid",
    "unable to access 'https://github.com/o/r/': Operation timed out after 300000 milliseconds",
    "ssh: Could not resolve hostname nosuch.invalid: Temporary failure in name resolution",
    "ssh: connect to host github.com port 22: Connection refused",
    "ssh: connect to host github.com port 22: Connection timed out",
    "ssh: connect to host github.com port 22: No route to host",
    "ssh: connect to host github.com port 22: Network is unreachable",
    "kex_exchange_identification: Connection closed by remote host",
    "RPC failed; HTTP 502 curl 22 The requested URL returned error: 502",
    "send-pack: unexpected disconnect while reading sideband packet",
    "the remote end hung up unexpectedly",
    "Unable to create '/srv/shop/.git/index.lock': File exists",
    "cannot lock ref 'refs/heads/main': Unable to create '/srv/shop/.git/refs/heads/main.lock': File exists",
    # what GitHub says when it has trouble behind its front door
    "Internal Server Error",
]


LASTING = [
    "",
    "gh: could not create workflow dispatch event: HTTP 422: No ref found for: main (https://api.github.com/x)",
    "gh: HTTP 404: Not Found (https://api.github.com/repos/o/r/actions/workflows/gone.yml)",
    "gh: HTTP 401: Bad credentials (https://api.github.com/repos/o/r)",
    "gh: HTTP 403: Resource not accessible by integration (https://api.github.com/repos/o/r)",
    "gh: could not find any workflows named gone",
    "gh: GraphQL: Could not resolve to a PullRequest with the number of 7. (repository.pullRequest)",
    "gh: X Pull request #12 is not mergeable: the merge commit cannot be cleanly created.",
    "gh is not installed: install it, or take the action out of the queue",
    "gh is not logged in: run `gh auth login`, or set GH_TOKEN",
    # a name that looks like trouble is none: the server has answered
    "gh: HTTP 404: Not Found (https://api.github.com/repos/o/r/actions/workflows/connection-refused.yml)",
    "gh: could not create workflow dispatch event: HTTP 422: No ref found for: index.lock (https://x)",
    "pre-receive hook declined",
    "pre-receive hook declined: not today",
    "deny updating a hidden ref",
    "protected branch hook declined",
    "non-fast-forward",
    "stale info",
    "conflict in f with the work of agent-a in the same batch (7f13d83)",
    "unable to access 'https://github.com/o/r/': The requested URL returned error: 403",
    "RPC failed; HTTP 413 curl 22 The requested URL returned error: 413",
    "remote ref does not exist",
]


def test_what_may_pass_is_told_from_what_will_not() -> None:
    assert [words for words in PASSING if not is_transient(words)] == []
    assert [words for words in LASTING if is_transient(words)] == []


# -- a remote that is away -------------------------------------------------------------------------------


def test_a_push_that_nobody_waits_for_is_tried_again_and_not_for_ever(
    patient: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    tip = patient.commit("a")
    number = ask(patient, "push", "main")
    due = [row(patient, number)["execute_after"]]
    with away(patient):
        for tried in range(1, COUNT + 1):
            (result,) = flushed(patient)  # one attempt, and then an end: it does not turn in circles
            assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
            assert "did not answer" in result.errors[0]
            assert state(patient, number) == ("pending", tried)
            assert "did not answer" in row(patient, number)["error"]
            due.append(row(patient, number)["execute_after"])
        (result,) = flushed(patient)
    assert (result.success, result.failed_actions, result.deferred_actions) == (False, 1, 0)
    assert state(patient, number)[0] == "failed"
    assert row(patient, number)["error"].endswith(f" (tried {COUNT + 1} times)")
    assert askers(patient, number) == [("ada", "failed")]
    assert pauses(capsys.readouterr().err) == [3600.0, 7200.0]
    assert due == sorted(set(due))  # later and later
    assert flushed(patient) == []
    # nothing of it is lost, and by hand it goes on
    again = retry(patient, number)
    assert flushed(patient)[0].success
    assert (patient.there(), state(patient, again), len(patient.pushes())) == (tip, ("completed", 0), 1)


def test_without_retries_it_fails_at_once(patient: Scene) -> None:
    patient.git("config", "uam.retry.count", "0")
    patient.commit("a")
    number = ask(patient, "push", "main")
    with away(patient):
        (result,) = flushed(patient)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert state(patient, number) == ("failed", 0)
    assert "tried" not in row(patient, number)["error"]


def test_a_flush_of_what_is_due_leaves_the_pause_alone_and_one_by_hand_does_not(patient: Scene) -> None:
    tip = patient.commit("a")
    number = ask(patient, "push", "main")
    with away(patient):
        flushed(patient)
    with batcher(patient) as queue:
        assert queue.flush_all(due_only=True) == []
        assert state(patient, number) == ("pending", 1)
        assert [result.success for result in queue.flush_all()] == [True]
    assert (patient.there(), state(patient, number)) == (tip, ("completed", 1))
    assert row(patient, number)["error"] == ""


@pytest.mark.slow
def test_a_flush_by_hand_says_so_with_its_exit_code(patient: Scene) -> None:
    tip = patient.commit("a")
    assert patient.push().code == 0
    with away(patient):
        done = patient.run("uam", "flush")
    assert done.code == 1
    assert pauses(done.err) == [3600.0]
    assert state(patient, last_push(patient)) == ("pending", 1)
    # what was in the same flush and can be done is done
    patient.git("init", "-q", "--bare", str(patient.root / "second.git"))
    patient.git("remote", "add", "second", str(patient.root / "second.git"))
    ask(patient, "push", "main", remote="second")
    with away(patient):
        assert patient.run("uam", "flush").code == 1
    assert Worktree(patient.root / "second.git", patient.env).oid("refs/heads/main") == tip
    done = patient.run("uam", "flush")
    assert (done.code, patient.there()) == (0, tip), done


def test_in_queue_mode_a_push_lands_by_itself_when_the_remote_is_back(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.retry.count", "30")
    scene.git("config", "uam.retry.delay", "20ms")
    tip = scene.commit("a")
    with away(scene):
        done = scene.push()
        assert done.code == 0, done
        number = last_push(scene)
        until(lambda: state(scene, number)[1] >= 2, "the second attempt")
        assert state(scene, number)[0] != "failed"
    scene.idle()
    assert (scene.there(), len(scene.pushes())) == (tip, 1)
    assert scene.oid(TRACKING) == tip
    assert (row(scene, number)["status"], row(scene, number)["error"]) == ("completed", "")


def test_in_queue_mode_a_remote_that_stays_away_is_given_up(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.retry.count", str(COUNT))
    scene.git("config", "uam.retry.delay", "10ms")
    scene.commit("a")
    with away(scene):
        assert scene.push().code == 0
        scene.idle()  # the background process ends, it does not try for ever
        number = last_push(scene)
        assert row(scene, number)["status"] == "failed"
        assert row(scene, number)["error"].endswith(f"(tried {COUNT + 1} times)")
    assert scene.there() == scene.start_oid


def test_a_push_that_somebody_waits_for_fails_at_once(scene: Scene) -> None:
    scene.git("config", "uam.retry.delay", "1h")
    tip = scene.commit("a")
    with away(scene):
        done = scene.push()
    assert done.code != 0
    assert "tried again" not in done.err
    scene.idle()
    assert scene.there() == scene.start_oid
    # nothing of it stays behind in the queue
    assert set(scene.pushed()) <= {"failed", "cancelled"}
    assert {found["status"] for found in scene.rows("sources")} <= {"failed", "withdrawn"}
    # told at once, and pushed again by who was told
    done = scene.push()
    assert (done.code, scene.there(), len(scene.pushes())) == (0, tip, 1), done


def test_who_waits_is_told_at_once_and_the_others_of_its_action_go_back(patient: Scene) -> None:
    one, two = patient.worktree("one"), patient.worktree("two")
    for agent in (one, two):
        write(agent, f"{agent.top.name}.txt", "x\n")
        record(agent, f"Add {agent.top.name}")
    assert enqueue(one, waits=True)
    assert enqueue(two)
    number = last_push(patient)
    with away(patient):
        (result,) = flushed(patient)
    assert not result.success
    assert askers(patient, number) == [("one", "failed"), ("two", "pending")]
    assert state(patient, number) == ("pending", 1)
    assert flushed(patient)[0].success
    assert patient.landed() == ["Add two"]
    # the first one pushes again, as it was told to
    assert enqueue(one, waits=True)
    assert flushed(patient)[0].success
    assert patient.landed() == ["Add two", "Add one"]


def test_a_newer_push_joins_one_that_waits_for_its_next_attempt(patient: Scene) -> None:
    one, two = patient.worktree("one"), patient.worktree("two")
    one.commit("one.txt")
    two.commit("two.txt")
    assert one.push("origin", "HEAD:main").code == 0
    with away(patient):
        flushed(patient)
    assert two.push("origin", "HEAD:main").code == 0
    assert flushed(patient)[0].success
    assert (patient.landed(), len(patient.pushes())) == (["Add one.txt", "Add two.txt"], 1)


def test_a_merge_that_is_pushed_is_tried_again_as_a_whole(patient: Scene) -> None:
    patient.git("switch", "-q", "-c", "topic")
    patient.commit("topic.txt")
    patient.git("switch", "-q", "main")
    number = ask(patient, "merge", "main", source="topic", push=True)
    with away(patient):
        (result,) = flushed(patient)
        assert (result.failed_actions, result.deferred_actions) == (0, 1)
    assert state(patient, number) == ("pending", 1)
    assert flushed(patient)[0].success
    assert patient.landed() == ["Add topic.txt", "Merge branch 'topic' into main"]
    assert len(patient.pushes()) == 1


def test_a_commit_and_the_push_that_takes_it_along_go_back_together(patient: Scene) -> None:
    write(patient, "a", "a\n")
    commit = ask(patient, "commit", "main", message="Add a", files=["a"])
    push = ask(patient, "push", "main")
    with away(patient):
        (result,) = flushed(patient)
    assert not result.success
    assert (state(patient, commit), state(patient, push)) == (("pending", 0), ("pending", 1))
    assert flushed(patient)[0].success
    assert (state(patient, commit)[0], state(patient, push)[0]) == ("completed", "completed")
    assert (patient.landed(), len(patient.pushes())) == (["Add a"], 1)


# -- a connection that breaks, and locks -----------------------------------------------------------------


def test_a_push_whose_connection_breaks_is_tried_again(patient: Scene) -> None:
    """The remote answers afterwards that it has nothing of it: nothing about the push was wrong."""
    script(patient.remote / "hooks" / "pre-receive", "kill -9 $PPID\n")
    tip = patient.commit("a")
    number = ask(patient, "push", "main")
    (result,) = flushed(patient)
    assert patient.there() == patient.start_oid
    assert state(patient, number) == ("pending", 1)
    assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
    (patient.remote / "hooks" / "pre-receive").unlink()
    assert flushed(patient)[0].success
    assert (patient.there(), len(patient.pushes())) == (tip, 1)


def test_a_connection_that_breaks_after_the_landing_is_no_second_landing(patient: Scene) -> None:
    hook = patient.remote / "hooks" / "post-receive"
    script(hook, hook.read_text().removeprefix("#!/bin/sh\n") + "kill -9 $PPID\n")
    tip = patient.commit("a")
    number = ask(patient, "push", "main")
    assert flushed(patient)[0].success
    assert (patient.there(), len(patient.pushes()), state(patient, number)) == (tip, 1, ("completed", 0))


def test_a_lock_on_the_remotes_ref_is_waited_for(patient: Scene) -> None:
    patient.git("config", "uam.flush.retries", "1")
    lock = patient.remote / "refs" / "heads" / "main.lock"
    lock.touch()
    tip = patient.commit("a")
    number = ask(patient, "push", "main")
    (result,) = flushed(patient)
    assert (result.failed_actions, result.deferred_actions) == (0, 1)
    assert state(patient, number) == ("pending", 1)
    lock.unlink()
    assert flushed(patient)[0].success
    assert (patient.there(), len(patient.pushes())) == (tip, 1)


@pytest.mark.parametrize("lock", ["index.lock", "refs/heads/main.lock"])
def test_a_lock_of_this_repository_is_waited_for(patient: Scene, lock: str) -> None:
    """Somebody's `git status` or `git commit` holds such a lock for a moment."""
    write(patient, "a", "a\n")
    number = ask(patient, "commit", "main", message="Add a", files=["a"])
    held = patient.top / ".git" / lock
    held.touch()
    (result,) = flushed(patient)
    assert patient.oid("main") == patient.start_oid
    assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
    assert state(patient, number) == ("pending", 1)
    held.unlink()
    assert flushed(patient)[0].success
    assert (patient.subjects("main"), patient.status()[1:]) == (["Add a", "Begin"], [])
    assert state(patient, number) == ("completed", 1)


@pytest.mark.parametrize("lock", bulk(["index.lock", "refs/heads/main.lock"]))
def test_a_lock_that_stays_is_not_waited_for_without_end(patient: Scene, lock: str) -> None:
    """A git that crashed leaves its lock behind for ever."""
    write(patient, "a", "a\n")
    number = ask(patient, "commit", "main", message="Add a", files=["a"])
    held = patient.top / ".git" / lock
    held.touch()
    assert not any(result.success for _ in range(COUNT + 1) for result in flushed(patient))
    assert row(patient, number)["status"] == "failed"
    held.unlink()
    retry(patient, number)
    assert flushed(patient)[0].success
    assert patient.subjects("main") == ["Add a", "Begin"]


# -- gh --------------------------------------------------------------------------------------------------


@needs_gh
@pytest.mark.parametrize(
    "trouble", bulk([(502, ""), (0, ""), (429, ""), (403, "API rate limit exceeded for user ID 1.")])
)
def test_a_server_in_trouble_is_asked_again_once_a_flush(
    patient: Scene, forge: Forge, trouble: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    reaching(patient, forge)
    forge.failing(2, *trouble)
    number = ask(patient, "workflow", "test.yml", ref="main")
    for tried in (1, 2):
        (result,) = flushed(patient)
        assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
        assert (state(patient, number), forge.failed) == (("pending", tried), tried)
        assert askers(patient, number) == [("ada", "pending")]
    assert flushed(patient)[0].success
    assert forge.dispatches == [Dispatch("test.yml", "main", {})]
    assert (state(patient, number), row(patient, number)["error"]) == (("completed", 2), "")
    assert pauses(capsys.readouterr().err) == [3600.0, 7200.0]


@needs_gh
def test_a_server_that_stays_in_trouble_is_given_up(patient: Scene, forge: Forge) -> None:
    reaching(patient, forge)
    forge.failing(100)
    number = ask(patient, "workflow", "test.yml", ref="main")
    results = [result for _ in range(COUNT + 3) for result in flushed(patient)]
    assert [result.deferred_actions for result in results] == [1] * COUNT + [0]
    assert forge.failed == COUNT + 1
    assert row(patient, number)["status"] == "failed"
    assert row(patient, number)["error"].startswith("gh: ")
    assert row(patient, number)["error"].endswith(f" (tried {COUNT + 1} times)")
    assert forge.dispatches == []


@needs_gh
def test_a_network_that_is_down(patient: Scene, tmp_path: Path) -> None:
    with Forge(tmp_path / "gone") as forge:
        reaching(patient, forge)
    number = ask(patient, "workflow", "test.yml", ref="main")
    (result,) = flushed(patient)
    assert (result.deferred_actions, state(patient, number)) == (1, ("pending", 1))
    assert "connection refused" in row(patient, number)["error"]


@needs_gh
def test_a_pull_request_whose_base_moved_is_merged_at_the_next_attempt(patient: Scene, forge: Forge) -> None:
    reaching(patient, forge)
    forge.failing(1, 200, "Base branch was modified. Review and try the merge again.")
    number = ask(patient, "merge", "main", pr=12)
    assert flushed(patient)[0].deferred_actions == 1
    assert flushed(patient)[0].success
    assert ([merge.number for merge in forge.merges], state(patient, number)) == ([12], ("completed", 1))


@needs_gh
@pytest.mark.parametrize("trouble", [(404, ""), (422, "No ref found for: main"), (403, "Resource not accessible")])
def test_a_server_that_says_no_is_not_asked_again(patient: Scene, forge: Forge, trouble: tuple[int, str]) -> None:
    reaching(patient, forge)
    forge.failing(1, *trouble)
    number = ask(patient, "workflow", "test.yml", ref="main")
    (result,) = flushed(patient)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert f"HTTP {trouble[0]}: {trouble[1]}" in result.errors[0]
    assert state(patient, number) == ("failed", 0)
    assert flushed(patient) == []
    assert forge.dispatches == []


@needs_gh
def test_a_dispatch_whose_answer_was_lost_is_dispatched_again(patient: Scene, forge: Forge) -> None:
    """What nobody can help: GitHub has no way to ask whether a dispatch was taken, so this one runs twice.

    The other way, to give up, would leave out the many that were not taken.
    """
    reaching(patient, forge)
    forge.failing(1, late=True)
    number = ask(patient, "workflow", "test.yml", ref="main")
    assert flushed(patient)[0].deferred_actions == 1
    assert len(forge.dispatches) == 1
    assert flushed(patient)[0].success
    assert forge.dispatches == [Dispatch("test.yml", "main", {})] * 2
    assert state(patient, number) == ("completed", 1)


@needs_gh
def test_a_merge_whose_answer_was_lost_happens_once(patient: Scene, forge: Forge) -> None:
    """A pull request, other than a dispatch, knows that it has been merged."""
    reaching(patient, forge)
    forge.failing(1, late=True)
    number = ask(patient, "merge", "main", pr=12)
    assert flushed(patient)[0].deferred_actions == 1
    assert flushed(patient)[0].success
    assert ([merge.number for merge in forge.merges], state(patient, number)) == ([12], ("completed", 1))


@needs_gh
def test_in_the_background_a_workflow_is_dispatched_when_the_server_is_well_again(scene: Scene, forge: Forge) -> None:
    reaching(scene, forge)
    scene.git("config", "uam.window.workflow", "0")
    scene.git("config", "uam.retry.delay", "20ms")
    forge.failing(2)
    done = scene.run("uam", "queue", "--json", "--action-type", "workflow", "--target", "test.yml", "--ref", "main")
    assert done.code == 0, done
    number = json.loads(done.out)["id"]
    scene.idle()
    assert (state(scene, number), len(forge.dispatches)) == (("completed", 2), 1)


@needs_gh
def test_an_identical_one_joins_what_waits_for_its_next_attempt(patient: Scene, forge: Forge) -> None:
    reaching(patient, forge)
    forge.failing(1)
    number = ask(patient, "workflow", "test.yml", ref="main")
    flushed(patient)
    assert ask(patient, "workflow", "test.yml", agent="bob", ref="main") == number
    assert flushed(patient)[0].success
    assert len(forge.dispatches) == 1
    assert askers(patient, number) == [("ada", "landed"), ("bob", "landed")]


@needs_gh
def test_a_command_that_a_dead_flush_left_running_is_not_run_again_by_itself(patient: Scene, forge: Forge) -> None:
    reaching(patient, forge)
    asked, answer = Event(), Event()

    def merging(_number: int) -> None:
        asked.set()
        answer.wait(30)

    forge.on_merge = merging
    merge = ask(patient, "merge", "main", pr=12)
    workflow = ask(patient, "workflow", "test.yml", merge, ref="main")
    process = patient.start("uam", "flush")
    try:
        until(asked.is_set, "gh's question")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        flushed(patient)
        assert state(patient, merge) == ("failed", 0)
        assert f"git uam retry {merge}" in row(patient, merge)["error"]
        assert row(patient, workflow)["error"] == f"dependency #{merge} failed"
    finally:
        answer.set()
    until(lambda: forge.merges, "the merge that was under way")
    assert (len(forge.merges), forge.dispatches) == (1, [])
    forge.on_merge = None
    again = retry(patient, merge)
    assert flushed(patient)[0].success
    assert (len(forge.merges), row(patient, again)["status"]) == (1, "completed")
