"""The end of a queue that is removed: nothing in it lands any more, and whoever waits for it hears that.

Others may have the database open, and go on reading it after its directory is gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.push.messages import UNINSTALLED, UNINSTALLED_UNDER_WAY
from uam_hooks.hot.queue.bell import FLUSHERS, WAITERS, ring
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.hot.queue.model import iso
from uam_hooks.store import owners

# How long an uninstall waits for what is on its way to a remote, and then for the background processes to end.
REST_SECONDS = 30.0
END_SECONDS = 10.0
POLL_SECONDS = 0.02

Close = Callable[[Path], list[str]]


@contextmanager
def closing(
    paths: RepoPaths, store: Store, lines: Callable[[Store], list[str]], timeout: float = REST_SECONDS
) -> Iterator[Close]:
    """Keep flushes from the queue until the block ends. Gives what closes it.

    That is to be called when the directory of the queue has been renamed, with its new name: it drops what waits,
    returns the `lines` that say so, and waits for the background processes. Raises Locked, with nothing changed, when
    something is still being executed after `timeout` seconds.
    """
    with owners.at_rest(paths, store, timeout):
        yield partial(_close, store, lines)


def _close(store: Store, lines: Callable[[Store], list[str]], away: Path) -> list[str]:
    with store.transaction() as db:  # a push that has the queue open is refused here, and goes straight
        for table in ("sources", "deploy_batches"):
            db.execute(
                f"CREATE TRIGGER IF NOT EXISTS removed_{table} BEFORE INSERT ON {table}"
                " BEGIN SELECT RAISE(ABORT, 'git uam was uninstalled'); END"
            )
    found = lines(store)
    _drop(store)
    ring(away / "bells", FLUSHERS, WAITERS)
    deadline = time.monotonic() + END_SECONDS
    for path in away.glob("flusher*.lock"):
        while (lock := try_lock(path)) is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if lock is not None:
            os.close(lock)
    return found


def _drop(store: Store) -> None:
    """End everything that waits. What a process that is gone had begun may have landed, and is said to."""
    with store.transaction() as db:
        db.execute(
            "UPDATE sources SET status = 'withdrawn', outcome = json_object('error', CASE WHEN"
            " (SELECT status FROM deploy_queue WHERE id = action_id AND entrusted = '') = 'pending' THEN ? ELSE ? END)"
            " WHERE status = 'pending'",
            (UNINSTALLED, UNINSTALLED_UNDER_WAY),
        )
        db.execute(
            "UPDATE deploy_queue SET status = 'cancelled', finished_at = ?, error = 'uam was uninstalled'"
            " WHERE status IN ('pending', 'batched', 'executing')",
            (iso(time.time()),),
        )
