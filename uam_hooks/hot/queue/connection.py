"""Opening the database and running transactions."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EDQUOT, EINVAL, ENOSPC
from functools import partial
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Advice, NotInstalled, StoreError, UsageError
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue import events, hints
from uam_hooks.hot.queue.bell import FLUSHERS, ring
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.queue.schema import MIGRATIONS
from uam_hooks.hot.queue.turn import Turn

# How long a writer waits for another one. A transaction here lasts milliseconds; seconds mean a stuck disk.
BUSY_SECONDS = 10.0


class _Connection(events.Noting):
    """A connection whose texts may be names that are no UTF-8: such a one is stored as its bytes (a BLOB).

    In Python it is text with `surrogateescape`, as everywhere in this package. Nothing else is stored as a BLOB.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3 does it; UsageError for a text that is neither Unicode nor a name in bytes."""
        if not isinstance(parameters, tuple) and isinstance(parameters, Mapping):  # the latter takes longest to ask
            return super().execute(sql, {name: _stored(value) for name, value in parameters.items()})
        return super().execute(sql, tuple(map(_stored, parameters)))


def _stored(value: Any) -> Any:
    if not isinstance(value, str):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UsageError(f"{str(value)[:60]} is not the number of anything here.")
        return value
    if value.isascii():
        return value
    try:
        raw = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"{value[:60]!a} is not text that can be stored.", "Use valid Unicode.") from None
    try:
        value.encode()
    except UnicodeEncodeError:
        return raw
    return value


# A text of the database, also one that some other tool has stored as TEXT although it is no UTF-8. Called for each: no
# function of Python.
_text = partial(str, encoding="utf-8", errors="surrogateescape")


def _quoted(path: Path) -> str:
    """A path as SQLite reads it in a URI."""
    return "".join(chr(b) if (chr(b).isalnum() and b < 128) or chr(b) in "/._-" else f"%{b:02x}" for b in bytes(path))


def _without_room(error: Exception) -> bool:
    """Whether the disk has no room, or did not take what was written to it."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT)


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> sqlite3.Row:
    if bytes in map(type, values):
        values = tuple(_text(v) if isinstance(v, bytes) else v for v in values)
    return sqlite3.Row(cursor, values)


def _see_to(database: Path, make: bool) -> None:
    """See that the database is a plain file, and make it where it is missing; OSError where it is anything else.

    One that is there is not opened: closing it again would end the locks of every connection that this process has.
    """
    mode = stat.S_IMODE(database.parent.stat().st_mode) & 0o666
    if make:
        with suppress(FileExistsError):
            os.close(files.opened(database, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    found = database.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(EINVAL, "is no regular file", str(database))
    if not found.st_size and stat.S_IMODE(found.st_mode) != mode:
        with suppress(PermissionError):  # another user made it
            database.chmod(mode)


class Store:
    """One connection to the queue of one repository, which is made where it is missing; with `make=False` that is
    NotInstalled. One of another version is brought to this one; with `migrate=False` that is a StoreError.

    Every change is one `transaction`, after which what happened by it is written down (see events) and the bells of
    these kinds are rung; a failure of the database is a StoreError, and the change is rolled back.
    """

    def __init__(
        self, database: Path, make: bool = True, rings: tuple[str, ...] = (FLUSHERS,), migrate: bool = True
    ) -> None:
        self.database, self._rings = database, rings
        self._turn = Turn(database.with_name(f"{database.name}-turn"))
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                # SQLite gives its other files the mode of this one
                _see_to(self.database, make)
                if make:
                    self._turn.make()
                self.db = self._connect()
                if self.version() != len(MIGRATIONS):
                    if not migrate and self.version():
                        self.close()
                        raise StoreError(f"The queue {self.database} is of another version of git uam.")
                    self._migrate()
                return
            except (sqlite3.Error, OSError) as error:
                if isinstance(error, FileNotFoundError) and not make:
                    raise NotInstalled from None
                # while others create the database, the switch to WAL fails at once, whatever the busy timeout is
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise self._broken(error) from error
                self.db.close()
            time.sleep(0.01)

    def _connect(self, how: str = "mode=rw") -> events.Noting:
        # rw: a database that was removed a moment ago is not made again
        name = f"file:{_quoted(self.database)}?{how}"
        db = sqlite3.connect(
            name, timeout=BUSY_SECONDS, isolation_level=None, factory=_Connection, uri=True, check_same_thread=False
        )
        db.row_factory = _row
        db.text_factory = _text
        # FULL: an agent that is told "queued" must find it queued after a power cut (2 ms more a commit)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _broken(self, error: Exception) -> StoreError:
        why = error.strerror if isinstance(error, OSError) else error
        return StoreError(
            f"The queue {self.database} cannot be used: {why}.",
            Advice.of(
                "If this persists, {} says what mends it; git keeps every queued commit under refs/uam/.",
                "git",
                "uam",
                "doctor",
            ),
            transient=_without_room(error),
        )

    def version(self) -> int:
        """The number of migrations that this database has had."""
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        if self.version() > len(MIGRATIONS):
            raise StoreError(
                f"The queue {self.database} was written by a newer uam_hooks.", "Run install.sh of that version."
            )
        if self.version() == 0:
            # before anything is written: what is deleted later can be given back in small pieces (see store.space)
            self.db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self.db.execute("PRAGMA journal_mode = WAL")
        while True:
            with self.transaction():
                number = self.version()
                if number >= len(MIGRATIONS):
                    return
                name, script = MIGRATIONS[number]
                # executescript would commit first, and with it end the transaction
                for statement in script.split(";"):
                    if statement.strip():
                        self.db.execute(statement)
                self.db.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at TEXT)"
                )
                self.db.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number + 1, name, iso(time.time())))
                self.db.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; rolled back on any exception, also on KeyboardInterrupt.

        IMMEDIATE: a transaction that begins by reading and then writes fails at once with "database is locked"
        when another writer came in between, whatever the busy timeout is.
        """
        try:
            self._turn.take(BUSY_SECONDS)
            self.db.execute("BEGIN IMMEDIATE")
            self.db.noted.clear()
            self.db.unheard.clear()
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            if self.db.unheard:  # before: nothing is made after somebody may have been told the end of something
                hints.leave(self.database.parent, self.db.unheard)
            self.db.execute("COMMIT")
            if self.db.noted:  # with the turn to write, so that the lines are in the order of what happened
                events.write(self.database, self.db.noted)
        except sqlite3.Error as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise self._broken(error) from error
        finally:
            self._turn.give()
        ring(self.database.with_name("bells"), *self._rings)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one state of the queue; inside of another such block they are of that state."""
        if self.db.in_transaction:
            yield self.db
            return
        try:
            self.db.execute("BEGIN")
            try:
                yield self.db
            finally:
                self.db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._broken(error) from error

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """For what is a transaction by itself and cannot be inside of another: with the turn to write."""
        try:
            self._turn.take(BUSY_SECONDS)
            yield self.db
        except sqlite3.Error as error:
            raise self._broken(error) from error
        finally:
            self._turn.give()

    def changes(self) -> int:
        """A number that changes whenever another connection has changed the database."""
        try:
            return int(self.db.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def mark(self) -> tuple[int, int]:
        """Two numbers, of which one changes whenever the database does: as `changes`, and by this connection."""
        return self.changes(), self.db.total_changes

    def close(self) -> None:
        self.db.close()
        self._turn.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
