"""The queue as one reads it who must not change it, whatever state it is in.

Nobody is joined where nobody is at work: the file is read as it is. Where a process has the queue open, it is read
beside that one, as any reader would.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path

from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.schema import MIGRATIONS

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class State(StrEnum):
    """What a queue is to those who would use it."""

    USABLE = "usable"
    EMPTY = "empty"
    OLDER = "older"
    NEWER = "newer"
    CORRUPT = "corrupt"
    UNUSABLE = "unusable"


class Health(NamedTuple):
    """The state of a queue, and what says so."""

    state: State
    why: str = ""


class Damaged(StoreError):
    """What should be the queue is none, or not any more."""


def is_damage(error: Exception) -> bool:
    """Whether the database says of itself that it is damaged, or is none."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


class Looked(Store):
    """A connection that reads. SQLite keeps its index of a log of changes in a file (`-shm`), as it does for any
    reader; nothing else changes.
    """

    def __init__(self, database: Path, beside: bool = False) -> None:
        """Raises Damaged, or another StoreError; FileNotFoundError where there is none. See `steady` for `beside`."""
        self.database = database
        found = database.lstat()
        self._was = found.st_size, found.st_mtime_ns, found.st_ino
        self._wal = database.with_name(f"{database.name}-wal")
        # with no log of changes there is nobody at work, and an immutable file needs no files beside it
        self._alone = not beside and not self._wal.exists()
        try:
            self.db = self._connect("mode=ro&immutable=1" if self._alone else "mode=ro")
        except sqlite3.Error as error:
            if is_damage(error):
                raise Damaged(str(error)) from error
            raise self._broken(error) from error

    def steady(self) -> bool:
        """Whether nobody has written since, so that what was read is of one state; else it is to be read `beside`."""
        try:
            now = self.database.lstat()
        except OSError:
            return False
        return not self._alone or ((now.st_size, now.st_mtime_ns, now.st_ino) == self._was and not self._wal.exists())

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Nothing is written here."""
        raise StoreError(f"The queue {self.database} is only looked at.")
        yield self.db

    def close(self) -> None:
        self.db.close()

    def health(self) -> Health:
        """Whether the queue can be used by this version, and if not, why."""
        try:
            return self._health()
        except sqlite3.Error as error:
            return Health(State.CORRUPT if is_damage(error) else State.UNUSABLE, str(error))

    def _health(self) -> Health:
        version = self.version()
        told = [str(row[0]) for row in self.db.execute("PRAGMA integrity_check(3)").fetchall()]
        if told != ["ok"]:
            return Health(State.CORRUPT, told[0].splitlines()[-1])
        if version > len(MIGRATIONS):
            return Health(State.NEWER, f"{version} migrations")
        if version == 0:
            return Health(State.EMPTY)
        if version < len(MIGRATIONS):
            return Health(State.OLDER, f"{version} of {len(MIGRATIONS)} migrations")
        with closing(sqlite3.connect(":memory:")) as model:
            for _, script in MIGRATIONS:
                model.executescript(script)
            missing = _columns(model) - _columns(self.db)
        return Health(State.CORRUPT, f"it has no {'.'.join(min(missing))}") if missing else Health(State.USABLE)


def _columns(db: sqlite3.Connection) -> set[tuple[str, str]]:
    found = db.execute(
        "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'"
    ).fetchall()
    return {(row[0], row[1]) for row in found if not row[0].startswith("sqlite_")}
