"""What can be read of a queue that is damaged, for one that is made anew."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.queue.outcome import Outcome

# How many numbers of rows are tried behind damaged places of one table.
_MOST_TRIES = 20_000


def salvaged(old: Path, new: Store) -> tuple[int, list[str]]:
    """Copy what can be read; returns how many rows that is, and the tables of which not all could be."""
    count: int = 0
    lost: list[str] = []
    listed = new.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall()
    tables = [str(row["name"]) for row in listed]
    try:
        damaged = Torn(old)
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
        _without_halves(db)
    return count, lost


def _without_loose_ends(db: sqlite3.Connection) -> None:
    """Let no row name another one that could not be read: the name goes where it may, else the row."""
    while loose := db.execute("PRAGMA foreign_key_check").fetchall():
        for table, number, parent, key in [tuple(row) for row in loose]:
            column = next(r["from"] for r in db.execute(f"PRAGMA foreign_key_list({table})") if r["id"] == key)
            must = any(
                r["name"] == column and (r["notnull"] or r["pk"]) for r in db.execute(f"PRAGMA table_info({table})")
            )
            if number is None:  # a table without numbers of its own
                db.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM {parent})")  # noqa: S608 - names
            elif must:
                db.execute(f"DELETE FROM {table} WHERE rowid = ?", (number,))  # noqa: S608 - a name
            else:
                db.execute(f"UPDATE {table} SET {column} = NULL WHERE rowid = ?", (number,))  # noqa: S608 - names


_HALF = "what belongs to it in the queue could not be read when that was made anew; what was pushed is pinned"


def _without_halves(db: sqlite3.Connection) -> None:
    """End what waits and lacks a part: its commits or sources, or an action that had to come before it."""
    db.execute(
        "UPDATE landings SET sources = (SELECT json_group_array(value) FROM json_each(landings.sources)"
        " WHERE value IN (SELECT id FROM sources)) WHERE json_valid(sources)"
    )
    db.execute(
        "UPDATE deploy_queue SET status = 'failed', finished_at = :now, error = :why WHERE status = 'pending' AND ("
        " CASE WHEN action_type = 'commit' AND asked = 0"
        "  THEN id NOT IN (SELECT action_id FROM queued_commits WHERE status = 'pending')"
        "  ELSE id NOT IN (SELECT action_id FROM sources WHERE status = 'pending') END"
        " OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(dependencies) THEN dependencies ELSE '[]' END) d"
        "  WHERE d.value NOT IN (SELECT id FROM deploy_queue)))",
        {"now": iso(time.time()), "why": _HALF},
    )
    db.execute(
        "UPDATE sources SET status = 'failed', outcome = ? WHERE status = 'pending' AND action_id IN"
        " (SELECT id FROM deploy_queue WHERE status = 'failed' AND error = ?)",
        (Outcome(failure=Failure(_HALF)).text(), _HALF),
    )


class Torn(Store):
    """A connection to a damaged queue, for reading what can be read."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.db = self._connect("mode=ro")

    def close(self) -> None:
        self.db.close()

    def rows(self, table: str, columns: list[str]) -> tuple[list[tuple[list[str], tuple[Any, ...]]], bool]:
        """The rows of a table in as many of these columns as it has, and whether these are all of them."""
        found: dict[tuple[Any, ...], None] = {}
        try:
            has = {str(row["name"]) for row in self.db.execute(f"PRAGMA table_info({table})").fetchall()}
            names = [column for column in columns if column in has]
            key = self._key(table)
        except sqlite3.Error:
            return [], False
        if not names:
            return [], False
        ask = f"SELECT {', '.join(names)}, {key} FROM {table} NOT INDEXED"  # noqa: S608 - names
        whole = self._read(f"{ask} ORDER BY {key}", found)
        if not whole:
            self._read(f"{ask} ORDER BY {', '.join(f'{part} DESC' for part in key.split(', '))}", found)
        if not whole and key == "rowid":
            self._in_between(f"{ask} WHERE rowid > ? ORDER BY rowid", found)
        return [(names, row[: len(names)]) for row in found], whole

    def _read(self, sql: str, found: dict[tuple[Any, ...], None], *values: int) -> bool:
        """Read rows into `found`, until the end or until something cannot be read; True for the end."""
        try:
            for row in self.db.execute(sql, values):
                found.setdefault(tuple(row))
        except sqlite3.Error:
            return False
        return True

    def _in_between(self, sql: str, found: dict[tuple[Any, ...], None]) -> None:
        """Read what lies between two damaged places: go on behind each number at which reading ends."""
        top, at = max((int(row[-1]) for row in found), default=0), 0
        for _ in range(_MOST_TRIES):
            more: dict[tuple[Any, ...], None] = {}
            whole = self._read(sql, more, at)
            found.update(more)
            at = max([at + 1, *(int(row[-1]) for row in more)])
            if whole or at >= top:
                return

    def _key(self, table: str) -> str:
        keys = [str(r["name"]) for r in self.db.execute(f"PRAGMA table_info({table})").fetchall() if r["pk"]]
        listed = self.db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        return ", ".join(keys) if listed and "WITHOUT ROWID" in str(listed["sql"]) else "rowid"
