"""Giving room that deleted rows have left in the database file back to the disk, without holding a writer up.

A database that is made now gives back a few pages at a time. One that was made before has to be written anew once, and
nobody writes meanwhile (who reads is not held up), so that is done where it takes no longer than a writer waits anyway.
"""

from __future__ import annotations

from contextlib import suppress

from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.queue.connection import Store

# How many pages a transaction gives back, and how many stay for what comes next.
BITE_PAGES = 100
SPARE_PAGES = 500
# Of what is in use, how many bytes are written anew while others may push, and how many when somebody asks for it.
SMALL_BYTES = 4_000_000
LARGE_BYTES = 50_000_000
# To what the log beside the database is cut where it has grown above.
LOG_BYTES = 4_000_000
_INCREMENTAL = 2


def _asked(store: Store, *names: str) -> list[int]:
    with store.reading() as db:
        return [int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in names]


def give_back(store: Store, pages: int = BITE_PAGES) -> int:
    """Give some pages back; returns how many there were, 0 when there are no more than SPARE_PAGES."""
    mode, free = _asked(store, "auto_vacuum", "freelist_count")
    pages = min(pages, free - SPARE_PAGES)
    if mode != _INCREMENTAL or pages <= 0:
        return 0
    with store.transaction() as db:
        db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
    return pages


def write_anew(store: Store, most: int) -> bool:
    """Let a database of before give pages back, where no more than `most` bytes of it are in use; whether it does."""
    mode, count, free, size = _asked(store, "auto_vacuum", "page_count", "freelist_count", "page_size")
    if mode == _INCREMENTAL or (count - free) * size > most:
        return mode == _INCREMENTAL
    with suppress(StoreError), store.alone() as db:  # without room, or while somebody writes: another time
        db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        db.execute("VACUUM")
    return _asked(store, "auto_vacuum") == [_INCREMENTAL]


def size(store: Store) -> int:
    """How many bytes the database file has once its log is in it."""
    count, size = _asked(store, "page_count", "page_size")
    return count * size


def keep_log_short(store: Store) -> None:
    """Let this connection cut the log beside the database once it is not needed any more."""
    store.db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
