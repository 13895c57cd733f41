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

from tests.support.commands import UAM, call, refused, said, select, source, told, unchanged
from tests.support.landscape import write
from tests.support.queueing import row, statuses
from tests.support.scenes import Scene, script, unprivileged
from tests.support.shapes import Seen

# "Database Schema" of the original's documentation.
_SCHEMA = """
CREATE TABLE deploy_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT, action_type TEXT, target TEXT, payload TEXT, status TEXT,
    batch_id TEXT REFERENCES deploy_batches (id), queued_at TEXT, execute_after TEXT, priority INTEGER,
    dependencies TEXT
);
CREATE TABLE deploy_batches (id TEXT PRIMARY KEY, created_at TEXT, executed_at TEXT, status TEXT, result TEXT);
"""
COUNT = "{} of {} actions imported; `git uam status` shows them"
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
def stocked(stocked: Scene) -> Scene:
    """A deploy that leaves what it was told."""
    command = script(stocked.root / "deploy", 'cat >"${0%/*}/deployed"\n')
    stocked.git("config", "uam.deploy.prod.command", str(command))
    return stocked


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
    found = told(scene, "import", str(old.path))
    assert old.content() == before
    Seen().check("import", found)
    return {name: value for name, value in found.items() if name not in ("version", "next_action")}


# -- what is taken over ----------------------------------------------------------------------------------------------


def test_everything_that_waits(stocked: Scene, old: Original) -> None:
    write(stocked, "src/a.ts", "// a\n")
    old.add("commit", "main", {"message": "feat: a", "files": ["src/a.ts"]})
    old.add("push", "main", {}, agent="agent-2")
    old.add("merge", "main", {"source": "topic"}, status="batched")
    old.add("workflow", "test.yml", {"ref": "main", "inputs": {"env": "staging"}})
    old.add("deploy", "prod", {"region": "eu"})
    assert imported(stocked, old) == [
        *(f"{number}: queued as #{number}" for number in range(1, 6)),
        COUNT.format(5, 5),
    ]
    rows = stocked.rows("deploy_queue")
    assert [row["action_type"] for row in rows] == ["commit", "push", "merge", "workflow", "deploy"]
    assert [row["target"] for row in rows] == ["main", "main", "main", "test.yml", "prod"]
    assert [row["agent_id"] for row in rows] == ["agent-1", "agent-2", "agent-1", "agent-1", "agent-1"]
    assert {row["status"] for row in rows} == {"pending"}
    assert json.loads(rows[2]["payload"]) == {"source": "topic", "strategy": "no-ff", "push": False}
    assert json.loads(rows[3]["payload"]) == {"ref": "main", "inputs": {"env": "staging"}}
    assert json.loads(rows[4]["payload"]) == {"region": "eu", "ref": "main"}
    assert stocked.flushers() == []


def test_what_was_taken_over_is_executed(stocked: Scene, old: Original) -> None:
    gh = script(stocked.root / "bin" / "gh", f'printf "%s\\n" "$*" >>"{stocked.root}/gh.log"\n')
    stocked.env["PATH"] = f"{gh.parent}{os.pathsep}{stocked.env['PATH']}"
    write(stocked, "a", "a\n")
    write(stocked, "b", "b\n")
    old.add("commit", "main", {"message": "feat: a", "files": ["a"]})
    old.add("commit", "main", {"message": "feat: b", "files": ["b"]}, agent="agent-2")
    old.add("push", "main", status="batched")
    old.add("workflow", "test.yml", {"ref": "main", "inputs": {"env": "staging"}})
    old.add("deploy", "prod", {"command": "touch INJECTED", "region": "eu"})
    lines = imported(stocked, old)
    assert lines[:3] == ["1: queued as #1", "2: queued as #1", "3: queued as #2"]
    done = call(stocked, "flush")
    assert done.code == 0, done
    assert set(statuses(stocked)) == {"completed"}
    assert stocked.landed() == ["Squashed 2 commits:"]
    assert stocked.bare.git("log", "-1", "--format=%B", "main").splitlines()[2:4] == ["1. feat: a", "2. feat: b"]
    assert stocked.files() == ["README", "a", "b"]
    assert len(stocked.pushes()) == 1
    assert (stocked.root / "gh.log").read_text().splitlines() == [
        "workflow run --ref main --raw-field env=staging --repo owner/shop -- test.yml"
    ]
    assert json.loads((stocked.root / "deployed").read_text()) == {"region": "eu", "ref": "main"}
    assert not list(stocked.root.rglob("INJECTED"))


def test_files_are_named_from_where_it_is_called(stocked: Scene, old: Original) -> None:
    write(stocked, "src/a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"]})
    done = call(stocked, "import", "../../coordination.db", at=stocked.top / "src")
    assert (done.code, done.out.splitlines()[0]) == (0, "1: queued as #1")
    assert select(stocked, "SELECT path FROM source_files") == [("src/a",)]


def test_by_git_itself_from_a_subdirectory(stocked: Scene, old: Original) -> None:
    write(stocked, "src/a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"]})
    done = stocked.execute("git", "-C", "src", "uam", "import", "../../coordination.db")
    assert done == (0, f"1: queued as #1\n{COUNT.format(1, 1)}\n", "")


def test_a_commit_that_it_had_merged(stocked: Scene, old: Original) -> None:
    for name in ("a", "b"):
        write(stocked, name, f"{name}\n")
    message = "Squashed 2 commits:\n\n1. a\n2. b"
    old.add("commit", "main", {"message": message, "files": ["a", "b"], "squashedFrom": [1, 2]})
    assert imported(stocked, old)[0] == "1: queued as #1"
    assert source(stocked, 1)["message"] == message


def test_priority_is_kept(stocked: Scene, old: Original) -> None:
    values = (0, 9, -3, None)
    for value in values:
        old.add("deploy", "prod", priority=value)
    imported(stocked, old)
    assert [row["priority"] for row in stocked.rows("deploy_queue")] == [0, 9, -3, 5]


def test_force_is_kept_and_goes_over_what_was_seen_only(stocked: Scene, old: Original) -> None:
    old.add("push", "main", {"force": True})
    old.add("push", "main", {"force": False, "remote": "origin"})
    assert imported(stocked, old)[:2] == ["1: queued as #1", "2: queued as #2"]
    assert (source(stocked, 1)["exact"], source(stocked, 1)["expect"]) == (1, stocked.start_oid)
    assert source(stocked, 2)["exact"] == 0


def test_a_moment_that_is_yet_to_come_is_respected(stocked: Scene, old: Original) -> None:
    # its executeAfter and the end of its window are one column; nobody waits until then in a window
    old.add("deploy", "prod", after="2999-01-02T03:04:05.000Z")
    imported(stocked, old)
    assert said(stocked, "flush") == "nothing to land"
    assert statuses(stocked) == ["pending"]


def test_empty_columns(stocked: Scene, old: Original) -> None:
    stocked.commit("a")
    old.add("push", "main", payload="", needs="")
    old.add("deploy", "prod", payload=None, needs=[], after=None)
    assert imported(stocked, old)[-1].startswith("2 of 2 actions imported")
    assert call(stocked, "flush").code == 0


def test_an_empty_queue(stocked: Scene, old: Original) -> None:
    assert imported(stocked, old) == [COUNT.format(0, 0)]
    found = taken(stocked, old)
    assert (found["imported"], found["skipped"]) == ({}, {})


# -- dependencies ----------------------------------------------------------------------------------------------------


def test_dependencies_are_those_of_here(stocked: Scene, old: Original) -> None:
    said(stocked, "queue", "--action-type", "deploy", "--target", "prod")  # so that the numbers differ
    done = old.add("push", "topic", status="completed")
    first = old.add("push", "main")
    second = old.add("deploy", "prod", needs=[str(first), str(done)])
    old.add("deploy", "prod", needs=[first, second])
    imported(stocked, old)
    assert [json.loads(row["dependencies"]) for row in stocked.rows("deploy_queue")] == [[], [], [2], [2, 3]]


def test_dependencies_on_what_was_not_taken_over(stocked: Scene, old: Original) -> None:
    failed = old.add("push", "main", status="failed")
    running = old.add("push", "main", status="executing")
    wrong = old.add("dance", "main")
    needs: tuple[Any, ...] = (failed, running, wrong, 77, "name", "²", "99999999999999999999999", "-1", None, {}, 1.5)
    for need in needs:
        old.add("deploy", "prod", needs=[need])
    old.add("deploy", "prod", needs=["4"])  # and so on
    old.add("push", "main")
    found = taken(stocked, old)
    assert found["imported"] == {"16": 1}
    assert found["skipped"]["4"] == "it depends on 1, which was not imported"
    assert all(found["skipped"][str(n)].startswith("it depends on ") for n in range(4, 16)), found


def test_a_second_import_knows_what_the_first_has_taken(stocked: Scene, old: Original) -> None:
    first = old.add("push", "main")
    imported(stocked, old)
    old.add("deploy", "prod", needs=[str(first)])
    assert imported(stocked, old) == [
        "1: skipped: imported before, as #1", "2: queued as #2", COUNT.format(1, 2),
    ]  # fmt: skip
    assert json.loads(row(stocked, 2)["dependencies"]) == [1]


# -- what is skipped -------------------------------------------------------------------------------------------------


def test_what_has_ended_or_runs_is_skipped(stocked: Scene, old: Original) -> None:
    for status in ("completed", "failed", "executing", "cancelled", None, "pending"):
        old.add("deploy", "prod", status=status)
    assert imported(stocked, old) == [
        "1: skipped: it is completed",
        "2: skipped: it is failed",
        "3: skipped: it was being executed, and its outcome is unknown",
        "4: skipped: it is cancelled",
        "5: skipped: it is None",
        "6: queued as #1",
        COUNT.format(1, 6),
    ]


def test_fields_that_mean_nothing_here_are_named(stocked: Scene, old: Original) -> None:
    write(stocked, "a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"], "author": "Eve", "amend": True})
    old.add("push", "main", {"branch": "main"})
    old.add("deploy", "prod", {"command": "rm -rf /", "region": "eu"})
    old.add("workflow", "test.yml", {"ref": "main", "timeout": 5})
    assert imported(stocked, old)[:4] == [
        "1: queued as #1 without amend, author",
        "2: queued as #2 without branch",
        "3: queued as #3 without command",
        "4: queued as #4 without timeout",
    ]
    assert json.loads(row(stocked, 3)["payload"]) == {"region": "eu", "ref": "main"}


def test_programs_learn_what_was_left_behind(stocked: Scene, old: Original) -> None:
    old.add("push", "main", {"reviewers": ["eve"]})
    assert "reviewers" in json.dumps(taken(stocked, old))


def test_a_command_is_never_run(stocked: Scene, old: Original) -> None:
    command = f"touch {stocked.root}/INJECTED"
    old.add("deploy", "staging", {"command": command})
    old.add("deploy", "prod", {"command": command})
    old.add("deploy", f"; {command}", {"command": command})
    found = taken(stocked, old)
    assert found["imported"] == {"2": 1}
    assert found["skipped"]["1"].startswith("There is no deploy 'staging' here.")
    assert call(stocked, "flush").code == 0
    assert not (stocked.root / "INJECTED").exists()
    assert json.loads((stocked.root / "deployed").read_text()) == {"ref": "main"}


def test_bad_rows_do_not_stop_the_good_ones(stocked: Scene, old: Original) -> None:
    write(stocked, "a", "a\n")
    write(stocked, "../outside", "x\n")
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
        (old.add("push", None), "The target is None, which is not a valid name."),
        (old.add("push", ""), "The target is '', which is not a valid name."),
        (old.add("push", b"main"), "which is not a valid name."),
        (old.add("push", "main", agent=None), "is not a valid agent name."),
        (old.add("push", "main", agent="a\nb"), "is not a valid agent name."),
        (old.add("push", "nowhere"), "There is no branch nowhere here to push."),
        (old.add("push", ":victim"), "':victim' is not a valid branch name."),
        (old.add("push", "--all"), "'--all' is not a valid branch name."),
        (old.add("push", "main", {"remote": "--receive-pack=touch INJECTED"}), "There is no remote '--receive-pack"),
        (old.add("push", "main", {"remote": 7}), "The remote is 7, which is not a valid name."),
        (old.add("push", "main", {"force": "yes"}), "force is 'yes', which is neither true nor false."),
        (old.add("commit", "main", {"files": ["a"]}), "A commit needs a message."),
        (old.add("commit", "main", {"message": 7, "files": ["a"]}), "A commit needs a message."),
        (old.add("commit", "main", {"message": "\ud800", "files": ["a"]}), ""),
        (old.add("commit", "main", {"message": "m", "files": ["\ud800"]}), ""),
        (old.add("commit", "main", {"message": "m", "files": ["x" * 300]}), ""),
        (old.add("commit", "main", {"message": "m", "files": "a"}), "files must be a list of names."),
        (old.add("commit", "main", {"message": "m", "files": [7]}), "files must be a list of names."),
        (old.add("commit", "main", {"message": "m", "files": ["gone"]}), "There is no file gone here or in main"),
        (old.add("commit", "main", {"message": "m", "files": ["-A"]}), "There is no file -A"),
        (old.add("commit", "main", {"message": "m", "files": ["."]}), ". cannot be committed."),
        (old.add("commit", "main", {"message": "m", "files": ["../outside"]}), "../outside is not in this worktree."),
        (old.add("commit", "main", {"message": "m", "files": [".git/config"]}), ".git/config cannot be committed."),
        (old.add("commit", ":victim", good), "':victim' is not a valid branch name."),
        (old.add("merge", "main", {}), "The merge source is None, which is not a valid name."),
        (old.add("merge", "main", {"source": "--exec=touch INJECTED"}), "cannot be merged."),
        (old.add("merge", "main", {"source": "nowhere"}), "nowhere"),
        (old.add("merge", "main", {"source": "topic", "strategy": "octopus"}), "There is no merge strategy 'octopus'."),
        (old.add("workflow", "--repo=evil/x", {"ref": "main"}), "'--repo=evil/x' is not a workflow."),
        (old.add("workflow", "test.yml", {"ref": "-x"}), "'-x' is not a valid branch name."),
        (old.add("workflow", "test.yml", {"inputs": {"a b": "c"}}), "The inputs of a workflow must be names"),
        (old.add("workflow", "test.yml", {"inputs": ["a"]}), "The inputs of a workflow must be names"),
        (old.add("deploy", "prod; x"), "'prod; x' is not a valid deploy name."),
    ]  # fmt: skip
    last = old.add("commit", "main", good)
    found = taken(stocked, old)
    assert found["imported"] == {str(last): 1}
    skipped = {number: found["skipped"][str(number)] for number, _ in bad}
    assert {number: skipped[number] for number, words in bad if words not in skipped[number]} == {}
    assert all(skipped.values())
    assert len(stocked.rows("deploy_queue")) == len(stocked.rows("sources")) == 1
    assert call(stocked, "flush").code == 0
    assert stocked.subjects("-1", "main") == ["m"]
    assert stocked.pushes() == []
    for place in (stocked.root, stocked.top, stocked.remote):
        assert not (place / "INJECTED").exists()


@pytest.mark.parametrize("column", ["agent_id", "target", "payload", "status", "dependencies", "action_type"])
def test_text_that_is_not_utf_8_spoils_its_own_row_alone(stocked: Scene, old: Original, column: str) -> None:
    old.add("push", "main")
    old.set(f"UPDATE deploy_queue SET {column} = CAST(x'636166e9' AS TEXT)")  # noqa: S608
    old.add("push", "main", agent="agent-2")
    found = taken(stocked, old)
    assert (found["imported"], list(found["skipped"])) == ({"2": 1}, ["1"])


def test_what_a_row_says_stays_on_its_line(stocked: Scene, old: Original) -> None:
    # nothing in a database of somebody else may look like a line of ours, or speak to the terminal
    forged = "x\n9: queued as #9\x1b[2J"
    old.add(forged, "main")
    old.add("push", forged)
    old.add("push", "main", {forged: 1})
    old.add("push", "main", status=forged)
    old.add("push", "main", needs=[forged])
    old.add("push", "main", {"remote": forged})
    lines = imported(stocked, old)
    assert [line.partition(":")[0] for line in lines[:-1]] == ["1", "2", "3", "4", "5", "6"]
    assert "\x1b" not in "".join(lines)


def test_only_names_that_are_files_are_taken(stocked: Scene, old: Original) -> None:
    # it put everything into a commit that named nothing
    write(stocked, "secret.env", "TOKEN=1\n")
    old.add("commit", "main", {"message": "m"})
    old.add("commit", "main", {"message": "m", "files": []})
    imported(stocked, old)
    call(stocked, "flush")
    assert "secret.env" not in stocked.git("ls-tree", "-r", "--name-only", "main")


# -- twice -----------------------------------------------------------------------------------------------------------


def test_nothing_is_taken_twice(stocked: Scene, old: Original) -> None:
    write(stocked, "a", "a\n")
    old.add("commit", "main", {"message": "m", "files": ["a"]})
    old.add("push", "main", {"force": True})
    old.add("deploy", "prod")
    imported(stocked, old)
    again = ["1: skipped: imported before, as #1", "2: skipped: imported before, as #2",
             "3: skipped: imported before, as #3", COUNT.format(0, 3)]  # fmt: skip
    with unchanged(stocked):
        assert imported(stocked, old) == again
        # however the database is named
        link = stocked.root / "link.db"
        link.symlink_to(old.path)
        assert said(stocked, "import", "../link.db").splitlines() == again
        # and from another worktree
        assert said(stocked, "import", str(stocked.root / "work" / ".." / "coordination.db")).splitlines() == again
    other = stocked.worktree("other")
    assert said(other, "import", str(old.path)).splitlines() == again
    call(stocked, "flush")
    # nor when what was taken has ended
    assert imported(stocked, old) == again


def test_two_databases_are_two(stocked: Scene, old: Original) -> None:
    old.add("deploy", "prod")
    another = Original(stocked.root / "another.db")
    another.add("deploy", "prod")
    assert taken(stocked, old)["imported"] == {"1": 1}
    assert taken(stocked, another)["imported"] == {"1": 2}


# -- for programs, and what is wrong ---------------------------------------------------------------------------------


def test_for_programs(stocked: Scene, old: Original) -> None:
    old.add("push", "main")
    old.add("push", "main", status="completed")
    found = taken(stocked, old)
    assert found["imported"] == {"1": 1}
    assert found["skipped"] == {"2": "it is completed"}


def test_what_is_no_such_database(stocked: Scene) -> None:
    (stocked.root / "text.db").write_text("this is a text\n" * 100)
    (stocked.root / "empty.db").write_bytes(b"")
    with closing(sqlite3.connect(stocked.root / "other.db")) as db, db:
        db.execute("CREATE TABLE something (id INTEGER)")
    with closing(sqlite3.connect(stocked.root / "columns.db")) as db, db:
        db.execute("CREATE TABLE deploy_queue (id INTEGER PRIMARY KEY, target TEXT)")
    said(stocked, "status")
    with unchanged(stocked):
        for name in ("text.db", "empty.db", "other.db", "columns.db"):
            path = stocked.root / name
            before = path.read_bytes()
            refused(call(stocked, "import", str(path)), 2, f"{path} is not a queue that can be imported: ")
            refused(call(stocked, "import", "--json", str(path)), 2, "is not a queue")
            assert path.read_bytes() == before
        refused(call(stocked, "import", str(stocked.root / "gone.db")), 2, "does not exist")
        refused(call(stocked, "import", str(stocked.root)), 2, "is a directory")
        refused(call(stocked, "import"), 2, "Missing argument 'DATABASE'")
        refused(call(stocked, "import", "a", "b"), 2)
    assert not (stocked.root / "gone.db").exists()


def test_where_git_uam_is_not_enabled(plain: Scene) -> None:
    Original(plain.root / "coordination.db").add("push", "main")
    refused(call(plain, "import", "../coordination.db"), 4, "git uam is not enabled in this repository.")
    assert not plain.uam.exists()


def test_ones_own_queue_is_not_taken_over(stocked: Scene) -> None:
    # it has the same tables: everything in it would be queued once more
    said(stocked, "queue", "--action-type", "deploy", "--target", "prod")
    with unchanged(stocked):
        done = call(stocked, "import", str(stocked.paths.database))
        assert done.code in (2, 4), done


def test_a_name_that_a_url_would_read_otherwise(stocked: Scene) -> None:
    odd = Original(stocked.root / "a?mode=rwc#b%20 c.db")
    odd.add("deploy", "prod")
    assert imported(stocked, odd)[0] == "1: queued as #1"


def test_what_is_still_in_the_journal_of_a_program_that_runs(stocked: Scene) -> None:
    # the newest rows are not in the main file yet
    path = stocked.root / "coordination.db"
    Original(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "INSERT INTO deploy_queue (agent_id, action_type, target, status) VALUES ('a', 'deploy', 'prod', 'pending')"
        )
        db.commit()
        before = path.read_bytes(), (stocked.root / "coordination.db-wal").read_bytes()
        assert said(stocked, "import", str(path)).splitlines()[0] == "1: queued as #1"
        assert (path.read_bytes(), (stocked.root / "coordination.db-wal").read_bytes()) == before
        # it may go on writing
        db.execute("UPDATE deploy_queue SET status = 'completed'")
        db.commit()


def test_nothing_is_left_beside_it(stocked: Scene, old: Original) -> None:
    # reading what is written ahead makes files that only a writer would take away again
    old.add("deploy", "prod")
    imported(stocked, old)
    assert [path.name for path in stocked.root.glob("coordination.db*")] == ["coordination.db"]


def test_while_somebody_writes_to_it(stocked: Scene, old: Original) -> None:
    old.add("deploy", "prod")
    with closing(sqlite3.connect(old.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert imported(stocked, old)[0] == "1: queued as #1"
        db.execute("ROLLBACK")


def test_a_directory_that_may_not_be_written(stocked: Scene) -> None:
    place = stocked.root / "kept"
    place.mkdir()
    old = Original(place / "coordination.db")
    old.add("deploy", "prod")
    old.path.chmod(0o444)
    place.chmod(0o555)
    before = old.content()
    try:
        done = stocked.execute(*unprivileged(), *UAM, "import", str(old.path))
    finally:
        place.chmod(0o755)
    assert "Traceback" not in done.err
    assert (done.code, done.out.splitlines()[:1]) == (0, ["1: queued as #1"]), done
    assert old.content() == before
