"""Events: `log/events.jsonl` beside the queue has a line of JSON for each thing that happened to an entry.

What happens in a transaction is noted on its connection, and written once that has been committed: a process that is
killed in between loses events and never makes one up. The queue is what is true; nothing here is read back to decide
anything, and a line that cannot be written is let go of.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.processes import alive
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.core.words import redact
from uam_hooks.hot.queue.model import NewAction, NewSource, iso
from uam_hooks.hot.queue.outcome import Outcome

VERSION = 1
# The file becomes `events.jsonl.1` when it has grown to that: twice as much is what events take on disk.
MOST_BYTES = 1 << 20
# A line is one write of at most so many bytes, so those of several processes do not mix.
LINE_BYTES = 4096
# How many characters of a text and entries of a list are left in a line that would be longer: the first that do.
_BOUNDS = ((500, 100), (100, 20), (20, 5))
# Kinds after which somebody may be told that all is done, and remove the repository: a file that appeared then would
# be in the way.
_QUIET = ("landed", "done", "failed", "conflict", "cancelled")

Facts = dict[str, Any]


class Noting(sqlite3.Connection):
    """A connection that remembers what happens in its transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.noted: list[Facts] = []
        self.unheard: list[tuple[str, str]] = []  # worktree and agent of what failed while nobody waited for it


def note(db: sqlite3.Connection, kind: str, facts: Mapping[str, Any]) -> None:
    """Inside a transaction, say what happens by it. `facts` begin with `batch`, `batch_id` and `action`."""
    if isinstance(db, Noting):
        db.noted.append({"v": VERSION, "at": iso(time.time()), "event": kind, **facts})


def fail(db: sqlite3.Connection, source: int, outcome: str) -> bool:
    """Inside a transaction, let a pending source fail. Its agent is to hear of it, unless it waits and hears anyway;
    returns whether it was pending.
    """
    row = db.execute(
        "SELECT worktree, agent_id, waiter, waiter_started, listener, listener_started FROM sources"
        " WHERE id = ? AND status = 'pending'",
        (source,),
    ).fetchone()
    if row is None:
        return False
    db.execute(
        "UPDATE sources SET status = 'failed', outcome = ?, untold = CASE untold WHEN 0 THEN 2 ELSE untold END,"
        " notice = 1 WHERE id = ?",
        (outcome, source),
    )
    if isinstance(db, Noting) and not is_waited_for(row):
        db.unheard.append((row["worktree"], row["agent_id"]))
    return True


def is_waited_for(row: sqlite3.Row) -> bool:
    """Whether the process that pushed a source still waits for it, or another one that will say to its agent what
    became of it. What a row says may be anything.
    """
    return any(
        isinstance(pid, int) and isinstance(since, str) and pid > 0 and alive(pid, since)
        for pid, since in ((row["waiter"], row["waiter_started"]), (row["listener"], row["listener_started"]))
    )


def write(database: Path, noted: Sequence[Facts]) -> None:
    """Append what was noted, a write for each; whatever cannot be written is lost."""
    path = database.parent / "log" / "events.jsonl"
    with suppress(Exception):  # whatever it is: the change has been made
        files.check_directory(path.parent)  # a link would lead out of the repository
        fd = _opened(path, make=not any(one["event"] in _QUIET for one in noted))
        try:
            size = os.fstat(fd).st_size
            # what a full disk left of a line ends here, and takes none with it; where another process is in the middle
            # of its own, that makes an empty line
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            for one in noted:
                os.write(fd, b"\n" * torn + line(one))
                torn = False
        finally:
            os.close(fd)


def _opened(path: Path, make: bool) -> int:
    """The file of events. Where nobody waits for an end now, it is made if it is missing, and anew if it is full."""
    how = os.O_RDWR | os.O_APPEND | (os.O_CREAT if make else 0)
    fd = files.opened(path, how)
    if not make or os.fstat(fd).st_size < MOST_BYTES:
        return fd
    try:
        # whoever holds the lock of the file that has the name may take that away: each file is put aside once
        flock(fd, LOCK_EX | LOCK_NB)
        if os.path.samestat(os.fstat(fd), path.lstat()):
            path.replace(path.with_name(f"{path.name}.1"))
        fresh = files.opened(path, how)
    except OSError:  # another process does it now: this line goes to the end of what is put aside
        return fd
    os.close(fd)
    return fresh


def line(facts: Facts) -> bytes:
    """An event as one line: ASCII, without control characters, and without the secrets of URLs."""
    text = json.dumps(_safe(facts))
    for most, count in _BOUNDS:
        if len(text) < LINE_BYTES:
            break
        text = json.dumps({**_safe(facts, most, count), "cut": True})
    return text.replace("\x7f", "\\u007f").encode() + b"\n"


def _safe(value: Any, most: int | None = None, count: int | None = None) -> Any:
    """The value with texts of `most` characters and lists of `count` entries."""
    if isinstance(value, str):
        # bytes that are no UTF-8 would be halves of characters, which not every reader takes
        plain = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return redact(plain)[:most]
    if isinstance(value, dict):
        return {name: _safe(one, most, count) for name, one in value.items()}
    if isinstance(value, list):
        return [_safe(one, most, count) for one in value[:count]]
    return value


# -- what happens where pushes are queued ----------------------------------------------------------


def queued(
    db: sqlite3.Connection, action: int, source: int, new: NewAction, brought: NewSource, due: str, joined: bool
) -> None:
    """A source is in the queue: with an action of its own, or with one that it has `joined`."""
    note(db, "queued", {
        "batch": None, "batch_id": None, "action": action, "source": source, "agent": brought.agent,
        "type": new.action_type.value, "remote": new.remote, "target": new.target, "branch": brought.branch,
        "tip": brought.tip, "due": due, "joined": joined, "replaces": list(brought.replaces),
    })  # fmt: skip


def refused(db: sqlite3.Connection, brought: NewSource, why: Outcome) -> None:
    """A push conflicts with what waits before it: its agent was told, and it is not in the queue."""
    note(db, "refused", {
        "batch": None, "batch_id": None, "action": None, "agent": brought.agent, "type": "push",
        "remote": brought.remote, "target": short_target(brought.ref), "branch": brought.branch, "tip": brought.tip,
        **conflict(why),
    })  # fmt: skip


def cancelled(db: sqlite3.Connection, action: int, why: str, agent: str | None = None) -> None:
    """What nobody had claimed was taken out of the queue: what one agent has in an action, or (None) all of it."""
    note(db, "cancelled", {"batch": None, "batch_id": None, "action": action, "agent": agent, "error": why})


def unreadable(db: sqlite3.Connection, row: sqlite3.Row, why: str) -> None:
    """An entry, or sources in it, could not be read, and ended with that. What the entry says may be anything."""
    note(db, "failed", {
        "batch": None, "batch_id": None, "action": row["id"], "source": None, "agent": str(row["agent_id"]),
        "type": str(row["action_type"]), "remote": str(row["remote"]), "target": str(row["target"]), "branch": "",
        "tip": "", "waited_for": False, "error": why, "transient": False, "exit_code": None,
    })  # fmt: skip


def conflict(why: Outcome) -> Facts:
    """What is to be said of a conflict."""
    rival = None if why.rival is None else {"agent": why.rival.agent, "batch": why.rival.batch,
                                            "commit": why.rival.commit}  # fmt: skip
    return {"error": why.error, "files": list(why.files), "rival": rival}
