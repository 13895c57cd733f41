"""The commands about the queue: every option, the words on the screen, what programs get, and exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from landscape import by_hand, environment, write
from scenes import Done, Scene, Worktree, finished, locked, script, until

from uam_hooks.cli import main
from uam_hooks.hot.queue.model import iso, seconds_of

ME = "ada@example.invalid@work"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# The console script of the environment that the tests run in.
_SCRIPT = Path(sys.executable).parent / "uam"
UAM = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-c", "from uam_hooks.cli import main; main()"]

_COMMIT = ("--action-type", "commit", "--target", "main", "--message", "m", "--files", "a")
_PUSH = ("--action-type", "push", "--target", "main")
_FLOW = ("--action-type", "workflow", "--target", "test.yml")
_DEPLOY = ("--action-type", "deploy", "--target", "prod")
_MERGE = ("--action-type", "merge", "--target", "main", "--source", "topic")


@pytest.fixture
def quiet(scene: Scene) -> Scene:
    """A scene in which nothing is executed but by a command of the test, with everything that can be queued."""
    by_hand(scene)
    scene.git("branch", "topic")
    scene.git("config", "uam.gh.repo", "owner/shop")
    scene.git("config", "uam.deploy.prod.command", f"{script(scene.root / 'deploy', 'echo deployed; cat')} now")
    scene.git("config", "uam.deploy.bad.command", str(script(scene.root / "bad", "echo broken; exit 3")))
    return scene


def call(place: Worktree, *args: str, at: Path | None = None, agent: str = "") -> Done:
    """`uam args` in this process: for the many cases in which only the answer matters, and nothing is started."""
    out, err = io.StringIO(), io.StringIO()
    here, argv = Path.cwd(), sys.argv
    env = {**place.env, "UAM_AGENT_ID": agent} if agent else place.env
    with environment(env), redirect_stdout(out), redirect_stderr(err):
        os.chdir(at or place.top)
        sys.argv = ["uam", *args]
        try:
            main()
        except SystemExit as done:
            code = done.code
        finally:
            os.chdir(here)
            sys.argv = argv
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def said(place: Worktree, *args: str) -> str:
    """What `uam args` printed; it must succeed, with nothing on stderr."""
    done = call(place, *args)
    assert (done.code, done.err) == (0, ""), done
    return done.out.rstrip("\n")


def facts(place: Worktree, *args: str) -> Any:
    return json.loads(said(place, *args, "--json"))


def ask(place: Worktree, kind: str, target: str, *more: str) -> int:
    """Queue something by command; gives its id."""
    found = facts(place, "queue", "--action-type", kind, "--target", target, *more)
    return int(found["id"])


def commit(place: Worktree, name: str = "a", *more: str, message: str = "") -> int:
    write(place, name, f"{name}\n")
    return ask(place, "commit", "main", "--message", message or f"Add {name}", "--files", name, *more)


def row(scene: Scene, number: int) -> dict[str, Any]:
    (found,) = [row for row in scene.rows("deploy_queue") if row["id"] == number]
    return found


def source(scene: Scene, number: int) -> dict[str, Any]:
    (found,) = [row for row in scene.rows("sources") if row["action_id"] == number]
    return found


def select(scene: Scene, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(scene.paths.database)) as db:
        try:
            return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []  # nobody has opened the queue yet


def paths(scene: Scene) -> list[str]:
    """The files of all commits that were asked for by name."""
    return [path for (path,) in select(scene, "SELECT path FROM source_files ORDER BY path")]


def states(scene: Scene) -> list[str]:
    return [row["status"] for row in scene.rows("deploy_queue")]


def change(scene: Scene, *statements: str) -> None:
    """What a test cannot wait for, or cannot choose."""
    with closing(sqlite3.connect(scene.paths.database)) as db, db:
        for statement in statements:
            db.execute(statement)


def due_now(scene: Scene) -> None:
    """Let all windows have ended."""
    change(scene, "UPDATE deploy_queue SET execute_after = queued_at")


@contextmanager
def unchanged(scene: Scene) -> Iterator[None]:
    """Neither queue nor repository nor remote may change."""

    def everything() -> object:
        tables = [select(scene, f"SELECT * FROM {table}") for table in ("source_files", "urgent", "imported")]  # noqa: S608
        config = (scene.top / ".git" / "config").read_text(), (scene.home / "gitconfig").read_text()
        return scene.queue(), tables, config, scene.git("for-each-ref"), scene.status(), scene.bare.git("for-each-ref")

    before = everything()
    yield
    assert everything() == before


def refused(done: Done, code: int, *words: str) -> None:
    """One sentence or two on one line of stderr, nothing on stdout."""
    assert (done.code, done.out) == (code, ""), done
    assert "Traceback" not in done.err
    lines = done.err.splitlines()
    if lines[0].startswith(("Usage: ", "Error: ")):  # click shows how to call the command, and what there is to choose
        assert len([line for line in lines if line.startswith("Error: ")]) == 1, done
    else:
        assert len(lines) == 1, done
        assert lines[0].startswith("uam: "), done
    for word in words:
        assert word in done.err


def each(scene: Scene, cases: Iterable[tuple[Sequence[str], int, str]]) -> None:
    """Every one of these calls is refused with that status and these words, and changes nothing."""
    wrong = []
    with unchanged(scene):
        for args, code, words in cases:
            try:
                refused(call(scene, *args), code, words)
            except Exception as error:  # the others are of interest, too
                wrong.append((" ".join(args)[:120], f"{type(error).__name__}: {error}"[:400]))
    assert wrong == []


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
def test_what_queue_says(quiet: Scene, args: str, what: str, window: int) -> None:
    quiet.git("config", "uam.window.push", "20s")
    write(quiet, "f", "f\n")
    shown = said(quiet, "queue", "--action-type", *args.split())
    left = re.fullmatch(rf"queued as #1: {what}; it is due in (\d+) s, and `git uam flush` executes it", shown)
    assert left is not None, shown
    assert window - 5 <= int(left[1]) <= window  # some of it may have passed


def test_what_queue_says_to_programs(quiet: Scene) -> None:
    found = facts(quiet, "queue", "--action-type", "merge", "--target", "main", "--source", "topic", "--push")
    assert found == {"id": 1, "type": "merge", "where": "origin/main", "due": row(quiet, 1)["execute_after"]}


def test_what_joins_another_action_says_so_by_its_number(quiet: Scene) -> None:
    first = ask(quiet, "push", "main", "--agent-id", "agent-1")
    assert said(quiet, "queue", "--action-type", "push", "--target", "main").startswith(f"queued as #{first}: push ")


# -- queue: every option ---------------------------------------------------------------------------------------------


def test_who_asks(quiet: Scene) -> None:
    number = ask(quiet, "push", "main", "--agent-id", "agent 1/β")
    assert (row(quiet, number)["agent_id"], source(quiet, number)["agent_id"]) == ("agent 1/β", "agent 1/β")
    assert row(quiet, ask(quiet, "push", "topic"))["agent_id"] == ME
    done = call(quiet, "queue", "--action-type", "deploy", "--target", "prod", agent="named")
    assert done.code == 0
    quiet.git("config", "uam.agent", "configured")
    ask(quiet, "deploy", "prod")
    assert [row["agent_id"] for row in quiet.rows("deploy_queue")[2:]] == ["named", "configured"]


def test_files_of_a_commit(quiet: Scene) -> None:
    for name in ("a", "b", "c", "d", "with, comma", "-dash"):
        write(quiet, name, f"{name}\n")
    message = "feat: all\n\nwith a body"
    said(quiet, "queue", "--action-type", "commit", "--target", "main", "--message", message, "--files", "a,b",
         "--files", "c", "--files", "with, comma", "--", "d", "-dash")  # fmt: skip
    assert paths(quiet) == ["-dash", "a", "b", "c", "d", "with, comma"]
    assert source(quiet, 1)["message"] == message
    ask(quiet, "push", "main")
    assert call(quiet, "flush").code == 0
    assert quiet.files() == ["-dash", "README", "a", "b", "c", "d", "with, comma"]
    assert quiet.bare.git("log", "-1", "--format=%B", "main") == message


def test_many_files_with_commas(quiet: Scene) -> None:
    # as one name that would be longer than any name of a file can be
    names = [f"a-file-with-a-long-name-{number}.txt" for number in range(30)]
    for name in names:
        write(quiet, name, f"{name}\n")
    ask(quiet, "commit", "main", "--message", "many", "--files", ",".join(names))
    assert paths(quiet) == sorted(names)


def test_a_name_that_is_not_utf_8(quiet: Scene) -> None:
    # it is committed or refused, in words
    name = os.fsdecode(b"caf\xe9")
    write(quiet, name, "x\n")
    write(quiet, "a", "a\n")
    done = quiet.run("uam", "deploy", "queue", *_COMMIT, "--files", name)
    if done.code:
        refused(done, 2)
        assert quiet.rows("deploy_queue") == []
    else:
        assert call(quiet, "flush").code == 0
        assert r'"caf\351"' in quiet.git("ls-tree", "--name-only", "main").splitlines()


@pytest.mark.parametrize("option", ["--message", "--target", "--agent-id", "--payload"])
def test_words_that_are_not_utf_8(quiet: Scene, option: str) -> None:
    write(quiet, "a", "a\n")
    said = {"--message": "m", "--target": "main", "--agent-id": "agent", "--payload": "{}"}
    said[option] = '{"message": "\\ud800"}' if option == "--payload" else os.fsdecode(b"caf\xe9")
    if option == "--payload":
        del said["--message"]
    words = [word for pair in said.items() for word in pair]
    done = quiet.run("uam", "deploy", "queue", "--action-type", "commit", "--files", "a", *words)
    assert "Traceback" not in done.err
    assert done.code in (0, 2), done
    if done.code:
        refused(done, 2)
        assert quiet.rows("deploy_queue") == []


def test_a_push_to_a_remote_and_by_force(quiet: Scene) -> None:
    quiet.git("config", "remote.backup.url", str(quiet.root / "backup.git"))
    number = ask(quiet, "push", "main", "--remote", "backup")
    assert row(quiet, number)["remote"] == "backup"
    plain, forced = ask(quiet, "push", "main"), ask(quiet, "push", "main", "--force")
    assert plain != forced  # force merges with nothing
    assert [source(quiet, i)["exact"] for i in (plain, forced)] == [0, 1]
    assert source(quiet, forced)["expect"] == quiet.start_oid


def test_a_merge(quiet: Scene) -> None:
    number = ask(quiet, "merge", "main", "--source", "topic", "--strategy", "squash", "--push", "--message", "Join")
    assert json.loads(row(quiet, number)["payload"]) == {
        "source": "topic", "strategy": "squash", "push": True, "message": "Join",
    }  # fmt: skip
    number = ask(quiet, "merge", "main", "--source", "topic")
    assert json.loads(row(quiet, number)["payload"]) == {"source": "topic", "strategy": "no-ff", "push": False}


def test_a_pull_request(quiet: Scene) -> None:
    number = ask(quiet, "merge", "main", "--pr", "12", "--method", "rebase", "--remote", "origin")
    assert json.loads(row(quiet, number)["payload"]) == {"pr": 12, "method": "rebase"}


def test_a_workflow(quiet: Scene) -> None:
    number = ask(quiet, "workflow", "test.yml", "--ref", "topic", "--inputs", '{"env": "staging", "n": 3}')
    assert json.loads(row(quiet, number)["payload"]) == {"ref": "topic", "inputs": {"env": "staging", "n": "3"}}


def test_a_deploy_gets_its_payload(quiet: Scene) -> None:
    number = ask(quiet, "deploy", "prod", "--ref", "topic", "--payload", '{"region": "eu", "ref": "main"}')
    # what is said in an option of its own goes before
    assert json.loads(row(quiet, number)["payload"]) == {"region": "eu", "ref": "topic"}
    assert call(quiet, "flush").code == 0
    assert json.loads(facts(quiet, "log", str(number))["output"].splitlines()[1])["region"] == "eu"


def test_payload_and_options_together(quiet: Scene) -> None:
    write(quiet, "a", "a\n")
    number = ask(quiet, "commit", "main", "--payload", '{"message": "from JSON", "files": ["a"]}')
    assert source(quiet, number)["message"] == "from JSON"
    assert paths(quiet) == ["a"]


def test_priority_zero_is_a_value(quiet: Scene) -> None:
    numbers = [ask(quiet, "deploy", "prod", *more) for more in ((), ("--priority", "0"), ("--priority", "-7"))]
    assert [row(quiet, number)["priority"] for number in numbers] == [5, 0, -7]


def test_dependencies(quiet: Scene) -> None:
    first, second = ask(quiet, "deploy", "prod"), ask(quiet, "push", "main")
    number = ask(quiet, "deploy", "prod", "--depends-on", str(first), "--depends-on", f"#{second}")
    assert json.loads(row(quiet, number)["dependencies"]) == [first, second]
    line = next(line for line in said(quiet, "status").splitlines() if line.startswith(f"#{number} "))
    assert line.rstrip().endswith(f", after #{first}, #{second}")


@pytest.mark.parametrize("moment", ["2999-05-06T07:08:09Z", "2999-05-06 09:08:09+02:00", "2999-05-06T07:08:09"])
def test_a_moment_of_its_own(quiet: Scene, moment: str) -> None:
    found = facts(quiet, "queue", "--action-type", "deploy", "--target", "prod", "--execute-after", moment)
    assert found["due"] == row(quiet, found["id"])["not_before"] == "2999-05-06T07:08:09.000Z"
    # a flush by hand respects it
    assert said(quiet, "flush") == "nothing to land"
    assert states(quiet) == ["pending"]


def test_urgent_shortens_the_window(quiet: Scene) -> None:
    found = row(quiet, commit(quiet, "a", "--urgent"))
    assert round(seconds_of(found["execute_after"]) - seconds_of(found["queued_at"]), 1) == 2


# -- queue: where it is called ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["git uam", "uam"])
def test_from_a_subdirectory(quiet: Scene, way: str) -> None:
    write(quiet, "src/deep/a", "a\n")
    write(quiet, "src/b", "b\n")
    write(quiet, "a", "not this one\n")
    below = Worktree(quiet.top / "src" / "deep", quiet.env)
    args = ("queue", "--action-type", "commit", "--target", "main", "--message", "m", "--files", "a", "../b")
    done = below.run("uam", *args) if way == "git uam" else below.execute(*UAM, *args)
    assert done.code == 0, done
    assert paths(quiet) == ["src/b", "src/deep/a"]
    assert call(quiet, "status", at=below.top).code == 0


@pytest.mark.parametrize("way", ["git uam", "uam"])
def test_from_a_linked_worktree(quiet: Scene, way: str) -> None:
    other = quiet.worktree("other")
    write(other, "a", "theirs\n")
    write(quiet, "a", "mine\n")
    args = ("queue", "--action-type", "commit", "--target", "other", "--message", "m", "--files", "a")
    done = other.run("uam", *args) if way == "git uam" else other.execute(*UAM, *args)
    assert done.code == 0, done
    (found,) = quiet.rows("sources")
    assert (found["agent_id"], found["worktree"]) == ("other", str(other.git_dir))
    assert quiet.git("show", f"{found['tip']}:a") == "theirs"
    # one queue for all worktrees
    assert call(quiet, "flush").code == 0
    assert quiet.subjects("-1", "other") == ["m"]


def test_files_of_another_worktree_are_not_taken(quiet: Scene) -> None:
    other = quiet.worktree("other")
    write(other, "a", "theirs\n")
    args = ("--action-type", "commit", "--target", "main", "--message", "m", "--files", str(other.top / "a"))
    with unchanged(quiet):
        refused(call(quiet, "queue", *args), 2, "is not in this worktree")


def test_where_git_uam_is_not_enabled(plain: Scene) -> None:
    for args in (
        ("queue", *_PUSH), ("batch",), ("execute", "--batch-id", "1"), ("cancel", "1"), ("retry", "1"),
        ("log", "1"), ("urgent",), ("status",), ("flush",), ("deploy", "status"),
    ):  # fmt: skip
        refused(call(plain, *args), 4, "git uam is not enabled in this repository. Run `git uam install` here.")
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
    assert states(scene)[0] == "completed"
    assert scene.git("uam", "queue", *_PUSH).endswith(": push origin/main; it is due in 0 s")
    scene.idle()
    assert scene.landed() == ["m"]
    assert scene.clean()


def test_uam_deploy_starts_nothing(scene: Scene) -> None:
    scene.git("config", "uam.window.push", "0")
    scene.commit("a")
    for args in (("queue", "--action-type", "push", "--target", "main"), ("status",), ("batch", "--dry-run")):
        for command in (("git", "uam", "deploy"), (*UAM, "deploy")):
            assert scene.execute(*command, *args).code == 0
            assert scene.flushers() == []
    assert set(states(scene)) == {"pending"}
    assert scene.there() == scene.start_oid
    # the other status sees to it that what waits is executed
    scene.git("uam", "status")
    until(lambda: scene.there() != scene.start_oid, "the landing")
    scene.idle()


def test_in_the_mode_manual_nothing_starts(quiet: Scene) -> None:
    quiet.git("config", "uam.window.push", "0")
    quiet.commit("a")
    shown = quiet.git("uam", "queue", "--action-type", "push", "--target", "main")
    assert shown.endswith("it is due in 0 s, and `git uam flush` executes it")
    quiet.git("uam", "status")
    assert quiet.flushers() == []
    assert quiet.there() == quiet.start_oid


def test_retry_starts_what_executes_it(scene: Scene) -> None:
    tip = scene.commit("a")
    scene.git("config", "uam.push.mode", "manual")
    scene.git("uam", "queue", "--action-type", "push", "--target", "main")
    scene.git("uam", "cancel", "2")
    scene.git("config", "uam.push.mode", "wait")
    assert scene.git("uam", "retry", "2") == "#2 is queued again as #3"
    until(lambda: scene.there() == tip, "the landing")
    scene.idle()


# -- batch and execute -----------------------------------------------------------------------------------------------


def test_batch_and_execute(quiet: Scene) -> None:
    assert said(quiet, "batch") == "nothing is due"
    assert facts(quiet, "batch") is None
    commit(quiet, "a", message="feat: a\n\nwith a body")
    commit(quiet, "b")
    ask(quiet, "push", "main")
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    shown = said(quiet, "batch").splitlines()
    (made,) = quiet.rows("deploy_batches")
    assert shown == [
        f"batch 1: {made['id']}",
        "  #1 commit main: Squashed 2 commits: 1. feat: a 2. Add b",
        "  #2 push origin/main",
        "  #3 deploy prod",
        "`git uam execute --batch-id 1` executes it, and so does any flush",
    ]
    assert states(quiet) == ["batched"] * 3
    assert said(quiet, "batch") == "nothing is due"
    done = call(quiet, "execute", "--batch-id", "1")
    new = quiet.there()[:7]
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[-1] == "batch 1: #3 deploy prod done (git uam log 3)"
    assert all(re.fullmatch(rf"batch 1: {re.escape(ME)} [0-9a-f]{{7}} landed on origin/main as {new}", line)
               for line in lines[:-1]), lines  # fmt: skip
    body = quiet.bare.git("log", "-1", "--format=%B", "main")
    assert body.startswith("Squashed 2 commits:\n\n1. feat: a\n2. Add b\n")
    assert states(quiet) == ["completed"] * 3
    # executing it once more says what it came to, and does nothing
    again = call(quiet, "execute", "--batch-id", made["id"])
    assert (again.code, again.out.splitlines()) == (0, lines)
    assert len(quiet.pushes()) == 1


def test_a_batch_for_programs(quiet: Scene) -> None:
    first = commit(quiet)
    ask(quiet, "push", "main", "--agent-id", "agent-1", "--priority", "7")
    due_now(quiet)
    found = facts(quiet, "batch")
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
    done = facts(quiet, "execute", "--batch-id", found["id"])
    assert sorted(done) == [
        "batchId", "deferredActions", "duration", "errors", "executedActions", "failedActions", "success",
    ]  # fmt: skip
    assert (done["batchId"], done["success"], done["failedActions"], done["errors"]) == (found["id"], True, 0, [])
    assert done["executedActions"] == 2
    assert done["duration"] > 0
    assert quiet.landed() == ["Add a"]


def test_dry_runs_change_nothing(quiet: Scene) -> None:
    commit(quiet)
    ask(quiet, "push", "main")
    due_now(quiet)
    with unchanged(quiet):
        assert said(quiet, "batch", "--dry-run").splitlines() == [
            "would be claimed:", "  #1 commit main: Add a", "  #2 push origin/main",
        ]  # fmt: skip
        assert facts(quiet, "batch", "--dry-run")["number"] == 0
        assert said(quiet, "flush", "--dry-run").startswith("origin/main: ")
        (plan,) = facts(quiet, "flush", "--dry-run")["plans"]
        assert (plan["where"], plan["type"], plan["old"]) == ("origin/main", "push", quiet.start_oid)
    said(quiet, "batch")
    with unchanged(quiet):
        assert said(quiet, "execute", "--batch-id", "1", "--dry-run").startswith("origin/main: ")


def test_a_dry_run_of_execute_for_programs(quiet: Scene) -> None:
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    said(quiet, "batch")
    with unchanged(quiet):
        assert "prod" in json.dumps(facts(quiet, "execute", "--batch-id", "1", "--dry-run"))


def test_execute_what_failed(quiet: Scene) -> None:
    ask(quiet, "deploy", "bad")
    due_now(quiet)
    said(quiet, "batch")
    done = call(quiet, "execute", "--batch-id", "1")
    assert done.code == 1
    assert done.out.startswith("batch 1: #1 deploy bad failed: ")
    again = call(quiet, "execute", "--batch-id", "1", "--json")
    assert again.code == 1
    found = json.loads(again.out)
    assert (found["success"], found["executedActions"], found["failedActions"]) == (False, 0, 1)
    assert len(found["errors"]) == 1


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_execute_of_an_unknown_batch(quiet: Scene, dry: tuple[str, ...]) -> None:
    ask(quiet, "push", "topic")
    names = ("1", "", "x", "99999999999999999999999", "²", "%", "_", "dry-run", "0", "-1", "../1")
    each(quiet, [(("execute", f"--batch-id={name}", *dry), 2, f"There is no batch '{name}' here.") for name in names])


def test_a_number_is_no_beginning_of_an_id(quiet: Scene) -> None:
    # ids of batches begin with digits, too, and only by chance with the number of another batch
    for target in ("prod", "bad"):
        ask(quiet, "deploy", target)
        due_now(quiet)
        said(quiet, "batch")
    first, second = (found["id"] for found in quiet.rows("deploy_batches"))
    change(
        quiet,
        f"UPDATE deploy_batches SET id = '2{first[1:]}' WHERE number = 1",  # noqa: S608
        f"UPDATE deploy_queue SET batch_id = '2{first[1:]}' WHERE batch_id = '{first}'",  # noqa: S608
    )
    found = call(quiet, "execute", "--batch-id", "2", "--json")
    assert json.loads(found.out)["batchId"] == second
    assert states(quiet) == ["batched", "failed"]


def test_execute_by_the_beginning_of_an_id(quiet: Scene) -> None:
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    number = facts(quiet, "batch")["id"]
    assert facts(quiet, "execute", "--batch-id", number[:13])["batchId"] == number
    assert states(quiet) == ["completed"]


def test_execute_of_a_batch_that_was_given_back(quiet: Scene) -> None:
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    said(quiet, "batch")
    change(
        quiet,
        "UPDATE deploy_batches SET status = 'cancelled'",
        "UPDATE deploy_queue SET status = 'pending', batch_id = NULL",
    )
    with unchanged(quiet):
        refused(call(quiet, "execute", "--batch-id", "1"), 4, "Batch 1 is cancelled. `git uam status` shows")


@pytest.mark.parametrize("command", ["flush", "execute"])
def test_another_flush_holds_the_queue(quiet: Scene, command: str) -> None:
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    quiet.git("config", "uam.flush.lockTimeout", "50ms")
    if command == "execute":
        said(quiet, "batch")
    more = ("--batch-id", "1") if command == "execute" else ()
    with unchanged(quiet), locked(quiet.paths.flush_lock):
        refused(call(quiet, command, *more), 3, "Another flush has held the queue for 0.05 s.")
        if command == "flush":
            refused(call(quiet, "flush", "--timeout", "20ms"), 3, "for 0.02 s.")
    assert call(quiet, command, *more).code == 0


# -- flush -----------------------------------------------------------------------------------------------------------


def test_what_flush_says(quiet: Scene) -> None:
    assert said(quiet, "flush") == "nothing to land"
    assert facts(quiet, "flush") == {"batches": []}
    commit(quiet)
    quiet.git("branch", "other")
    ask(quiet, "deploy", "bad")
    ask(quiet, "merge", "main", "--source", "topic")
    write(quiet, "b", "b\n")
    ask(quiet, "commit", "other", "--message", "Add b", "--files", "b")
    assert said(quiet, "flush", "--due") == "nothing to land"
    done = call(quiet, "flush")
    assert (done.code, done.err) == (1, "")
    lines = done.out.splitlines()
    assert f"batch 1: #1 commit main is at {quiet.short('main')}, not pushed" in lines
    assert f"batch 1: #4 commit other is at {quiet.short('other')}, not pushed" in lines
    assert any(line.startswith("batch 1: #2 deploy bad failed: ") for line in lines)
    assert quiet.pushes() == []


def test_what_flush_says_to_programs(quiet: Scene) -> None:
    commit(quiet)
    ask(quiet, "push", "main")
    ask(quiet, "deploy", "bad")
    done = call(quiet, "flush", "--json")
    assert done.code == 1
    (found,) = json.loads(done.out)["batches"]
    assert (found["success"], found["executedActions"], found["failedActions"]) == (False, 2, 1)


def test_flush_due_takes_what_is_due(quiet: Scene) -> None:
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    ask(quiet, "deploy", "bad")
    assert said(quiet, "flush", "--due") == "batch 1: #1 deploy prod done (git uam log 1)"
    assert states(quiet) == ["completed", "pending"]


# -- cancel, retry and log -------------------------------------------------------------------------------------------


def test_cancel(quiet: Scene) -> None:
    first, second, third = commit(quiet), ask(quiet, "push", "main"), ask(quiet, "deploy", "prod")
    assert said(quiet, "cancel", str(first), str(second)).splitlines() == [
        f"#{number} is cancelled; what it held stays in refs/uam/pin/" for number in (first, second)
    ]
    assert facts(quiet, "cancel", str(third)) == {"cancelled": [third]}
    assert states(quiet) == ["cancelled"] * 3
    assert [row["error"] for row in quiet.rows("deploy_queue")] == ["cancelled by hand"] * 3
    assert said(quiet, "flush") == "nothing to land"
    assert (quiet.landed(), quiet.oid("main")) == ([], quiet.start_oid)
    # what it held is there
    assert quiet.git("show", f"{source(quiet, first)['tip']}:a") == "a"


def test_what_cannot_be_cancelled(quiet: Scene) -> None:
    quiet.commit("seen")
    quiet.report()
    number = ask(quiet, "deploy", "prod")
    due_now(quiet)
    said(quiet, "batch")
    with unchanged(quiet):
        refused(call(quiet, "cancel", "1"), 4, "#1 is a commit on a branch here")
        refused(call(quiet, "cancel", str(number)), 4, f"#{number} is batched and cannot be cancelled.")
        refused(call(quiet, "cancel", "77"), 2, "There is no action #77. `git uam status` lists what is queued.")
    said(quiet, "flush")
    with unchanged(quiet):
        refused(call(quiet, "cancel", str(number)), 4, f"#{number} is completed and cannot be cancelled.")


@pytest.mark.parametrize("command", ["cancel", "retry"])
@pytest.mark.parametrize("last", ["77", "2"])
def test_several_at_once_are_all_or_none(quiet: Scene, command: str, last: str) -> None:
    # the exit status says that nothing was changed
    first, second = ask(quiet, "deploy", "prod"), ask(quiet, "deploy", "bad")
    if command == "cancel":
        due_now(quiet)
        change(quiet, f"UPDATE deploy_queue SET execute_after = '2999' WHERE id = {first}")  # noqa: S608
        said(quiet, "batch")
    else:
        said(quiet, "cancel", str(first))
    assert second == 2
    with unchanged(quiet):
        refused(call(quiet, command, str(first), last), 2 if last == "77" else 4)


def test_retry(quiet: Scene) -> None:
    (quiet.root / "deploy").chmod(0o644)
    first, second = ask(quiet, "deploy", "prod", "--agent-id", "agent-1"), ask(quiet, "push", "main")
    said(quiet, "cancel", str(second))
    assert call(quiet, "flush").code == 1
    (quiet.root / "deploy").chmod(0o755)
    assert said(quiet, "retry", str(first)) == f"#{first} is queued again as #3"
    assert facts(quiet, "retry", str(second)) == {"retried": {str(second): 4}}
    assert row(quiet, 3)["agent_id"] == "agent-1"
    quiet.commit("a")
    done = call(quiet, "flush")
    assert done.code == 0, done
    assert states(quiet) == ["failed", "cancelled", "completed", "completed", "completed"]
    assert quiet.landed() == ["Add a"]


def test_what_cannot_be_tried_again(quiet: Scene) -> None:
    number = ask(quiet, "deploy", "prod")
    words = "; only what failed or was cancelled can be tried again."
    with unchanged(quiet):
        refused(call(quiet, "retry", str(number)), 4, f"#{number} is pending{words}")
        refused(call(quiet, "retry", "77"), 2, "There is no action #77.")
    said(quiet, "flush")
    with unchanged(quiet):
        refused(call(quiet, "retry", str(number)), 4, f"#{number} is completed{words}")
    ask(quiet, "deploy", "bad")
    said(quiet, "cancel", "2")
    said(quiet, "retry", "2")
    with unchanged(quiet):
        refused(call(quiet, "retry", "2"), 4, "#2 has nothing left to try again.")


def test_log(quiet: Scene) -> None:
    good = ask(quiet, "deploy", "prod", "--payload", '{"region": "eu"}')
    bad = ask(quiet, "deploy", "bad")
    assert said(quiet, "log", str(good)) == f"#{good} deploy prod is pending"
    assert facts(quiet, "log", str(good)) == {
        "id": good, "type": "deploy", "target": "prod", "status": "pending", "error": "", "attempts": 0,
        "finished_at": None, "output": None, "exit_code": None,
    }  # fmt: skip
    assert call(quiet, "flush").code == 1
    assert said(quiet, "log", str(good)).splitlines() == [
        f"#{good} deploy prod is completed", "deployed", '{"region": "eu", "ref": "main"}',
    ]  # fmt: skip
    found = facts(quiet, "log", str(bad))
    assert (found["status"], found["exit_code"], found["output"]) == ("failed", 3, "broken\n")
    assert said(quiet, "log", str(bad)).splitlines() == [f"#{bad} deploy bad is failed: {found['error']}", "broken"]
    refused(call(quiet, "log", "77"), 2, "There is no action #77. `git uam status` lists what is queued.")


@pytest.mark.parametrize("command", ["cancel", "retry", "log"])
def test_what_is_no_number(quiet: Scene, command: str) -> None:
    ask(quiet, "deploy", "prod")
    numbers = ("", "x", "1.5", "-1", "0", "#1", "99999999999999999999999", "1; x")
    each(quiet, [((command, "--", number), 2, number) for number in numbers] + [((command,), 2, "Missing argument")])


# -- urgent ----------------------------------------------------------------------------------------------------------


def test_urgent(quiet: Scene) -> None:
    for kind in ("push", "deploy"):
        quiet.git("config", f"uam.window.{kind}", "20s")
    usual = {"commit": 30000, "push": 20000, "merge": 10000, "workflow": 5000, "deploy": 20000}
    short = {"commit": 2000, "push": 1000, "merge": 2000, "workflow": 1000, "deploy": 5000}
    assert facts(quiet, "urgent") == {"urgent": False, "until": None, "windows_ms": usual}
    assert facts(quiet, "urgent", "on") == {"urgent": True, "until": None, "windows_ms": short}
    assert said(quiet, "urgent").startswith("urgent mode is on; windows: commit 2 s, push 1 s, ")
    found = facts(quiet, "urgent", "on", "--for", "90s")
    assert 0 < seconds_of(found["until"]) - time.time() <= 90
    assert said(quiet, "urgent").startswith(f"urgent mode is on until {found['until']}; ")
    change(quiet, f"UPDATE urgent SET until = '{iso(time.time() - 1)}'")  # noqa: S608
    assert facts(quiet, "urgent")["urgent"] is False
    said(quiet, "urgent", "on")
    assert facts(quiet, "urgent", "off") == {"urgent": False, "until": None, "windows_ms": usual}


def test_urgent_of_nothing(quiet: Scene) -> None:
    each(quiet, [
        (("urgent", *args), 2, "")
        for args in (
            ("maybe",), ("off", "--for", "5m"), ("--for", "5m"), ("on", "--for", "0"), ("on", "--for", "-5"),
            ("on", "--for", "x"), ("on", "--for", "NaN"), ("on", "--for", "99999999999999d"), ("on", "off"),
            ("on", "--for"),
        )
    ])  # fmt: skip


# -- config ----------------------------------------------------------------------------------------------------------


def test_config(quiet: Scene) -> None:
    lines = said(quiet, "config").splitlines()
    assert "uam.window.push = 50ms  # how long a push waits for company" in lines
    assert "uam.agent = (none)  # who acts here; `UAM_AGENT_ID` goes before it" in lines
    found = facts(quiet, "config")
    assert (found["uam.window.push"], found["uam.window.commit"], found["uam.agent"]) == ("50ms", "30s", "")
    assert said(quiet, "config", "uam.window.push", "7s") == "7s"
    assert quiet.git("config", "--local", "--get-all", "uam.window.push") == "7s"
    assert said(quiet, "config", "UAM.Window.Push") == "7s"
    assert facts(quiet, "config", "uam.window.push") == {"uam.window.push": "7s"}
    # several values are one afterwards
    quiet.git("config", "--add", "uam.window.push", "8s")
    said(quiet, "config", "uam.window.push", "9s")
    assert quiet.git("config", "--local", "--get-all", "uam.window.push") == "9s"
    assert said(quiet, "config", "uam.window.push", "--unset") == "5s"
    assert said(quiet, "config", "--unset", "uam.window.push") == "5s"
    assert quiet.run("config", "uam.window.push").code == 1
    assert said(quiet, "config", "uam.window.push", "0") == "0"


def test_config_for_all_repositories(quiet: Scene) -> None:
    assert said(quiet, "config", "--global", "uam.window.deploy", "3m") == "3m"
    assert quiet.git("config", "--file", str(quiet.home / "gitconfig"), "uam.window.deploy") == "3m"
    assert quiet.run("config", "--local", "uam.window.deploy").code == 1
    assert said(quiet, "config", "--global", "--unset", "uam.window.deploy") == "60s"
    assert quiet.run("config", "uam.window.deploy").code == 1


def test_config_refuses(quiet: Scene) -> None:
    each(quiet, [(("config", *args), 2, words) for args, words in (
        (("uam.window.push", "-5"), "'-5' is no duration"),
        (("uam.window.push", "NaN"), "'NaN' is no duration"),
        (("uam.window.push", "soon"), "'soon' is no duration"),
        (("uam.window.push", ""), "'' is no duration"),
        (("uam.window.push", "99999999999d"), "99999999999d"),
        (("uam.window.company", "never"), "'never' is no duration"),
        (("uam.batch.size", "0"), "'0' is no whole number from 1 up"),
        (("uam.batch.size", "-1"), "'-1' is no whole number from 1 up"),
        (("uam.batch.size", "1.5"), "'1.5' is no whole number"),
        (("uam.batch.parallel", "NaN"), "'NaN' is no whole number"),
        (("uam.retry.count", "-1"), "'-1' is no whole number from 0 up"),
        (("uam.push.mode", "later"), "'later' is none of wait, queue, manual"),
        (("uam.squash", "perhaps"), "'perhaps' is neither true nor false"),
        (("uam.agent", "a\nb"), "has control characters"),
        (("uam.nonsense", "1"), "There is no setting 'uam.nonsense'. `git uam config` lists them."),
        (("user.name", "Eve"), "There is no setting 'user.name'."),
        (("alias.x", "!true"), "There is no setting 'alias.x'."),
        (("uam.nonsense",), "There is no setting 'uam.nonsense'."),
        (("--unset", "uam.nonsense"), "There is no setting 'uam.nonsense'."),
        (("--unset", "uam.window.push", "5s"), "--unset takes no value."),
        (("--unset",), "Which setting?"),
        (("--global",), "Which setting?"),
        (("uam.window.push", "5s", "6s"), "unexpected extra argument"),
    )])  # fmt: skip


def test_config_names_a_value_that_somebody_else_wrote(quiet: Scene) -> None:
    quiet.git("config", "uam.window.push", "soon")
    refused(call(quiet, "config"), 2, "The setting uam.window.push is 'soon'")
    refused(call(quiet, "config", "uam.window.push"), 2, "The setting uam.window.push is 'soon'")
    assert said(quiet, "config", "uam.window.push", "5s") == "5s"
    assert call(quiet, "config").code == 0


# -- status ----------------------------------------------------------------------------------------------------------


def test_status_of_everything(quiet: Scene) -> None:
    quiet.git("config", "uam.window.push", "1h")
    tip = quiet.commit("seen")
    write(quiet, "a", "a\n")
    ask(quiet, "commit", "topic", "--message", "feat: a\n\nbody", "--files", "a", "--agent-id", "agent-1")
    ask(quiet, "push", "main", "--agent-id", "agent-2")
    ask(quiet, "merge", "main", "--source", "topic", "--push")
    ask(quiet, "merge", "main", "--pr", "7")
    ask(quiet, "workflow", "test.yml", "--ref", "main", "--inputs", '{"env": "prod"}')
    ask(quiet, "deploy", "prod", "--ref", "topic", "--depends-on", "6")
    lines = [" ".join(line.split()) for line in said(quiet, "status").splitlines()]
    lines = [re.sub(r"in \d+ s", "in N s", line) for line in lines]
    work = quiet.rows("sources")[0]["tip"][:7]
    assert lines == [
        "id type where agents what when",
        f"#1 commit main {ME} {tip[:7]} Add seen in N s",
        f"#2 commit topic agent-1 {work} feat: a in N s",
        f"#3 push origin/main agent-2 {tip[:7]} main in N s",
        f"#4 merge origin/main {ME} topic (no-ff) in N s",
        f"#5 merge origin/main {ME} pull request 7 in N s",
        f"#6 workflow test.yml {ME} on main env=prod in N s",
        f"#7 deploy prod {ME} on topic in N s, after #6",
        "waiting: 1 push in 1 action, 1 commit by name, 2 merges, 1 workflow, 1 deploy, 1 commit",
        "running: 0 actions",
        "failed: 0",
        "window: a push waits 3600 s",
        "next: `git uam flush` executes what waits",
    ]  # fmt: skip
    found = facts(quiet, "status")
    assert sorted(found) == [
        "enabled", "failed", "mode", "next", "repository", "running", "waiting", "window",
    ]  # fmt: skip
    assert all(sorted(one) == [
        "action", "agents", "asked", "attempts", "depends_on", "error", "members", "seconds_left", "state", "status",
        "type", "where",
    ] for one in found["waiting"])  # fmt: skip
    assert [one["type"] for one in found["waiting"]] == [
        "commit", "commit", "push", "merge", "merge", "workflow", "deploy",
    ]  # fmt: skip
    assert found["waiting"][1]["members"] == [
        {"agent": "agent-1", "commit": quiet.rows("sources")[0]["tip"], "subject": "feat: a", "files": 1}
    ]
    assert found["waiting"][6]["depends_on"] == [6]
    assert found == {**json.loads(said(quiet, "deploy", "status", "--json")), "waiting": found["waiting"]}


def test_status_of_a_batch_that_was_made(quiet: Scene) -> None:
    ask(quiet, "deploy", "prod")
    due_now(quiet)
    said(quiet, "batch")
    found = facts(quiet, "status")
    assert (found["waiting"], [one["status"] for one in found["running"]]) == ([], ["batched"])
    assert found["next"] == "`git uam execute --batch-id` executes the batch that was made, and so does any flush"
    assert "running: 1 action" in said(quiet, "status").splitlines()


def test_status_of_what_failed(quiet: Scene) -> None:
    number = ask(quiet, "deploy", "bad", "--agent-id", "agent-1")
    assert call(quiet, "flush").code == 1
    (failed,) = facts(quiet, "status")["failed"]
    assert (failed["action"], failed["type"], failed["agent"], failed["where"]) == (number, "deploy", "agent-1", "bad")
    lines = said(quiet, "status").splitlines()
    assert "failed:  1" in lines
    assert f"  agent-1 deploy #{number} bad: {failed['error']}" in lines
    assert lines[-1] == "next:    see what failed: resolve and push again, or `git uam retry ID`"


# -- under the older name --------------------------------------------------------------------------------------------

# "CLI Integration" of the original's documentation, to the letter.
ORIGINAL = r"""
# Queue a commit
uam deploy queue --agent-id <id> --action-type commit --target main \
  --message "feat: new feature" --files "src/feature.ts"

# Queue a push
uam deploy queue --agent-id <id> --action-type push --target main

# Queue a workflow trigger
uam deploy queue --agent-id <id> --action-type workflow --target test.yml \
  --ref main --inputs '{"env":"staging"}'

# View status
uam deploy status

# Create batch manually
uam deploy batch

# Execute specific batch
uam deploy execute --batch-id <uuid>

# Flush all pending
uam deploy flush
"""


def test_the_commands_of_the_original(quiet: Scene) -> None:
    gh = script(quiet.root / "bin" / "gh", f'printf "%s\\n" "$*" >>"{quiet.root}/gh.log"\n')
    quiet.env["PATH"] = f"{gh.parent}{os.pathsep}{quiet.env['PATH']}"
    write(quiet, "src/feature.ts", "// feature\n")
    commands = [shlex.split(line) for line in ORIGINAL.replace("\\\n", "").splitlines() if line.startswith("uam ")]
    assert len(commands) == 7
    for command in commands:
        if command[2] == "batch":
            due_now(quiet)
        made = [found["id"] for found in quiet.rows("deploy_batches")]
        words = [{"<id>": "agent-1", "<uuid>": made[0] if made else ""}.get(word, word) for word in command]
        done = quiet.execute(*UAM, *words[1:])
        assert (done.code, done.err) == (0, ""), done
        assert quiet.flushers() == []
    assert states(quiet) == ["completed"] * 3
    assert {row["agent_id"] for row in quiet.rows("deploy_queue")} == {"agent-1"}
    assert quiet.landed() == ["feat: new feature"]
    assert len(quiet.pushes()) == 1
    assert (quiet.root / "gh.log").read_text().splitlines() == [
        "workflow run --ref main --raw-field env=staging --repo owner/shop -- test.yml"
    ]


# -- what is wrong ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", [("queue",), ("deploy", "queue")])
def test_queue_refuses(quiet: Scene, command: tuple[str, ...]) -> None:
    write(quiet, ".git/info/exclude", "ignored\n")
    for name in ("a", "src/b", "ignored", "../outside"):
        write(quiet, name, "x\n")
    ask(quiet, "push", "topic")
    each(quiet, [((*command, *args), 2, words) for args, words in (
        ((), "Missing option '--action-type'"),
        (("--action-type", "push"), "Missing option '--target'"),
        (("--action-type", "dance", "--target", "main"), "'dance'"),
        (("--action-type", "push", "--target", ""), "The target is '', which is no name."),
        (("--action-type", "push", "--target", ":victim"), "':victim' is no name of a branch."),
        (("--action-type", "push", "--target", "--all"), "'--all' is no name of a branch."),
        (("--action-type", "push", "--target", "nowhere"), "There is no branch nowhere here to push."),
        ((*_PUSH, "--agent-id", "a\nb"), "is no name for an agent."),
        ((*_PUSH, "--remote", "nowhere"), "There is no remote 'nowhere' here."),
        ((*_PUSH, "--remote=--receive-pack=touch x"), "There is no remote '--receive-pack=touch x' here."),
        ((*_PUSH, "--message", "m"), "A push has no 'message'."),
        ((*_PUSH, "--push"), "A push has no 'push'."),
        ((*_PUSH, "a"), "A push has no 'files'."),
        ((*_PUSH, "--payload", '{"force": "yes"}'), "force is 'yes', which is neither true nor false."),
        ((*_PUSH, "--payload", "[]"), "--payload has to be a JSON object."),
        ((*_PUSH, "--payload", "{"), "--payload is no JSON"),
        ((*_PUSH, "--payload", "[" * 100000), "--payload is no JSON"),
        ((*_PUSH, "--payload", ""), "--payload is no JSON"),
        ((*_PUSH, "--priority", "high"), "'high' is not a valid integer"),
        ((*_PUSH, "--priority", "99999999999999999999999"), "99999999999999999999999"),
        ((*_PUSH, "--priority", "-99999999999999999999999"), "99999999999999999999999"),
        ((*_PUSH, "--depends-on", "77"), "There is no action #77 to depend on."),
        ((*_PUSH, "--depends-on", "first"), "There is no action 'first' to depend on."),
        ((*_PUSH, "--depends-on", ""), "'' is no action to depend on."),
        ((*_PUSH, "--depends-on", "99999999999999999999999"), "to depend on"),
        ((*_PUSH, "--execute-after", "tomorrow"), "'tomorrow' is no moment. Write it as 2026-05-06T07:08:09Z."),
        ((*_PUSH, "--execute-after", "1969-01-01"), "is no moment"),
        ((*_PUSH, "--execute-after", "99999-01-01"), "is no moment"),
        ((*_PUSH, "--urgently"), "No such option"),
        (("--action-type", "commit", "--target", "main", "--files", "a"), "A commit needs a message."),
        ((*_COMMIT, "--message", "  \n"), "A commit needs a message."),
        ((*_COMMIT, "--files", "gone"), "There is no file gone, neither here nor in main."),
        ((*_COMMIT, "--files", ""), "'' is no name of a file"),
        ((*_COMMIT, "--files", "x" * 300), "x"),
        ((*_COMMIT, "--files", "../outside"), "../outside is not in this worktree."),
        ((*_COMMIT, "--files", ".git/config"), ".git/config is nothing that can be committed."),
        ((*_COMMIT, "src"), "src is no file."),
        ((*_COMMIT, "ignored"), "ignored is ignored by git."),
        ((*_COMMIT, "--ref", "main"), "A commit has no 'ref'."),
        ((*_COMMIT[:-1], "README"), "Nothing to commit: README is as main has it."),
        ((*_MERGE, "--strategy", "octopus"), "There is no merge strategy 'octopus'."),
        ((*_MERGE, "--source", "nowhere"), "nowhere"),
        ((*_MERGE, "--source", "--exec=x"), "'--exec=x' is nothing that can be merged."),
        (("--action-type", "merge", "--target", "main"), "The merge source is None, which is no name."),
        ((*_MERGE, "--pr", "x"), "'x' is not a valid integer"),
        ((*_MERGE, "--pr", "0"), "0 is no number of a pull request."),
        ((*_MERGE, "--pr", "-7"), "-7 is no number of a pull request."),
        ((*_MERGE, "--pr", "7", "--method", "--admin"), "gh has no merge method '--admin'."),
        ((*_FLOW, "--inputs", "env=staging"), "--inputs is no JSON"),
        ((*_FLOW, "--inputs", '["a"]'), "--inputs has to be a JSON object."),
        ((*_FLOW, "--inputs", '{"a b": "c"}'), "The inputs of a workflow have to be names with values."),
        ((*_FLOW, "--ref", "--repo=evil/x"), "'--repo=evil/x' is no name of a branch."),
        ((*_FLOW, "--target", "--repo=evil/x"), "'--repo=evil/x' is no workflow."),
        ((*_DEPLOY, "--target", "nowhere"), "There is no deploy 'nowhere' here."),
        ((*_DEPLOY, "--target", "prod; x"), "'prod; x' is no name for a deploy."),
    )])  # fmt: skip


def test_usage(quiet: Scene) -> None:
    ask(quiet, "push", "topic")
    each(quiet, [
        (args, 2, "")
        for args in (
            ("dance",), ("deploy", "dance"), ("deploy", "cancel", "1"), ("batch", "now"), ("batch", "--due"),
            ("execute",), ("execute", "1"), ("flush", "now"), ("flush", "--timeout", "soon"), ("flush", "--timeout"),
            ("flush", "--timeout", "-1"), ("status", "all"), ("log", "1", "2"), ("status", "--xml"),
            ("urgent", "--forever"),
        )
    ])  # fmt: skip


def test_a_real_process_answers_the_same(quiet: Scene) -> None:
    # what `call` does in this process, for one of each: done, failed, usage, refused
    ask(quiet, "deploy", "bad")
    for args, code in (
        (("status", "--json"), 0), (("cancel", "77"), 2), (("retry", "1"), 4), (("flush",), 1), (("queue",), 2),
    ):  # fmt: skip
        done = quiet.run("uam", *args)
        assert done.code == code, done
        assert "Traceback" not in done.err
        if code in (2, 4):
            refused(done, code)
    assert quiet.execute(*UAM, "--version").out == quiet.run("uam", "--version").out


def test_a_broken_queue(quiet: Scene) -> None:
    quiet.paths.database.write_bytes(b"this is no database, whatever its name is\n" * 100)
    for args in (("status",), ("queue", *_PUSH), ("batch",), ("cancel", "1"), ("urgent", "on"), ("flush",)):
        refused(call(quiet, *args), 5, "The queue ", "cannot be used")


def test_nobody_reads_what_is_printed(quiet: Scene) -> None:
    ask(quiet, "deploy", "prod")
    process = quiet.start("uam", "status")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert "Traceback" not in finished(process).err
