"""`git uam import`: what waits in a database of the tool before is taken over, and what was skipped is said."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from landscape import by_hand, write
from scenes import Scene, script, unprivileged
from test_cli_queue import UAM, call, facts, refused, row, said, select, source, states, unchanged

# "Database Schema" of the original's documentation.
_SCHEMA = """
CREATE TABLE deploy_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT, action_type TEXT, target TEXT, payload TEXT, status TEXT,
    batch_id TEXT REFERENCES deploy_batches (id), queued_at TEXT, execute_after TEXT, priority INTEGER,
    dependencies TEXT
);
CREATE TABLE deploy_batches (id TEXT PRIMARY KEY, created_at TEXT, executed_at TEXT, status TEXT, result TEXT);
"""
COUNT = "{} of {} actions are taken over; `git uam status` shows them"
THEN = "2026-03-01T10:00:00.000Z"


class Original:
    """A `coordination.db` of the tool before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA journal_mode = WAL")  # as the original has it
            db.executescript(_SCHEMA)

    def add(
        self, kind: Any, target: Any, payload: Any = None, *, agent: Any = "agent-1", status: Any = "pending",
        priority: Any = 5, needs: Any = None, after: Any = THEN,
    ) -> int:  # fmt: skip
        """A row as it would write it; texts and bytes are stored as they are, anything else as JSON."""
        with closing(sqlite3.connect(self.path)) as db, db:
            number = db.execute(
                "INSERT INTO deploy_queue (agent_id, action_type, target, payload, status, queued_at, execute_after,"
                " priority, dependencies) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (agent, kind, target, _text(payload), status, THEN, after, priority, _text(needs)),
            ).lastrowid
        assert number is not None
        return number

    def set(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute(sql)

    def content(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, str | bytes) else json.dumps(value)


@pytest.fixture
def quiet(scene: Scene) -> Scene:
    """A scene in which nothing is executed but by a command of the test, with everything that can be queued."""
    by_hand(scene)
    scene.git("branch", "topic")
    scene.git("config", "uam.gh.repo", "owner/shop")
    scene.git("config", "uam.deploy.prod.command", str(script(scene.root / "deploy", 'cat >"${0%/*}/deployed"\n')))
    return scene


@pytest.fixture
def old(scene: Scene) -> Original:
    return Original(scene.root / "coordination.db")


def imported(scene: Scene, old: Original) -> list[str]:
    """What the import says of every row; the last line counts. The other database is the same to the last byte."""
    before = old.content()
    lines = said(scene, "import", str(old.path)).splitlines()
    assert old.content() == before
    return lines


def taken(scene: Scene, old: Original) -> dict[str, Any]:
    """The same for programs."""
    before = old.content()
    found = facts(scene, "import", str(old.path))
    assert old.content() == before
    assert isinstance(found, dict)
    return found


# -- what is taken over ----------------------------------------------------------------------------------------------


def test_everything_that_waits(quiet: Scene, old: Original) -> None:
    write(quiet, "src/a.ts", "// a\n")
    old.add("commit", "main", {"message": "feat: a", "files": ["src/a.ts"]})
    old.add("push", "main", {}, agent="agent-2")
    old.add("merge", "main", {"source": "topic"}, status="batched")
    old.add("workflow", "test.yml", {"ref": "main", "inputs": {"env": "staging"}})
    old.add("deploy", "prod", {"region": "eu"})
    assert imported(quiet, old) == [
        *(f"{number}: queued as #{number}" for number in range(1, 6)),
        COUNT.format(5, 5),
    ]
    rows = quiet.rows("deploy_queue")
    assert [row["action_type"] for row in rows] == ["commit", "push", "merge", "workflow", "deploy"]
    assert [row["target"] for row in rows] == ["main", "main", "main", "test.yml", "prod"]
    assert [row["agent_id"] for row in rows] == ["agent-1", "agent-2", "agent-1", "agent-1", "agent-1"]
    assert {row["status"] for row in rows} == {"pending"}
    assert json.loads(rows[2]["payload"]) == {"source": "topic", "strategy": "no-ff", "push": False}
    assert json.loads(rows[3]["payload"]) == {"ref": "main", "inputs": {"env": "staging"}}
    assert json.loads(rows[4]["payload"]) == {"region": "eu", "ref": "main"}
    assert quiet.flushers() == []


def test_what_was_taken_over_is_executed(quiet: Scene, old: Original) -> None:
    gh = script(quiet.root / "bin" / "gh", f'printf "%s\\n" "$*" >>"{quiet.root}/gh.log"\n')
    quiet.env["PATH"] = f"{gh.parent}{os.pathsep}{quiet.env['PATH']}"
    write(quiet, "a", "a\n")
    write(quiet, "b", "b\n")
    old.add("commit", "main", {"message": "feat: a", "files": ["a"]})
    old.add("commit", "main", {"message": "feat: b", "files": ["b"]}, agent="agent-2")
    old.add("push", "main", status="batched")
    old.add("workflow", "test.yml", {"ref": "main", "inputs": {"env": "staging"}})
    old.add("deploy", "prod", {"command": "touch INJECTED", "region": "eu"})
    lines = imported(quiet, old)
    assert lines[:3] == ["1: queued as #1", "2: queued as #1", "3: queued as #2"]
    done = call(quiet, "flush")
    assert done.code == 0, done
    assert set(states(quiet)) == {"completed"}
    assert quiet.landed() == ["Squashed 2 commits:"]
    assert quiet.bare.git("log", "-1", "--format=%B", "main").splitlines()[2:4] == ["1. feat: a", "2. feat: b"]
    assert quiet.files() == ["README", "a", "b"]
    assert len(quiet.pushes()) == 1
    assert (quiet.root / "gh.log").read_text().splitlines() == [
        "workflow run --ref main --raw-field env=staging --repo owner/shop -- test.yml"
    ]
    assert json.loads((quiet.root / "deployed").read_text()) == {"region": "eu", "ref": "main"}
    assert not list(quiet.root.rglob("INJECTED"))


def test_files_are_named_from_where_it_is_called(quiet: Scene, old: Original) -> None:
    write(quiet, "src/a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"]})
    done = call(quiet, "import", "../../coordination.db", at=quiet.top / "src")
    assert (done.code, done.out.splitlines()[0]) == (0, "1: queued as #1")
    assert select(quiet, "SELECT path FROM source_files") == [("src/a",)]


def test_by_git_itself_from_a_subdirectory(quiet: Scene, old: Original) -> None:
    write(quiet, "src/a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"]})
    done = quiet.execute("git", "-C", "src", "uam", "import", "../../coordination.db")
    assert done == (0, f"1: queued as #1\n{COUNT.format(1, 1)}\n", "")


def test_a_commit_that_it_had_merged(quiet: Scene, old: Original) -> None:
    for name in ("a", "b"):
        write(quiet, name, f"{name}\n")
    message = "Squashed 2 commits:\n\n1. a\n2. b"
    old.add("commit", "main", {"message": message, "files": ["a", "b"], "squashedFrom": [1, 2]})
    assert imported(quiet, old)[0] == "1: queued as #1"
    assert source(quiet, 1)["message"] == message


def test_priority_is_kept(quiet: Scene, old: Original) -> None:
    values = (0, 9, -3, None)
    for value in values:
        old.add("deploy", "prod", priority=value)
    imported(quiet, old)
    assert [row["priority"] for row in quiet.rows("deploy_queue")] == [0, 9, -3, 5]


def test_force_is_kept_and_goes_over_what_was_seen_only(quiet: Scene, old: Original) -> None:
    old.add("push", "main", {"force": True})
    old.add("push", "main", {"force": False, "remote": "origin"})
    assert imported(quiet, old)[:2] == ["1: queued as #1", "2: queued as #2"]
    assert (source(quiet, 1)["exact"], source(quiet, 1)["expect"]) == (1, quiet.start_oid)
    assert source(quiet, 2)["exact"] == 0


def test_a_moment_that_is_yet_to_come_is_respected(quiet: Scene, old: Original) -> None:
    # its executeAfter and the end of its window are one column; nobody waits until then in a window
    old.add("deploy", "prod", after="2999-01-02T03:04:05.000Z")
    imported(quiet, old)
    assert said(quiet, "flush") == "nothing to land"
    assert states(quiet) == ["pending"]


def test_empty_columns(quiet: Scene, old: Original) -> None:
    quiet.commit("a")
    old.add("push", "main", payload="", needs="")
    old.add("deploy", "prod", payload=None, needs=[], after=None)
    assert imported(quiet, old)[-1].startswith("2 of 2 actions are taken over")
    assert call(quiet, "flush").code == 0


def test_an_empty_queue(quiet: Scene, old: Original) -> None:
    assert imported(quiet, old) == [COUNT.format(0, 0)]
    found = taken(quiet, old)
    assert (found["imported"], found["skipped"]) == ({}, {})


# -- dependencies ----------------------------------------------------------------------------------------------------


def test_dependencies_are_those_of_here(quiet: Scene, old: Original) -> None:
    said(quiet, "queue", "--action-type", "deploy", "--target", "prod")  # so that the numbers differ
    done = old.add("push", "topic", status="completed")
    first = old.add("push", "main")
    second = old.add("deploy", "prod", needs=[str(first), str(done)])
    old.add("deploy", "prod", needs=[first, second])
    imported(quiet, old)
    assert [json.loads(row["dependencies"]) for row in quiet.rows("deploy_queue")] == [[], [], [2], [2, 3]]


def test_dependencies_on_what_was_not_taken_over(quiet: Scene, old: Original) -> None:
    failed = old.add("push", "main", status="failed")
    running = old.add("push", "main", status="executing")
    wrong = old.add("dance", "main")
    needs: tuple[Any, ...] = (failed, running, wrong, 77, "name", "²", "99999999999999999999999", "-1", None, {}, 1.5)
    for need in needs:
        old.add("deploy", "prod", needs=[need])
    old.add("deploy", "prod", needs=["4"])  # and so on
    old.add("push", "main")
    found = taken(quiet, old)
    assert found["imported"] == {"16": 1}
    assert found["skipped"]["4"] == "it depends on 1, which was not taken over"
    assert all(found["skipped"][str(n)].startswith("it depends on ") for n in range(4, 16)), found


def test_a_second_import_knows_what_the_first_has_taken(quiet: Scene, old: Original) -> None:
    first = old.add("push", "main")
    imported(quiet, old)
    old.add("deploy", "prod", needs=[str(first)])
    assert imported(quiet, old) == [
        "1: skipped: taken over before, as #1", "2: queued as #2", COUNT.format(1, 2),
    ]  # fmt: skip
    assert json.loads(row(quiet, 2)["dependencies"]) == [1]


# -- what is skipped -------------------------------------------------------------------------------------------------


def test_what_has_ended_or_runs_is_skipped(quiet: Scene, old: Original) -> None:
    for status in ("completed", "failed", "executing", "cancelled", None, "pending"):
        old.add("deploy", "prod", status=status)
    assert imported(quiet, old) == [
        "1: skipped: it is completed",
        "2: skipped: it is failed",
        "3: skipped: it was being executed: nobody knows whether it was done",
        "4: skipped: it is cancelled",
        "5: skipped: it is None",
        "6: queued as #1",
        COUNT.format(1, 6),
    ]


def test_fields_that_mean_nothing_here_are_named(quiet: Scene, old: Original) -> None:
    write(quiet, "a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"], "author": "Eve", "amend": True})
    old.add("push", "main", {"branch": "main"})
    old.add("deploy", "prod", {"command": "rm -rf /", "region": "eu"})
    old.add("workflow", "test.yml", {"ref": "main", "timeout": 5})
    assert imported(quiet, old)[:4] == [
        "1: queued as #1 without amend, author",
        "2: queued as #2 without branch",
        "3: queued as #3 without command",
        "4: queued as #4 without timeout",
    ]
    assert json.loads(row(quiet, 3)["payload"]) == {"region": "eu", "ref": "main"}


def test_programs_learn_what_was_left_behind(quiet: Scene, old: Original) -> None:
    old.add("push", "main", {"reviewers": ["eve"]})
    assert "reviewers" in json.dumps(taken(quiet, old))


def test_a_command_is_never_run(quiet: Scene, old: Original) -> None:
    command = f"touch {quiet.root}/INJECTED"
    old.add("deploy", "staging", {"command": command})
    old.add("deploy", "prod", {"command": command})
    old.add("deploy", f"; {command}", {"command": command})
    found = taken(quiet, old)
    assert found["imported"] == {"2": 1}
    assert found["skipped"]["1"].startswith("There is no deploy 'staging' here.")
    assert call(quiet, "flush").code == 0
    assert not (quiet.root / "INJECTED").exists()
    assert json.loads((quiet.root / "deployed").read_text()) == {"ref": "main"}


def test_bad_rows_do_not_stop_the_good_ones(quiet: Scene, old: Original) -> None:
    write(quiet, "a", "a\n")
    write(quiet, "../outside", "x\n")
    good = {"message": "m", "files": ["a"]}
    bad: list[tuple[int, str]] = [
        (old.add("push", "main", "{"), "its payload or its dependencies cannot be read"),
        (old.add("push", "main", "[]"), "its payload or its dependencies cannot be read"),
        (old.add("push", "main", b"\xff\xfe"), "its payload or its dependencies cannot be read"),
        (old.add("push", "main", "[" * 100000), "its payload or its dependencies cannot be read"),
        (old.add("push", "main", needs="x"), "its payload or its dependencies cannot be read"),
        (old.add("push", "main", needs="{}"), "its payload or its dependencies cannot be read"),
        (old.add("dance", "main"), "There is no action type 'dance'."),
        (old.add(None, "main"), "There is no action type"),
        (old.add("push", None), "The target is None, which is no name."),
        (old.add("push", ""), "The target is '', which is no name."),
        (old.add("push", b"main"), "which is no name."),
        (old.add("push", "main", agent=None), "is no name for an agent."),
        (old.add("push", "main", agent="a\nb"), "is no name for an agent."),
        (old.add("push", "nowhere"), "There is no branch nowhere here to push."),
        (old.add("push", ":victim"), "':victim' is no name of a branch."),
        (old.add("push", "--all"), "'--all' is no name of a branch."),
        (old.add("push", "main", {"remote": "--receive-pack=touch INJECTED"}), "There is no remote '--receive-pack"),
        (old.add("push", "main", {"remote": 7}), "The remote is 7, which is no name."),
        (old.add("push", "main", {"force": "yes"}), "force is 'yes', which is neither true nor false."),
        (old.add("commit", "main", {"files": ["a"]}), "A commit needs a message."),
        (old.add("commit", "main", {"message": 7, "files": ["a"]}), "A commit needs a message."),
        (old.add("commit", "main", {"message": "\ud800", "files": ["a"]}), ""),
        (old.add("commit", "main", {"message": "m", "files": ["\ud800"]}), ""),
        (old.add("commit", "main", {"message": "m", "files": ["x" * 300]}), ""),
        (old.add("commit", "main", {"message": "m", "files": "a"}), "files has to be a list of names."),
        (old.add("commit", "main", {"message": "m", "files": [7]}), "files has to be a list of names."),
        (old.add("commit", "main", {"message": "m", "files": ["gone"]}), "There is no file gone, neither here"),
        (old.add("commit", "main", {"message": "m", "files": ["-A"]}), "There is no file -A"),
        (old.add("commit", "main", {"message": "m", "files": ["."]}), ". is nothing that can be committed."),
        (old.add("commit", "main", {"message": "m", "files": ["../outside"]}), "../outside is not in this worktree."),
        (old.add("commit", "main", {"message": "m", "files": [".git/config"]}), ".git/config is nothing that can be"),
        (old.add("commit", ":victim", good), "':victim' is no name of a branch."),
        (old.add("merge", "main", {}), "The merge source is None, which is no name."),
        (old.add("merge", "main", {"source": "--exec=touch INJECTED"}), "is nothing that can be merged."),
        (old.add("merge", "main", {"source": "nowhere"}), "nowhere"),
        (old.add("merge", "main", {"source": "topic", "strategy": "octopus"}), "There is no merge strategy 'octopus'."),
        (old.add("workflow", "--repo=evil/x", {"ref": "main"}), "'--repo=evil/x' is no workflow."),
        (old.add("workflow", "test.yml", {"ref": "-x"}), "'-x' is no name of a branch."),
        (old.add("workflow", "test.yml", {"inputs": {"a b": "c"}}), "The inputs of a workflow have to be names"),
        (old.add("workflow", "test.yml", {"inputs": ["a"]}), "The inputs of a workflow have to be names"),
        (old.add("deploy", "prod; x"), "'prod; x' is no name for a deploy."),
    ]  # fmt: skip
    last = old.add("commit", "main", good)
    found = taken(quiet, old)
    assert found["imported"] == {str(last): 1}
    skipped = {number: found["skipped"][str(number)] for number, _ in bad}
    assert {number: skipped[number] for number, words in bad if words not in skipped[number]} == {}
    assert all(skipped.values())
    assert len(quiet.rows("deploy_queue")) == len(quiet.rows("sources")) == 1
    assert call(quiet, "flush").code == 0
    assert quiet.subjects("-1", "main") == ["m"]
    assert quiet.pushes() == []
    for place in (quiet.root, quiet.top, quiet.remote):
        assert not (place / "INJECTED").exists()


@pytest.mark.parametrize("column", ["agent_id", "target", "payload", "status", "dependencies", "action_type"])
def test_text_that_is_not_utf_8_spoils_its_own_row_alone(quiet: Scene, old: Original, column: str) -> None:
    old.add("push", "main")
    old.set(f"UPDATE deploy_queue SET {column} = CAST(x'636166e9' AS TEXT)")  # noqa: S608
    old.add("push", "main", agent="agent-2")
    found = taken(quiet, old)
    assert (found["imported"], list(found["skipped"])) == ({"2": 1}, ["1"])


def test_what_a_row_says_stays_on_its_line(quiet: Scene, old: Original) -> None:
    # nothing in a database of somebody else may look like a line of ours, or speak to the terminal
    forged = "x\n9: queued as #9\x1b[2J"
    old.add(forged, "main")
    old.add("push", forged)
    old.add("push", "main", {forged: 1})
    old.add("push", "main", status=forged)
    old.add("push", "main", needs=[forged])
    old.add("push", "main", {"remote": forged})
    lines = imported(quiet, old)
    assert [line.partition(":")[0] for line in lines[:-1]] == ["1", "2", "3", "4", "5", "6"]
    assert "\x1b" not in "".join(lines)


def test_only_names_that_are_files_are_taken(quiet: Scene, old: Original) -> None:
    # it put everything into a commit that named nothing
    write(quiet, "secret.env", "TOKEN=1\n")
    old.add("commit", "main", {"message": "m"})
    old.add("commit", "main", {"message": "m", "files": []})
    imported(quiet, old)
    call(quiet, "flush")
    assert "secret.env" not in quiet.git("ls-tree", "-r", "--name-only", "main")


# -- twice -----------------------------------------------------------------------------------------------------------


def test_nothing_is_taken_twice(quiet: Scene, old: Original) -> None:
    write(quiet, "a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"]})
    old.add("push", "main", {"force": True})
    old.add("deploy", "prod")
    imported(quiet, old)
    again = ["1: skipped: taken over before, as #1", "2: skipped: taken over before, as #2",
             "3: skipped: taken over before, as #3", COUNT.format(0, 3)]  # fmt: skip
    with unchanged(quiet):
        assert imported(quiet, old) == again
        # however the database is named
        link = quiet.root / "link.db"
        link.symlink_to(old.path)
        assert said(quiet, "import", "../link.db").splitlines() == again
        # and from another worktree
        assert said(quiet, "import", str(quiet.root / "work" / ".." / "coordination.db")).splitlines() == again
    other = quiet.worktree("other")
    assert said(other, "import", str(old.path)).splitlines() == again
    call(quiet, "flush")
    # nor when what was taken has ended
    assert imported(quiet, old) == again


def test_two_databases_are_two(quiet: Scene, old: Original) -> None:
    old.add("deploy", "prod")
    another = Original(quiet.root / "another.db")
    another.add("deploy", "prod")
    assert taken(quiet, old)["imported"] == {"1": 1}
    assert taken(quiet, another)["imported"] == {"1": 2}


# -- for programs, and what is wrong ---------------------------------------------------------------------------------


def test_for_programs(quiet: Scene, old: Original) -> None:
    old.add("push", "main")
    old.add("push", "main", status="completed")
    found = taken(quiet, old)
    assert found["imported"] == {"1": 1}
    assert found["skipped"] == {"2": "it is completed"}


def test_what_is_no_such_database(quiet: Scene) -> None:
    (quiet.root / "text.db").write_text("this is a text\n" * 100)
    (quiet.root / "empty.db").write_bytes(b"")
    with closing(sqlite3.connect(quiet.root / "other.db")) as db, db:
        db.execute("CREATE TABLE something (id INTEGER)")
    with closing(sqlite3.connect(quiet.root / "columns.db")) as db, db:
        db.execute("CREATE TABLE deploy_queue (id INTEGER PRIMARY KEY, target TEXT)")
    said(quiet, "status")
    with unchanged(quiet):
        for name in ("text.db", "empty.db", "other.db", "columns.db"):
            path = quiet.root / name
            before = path.read_bytes()
            refused(call(quiet, "import", str(path)), 2, f"{path} is no queue that can be taken over: ")
            refused(call(quiet, "import", "--json", str(path)), 2, "is no queue")
            assert path.read_bytes() == before
        refused(call(quiet, "import", str(quiet.root / "gone.db")), 2, "does not exist")
        refused(call(quiet, "import", str(quiet.root)), 2, "is a directory")
        refused(call(quiet, "import"), 2, "Missing argument 'DATABASE'")
        refused(call(quiet, "import", "a", "b"), 2)
    assert not (quiet.root / "gone.db").exists()


def test_where_git_uam_is_not_enabled(plain: Scene) -> None:
    Original(plain.root / "coordination.db").add("push", "main")
    refused(call(plain, "import", "../coordination.db"), 4, "git uam is not enabled in this repository.")
    assert not plain.uam.exists()


def test_ones_own_queue_is_not_taken_over(quiet: Scene) -> None:
    # it has the same tables: everything in it would be queued once more
    said(quiet, "queue", "--action-type", "deploy", "--target", "prod")
    with unchanged(quiet):
        done = call(quiet, "import", str(quiet.paths.database))
        assert done.code in (2, 4), done


def test_a_name_that_a_url_would_read_otherwise(quiet: Scene) -> None:
    odd = Original(quiet.root / "a?mode=rwc#b%20 c.db")
    odd.add("deploy", "prod")
    assert imported(quiet, odd)[0] == "1: queued as #1"


def test_what_is_still_in_the_journal_of_a_program_that_runs(quiet: Scene) -> None:
    # the newest rows are not in the main file yet
    path = quiet.root / "coordination.db"
    Original(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "INSERT INTO deploy_queue (agent_id, action_type, target, status) VALUES ('a', 'deploy', 'prod', 'pending')"
        )
        db.commit()
        before = path.read_bytes(), (quiet.root / "coordination.db-wal").read_bytes()
        assert said(quiet, "import", str(path)).splitlines()[0] == "1: queued as #1"
        assert (path.read_bytes(), (quiet.root / "coordination.db-wal").read_bytes()) == before
        # it may go on writing
        db.execute("UPDATE deploy_queue SET status = 'completed'")
        db.commit()


def test_nothing_is_left_beside_it(quiet: Scene, old: Original) -> None:
    # reading what is written ahead makes files that only a writer would take away again
    old.add("deploy", "prod")
    imported(quiet, old)
    assert [path.name for path in quiet.root.glob("coordination.db*")] == ["coordination.db"]


def test_while_somebody_writes_to_it(quiet: Scene, old: Original) -> None:
    old.add("deploy", "prod")
    with closing(sqlite3.connect(old.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert imported(quiet, old)[0] == "1: queued as #1"
        db.execute("ROLLBACK")


def test_a_directory_that_may_not_be_written(quiet: Scene) -> None:
    place = quiet.root / "kept"
    place.mkdir()
    old = Original(place / "coordination.db")
    old.add("deploy", "prod")
    old.path.chmod(0o444)
    place.chmod(0o555)
    before = old.content()
    try:
        done = quiet.execute(*unprivileged(), *UAM, "import", str(old.path))
    finally:
        place.chmod(0o755)
    assert "Traceback" not in done.err
    assert (done.code, done.out.splitlines()[:1]) == (0, ["1: queued as #1"]), done
    assert old.content() == before
