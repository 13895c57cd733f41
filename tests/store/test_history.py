"""Folding: the ledger says the same before and after, nothing goes that is needed, and it may end at any moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.histories import DAY, NOW, Past
from uam_hooks.hot.core.errors import Refused, UsageError
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso
from uam_hooks.report.ledger import ledger
from uam_hooks.store import history, requests, space, verdicts, views
from uam_hooks.store import ledger as kept
from uam_hooks.store.history import Living

LIVING = Living(
    frozenset({"/w/1", "/w/2"}), frozenset({"refs/heads/b"}), frozenset({("origin", "refs/heads/main")})
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "queue.db") as store:
        yield store


def stats(store: Store, since: float = 0.0) -> dict[str, Any]:
    """What `git uam stats` adds up."""
    found = ledger(kept.runs(store, since), kept.failed(store, since), kept.measured(store), 5.0)
    return found | {"gates": [(one.gate, one.runs, one.failed, one.flaky, pytest.approx(one.seconds))
                              for one in verdicts.usual(store, since)]}  # fmt: skip


def counts(store: Store) -> dict[str, int]:
    tables = ("deploy_queue", "deploy_batches", "sources", "landings", "queued_commits", "gate_runs", "gate_verdicts")
    return {table: store.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608


def fold(store: Store, before: float, most: int = history.BITE) -> None:
    history.allow(store, iso(before))
    while history.fold(store, LIVING, iso(before), most):
        pass


def sound(store: Store) -> None:
    assert store.db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert [tuple(row) for row in store.db.execute("PRAGMA integrity_check")] == [("ok",)]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.lists(st.integers(0, 61), min_size=1, max_size=3), most=st.integers(1, 30))
def test_the_ledger_is_the_same_whenever_what_is_folded(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: list[int], most: int
) -> None:
    with Store(tmp_path_factory.mktemp("past") / "queue.db") as store:
        Past(store, seed).fill(40)
        moments = [0.0, (NOW - 20 * DAY) // DAY * DAY, NOW + 1]
        before = [stats(store, since) for since in moments]
        unlanded = _needed(store)
        for days in sorted(steps, reverse=True):
            fold(store, NOW - days * DAY, most)
            assert [stats(store, since) for since in moments] == before
            assert _needed(store) == unlanded
            sound(store)


def _needed(store: Store) -> list[tuple[Any, ...]]:
    """What did not land and can be tried again, what is to be heard, and what is newest."""
    found = store.db.execute(
        "SELECT s.id, s.status, s.tip, q.target, q.remote FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
        " WHERE (s.status IN ('failed', 'withdrawn') AND s.tip <> '') OR (untold AND worktree IN ('/w/1', '/w/2'))"
        " UNION ALL SELECT max(id), '', '', '', '' FROM deploy_queue UNION ALL"
        " SELECT max(number), '', '', '', '' FROM deploy_batches UNION ALL SELECT max(id), '', '', '', '' FROM sources"
        " UNION ALL SELECT max(id), '', '', '', '' FROM landings WHERE ref = 'refs/heads/main' AND status = 'landed'"
        " UNION ALL SELECT max(id), '', '', '', '' FROM landings"
        "  WHERE ref = 'refs/heads/main' AND status = 'landed' AND keep <> new"
        " ORDER BY 1"
    )
    return [tuple(row) for row in found]


def test_little_is_left(store: Store) -> None:
    Past(store, 1).fill(300)
    before = counts(store)
    fold(store, NOW + 1)
    after = counts(store)
    assert after["landings"] < 12 and after["gate_runs"] == after["gate_verdicts"] == 0, after
    assert after["deploy_batches"] < 12 < 200 < before["deploy_batches"], after
    left = store.db.execute("SELECT count(*) FROM sources WHERE status = 'landed'").fetchone()[0]
    assert left < 90, (before, after)
    # and what was left for a reason is looked at again when that is gone
    with store.transaction() as db:
        db.execute("UPDATE sources SET untold = 0")
        db.execute("UPDATE sources SET tip = '' WHERE status IN ('failed', 'withdrawn')")
    seen = stats(store)
    fold(store, NOW + 1)
    assert counts(store)["deploy_queue"] < 15, counts(store)
    assert stats(store) == seen


def test_death_at_any_statement_leaves_sums_and_rows_agreeing(store: Store) -> None:
    Past(store, 2).fill(30)
    before = stats(store)
    history.allow(store, iso(NOW + 1))
    for n in range(1, 200, 7):
        left = [n]

        def dies(*_args: object, left: list[int] = left) -> int:
            left[0] -= 1
            return sqlite3.SQLITE_OK if left[0] > 0 else sqlite3.SQLITE_DENY

        rows = counts(store)
        store.db.set_authorizer(dies)
        try:
            history.fold(store, LIVING, iso(NOW + 1), 5)
        except Exception:  # the database has refused a statement: the whole bite is rolled back
            store.db.set_authorizer(None)
            assert counts(store) == rows
        store.db.set_authorizer(None)
        assert stats(store) == before
    sound(store)


def test_what_waits_keeps_what_it_waits_for(store: Store) -> None:
    Past(store, 3).fill(30)
    (first,) = store.db.execute("SELECT min(id) FROM deploy_queue WHERE status = 'completed'").fetchone()
    with store.transaction() as db:
        db.execute(
            "INSERT INTO deploy_queue (agent_id, action_type, target, queued_at, execute_after, dependencies)"
            " VALUES ('a', 'deploy', 'prod', ?, ?, ?)",
            (iso(NOW - 90 * DAY), iso(NOW - 90 * DAY), f"[{first}]"),
        )
    fold(store, NOW + 1)
    assert views.action(store, first) is not None
    assert views.actions(store, "pending")[0].dependencies == (first,)
    with store.transaction() as db:
        db.execute("UPDATE deploy_queue SET status = 'cancelled' WHERE status = 'pending'")
    fold(store, NOW + 1)
    assert views.action(store, first) is None


def test_what_failed_can_be_tried_again_after_it_was_folded(store: Store) -> None:
    Past(store, 4).fill(60)
    fold(store, NOW + 1)
    row = store.db.execute(
        "SELECT s.id, s.action_id FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE q.folded = 1"
        " AND q.batch_id IS NULL AND s.status = 'failed' AND s.tip <> ''"
    ).fetchone()
    again = requests.retry(store, [row["action_id"]])[row["action_id"]]
    (source, *_) = enqueue.state(store, [row["id"]])
    assert (source.action_id, source.status.value) == (again, "pending")
    fold(store, NOW + 1)
    assert views.action(store, row["action_id"]) is None
    with pytest.raises(Refused, match="its retention has ended, and it is folded"):
        requests.retry(store, [row["action_id"]])
    for unknown in (0, -1, 10**6):
        with pytest.raises(UsageError, match="There is no action"):
            requests.retry(store, [unknown])


def test_what_a_clock_that_was_wrong_has_allowed_is_not_folded(store: Store) -> None:
    Past(store, 6).fill(20)
    before = counts(store)
    history.allow(store, iso(NOW + 10_000 * DAY))
    assert history.fold(store, LIVING, iso(NOW - 100 * DAY)) == 0
    assert counts(store) == before
    history.allow(store, iso(NOW - 100 * DAY))
    assert history.fold(store, LIVING, iso(NOW)) == 0


# -- the file ------------------------------------------------------------------------------------------------


def test_room_is_given_back_in_bites(store: Store) -> None:
    with store.transaction() as db:
        db.execute("CREATE TABLE big (x)")
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO big SELECT zeroblob(4000) FROM n"
        )
    full = space.size(store)
    with store.transaction() as db:
        db.execute("DELETE FROM big")
    assert space.size(store) == full
    assert space.give_back(store) == space.BITE_PAGES
    bites = 1
    while space.give_back(store):
        bites += 1
    assert bites > 10
    assert space.size(store) < full // 2
    sound(store)


def test_a_database_of_before_is_written_anew_where_it_is_small(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with Store(tmp_path / "like.db") as like:
        like.db.execute("PRAGMA auto_vacuum = NONE")
        like.db.execute(f"VACUUM INTO '{path}'")
    with Store(path) as store:
        assert store.db.execute("PRAGMA auto_vacuum").fetchone()[0] == 0
        store.db.execute("PRAGMA journal_mode = WAL")
        assert not space.write_anew(store, 1000)
        with Store(path) as other, other.reading() as db:  # who reads is not in the way
            db.execute("SELECT * FROM deploy_queue").fetchall()
            assert space.write_anew(store, space.SMALL_BYTES)
        sound(store)
        Past(store, 5).fill(1)
    with Store(path) as store:
        assert store.db.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
        assert store.db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
