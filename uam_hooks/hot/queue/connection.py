"""Opening the database and running transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.queue.schema import MIGRATIONS

# How long a writer waits for another one. A transaction here lasts milliseconds; seconds mean a stuck disk.
BUSY_SECONDS = 10.0


class Store:
    """One connection to the queue of one repository.

    Every change is one `transaction`; a failure of the database is a StoreError, and the change is rolled back.
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self.db = self._connect()
                if self.version() != len(MIGRATIONS):
                    self._migrate()
                return
            except (sqlite3.Error, OSError) as error:
                # while others create the database, the switch to WAL fails at once, whatever the busy timeout is
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise self._broken(error) from error
                self.db.close()
            time.sleep(0.01)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.database, timeout=BUSY_SECONDS, isolation_level=None)
        db.row_factory = sqlite3.Row
        # FULL: an agent that is told "queued" must find it queued after a power cut (2 ms more a commit)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        return db

    def _broken(self, error: Exception) -> StoreError:
        return StoreError(
            f"The queue {self.database} cannot be used: {error}.",
            "If this persists, move the file away: git keeps every queued commit under refs/uam/.",
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
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise self._broken(error) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one state of the queue."""
        try:
            self.db.execute("BEGIN")
            try:
                yield self.db
            finally:
                self.db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
