"""`uam queue`: every option, the words on the screen, what programs get, and what runs by itself."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.support.commands import (
    ME,
    UAM,
    asked,
    call,
    commit,
    facts,
    refused,
    said,
    select,
    source,
    unchanged,
)
from tests.support.landscape import write
from tests.support.queueing import row, statuses
from tests.support.scenes import Scene, Worktree, until
from uam_hooks.hot.queue.model import seconds_of

_COMMIT = ("--action-type", "commit", "--target", "main", "--message", "m", "--files", "a")
_PUSH = ("--action-type", "push", "--target", "main")


def paths(scene: Scene) -> list[str]:
    """The files of all commits that were asked for by name."""
    return [path for (path,) in select(scene, "SELECT path FROM source_files ORDER BY path")]


# -- queue: words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "what", "window"),
    [
        ("commit --target main --message M --files f", "commit main", 30),
        ("push --target main", "push origin/main", 20),
        ("merge --target main --source topic", "merge main", 10),
        ("merge --target main --source topic --push", "merge origin/main", 10),
        ("merge --target main --pr 7", "merge origin/main", 10),
        ("workflow --target test.yml --ref main", "workflow test.yml", 5),
        ("deploy --target prod", "deploy prod", 60),
        ("deploy --target prod --urgent", "deploy prod", 5),
    ],
)
def test_what_queue_says(stocked: Scene, args: str, what: str, window: int) -> None:
    stocked.git("config", "uam.window.push", "20s")
    write(stocked, "f", "f\n")
    shown = said(stocked, "queue", "--action-type", *args.split())
    left = re.fullmatch(rf"queued as #1: {what}; it is due in (\d+) s, and `git uam flush` executes it", shown)
    assert left is not None, shown
    assert window - 5 <= int(left[1]) <= window  # some of it may have passed


def test_what_queue_says_to_programs(stocked: Scene) -> None:
    found = facts(stocked, "queue", "--action-type", "merge", "--target", "main", "--source", "topic", "--push")
    assert found == {"id": 1, "type": "merge", "where": "origin/main", "due": row(stocked, 1)["execute_after"]}


def test_what_joins_another_action_says_so_by_its_number(stocked: Scene) -> None:
    first = asked(stocked, "push", "main", "--agent-id", "agent-1")
    assert said(stocked, "queue", "--action-type", "push", "--target", "main").startswith(f"queued as #{first}: push ")


# -- queue: every option ---------------------------------------------------------------------------------------------


def test_who_asks(stocked: Scene) -> None:
    number = asked(stocked, "push", "main", "--agent-id", "agent 1/β")
    assert (row(stocked, number)["agent_id"], source(stocked, number)["agent_id"]) == ("agent 1/β", "agent 1/β")
    assert row(stocked, asked(stocked, "push", "topic"))["agent_id"] == ME
    done = call(stocked, "queue", "--action-type", "deploy", "--target", "prod", agent="named")
    assert done.code == 0
    stocked.git("config", "uam.agent", "configured")
    asked(stocked, "deploy", "prod")
    assert [row["agent_id"] for row in stocked.rows("deploy_queue")[2:]] == ["named", "configured"]


def test_files_of_a_commit(stocked: Scene) -> None:
    for name in ("a", "b", "c", "d", "with, comma", "-dash"):
        write(stocked, name, f"{name}\n")
    message = "feat: all\n\nwith a body"
    said(stocked, "queue", "--action-type", "commit", "--target", "main", "--message", message, "--files", "a,b",
         "--files", "c", "--files", "with, comma", "--", "d", "-dash")  # fmt: skip
    assert paths(stocked) == ["-dash", "a", "b", "c", "d", "with, comma"]
    assert source(stocked, 1)["message"] == message
    asked(stocked, "push", "main")
    assert call(stocked, "flush").code == 0
    assert stocked.files() == ["-dash", "README", "a", "b", "c", "d", "with, comma"]
    assert stocked.bare.git("log", "-1", "--format=%B", "main") == message


def test_many_files_with_commas(stocked: Scene) -> None:
    # as one name that would be longer than any name of a file can be
    names = [f"a-file-with-a-long-name-{number}.txt" for number in range(30)]
    for name in names:
        write(stocked, name, f"{name}\n")
    asked(stocked, "commit", "main", "--message", "many", "--files", ",".join(names))
    assert paths(stocked) == sorted(names)


def test_a_name_that_is_not_utf_8(stocked: Scene) -> None:
    # it is committed or refused, in words
    name = os.fsdecode(b"caf\xe9")
    write(stocked, name, "x\n")
    write(stocked, "a", "a\n")
    done = stocked.run("uam", "deploy", "queue", *_COMMIT, "--files", name)
    if done.code:
        refused(done, 2)
        assert stocked.rows("deploy_queue") == []
    else:
        assert call(stocked, "flush").code == 0
        assert r'"caf\351"' in stocked.git("ls-tree", "--name-only", "main").splitlines()


@pytest.mark.parametrize("option", ["--message", "--target", "--agent-id", "--payload"])
def test_words_that_are_not_utf_8(stocked: Scene, option: str) -> None:
    write(stocked, "a", "a\n")
    said = {"--message": "m", "--target": "main", "--agent-id": "agent", "--payload": "{}"}
    said[option] = '{"message": "\\ud800"}' if option == "--payload" else os.fsdecode(b"caf\xe9")
    if option == "--payload":
        del said["--message"]
    words = [word for pair in said.items() for word in pair]
    done = stocked.run("uam", "deploy", "queue", "--action-type", "commit", "--files", "a", *words)
    assert "Traceback" not in done.err
    assert done.code in (0, 2), done
    if done.code:
        refused(done, 2)
        assert stocked.rows("deploy_queue") == []


def test_a_push_to_a_remote_and_by_force(stocked: Scene) -> None:
    stocked.git("config", "remote.backup.url", str(stocked.root / "backup.git"))
    number = asked(stocked, "push", "main", "--remote", "backup")
    assert row(stocked, number)["remote"] == "backup"
    plain, forced = asked(stocked, "push", "main"), asked(stocked, "push", "main", "--force")
    assert plain != forced  # force merges with nothing
    assert [source(stocked, i)["exact"] for i in (plain, forced)] == [0, 1]
    assert source(stocked, forced)["expect"] == stocked.start_oid


def test_a_merge(stocked: Scene) -> None:
    number = asked(stocked, "merge", "main", "--source", "topic", "--strategy", "squash", "--push", "--message", "Join")
    assert json.loads(row(stocked, number)["payload"]) == {
        "source": "topic", "strategy": "squash", "push": True, "message": "Join",
    }  # fmt: skip
    number = asked(stocked, "merge", "main", "--source", "topic")
    assert json.loads(row(stocked, number)["payload"]) == {"source": "topic", "strategy": "no-ff", "push": False}


def test_a_pull_request(stocked: Scene) -> None:
    number = asked(stocked, "merge", "main", "--pr", "12", "--method", "rebase", "--remote", "origin")
    assert json.loads(row(stocked, number)["payload"]) == {"pr": 12, "method": "rebase"}


def test_a_workflow(stocked: Scene) -> None:
    number = asked(stocked, "workflow", "test.yml", "--ref", "topic", "--inputs", '{"env": "staging", "n": 3}')
    assert json.loads(row(stocked, number)["payload"]) == {"ref": "topic", "inputs": {"env": "staging", "n": "3"}}


def test_a_deploy_gets_its_payload(stocked: Scene) -> None:
    number = asked(stocked, "deploy", "prod", "--ref", "topic", "--payload", '{"region": "eu", "ref": "main"}')
    # what is said in an option of its own goes before
    assert json.loads(row(stocked, number)["payload"]) == {"region": "eu", "ref": "topic"}
    assert call(stocked, "flush").code == 0
    assert json.loads(facts(stocked, "log", str(number))["output"].splitlines()[1])["region"] == "eu"


def test_payload_and_options_together(stocked: Scene) -> None:
    write(stocked, "a", "a\n")
    number = asked(stocked, "commit", "main", "--payload", '{"message": "from JSON", "files": ["a"]}')
    assert source(stocked, number)["message"] == "from JSON"
    assert paths(stocked) == ["a"]


def test_priority_zero_is_a_value(stocked: Scene) -> None:
    numbers = [asked(stocked, "deploy", "prod", *more) for more in ((), ("--priority", "0"), ("--priority", "-7"))]
    assert [row(stocked, number)["priority"] for number in numbers] == [5, 0, -7]


def test_dependencies(stocked: Scene) -> None:
    first, second = asked(stocked, "deploy", "prod"), asked(stocked, "push", "main")
    number = asked(stocked, "deploy", "prod", "--depends-on", str(first), "--depends-on", f"#{second}")
    assert json.loads(row(stocked, number)["dependencies"]) == [first, second]
    line = next(line for line in said(stocked, "status").splitlines() if line.startswith(f"#{number} "))
    assert line.rstrip().endswith(f", after #{first}, #{second}")


@pytest.mark.parametrize("moment", ["2999-05-06T07:08:09Z", "2999-05-06 09:08:09+02:00", "2999-05-06T07:08:09"])
def test_a_moment_of_its_own(stocked: Scene, moment: str) -> None:
    found = facts(stocked, "queue", "--action-type", "deploy", "--target", "prod", "--execute-after", moment)
    assert found["due"] == row(stocked, found["id"])["not_before"] == "2999-05-06T07:08:09.000Z"
    # a flush by hand respects it
    assert said(stocked, "flush") == "nothing to land"
    assert statuses(stocked) == ["pending"]


def test_urgent_shortens_the_window(stocked: Scene) -> None:
    found = row(stocked, commit(stocked, "a", "--urgent"))
    assert round(seconds_of(found["execute_after"]) - seconds_of(found["queued_at"]), 1) == 2


# -- queue: where it is called ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["git uam", "uam"])
def test_from_a_subdirectory(stocked: Scene, way: str) -> None:
    write(stocked, "src/deep/a", "a\n")
    write(stocked, "src/b", "b\n")
    write(stocked, "a", "not this one\n")
    below = Worktree(stocked.top / "src" / "deep", stocked.env)
    args = ("queue", "--action-type", "commit", "--target", "main", "--message", "m", "--files", "a", "../b")
    done = below.run("uam", *args) if way == "git uam" else below.execute(*UAM, *args)
    assert done.code == 0, done
    assert paths(stocked) == ["src/b", "src/deep/a"]
    assert call(stocked, "status", at=below.top).code == 0


@pytest.mark.parametrize("way", ["git uam", "uam"])
def test_from_a_linked_worktree(stocked: Scene, way: str) -> None:
    other = stocked.worktree("other")
    write(other, "a", "theirs\n")
    write(stocked, "a", "mine\n")
    args = ("queue", "--action-type", "commit", "--target", "other", "--message", "m", "--files", "a")
    done = other.run("uam", *args) if way == "git uam" else other.execute(*UAM, *args)
    assert done.code == 0, done
    (found,) = stocked.rows("sources")
    assert (found["agent_id"], found["worktree"]) == ("other", str(other.git_dir))
    assert stocked.git("show", f"{found['tip']}:a") == "theirs"
    # one queue for all worktrees
    assert call(stocked, "flush").code == 0
    assert stocked.subjects("-1", "other") == ["m"]


def test_files_of_another_worktree_are_not_taken(stocked: Scene) -> None:
    other = stocked.worktree("other")
    write(other, "a", "theirs\n")
    args = ("--action-type", "commit", "--target", "main", "--message", "m", "--files", str(other.top / "a"))
    with unchanged(stocked):
        refused(call(stocked, "queue", *args), 2, "is not in this worktree")


def test_where_git_uam_is_not_enabled(plain: Scene) -> None:
    for args in (
        ("queue", *_PUSH), ("batch",), ("execute", "--batch-id", "1"), ("cancel", "1"), ("retry", "1"),
        ("log", "1"), ("urgent",), ("status",), ("flush",), ("deploy", "status"),
    ):  # fmt: skip
        refused(call(plain, *args), 4, "git uam is not enabled in this repository. Run `git uam install`.")
    assert not plain.uam.exists()
    assert call(plain, "config", "uam.window.push").out == "5s\n"


def test_outside_of_a_repository(plain: Scene) -> None:
    for args in (("queue", *_PUSH), ("status",), ("flush",), ("config",)):
        refused(call(plain, *args, at=plain.root), 2, "is not in a git repository.")


# -- what runs by itself ---------------------------------------------------------------------------------------------


def test_queue_starts_what_executes_it(scene: Scene) -> None:
    scene.git("config", "uam.window.commit", "100ms")
    write(scene, "a", "a\n")
    assert scene.git("uam", "queue", *_COMMIT) == "queued as #1: commit main; it is due in 0 s"
    scene.idle()
    assert statuses(scene)[0] == "completed"
    assert scene.git("uam", "queue", *_PUSH).endswith(": push origin/main; it is due in 0 s")
    scene.idle()
    assert scene.landed() == ["m"]
    assert scene.clean()


@pytest.mark.slow
def test_uam_deploy_starts_nothing(scene: Scene) -> None:
    scene.git("config", "uam.window.push", "0")
    scene.commit("a")
    for args in (("queue", "--action-type", "push", "--target", "main"), ("status",), ("batch", "--dry-run")):
        for command in (("git", "uam", "deploy"), (*UAM, "deploy")):
            assert scene.execute(*command, *args).code == 0
            assert scene.flushers() == []
    assert set(statuses(scene)) == {"pending"}
    assert scene.there() == scene.start_oid
    # the other status sees to it that what waits is executed
    scene.git("uam", "status")
    until(lambda: scene.there() != scene.start_oid, "the landing")
    scene.idle()


def test_in_the_mode_manual_nothing_starts(stocked: Scene) -> None:
    stocked.git("config", "uam.window.push", "0")
    stocked.commit("a")
    shown = stocked.git("uam", "queue", "--action-type", "push", "--target", "main")
    assert shown.endswith("it is due in 0 s, and `git uam flush` executes it")
    stocked.git("uam", "status")
    assert stocked.flushers() == []
    assert stocked.there() == stocked.start_oid


def test_retry_starts_what_executes_it(scene: Scene) -> None:
    tip = scene.commit("a")
    scene.git("config", "uam.push.mode", "manual")
    scene.git("uam", "queue", "--action-type", "push", "--target", "main")
    scene.git("uam", "cancel", "2")
    scene.git("config", "uam.push.mode", "wait")
    assert scene.git("uam", "retry", "2") == "#2 is queued again as #3"
    until(lambda: scene.there() == tip, "the landing")
    scene.idle()
