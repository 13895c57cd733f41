"""What a push, its flush and a look at the queue read does not grow with what has ended: counted, not timed."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.histories import DAY, Past
from tests.support.landscape import by_hand, enqueue, flushed, inside
from tests.support.queueing import flow
from tests.support.scenes import Scene
from uam_hooks.hot.queue.connection import Store
from uam_hooks.report.status import state

_EACH = 20  # steps of SQLite's machine for each call of the handler
# What the newest few hundred of something take. Each of the rows below would take a multiple of it.
MOST = 10_000


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


def work(scene: Scene, number: int) -> None:
    """Pushes of three kinds, one of which conflicts; a commit that was rewritten; their flush; a look at the queue."""
    one, two = (scene.worktree(f"{name}-{number}") for name in ("one", "two"))
    for agent in (one, two):
        agent.commit("README", f"{agent.top.name}\n")
        assert enqueue(agent)
    one.git("tag", f"v{number}")
    assert enqueue(one, f"v{number}", f"refs/tags/v{number}")
    scene.commit(f"a{number}")
    scene.git("commit", "-q", "--amend", "-m", "again")
    assert enqueue(scene)
    flow(scene)
    flushed(scene)
    with inside(scene) as session:
        state(session)


def test_what_is_read_does_not_grow_with_what_has_ended(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(scene, settle="off")
    scene.git("config", "uam.push.accept", "false")
    scene.git("config", "uam.gh.repo", "owner/shop")
    scene.git("config", "uam.window.workflow", "1h")
    work(scene, 0)
    with counted(monkeypatch) as new:
        work(scene, 1)
    with scene.store() as store:
        Past(store, 7, days=18, now=time.time() - 2 * DAY).fill(1500)
    work(scene, 2)
    with counted(monkeypatch) as old:
        work(scene, 3)
    grown = {sql: (new.of[sql], steps) for sql, steps in old.of.items() if steps > 3 * new.of[sql] + MOST}
    assert sum(new.of.values()) and not grown, grown
    assert sum(old.of.values()) < 1.5 * sum(new.of.values()) + 2 * MOST, (old.of - new.of).most_common(10)
