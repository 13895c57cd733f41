"""A queue made anew in place of one that is damaged: what can be read of that one goes along.

The damaged one is kept under a name with the date. Its place is taken in one rename, while nobody flushes and no
process that flushes lives; what dies before that leaves the damaged one where it is, and the next try goes on.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from uam_hooks.hot.core.errors import Locked, StoreError, UamError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.processes import alive
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.queue.bell import dismiss
from uam_hooks.hot.queue.connection import BUSY_SECONDS, Store
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.hot.queue.model import ActionType, iso
from uam_hooks.hot.queue.turn import Turn
from uam_hooks.store import owners

# How long processes that flush may take to end.
END_SECONDS = 10.0
POLL_SECONDS = 0.02
_BESIDE = ("-wal", "-shm")


class Rebuilt(NamedTuple):
    """Where the damaged queue is now (None: there was none), how many rows were read of it, and of which tables not all
    could be.
    """

    aside: Path | None
    rows: int
    lost: tuple[str, ...]


def rebuild(paths: RepoPaths, timeout: float) -> Rebuilt:
    """Make the queue anew. Raises Locked, with nothing changed, while somebody is at work on the one that is there."""
    with owners.deciding(paths, timeout), _nobody_flushes(paths):
        turn = Turn(paths.database.with_name(f"{paths.database.name}-turn"))
        turn.make()
        turn.take(BUSY_SECONDS)
        try:
            return _rebuild(paths.database)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The queue could not be made anew: {error}.", "Nothing was lost; try again.") from error
        finally:
            turn.give()
            turn.close()


@contextmanager
def _nobody_flushes(paths: RepoPaths) -> Iterator[None]:
    """Hold the locks of all batches and flushers that ever were, so that no process lives that has the queue to change.

    One that would be started meanwhile finds its lock taken.
    """
    dismiss(paths.bells)
    deadline = time.monotonic() + END_SECONDS
    with ExitStack() as locks:
        for path in (*paths.uam.glob("flusher*.lock"), *paths.batches.glob("*.lock")):
            while (lock := try_lock(path)) is None:
                if time.monotonic() > deadline:
                    raise Locked(f"A process is still at work: it holds {path.name}.", "Wait for it, or end it.")
                time.sleep(POLL_SECONDS)
            locks.callback(os.close, lock)
        yield


def _rebuild(database: Path) -> Rebuilt:
    fresh = database.with_name(f"{database.name}.fresh")
    for name in _files(fresh):
        name.unlink(missing_ok=True)
    old = _interrupted(database) or database
    there = _has_something(database)
    if there:
        if pids := _waiters(old):
            raise Locked(f"Pushes still wait for what is queued: {', '.join(map(str, pids))}.", "Wait, or end them.")
        _close_to_others(old)
    with closing(Store(fresh)) as new:
        count, lost = _salvaged(old, new) if there else (0, [])
        new.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fresh.with_name(f"{fresh.name}-turn").unlink(missing_ok=True)
    aside = _kept(database, old) if there or _has_something(database.with_name(f"{database.name}-wal")) else None
    for end in _BESIDE:  # the new queue would take them for its own
        database.with_name(database.name + end).unlink(missing_ok=True)
    fresh.replace(database)
    if aside is not None:
        _tidy(aside)
    return Rebuilt(aside, count, tuple(lost))


def _has_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _files(database: Path) -> list[Path]:
    return [database.with_name(database.name + end) for end in ("", *_BESIDE, "-journal")]


def _interrupted(database: Path) -> Path | None:
    """The name under which a process that died has kept this very queue, with what belongs to it."""
    for path in database.parent.glob(f"{database.name}.damaged-*Z"):
        with suppress(OSError):
            if path.samefile(database):
                return path
    return None


def _kept(database: Path, old: Path) -> Path:
    """Give the damaged queue, and what SQLite has beside it, a second name."""
    if old != database:
        return old
    aside = database.with_name(f"{database.name}.damaged-{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime())}")
    for end in (*_BESIDE, ""):  # the queue itself last: by it a second try finds the rest
        with suppress(FileNotFoundError):
            os.link(database.with_name(database.name + end), aside.with_name(aside.name + end))
    return aside


def _waiters(old: Path) -> list[int]:
    """The processes that wait for an entry, and would go on to read the old queue."""
    found: set[int] = set()
    with suppress(sqlite3.Error), closing(_Damaged(old)) as damaged:
        for row in damaged.db.execute("SELECT waiter, waiter_started FROM sources WHERE status = 'pending'"):
            with suppress(TypeError, ValueError):
                if row["waiter"] and int(row["waiter"]) != os.getpid() and alive(int(row["waiter"]), str(row[1])):
                    found.add(int(row["waiter"]))
    return sorted(found)


def _tidy(aside: Path) -> None:
    """Remove what SQLite has put beside a queue that was only read."""
    log, index = (aside.with_name(aside.name + end) for end in _BESIDE)
    if not _has_something(log):
        log.unlink(missing_ok=True)
        index.unlink(missing_ok=True)


def _close_to_others(old: Path) -> None:
    """Let nobody queue in it who has it open. One that takes no trigger takes no entry either."""
    try:
        with closing(sqlite3.connect(old, timeout=1.0, isolation_level=None)) as db:
            for table in ("sources", "deploy_batches", "queued_commits"):
                db.execute(
                    f"CREATE TRIGGER IF NOT EXISTS aside_{table} BEFORE INSERT ON {table}"
                    " BEGIN SELECT RAISE(ABORT, 'the queue was damaged, and was set aside'); END"
                )
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise Locked("Somebody is writing to the queue.", "Try again.") from error


# -- what can be read ----------------------------------------------------------------------------------------


def _salvaged(old: Path, new: Store) -> tuple[int, list[str]]:
    """Copy what can be read; returns how many rows that is, and the tables of which not all could be."""
    count: int = 0
    lost: list[str] = []
    listed = new.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall()
    tables = [str(row["name"]) for row in listed]
    try:
        damaged = _Damaged(old)
    except sqlite3.Error:
        return 0, ["all of it"]
    with closing(damaged), new.transaction() as db:
        db.execute("PRAGMA defer_foreign_keys = ON")
        for table in tables:
            if table == "migrations" or table.startswith("sqlite_"):
                continue
            columns = [str(row["name"]) for row in db.execute(f"PRAGMA table_info({table})").fetchall()]
            found, whole = damaged.rows(table, columns)
            for names, values in found:
                marks = ", ".join("?" * len(values))
                with suppress(sqlite3.IntegrityError):  # it is no row of such a table
                    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names
                    count += db.execute(sql, values).rowcount
            if not whole:
                lost.append(table)
        _without_loose_ends(db)
    return count, lost


def _without_loose_ends(db: sqlite3.Connection) -> None:
    """Let no row name another one that could not be read: the name goes where it may, else the row."""
    while loose := db.execute("PRAGMA foreign_key_check").fetchall():
        for table, number, _, key in [tuple(row) for row in loose]:
            column = next(r["from"] for r in db.execute(f"PRAGMA foreign_key_list({table})") if r["id"] == key)
            must = any(r["name"] == column and r["notnull"] for r in db.execute(f"PRAGMA table_info({table})"))
            if number is None:  # a table without numbers of its own
                parent = "sources" if column == "source_id" else "deploy_queue"
                db.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM {parent})")  # noqa: S608 - names
            elif must:
                db.execute(f"DELETE FROM {table} WHERE rowid = ?", (number,))  # noqa: S608 - a name
            else:
                db.execute(f"UPDATE {table} SET {column} = NULL WHERE rowid = ?", (number,))  # noqa: S608 - names


class _Damaged(Store):
    """A connection to a damaged queue, for reading what can be read."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.db = self._connect("mode=ro")

    def close(self) -> None:
        self.db.close()

    def rows(self, table: str, columns: list[str]) -> tuple[list[tuple[list[str], tuple[object, ...]]], bool]:
        """The rows of a table in as many of these columns as it has, and whether these are all of them.

        Read from both ends: what lies between two damaged places is not reached.
        """
        found: dict[tuple[object, ...], tuple[list[str], tuple[object, ...]]] = {}
        try:
            has = {str(row["name"]) for row in self.db.execute(f"PRAGMA table_info({table})").fetchall()}
        except (sqlite3.Error, StoreError):
            return [], False
        names = [column for column in columns if column in has]
        if not names:
            return [], False
        for order in ("ASC", "DESC"):
            try:
                sql = f"SELECT {', '.join(names)} FROM {table} NOT INDEXED ORDER BY {self._key(table)} {order}"  # noqa: S608 - names
                for row in self.db.execute(sql):
                    found.setdefault(tuple(row), (names, tuple(row)))
            except (sqlite3.Error, UamError):
                continue
            else:
                return list(found.values()), True
        return list(found.values()), False

    def _key(self, table: str) -> str:
        keys = [str(r["name"]) for r in self.db.execute(f"PRAGMA table_info({table})").fetchall() if r["pk"]]
        listed = self.db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        return ", ".join(keys) if listed and "WITHOUT ROWID" in str(listed["sql"]) else "rowid"


# -- single entries -------------------------------------------------------------------------------------------


def reopen(store: Store, action_id: int) -> None:
    """Let a batch be open again whose action nobody ends, so that recovery decides what became of it."""
    now = iso(time.time())
    with store.transaction() as db:
        row = db.execute(
            "SELECT batch_id FROM deploy_queue WHERE id = ? AND status IN ('batched', 'executing')", (action_id,)
        ).fetchone()
        if row is None:
            return
        batch = row["batch_id"] or f"reopened-{action_id}"
        db.execute(
            "INSERT OR IGNORE INTO deploy_batches (id, number, created_at, status)"
            " SELECT ?, coalesce(max(number), 0) + 1, ?, 'executing' FROM deploy_batches",
            (batch, now),
        )
        db.execute("UPDATE deploy_batches SET status = 'executing' WHERE id = ?", (batch,))
        db.execute("UPDATE deploy_queue SET batch_id = ? WHERE id = ?", (batch, action_id))


def remember(store: Store, batch: str, number: int, remote: str, ref: str, old: str, new: str, keep: str) -> None:
    """Write a landing down that a ref of ours holds and the journal has lost; its retention begins now."""
    now = iso(time.time())
    with store.transaction() as db:
        if db.execute("SELECT 1 FROM landings WHERE id = ?", (number,)).fetchone():
            return
        db.execute(
            "INSERT OR IGNORE INTO deploy_batches (id, number, created_at, executed_at, status)"
            " SELECT ?, coalesce(max(number), 0) + 1, ?, ?, 'completed' FROM deploy_batches",
            (batch, now, now),
        )
        action = db.execute(
            "INSERT INTO deploy_queue (agent_id, action_type, target, status, batch_id, queued_at, execute_after,"
            " remote, finished_at) VALUES ('', ?, ?, 'completed', ?, ?, ?, ?, ?)",
            (ActionType.PUSH.value, short_target(ref), batch, now, now, remote, now),
        ).lastrowid
        db.execute(
            "INSERT INTO landings (id, batch_id, action_id, remote, ref, old, new, keep, sources, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'landed')",
            (number, batch, action, remote, ref, old, new, keep, json.dumps([])),
        )
