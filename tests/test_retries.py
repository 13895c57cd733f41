"""What failed for a reason that may pass is tried again, later and later and not for ever; all else fails at once."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from forge import REPO, Dispatch, Forge, needs_gh
from landscape import by_hand, enqueue, environment, flushed, record, write
from scenes import TRACKING, Scene, Worktree, finished, gate, script, until

from uam_hooks import DeployBatcher
from uam_hooks.hot.core.errors import Refused, UsageError
from uam_hooks.land.retry import may_pass

# How many pauses the tests allow before a failure is final.
COUNT = 2
DECLINE = 'echo "not today" >&2; exit 1\n'


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge(tmp_path / "forge") as found:
        yield found


@pytest.fixture
def quiet(scene: Scene) -> Scene:
    """A scene in which nothing is flushed but by the test, and pauses are far too long to end by themselves."""
    by_hand(scene)
    scene.git("config", "uam.retry.count", str(COUNT))
    scene.git("config", "uam.retry.delay", "1h")
    return scene


def reaching(scene: Scene, forge: Forge) -> None:
    scene.env.update(forge.env)
    scene.git("config", "uam.gh.repo", REPO)


@contextmanager
def batcher(place: Worktree, **options: Any) -> Iterator[DeployBatcher]:
    with environment(place.env):
        yield DeployBatcher(repository=place.top, **options)


def ask(place: Worktree, kind: str, target: str, *needs: int, agent: str = "ada", **payload: Any) -> int:
    with batcher(place) as queue:
        return queue.queue(agent, kind, target, payload, dependencies=needs)


def retry(place: Worktree, number: int) -> int:
    with batcher(place) as queue:
        return queue.retry(number)


def row(scene: Scene, number: int) -> dict[str, Any]:
    return next(found for found in scene.rows("deploy_queue") if found["id"] == number)


def state(scene: Scene, number: int) -> tuple[str, int]:
    """The status of an action, and how often it failed for a reason that may pass."""
    found = row(scene, number)
    return found["status"], found["attempts"]


def askers(scene: Scene, number: int) -> list[tuple[str, str]]:
    return [(s["agent_id"], s["status"]) for s in scene.rows("sources") if s["action_id"] == number]


def last_push(scene: Scene) -> int:
    """The id of the newest push."""
    return int(max(found["id"] for found in scene.rows("deploy_queue") if found["action_type"] == "push"))


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """The remote is not there, as a server is that is down."""
    aside = scene.remote.with_name("away.git")
    scene.remote.rename(aside)
    try:
        yield
    finally:
        aside.rename(scene.remote)


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
    "gh: non-200 OK status code: 502 Bad Gateway body: \"\"",
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
    assert [words for words in PASSING if not may_pass(words)] == []
    assert [words for words in LASTING if may_pass(words)] == []


# -- a remote that is away -------------------------------------------------------------------------------


def test_a_push_that_nobody_waits_for_is_tried_again_and_not_for_ever(
    quiet: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    tip = quiet.commit("a")
    number = ask(quiet, "push", "main")
    due = [row(quiet, number)["execute_after"]]
    with away(quiet):
        for tried in range(1, COUNT + 1):
            (result,) = flushed(quiet)  # one attempt, and then an end: it does not turn in circles
            assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
            assert "did not answer" in result.errors[0]
            assert state(quiet, number) == ("pending", tried)
            assert "did not answer" in row(quiet, number)["error"]
            due.append(row(quiet, number)["execute_after"])
        (result,) = flushed(quiet)
    assert (result.success, result.failed_actions, result.deferred_actions) == (False, 1, 0)
    assert state(quiet, number)[0] == "failed"
    assert row(quiet, number)["error"].endswith(f" (tried {COUNT + 1} times)")
    assert askers(quiet, number) == [("ada", "failed")]
    assert pauses(capsys.readouterr().err) == [3600.0, 7200.0]
    assert due == sorted(set(due))  # later and later
    assert flushed(quiet) == []
    # nothing of it is lost, and by hand it goes on
    again = retry(quiet, number)
    assert flushed(quiet)[0].success
    assert (quiet.there(), state(quiet, again), len(quiet.pushes())) == (tip, ("completed", 0), 1)


def test_without_retries_it_fails_at_once(quiet: Scene) -> None:
    quiet.git("config", "uam.retry.count", "0")
    quiet.commit("a")
    number = ask(quiet, "push", "main")
    with away(quiet):
        (result,) = flushed(quiet)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert state(quiet, number) == ("failed", 0)
    assert "tried" not in row(quiet, number)["error"]


def test_a_flush_of_what_is_due_leaves_the_pause_alone_and_one_by_hand_does_not(quiet: Scene) -> None:
    tip = quiet.commit("a")
    number = ask(quiet, "push", "main")
    with away(quiet):
        flushed(quiet)
    with batcher(quiet) as queue:
        assert queue.flush_all(due_only=True) == []
        assert state(quiet, number) == ("pending", 1)
        assert [result.success for result in queue.flush_all()] == [True]
    assert (quiet.there(), state(quiet, number)) == (tip, ("completed", 1))
    assert row(quiet, number)["error"] == ""


def test_a_flush_by_hand_says_so_with_its_exit_code(quiet: Scene) -> None:
    tip = quiet.commit("a")
    assert quiet.push().code == 0
    with away(quiet):
        done = quiet.run("uam", "flush")
    assert done.code == 1
    assert pauses(done.err) == [3600.0]
    assert state(quiet, last_push(quiet)) == ("pending", 1)
    # what was in the same flush and can be done is done
    quiet.git("init", "-q", "--bare", str(quiet.root / "second.git"))
    quiet.git("remote", "add", "second", str(quiet.root / "second.git"))
    ask(quiet, "push", "main", remote="second")
    with away(quiet):
        assert quiet.run("uam", "flush").code == 1
    assert Worktree(quiet.root / "second.git", quiet.env).oid("refs/heads/main") == tip
    done = quiet.run("uam", "flush")
    assert (done.code, quiet.there()) == (0, tip), done


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


def test_who_waits_is_told_at_once_and_the_others_of_its_action_go_back(quiet: Scene) -> None:
    one, two = quiet.worktree("one"), quiet.worktree("two")
    for agent in (one, two):
        write(agent, f"{agent.top.name}.txt", "x\n")
        record(agent, f"Add {agent.top.name}")
    assert enqueue(one, waits=True)
    assert enqueue(two)
    number = last_push(quiet)
    with away(quiet):
        (result,) = flushed(quiet)
    assert not result.success
    assert askers(quiet, number) == [("one", "failed"), ("two", "pending")]
    assert state(quiet, number) == ("pending", 1)
    assert flushed(quiet)[0].success
    assert quiet.landed() == ["Add two"]
    # the first one pushes again, as it was told to
    assert enqueue(one, waits=True)
    assert flushed(quiet)[0].success
    assert quiet.landed() == ["Add two", "Add one"]


def test_a_newer_push_joins_one_that_waits_for_its_next_attempt(quiet: Scene) -> None:
    one, two = quiet.worktree("one"), quiet.worktree("two")
    one.commit("one.txt")
    two.commit("two.txt")
    assert one.push("origin", "HEAD:main").code == 0
    with away(quiet):
        flushed(quiet)
    assert two.push("origin", "HEAD:main").code == 0
    assert flushed(quiet)[0].success
    assert (quiet.landed(), len(quiet.pushes())) == (["Squashed 2 commits:"], 1)


def test_a_merge_that_is_pushed_is_tried_again_as_a_whole(quiet: Scene) -> None:
    quiet.git("switch", "-q", "-c", "topic")
    quiet.commit("topic.txt")
    quiet.git("switch", "-q", "main")
    number = ask(quiet, "merge", "main", source="topic", push=True)
    with away(quiet):
        (result,) = flushed(quiet)
        assert (result.failed_actions, result.deferred_actions) == (0, 1)
    assert state(quiet, number) == ("pending", 1)
    assert flushed(quiet)[0].success
    assert quiet.landed() == ["Add topic.txt", "Merge branch 'topic' into main"]
    assert len(quiet.pushes()) == 1


def test_a_commit_and_the_push_that_takes_it_along_go_back_together(quiet: Scene) -> None:
    write(quiet, "a", "a\n")
    commit = ask(quiet, "commit", "main", message="Add a", files=["a"])
    push = ask(quiet, "push", "main")
    with away(quiet):
        (result,) = flushed(quiet)
    assert not result.success
    assert (state(quiet, commit), state(quiet, push)) == (("pending", 0), ("pending", 1))
    assert flushed(quiet)[0].success
    assert (state(quiet, commit)[0], state(quiet, push)[0]) == ("completed", "completed")
    assert (quiet.landed(), len(quiet.pushes())) == (["Add a"], 1)


# -- a connection that breaks, and locks -----------------------------------------------------------------


def test_a_push_whose_connection_breaks_is_tried_again(quiet: Scene) -> None:
    """The remote answers afterwards that it has nothing of it: nothing about the push was wrong."""
    script(quiet.remote / "hooks" / "pre-receive", "kill -9 $PPID\n")
    tip = quiet.commit("a")
    number = ask(quiet, "push", "main")
    (result,) = flushed(quiet)
    assert quiet.there() == quiet.start_oid
    assert state(quiet, number) == ("pending", 1)
    assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
    (quiet.remote / "hooks" / "pre-receive").unlink()
    assert flushed(quiet)[0].success
    assert (quiet.there(), len(quiet.pushes())) == (tip, 1)


def test_a_connection_that_breaks_after_the_landing_is_no_second_landing(quiet: Scene) -> None:
    hook = quiet.remote / "hooks" / "post-receive"
    script(hook, hook.read_text().removeprefix("#!/bin/sh\n") + "kill -9 $PPID\n")
    tip = quiet.commit("a")
    number = ask(quiet, "push", "main")
    assert flushed(quiet)[0].success
    assert (quiet.there(), len(quiet.pushes()), state(quiet, number)) == (tip, 1, ("completed", 0))


def test_a_lock_on_the_remotes_ref_is_waited_for(quiet: Scene) -> None:
    quiet.git("config", "uam.flush.retries", "1")
    lock = quiet.remote / "refs" / "heads" / "main.lock"
    lock.touch()
    tip = quiet.commit("a")
    number = ask(quiet, "push", "main")
    (result,) = flushed(quiet)
    assert (result.failed_actions, result.deferred_actions) == (0, 1)
    assert state(quiet, number) == ("pending", 1)
    lock.unlink()
    assert flushed(quiet)[0].success
    assert (quiet.there(), len(quiet.pushes())) == (tip, 1)


@pytest.mark.parametrize("lock", ["index.lock", "refs/heads/main.lock"])
def test_a_lock_of_this_repository_is_waited_for(quiet: Scene, lock: str) -> None:
    """Somebody's `git status` or `git commit` holds such a lock for a moment."""
    write(quiet, "a", "a\n")
    number = ask(quiet, "commit", "main", message="Add a", files=["a"])
    held = quiet.top / ".git" / lock
    held.touch()
    (result,) = flushed(quiet)
    assert quiet.oid("main") == quiet.start_oid
    assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
    assert state(quiet, number) == ("pending", 1)
    held.unlink()
    assert flushed(quiet)[0].success
    assert (quiet.subjects("main"), quiet.status()[1:]) == (["Add a", "Begin"], [])
    assert state(quiet, number) == ("completed", 1)


@pytest.mark.parametrize("lock", ["index.lock", "refs/heads/main.lock"])
def test_a_lock_that_stays_is_not_waited_for_without_end(quiet: Scene, lock: str) -> None:
    """A git that crashed leaves its lock behind for ever."""
    write(quiet, "a", "a\n")
    number = ask(quiet, "commit", "main", message="Add a", files=["a"])
    held = quiet.top / ".git" / lock
    held.touch()
    assert not any(result.success for _ in range(COUNT + 1) for result in flushed(quiet))
    assert row(quiet, number)["status"] == "failed"
    held.unlink()
    retry(quiet, number)
    assert flushed(quiet)[0].success
    assert quiet.subjects("main") == ["Add a", "Begin"]


# -- gh --------------------------------------------------------------------------------------------------


@needs_gh
@pytest.mark.parametrize("trouble", [(502, ""), (0, ""), (429, ""), (403, "API rate limit exceeded for user ID 1.")])
def test_a_server_in_trouble_is_asked_again_once_a_flush(
    quiet: Scene, forge: Forge, trouble: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    reaching(quiet, forge)
    forge.failing(2, *trouble)
    number = ask(quiet, "workflow", "test.yml", ref="main")
    for tried in (1, 2):
        (result,) = flushed(quiet)
        assert (result.success, result.failed_actions, result.deferred_actions) == (False, 0, 1)
        assert (state(quiet, number), forge.failed) == (("pending", tried), tried)
        assert askers(quiet, number) == [("ada", "pending")]
    assert flushed(quiet)[0].success
    assert forge.dispatches == [Dispatch("test.yml", "main", {})]
    assert (state(quiet, number), row(quiet, number)["error"]) == (("completed", 2), "")
    assert pauses(capsys.readouterr().err) == [3600.0, 7200.0]


@needs_gh
def test_a_server_that_stays_in_trouble_is_given_up(quiet: Scene, forge: Forge) -> None:
    reaching(quiet, forge)
    forge.failing(100)
    number = ask(quiet, "workflow", "test.yml", ref="main")
    results = [result for _ in range(COUNT + 3) for result in flushed(quiet)]
    assert [result.deferred_actions for result in results] == [1] * COUNT + [0]
    assert forge.failed == COUNT + 1
    assert row(quiet, number)["status"] == "failed"
    assert row(quiet, number)["error"].startswith("gh: ")
    assert row(quiet, number)["error"].endswith(f" (tried {COUNT + 1} times)")
    assert forge.dispatches == []


@needs_gh
def test_a_network_that_is_down(quiet: Scene, tmp_path: Path) -> None:
    with Forge(tmp_path / "gone") as forge:
        reaching(quiet, forge)
    number = ask(quiet, "workflow", "test.yml", ref="main")
    (result,) = flushed(quiet)
    assert (result.deferred_actions, state(quiet, number)) == (1, ("pending", 1))
    assert "connection refused" in row(quiet, number)["error"]


@needs_gh
def test_a_pull_request_whose_base_moved_is_merged_at_the_next_attempt(quiet: Scene, forge: Forge) -> None:
    reaching(quiet, forge)
    forge.failing(1, 200, "Base branch was modified. Review and try the merge again.")
    number = ask(quiet, "merge", "main", pr=12)
    assert flushed(quiet)[0].deferred_actions == 1
    assert flushed(quiet)[0].success
    assert ([merge.number for merge in forge.merges], state(quiet, number)) == ([12], ("completed", 1))


@needs_gh
@pytest.mark.parametrize("trouble", [(404, ""), (422, "No ref found for: main"), (403, "Resource not accessible")])
def test_a_server_that_says_no_is_not_asked_again(quiet: Scene, forge: Forge, trouble: tuple[int, str]) -> None:
    reaching(quiet, forge)
    forge.failing(1, *trouble)
    number = ask(quiet, "workflow", "test.yml", ref="main")
    (result,) = flushed(quiet)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert f"HTTP {trouble[0]}: {trouble[1]}" in result.errors[0]
    assert state(quiet, number) == ("failed", 0)
    assert flushed(quiet) == []
    assert forge.dispatches == []


@needs_gh
def test_a_dispatch_whose_answer_was_lost_is_dispatched_again(quiet: Scene, forge: Forge) -> None:
    """What nobody can help: GitHub has no way to ask whether a dispatch was taken, so this one runs twice.

    The other way, to give up, would leave out the many that were not taken.
    """
    reaching(quiet, forge)
    forge.failing(1, late=True)
    number = ask(quiet, "workflow", "test.yml", ref="main")
    assert flushed(quiet)[0].deferred_actions == 1
    assert len(forge.dispatches) == 1
    assert flushed(quiet)[0].success
    assert forge.dispatches == [Dispatch("test.yml", "main", {})] * 2
    assert state(quiet, number) == ("completed", 1)


@needs_gh
def test_a_merge_whose_answer_was_lost_happens_once(quiet: Scene, forge: Forge) -> None:
    """A pull request, other than a dispatch, knows that it has been merged."""
    reaching(quiet, forge)
    forge.failing(1, late=True)
    number = ask(quiet, "merge", "main", pr=12)
    assert flushed(quiet)[0].deferred_actions == 1
    assert flushed(quiet)[0].success
    assert ([merge.number for merge in forge.merges], state(quiet, number)) == ([12], ("completed", 1))


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
def test_an_identical_one_joins_what_waits_for_its_next_attempt(quiet: Scene, forge: Forge) -> None:
    reaching(quiet, forge)
    forge.failing(1)
    number = ask(quiet, "workflow", "test.yml", ref="main")
    flushed(quiet)
    assert ask(quiet, "workflow", "test.yml", agent="bob", ref="main") == number
    assert flushed(quiet)[0].success
    assert len(forge.dispatches) == 1
    assert askers(quiet, number) == [("ada", "landed"), ("bob", "landed")]


@needs_gh
def test_a_command_that_a_dead_flush_left_running_is_not_run_again_by_itself(quiet: Scene, forge: Forge) -> None:
    reaching(quiet, forge)
    asked, answer = Event(), Event()

    def merging(_number: int) -> None:
        asked.set()
        answer.wait(30)

    forge.on_merge = merging
    merge = ask(quiet, "merge", "main", pr=12)
    workflow = ask(quiet, "workflow", "test.yml", merge, ref="main")
    process = quiet.start("uam", "flush")
    try:
        until(asked.is_set, "gh's question")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        flushed(quiet)
        assert state(quiet, merge) == ("failed", 0)
        assert f"git uam retry {merge}" in row(quiet, merge)["error"]
        assert row(quiet, workflow)["error"] == f"dependency #{merge} failed"
    finally:
        answer.set()
    until(lambda: forge.merges, "the merge that was under way")
    assert (len(forge.merges), forge.dispatches) == (1, [])
    forge.on_merge = None
    again = retry(quiet, merge)
    assert flushed(quiet)[0].success
    assert (len(forge.merges), row(quiet, again)["status"]) == (1, "completed")


# -- what will not pass ----------------------------------------------------------------------------------


def test_a_push_that_a_hook_declines_is_not_pushed_again(quiet: Scene) -> None:
    count = quiet.root / "asked"
    # what the hook says is prose, and may sound like a network that is down
    says = 'echo "index.lock does not belong here: connection refused" >&2; exit 1'
    script(quiet.remote / "hooks" / "pre-receive", f'echo x >>"{count}"\n{says}\n')
    quiet.commit("a")
    number = ask(quiet, "push", "main")
    (result,) = flushed(quiet)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert "pre-receive hook declined" in result.errors[0]
    assert state(quiet, number) == ("failed", 0)
    assert flushed(quiet) == []
    assert len(count.read_text().splitlines()) == 1


def test_a_conflict_is_not_tried_again(quiet: Scene) -> None:
    one, two = quiet.worktree("one"), quiet.worktree("two")
    for agent in (one, two):
        agent.commit("README", f"{agent.top.name}\n")
        assert agent.push("origin", "HEAD:main").code == 0
        flushed(quiet)
    number = last_push(quiet)
    assert state(quiet, number) == ("failed", 0)
    assert row(quiet, number)["error"].startswith("conflict in README with the work of one")
    assert flushed(quiet) == []


def test_a_deploy_that_fails_is_not_run_again_whatever_it_says(quiet: Scene) -> None:
    count = quiet.root / "runs"
    command = script(quiet.root / "deploy.sh", f'echo x >>"{count}"\necho "HTTP 502: connection refused"\nexit 3\n')
    quiet.git("config", "uam.deploy.prod.command", str(command))
    number = ask(quiet, "deploy", "prod", ref="main")
    (result,) = flushed(quiet)
    assert (result.failed_actions, result.deferred_actions) == (1, 0)
    assert "exit code 3" in result.errors[0]
    assert state(quiet, number) == ("failed", 0)
    assert flushed(quiet) == []
    assert count.read_text() == "x\n"


# -- what depends on it ----------------------------------------------------------------------------------


def noting(scene: Scene, name: str) -> Path:
    """Configure a deploy that notes each of its runs; gives the note."""
    note = scene.root / f"{name}.note"
    scene.git("config", f"uam.deploy.{name}.command", str(script(scene.root / f"{name}.sh", f'echo x >>"{note}"\n')))
    return note


def test_what_depends_on_it_goes_back_with_it(quiet: Scene) -> None:
    notes = {name: noting(quiet, name) for name in ("named", "after", "asked", "free")}
    quiet.commit("a")
    push = ask(quiet, "push", "main")
    named = ask(quiet, "deploy", "named", ref="main")  # by its branch
    after = ask(quiet, "deploy", "after", named, ref="x")  # by what waits for it
    asked = ask(quiet, "deploy", "asked", push, ref="x")  # by its number
    free = ask(quiet, "deploy", "free", ref="x")
    with away(quiet):
        for tried in (1, 2):
            results = flushed(quiet)
            assert sum(result.deferred_actions for result in results) == 4
            assert sum(result.failed_actions for result in results) == 0
            assert state(quiet, push) == ("pending", tried)
            # they were not tried, and it is not their failures that are counted
            assert {state(quiet, number) for number in (named, asked, after)} == {("pending", 0)}
            assert state(quiet, free)[0] == "completed"
            late = row(quiet, push)["execute_after"]
            assert [row(quiet, number)["execute_after"] for number in (named, asked, after)] == [late] * 3
    assert [name for name, note in notes.items() if note.exists()] == ["free"]
    assert all(result.success for result in flushed(quiet))
    assert {state(quiet, number)[0] for number in (push, named, asked, after)} == {"completed"}
    assert {note.read_text() for note in notes.values()} == {"x\n"}


def test_what_depends_on_it_fails_with_it_in_the_end(quiet: Scene) -> None:
    note = noting(quiet, "prod")
    quiet.commit("a")
    push = ask(quiet, "push", "main")
    deploy = ask(quiet, "deploy", "prod", ref="main")
    with away(quiet):
        for _ in range(COUNT + 1):
            flushed(quiet)
    assert (row(quiet, push)["status"], row(quiet, deploy)["status"]) == ("failed", "failed")
    assert row(quiet, deploy)["error"] == f"dependency #{push} failed"
    assert not note.exists()


# -- by hand ---------------------------------------------------------------------------------------------


def test_a_push_that_was_declined_lands_when_it_is_tried_again_by_hand(quiet: Scene) -> None:
    script(quiet.remote / "hooks" / "pre-receive", DECLINE)
    one, two = quiet.worktree("one"), quiet.worktree("two")
    for agent in (one, two):
        agent.commit(f"{agent.top.name}.txt")
        assert agent.push("origin", "HEAD:main").code == 0
    old = last_push(quiet)
    flushed(quiet)
    assert state(quiet, old)[0] == "failed"
    (quiet.remote / "hooks" / "pre-receive").unlink()
    new = retry(quiet, old)
    assert (new > old, state(quiet, new), state(quiet, old)[0]) == (True, ("pending", 0), "failed")
    # once: it is in the queue now, and cannot enter it a second time
    with pytest.raises(Refused):
        retry(quiet, old)
    assert flushed(quiet)[0].success
    assert askers(quiet, new) == [("one", "landed"), ("two", "landed")]
    assert (quiet.landed(), len(quiet.pushes())) == (["Squashed 2 commits:"], 1)
    assert [found["id"] for found in quiet.rows("deploy_queue") if found["action_type"] == "push"] == [old, new]


def test_only_those_who_failed_are_tried_again(quiet: Scene) -> None:
    one, two = quiet.worktree("one"), quiet.worktree("two")
    one.commit("README", "one\n")
    two.commit("README", "two\n")
    for agent in (one, two):
        assert agent.push("origin", "HEAD:main").code == 0
    flushed(quiet)
    number = last_push(quiet)
    assert askers(quiet, number) == [("one", "landed"), ("two", "failed")]
    again = retry(quiet, number)
    assert (askers(quiet, number), askers(quiet, again)) == ([("one", "landed")], [("two", "pending")])
    # a conflict does not go away by itself, and what has landed does not land twice
    assert not flushed(quiet)[0].success
    assert (askers(quiet, again), quiet.landed()) == ([("two", "failed")], ["Add README"])
    assert len(quiet.pushes()) == 1


@needs_gh
def test_a_workflow_that_is_tried_again_by_hand_is_dispatched_once_for_all_who_asked(
    quiet: Scene, forge: Forge
) -> None:
    reaching(quiet, forge)
    forge.unknown.add("new.yml")
    inputs = {"env": "staging"}
    number = ask(quiet, "workflow", "new.yml", ref="main", inputs=inputs)
    assert ask(quiet, "workflow", "new.yml", agent="bob", ref="main", inputs=inputs) == number
    flushed(quiet)
    forge.unknown.clear()
    again = retry(quiet, number)
    assert flushed(quiet)[0].success
    assert forge.dispatches == [Dispatch("new.yml", "main", inputs)]
    assert askers(quiet, again) == [("ada", "landed"), ("bob", "landed")]


def test_what_failed_with_its_dependency_can_be_tried_again_on_its_own(quiet: Scene) -> None:
    note = noting(quiet, "prod")
    quiet.git("config", "uam.deploy.bad.command", "false")
    bad = ask(quiet, "deploy", "bad", ref="x")
    good = ask(quiet, "deploy", "prod", bad, ref="x")
    flushed(quiet)
    assert (state(quiet, bad)[0], state(quiet, good)[0], note.exists()) == ("failed", "failed", False)
    again = retry(quiet, good)
    assert flushed(quiet)[0].success
    assert (state(quiet, again)[0], note.read_text()) == ("completed", "x\n")


def test_what_was_cancelled_can_be_tried_again_and_nothing_else(quiet: Scene) -> None:
    note = noting(quiet, "prod")
    number = ask(quiet, "deploy", "prod", ref="main")
    with pytest.raises(Refused):
        retry(quiet, number)  # it waits
    with batcher(quiet) as queue:
        queue.cancel(number)
    assert flushed(quiet) == []
    again = retry(quiet, number)
    flushed(quiet)
    assert note.read_text() == "x\n"
    with pytest.raises(Refused):
        retry(quiet, again)  # it is done
    with pytest.raises(UsageError):
        retry(quiet, 4711)
    assert flushed(quiet) == []
    assert len(quiet.rows("deploy_queue")) == 2


def test_what_waits_for_its_next_attempt_can_be_cancelled(quiet: Scene) -> None:
    quiet.commit("a")
    number = ask(quiet, "push", "main")
    with away(quiet):
        flushed(quiet)
    with batcher(quiet) as queue:
        queue.cancel(number)
    assert flushed(quiet) == []
    assert (quiet.there(), state(quiet, number)[0]) == (quiet.start_oid, "cancelled")


def test_a_batch_made_by_hand_gives_back_what_may_pass(quiet: Scene) -> None:
    tip = quiet.commit("a")
    with batcher(quiet, batch_window_ms=0) as queue:
        number = queue.queue("ada", "push", "main")
        batch = queue.create_batch()
        assert batch is not None
        with away(quiet):
            result = queue.execute_batch(batch.id)
        assert (result.success, result.executed_actions, result.failed_actions) == (False, 0, 0)
        assert result.deferred_actions == 1
        assert state(quiet, number) == ("pending", 1)
        with pytest.raises(Refused):
            queue.execute_batch(batch.id)  # what it had is in the queue again
        assert queue.create_batch() is None  # and waits for the end of its pause
        assert [result.success for result in queue.flush_all()] == [True]
    assert (quiet.there(), len(quiet.pushes())) == (tip, 1)


def test_while_a_flush_is_busy_what_it_gave_back_is_not_taken_twice(quiet: Scene) -> None:
    """A second flush comes in while the first one still works at something else."""
    quiet.commit("a")
    number = ask(quiet, "push", "main")
    with gate(quiet, quiet.root / "slow.sh") as let_through:
        quiet.git("config", "uam.deploy.slow.command", str(quiet.root / "slow.sh"))
        ask(quiet, "deploy", "slow", ref="x")
        with away(quiet):
            first = quiet.start("uam", "flush")
            until(let_through.reached, "the deploy")
            until(lambda: state(quiet, number) == ("pending", 1), "the first attempt")
            second = quiet.run("uam", "flush", "--timeout", "0")
            assert second.code == 3
        let_through()
        done = finished(first)
    assert done.code == 1, done
    assert state(quiet, number) == ("pending", 1)
    assert flushed(quiet)[0].success
    assert len(quiet.pushes()) == 1
