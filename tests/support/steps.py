"""What is asked of the queue, in steps of SQLite's machine: counted, not timed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from uam_hooks.hot.queue.connection import Store

_EACH = 20  # steps for each call of the handler


class Steps:
    """How many steps each statement of the connections of this process took."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self._now = ""

    def watch(self, db: sqlite3.Connection) -> None:
        db.set_trace_callback(self._begin)
        db.set_progress_handler(self._step, _EACH)

    def _begin(self, sql: str) -> None:
        self._now = " ".join(sql.split())[:150]

    def _step(self) -> int:
        self.of[self._now] += _EACH
        return 0


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    steps, connect = Steps(), Store._connect

    def watched(store: Store) -> sqlite3.Connection:
        db = connect(store)
        steps.watch(db)
        return db

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_connect", watched)
        yield steps
