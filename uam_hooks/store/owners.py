"""Who executes a batch: the process that holds the lock of the batch, for as long as it lives.

The flush lock is held for moments only, while batches are claimed and while somebody looks for those that nobody
executes. A batch that was claimed has its owner before the flush lock is free again, so an open batch whose lock can be
taken under the flush lock belongs to a process that is gone. No remote is talked to under the flush lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from uam_hooks.hot.core import files, sideband
from uam_hooks.hot.core.errors import Locked, NotInstalled
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.hot.queue.model import Batch, names_of
from uam_hooks.store import journal

POLL_SECONDS = 0.02
# How long what a remote said in the pushes of a batch is kept after its end, for those who wait to read it to its end.
HEARD_SECONDS = 60.0


@contextmanager
def deciding(paths: RepoPaths, timeout: float) -> Iterator[None]:
    """Hold the flush lock; raises Locked after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (lock := _flush_lock(paths)) is None:
        if time.monotonic() >= deadline:
            raise Locked(
                f"Another flush has held the queue for {timeout:g} s.", "Wait for it, or give a longer --timeout."
            )
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        os.close(lock)


def _flush_lock(paths: RepoPaths) -> int | None:
    try:
        return try_lock(paths.flush_lock, make=False)
    except FileNotFoundError:  # removed or moved meanwhile
        raise NotInstalled from None


@contextmanager
def claimed(
    paths: RepoPaths, store: Store, timeout: float, claim: Callable[[], Batch | None]
) -> Iterator[Batch | None]:
    """The batch that `claim` makes, owned by this process until the block ends."""
    with deciding(paths, timeout):
        batch = claim()
        lock = None if batch is None else _take(paths, batch)
    try:
        yield batch
    finally:
        _leave(paths, store, batch, lock)


@contextmanager
def adopted(
    paths: RepoPaths, store: Store, timeout: float, candidates: Callable[[], Sequence[Batch]]
) -> Iterator[Batch | None]:
    """The first of `candidates` that nobody executes, owned by this process until the block ends; None when there is
    none. They are asked for again once the lock is held: an owner closes its batch without the flush lock.
    """
    batch, lock = None, None
    with deciding(paths, timeout):
        for one in candidates():
            lock = _take(paths, one)
            if lock is None:
                continue
            batch = next((again for again in candidates() if again.id == one.id), None)
            if batch is not None:
                break
            _leave(paths, store, one, lock)
            lock = None
    try:
        yield batch
    finally:
        _leave(paths, store, batch, lock)


def held(paths: RepoPaths, store: Store, timeout: float) -> list[Batch]:
    """The open batches that a living process executes."""
    with deciding(paths, timeout):
        return _held(paths, store)


def _held(paths: RepoPaths, store: Store) -> list[Batch]:
    found = []
    for batch in journal.open_batches(store):
        lock = _take(paths, batch)
        if lock is None:
            found.append(batch)
        else:
            os.close(lock)
    return found


@contextmanager
def at_rest(paths: RepoPaths, store: Store, timeout: float) -> Iterator[None]:
    """Hold the flush lock, with no batch in the hands of a living process: until the block ends none is claimed.

    Raises Locked when one is still being executed after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    with deciding(paths, timeout):
        while others := _held(paths, store):
            if time.monotonic() >= deadline:
                raise Locked(
                    f"After {timeout:g} s there is still at work: {', '.join(names_of(others))}.",
                    "Nothing was changed; run the same command again when that has ended.",
                )
            time.sleep(POLL_SECONDS)
        yield


def sweep(paths: RepoPaths, store: Store) -> None:
    """Delete the files of batches that have ended; call it under the flush lock."""
    still = {f"{batch.id}.lock" for batch in journal.open_batches(store)}
    for path in paths.batches.glob("*.lock"):
        if path.name not in still:
            path.unlink(missing_ok=True)
    _sweep_said(paths, store)


def _sweep_said(paths: RepoPaths, store: Store) -> None:
    """Delete what was said in batches that have ended a while ago."""
    for path, batch in sideband.there(paths.batches):
        with suppress(OSError):  # somebody else has done it, or can
            if not 0 <= time.time() - path.lstat().st_mtime < HEARD_SECONDS and not journal.is_open(store, batch):
                path.unlink()


def lock_of(paths: RepoPaths, batch: Batch) -> Path:
    """The lock that the process holds that executes the batch."""
    return paths.batches / f"{batch.id}.lock"


def _take(paths: RepoPaths, batch: Batch) -> int | None:
    """A descriptor that holds the lock of a batch; None while somebody executes it. Call it under the flush lock."""
    files.check_directory(paths.batches)
    return try_lock(lock_of(paths, batch))


def _leave(paths: RepoPaths, store: Store, batch: Batch | None, lock: int | None) -> None:
    """Let go of a batch. A lock whose batch has ended is deleted first: whoever opens it after that finds it ended."""
    if batch is None or lock is None:
        return
    try:
        if not journal.is_open(store, batch.id):
            lock_of(paths, batch).unlink(missing_ok=True)
            _sweep_said(paths, store)
    finally:
        os.close(lock)
