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

from uam_hooks.hot.core.errors import Locked, StoreError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.processes import alive
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.bell import dismiss
from uam_hooks.hot.queue.connection import BUSY_SECONDS, Store
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.hot.queue.model import ActionType, iso
from uam_hooks.hot.queue.turn import Turn
from uam_hooks.store import owners
from uam_hooks.store.salvage import Torn, salvaged

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
        count, lost = salvaged(old, new) if there else (0, [])
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
    with suppress(sqlite3.Error), closing(Torn(old)) as damaged:
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
