"""The file of events: whole lines whoever writes, bounded, and nothing fails for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from uam_hooks.hot.queue import events
from uam_hooks.hot.queue.connection import Store

_WRITER = """
import sys
from pathlib import Path
from uam_hooks.hot.queue import events
events.MOST_BYTES = int(sys.argv[3])
for number in range(200):
    events.write(Path(sys.argv[1]), [{"event": "queued", "who": sys.argv[2], "number": number, "text": "x" * 300}])
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "queue.db"


def lines(database: Path, name: str = "events.jsonl") -> list[dict[str, Any]]:
    path = database.parent / "log" / name
    # an empty line is what a writer leaves that saw another one in the middle of its own
    return [json.loads(line) for line in path.read_text("ascii").splitlines() if line] if path.exists() else []


def test_several_writers_lose_and_tear_nothing_when_the_file_is_put_aside(database: Path) -> None:
    """Four processes, and room for more than half of what they write: each file is put aside once."""
    most = 250_000
    words = [sys.executable, "-c", _WRITER, str(database)]
    writers = [subprocess.Popen([*words, str(who), str(most)]) for who in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    old, new = lines(database, "events.jsonl.1"), lines(database)
    assert old
    assert new
    found = sorted((one["who"], one["number"]) for one in old + new)
    assert found == [(str(who), number) for who in range(4) for number in range(200)]
    assert most <= (database.parent / "log" / "events.jsonl.1").stat().st_size < most + 4 * events.LINE_BYTES


def test_a_line_is_bounded_ascii_and_has_no_secret(database: Path) -> None:
    """Whatever others have called their branches."""
    nasty = "caf\xe9 \x1b[31m \x7f \u202e \udcff https://me:hunter2@host.example/x?token=abc"
    long = {"event": "queued", "target": "\U0001f600" * 3000, "files": ["\U0001f600" * 300] * 400, "rival": None}
    events.write(database, [{"event": "refused", "error": nasty}, long])
    text = (database.parent / "log" / "events.jsonl").read_bytes()
    assert max(map(len, text.splitlines(keepends=True))) <= events.LINE_BYTES
    assert all(byte == 10 or 32 <= byte < 127 for byte in text)
    assert b"hunter2" not in text
    assert b"=abc" not in text
    refused, cut = lines(database)
    assert refused["error"].startswith("caf\xe9 \x1b[31m \x7f \u202e \ufffd https://***@host.example")
    assert (cut["cut"], "cut" in refused) == (True, False)


def test_whatever_an_entry_says_it_can_end(database: Path) -> None:
    """A row may hold anything: neither its event nor its hint keeps the change from being made."""
    with Store(database) as store, store.transaction() as db:
        assert isinstance(db, events.Noting)
        db.unheard += [("/a\0b/.git", "me"), ("/w/\ud800", "me"), (7, None)]  # type: ignore[list-item]
        events.note(db, "queued", {"agent": "\ud800", "remote": b"bytes"})
    assert lines(database) == []


def test_what_a_full_disk_has_cut_off_takes_nothing_else_with_it(database: Path) -> None:
    path = database.parent / "log" / "events.jsonl"
    path.write_text('{"event": "que')
    events.write(database, [{"event": "landed"}, {"event": "done"}])
    assert path.read_text() == '{"event": "que\n{"event": "landed"}\n{"event": "done"}\n'


@pytest.mark.parametrize("there", ["nothing", "a directory", "a link", "no room for a new one"])
def test_where_no_event_can_be_written_the_change_is_made(database: Path, there: str, tmp_path: Path) -> None:
    path, aside = database.parent / "log" / "events.jsonl", tmp_path / "elsewhere"
    if there == "nothing":
        path.parent.rmdir()
    elif there == "a directory":
        path.mkdir()
    elif there == "a link":
        aside.touch()
        path.symlink_to(aside)
    else:
        path.write_bytes(b"x" * events.MOST_BYTES)
        path.with_name("events.jsonl.1").mkdir()
    with Store(database) as store:
        with store.transaction() as db:
            db.execute("DELETE FROM urgent")
            db.execute("INSERT INTO urgent VALUES (1, '')")
            events.note(db, "queued", {"batch": None})
        assert store.db.execute("SELECT count(*) FROM urgent").fetchone()[0] == 1
    assert not aside.exists() or not aside.read_bytes()


def test_what_was_rolled_back_has_not_happened(database: Path) -> None:
    """And an end makes no file: whoever was told of it may be removing the repository."""
    with Store(database) as store:
        with pytest.raises(ZeroDivisionError), store.transaction() as db:
            events.note(db, "queued", {"batch": None})
            raise ZeroDivisionError
        with store.transaction() as db:
            events.note(db, "landed", {"batch": None})
        assert not (database.parent / "log" / "events.jsonl").exists()
        with store.transaction() as db:
            events.note(db, "batched", {"batch": 1})
    assert [(one["event"], one["batch"], one["v"]) for one in lines(database)] == [("batched", 1, 1)]
