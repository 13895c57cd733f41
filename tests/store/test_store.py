"""The queue as a database: what is in stays in, is claimed once, and is never half done."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import uam_hooks
from tests.support.scenes import free, locked, until
from uam_hooks.hot.core.errors import Failure, StoreError
from uam_hooks.hot.queue import connection, enqueue, noted, reasons, schema
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import Ticket
from uam_hooks.hot.queue.lane import EVERYTHING, Lane, due_at, unsettled
from uam_hooks.hot.queue.model import Action, Batch, NewSource, SourceStatus, Status, iso, seconds_of
from uam_hooks.hot.queue.noted import CommitNote
from uam_hooks.hot.queue.outcome import Detail, How, Outcome
from uam_hooks.store import ci_states, claim, finish, gathered, journal, returns, views
from uam_hooks.store.claim import NewLanding

NOW = 1_700_000_000.0
MAIN = "refs/heads/main"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "queue.db") as store:
        yield store


def source(number: int, ref: str = MAIN, **more: Any) -> NewSource:
    """A push of worktree `number`."""
    fields: dict[str, Any] = {"agent": f"agent-{number}", "worktree": f"/w/{number}", "branch": "refs/heads/b"}
    fields |= {"tip": f"{number:040x}", **more}
    return NewSource("origin", ref, **fields)


def push(
    store: Store, *sources: NewSource, window: float = 5.0, now: float = NOW, replaces: tuple[Ticket, ...] = ()
) -> list[Ticket]:
    """Queue one push; its first source holds the work of the older ones that it `replaces`."""
    first = sources[0]._replace(replaces=tuple(ticket.source for ticket in replaces))
    return enqueue.push(store, [first, *sources[1:]], window, now)


def states(store: Store, *tickets: Ticket) -> list[SourceStatus]:
    return [s.status for s in enqueue.state(store, [ticket.source for ticket in tickets])]


def claimed(store: Store, now: float | None = None) -> Batch:
    batch = claim.due(store, now)
    assert batch is not None
    return batch


def query(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.db.execute(sql)]


# -- into the queue ------------------------------------------------------------------------------------------


def test_pushes_of_one_ref_gather_in_one_action_whose_window_does_not_move(store: Store) -> None:
    first = push(store, source(1), window=5, now=NOW)[0]
    second = push(store, source(2), window=5, now=NOW + 3)[0]
    assert first.action == second.action
    assert first.due == second.due == iso(NOW + 5)
    urgent = push(store, source(3), window=0, now=NOW + 4)[0]
    assert (urgent.action, urgent.due) == (first.action, iso(NOW + 4))
    assert [a.execute_after for a in views.actions(store, "pending")] == [iso(NOW + 4)]


@pytest.mark.parametrize(
    "other",
    [
        source(2, ref="refs/heads/other"),
        source(2)._replace(remote="backup"),
        source(2, options=("ci.skip",)),
        source(2, verbatim=True),
        source(2, atomic=True),
    ],
    ids=["ref", "remote", "push options", "exact", "atomic"],
)
def test_what_does_not_go_together_is_an_action_of_its_own(store: Store, other: NewSource) -> None:
    first, second = push(store, source(1))[0], push(store, other)[0]
    assert first.action != second.action


def test_a_newer_push_of_the_same_source_replaces_the_older_and_is_followed(store: Store) -> None:
    old = push(store, source(1, tip="a" * 40))[0]
    newer = push(store, source(1, tip="b" * 40), replaces=(old,))[0]
    newest = push(store, source(1, tip="c" * 40), replaces=(newer,))[0]
    found = enqueue.state(store, [old.source, newer.source, newest.source])
    assert [s.tip for s in found] == ["c" * 40] * 3
    assert [s.tip for s in gathered.sources(store, old.action)] == ["c" * 40]


def test_older_pushes_of_the_same_place_are_found_with_what_became_of_them(store: Store) -> None:
    old = push(store, source(1, tip="a" * 40))[0]
    push(store, source(1, tip="5" * 40, ref="refs/heads/other"))
    push(store, source(2))
    push(store, source(1, tip="6" * 40, verbatim=True))
    noted.commits(store, [CommitNote("a" * 40, MAIN, "", "/w/1")], [("a" * 40, "b" * 40)], 30, NOW)
    noted.commits(store, [], [("b" * 40, "c" * 40)], 30, NOW)
    assert enqueue.older(store, source(1, tip="d" * 40)) == [(old.source, ["a" * 40, "b" * 40, "c" * 40])]
    claimed(store)
    assert enqueue.older(store, source(1, tip="d" * 40)) == []


def test_work_that_the_newer_push_does_not_hold_stays(store: Store) -> None:
    old, new = push(store, source(1, tip="a" * 40))[0], push(store, source(1, tip="b" * 40))[0]
    assert [s.tip for s in gathered.sources(store, old.action)] == ["a" * 40, "b" * 40]
    assert states(store, old, new) == [SourceStatus.PENDING] * 2


def test_one_push_is_one_transaction(store: Store) -> None:
    bad = source(2)._replace(tip=None)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        push(store, source(1), bad)
    assert query(store, "SELECT count(*) FROM deploy_queue") == [(0,)]
    assert query(store, "SELECT count(*) FROM sources") == [(0,)]


def test_eight_processes_at_once_keep_everything(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    code = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        from uam_hooks.hot.queue.model import NewSource
        from uam_hooks.hot.queue.connection import Store
        from uam_hooks.hot.queue import enqueue
        me = int(sys.argv[3])
        print("ready", flush=True)
        sys.stdin.readline()
        with Store(Path(sys.argv[2])) as store:
            for n in range(25):
                new = NewSource("origin", f"refs/heads/{n % 3}", f"a{me}", f"/w/{me}", f"b{n}", f"{me * 100 + n:040x}")
                enqueue.push(store, [new], 60.0, 1e9)
    """
    package = str(Path(uam_hooks.__file__).parent.parent)
    workers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", code, package, str(database), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(8)
    ]  # fmt: skip
    for worker in workers:  # none has opened the database yet: they also race to create it
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
    assert [worker.returncode for worker in workers] == [0] * 8
    with Store(database) as store:
        tips = {row[0] for row in query(store, "SELECT tip FROM sources WHERE status = 'pending'")}
        assert tips == {f"{w * 100 + n:040x}" for w in range(8) for n in range(25)}
        assert query(store, "SELECT count(*) FROM deploy_queue") == [(3,)]
        assert query(store, "PRAGMA integrity_check") == [("ok",)]


# -- taking back ---------------------------------------------------------------------------------------------


def test_a_withdrawn_push_lets_the_tip_that_it_replaced_stand_again(store: Store) -> None:
    old = push(store, source(1, tip="a" * 40))[0]
    new = push(store, source(1, tip="b" * 40), replaces=(old,))[0]
    assert enqueue.withdraw(store, [new.source], "interrupted") == [new.source]
    assert states(store, old, new) == [SourceStatus.PENDING, SourceStatus.WITHDRAWN]
    assert [s.tip for s in gathered.sources(store, old.action)] == ["a" * 40]
    assert [a.status for a in views.actions(store, "pending")] == [Status.PENDING]


def test_all_that_a_withdrawn_push_had_replaced_stands_again(store: Store) -> None:
    """A merge of two lines that were pushed one by one holds both."""
    one, two = push(store, source(1, tip="a" * 40))[0], push(store, source(1, tip="b" * 40))[0]
    both = push(store, source(1, tip="c" * 40), replaces=(one, two))[0]
    enqueue.withdraw(store, [both.source], "interrupted")
    assert states(store, one, two) == [SourceStatus.PENDING] * 2
    assert [s.tip for s in gathered.sources(store, one.action)] == ["a" * 40, "b" * 40]


def test_the_last_source_takes_its_action_along(store: Store) -> None:
    first, second = push(store, source(1))[0], push(store, source(2))[0]
    enqueue.withdraw(store, [first.source], "x")
    assert len(views.actions(store, "pending")) == 1
    enqueue.withdraw(store, [second.source], "x")
    assert views.actions(store, "pending") == []
    assert [a.error for a in views.actions(store, "cancelled")] == ["x"]
    # a later push does not join what was cancelled
    assert push(store, source(3))[0].action != first.action


def test_what_is_claimed_cannot_be_taken_back(store: Store) -> None:
    ticket = push(store, source(1))[0]
    claimed(store)
    assert enqueue.withdraw(store, [ticket.source], "x") == []
    assert states(store, ticket) == [SourceStatus.PENDING]


# -- claiming ------------------------------------------------------------------------------------------------


def test_only_what_is_due_is_claimed(store: Store) -> None:
    push(store, source(1), window=5)
    assert claim.due(store, NOW + 4.9) is None
    assert claimed(store, NOW + 5.1).status == Status.PENDING
    assert claim.due(store, NOW + 5.1) is None


def test_two_claimers_get_each_action_once(store: Store, tmp_path: Path) -> None:
    got: list[Batch] = []
    barrier = threading.Barrier(2)

    def claim_all() -> None:
        with Store(tmp_path / "queue.db") as mine:
            barrier.wait()
            while (batch := claim.due(mine, None)) is not None:
                got.append(batch)

    for turn in range(5):  # both ask at the same moment, several times
        for number in range(4):
            push(store, source(number, ref=f"refs/heads/{turn}/{number}"))
        claimers = [threading.Thread(target=claim_all) for _ in range(2)]
        for claimer in claimers:
            claimer.start()
        for claimer in claimers:
            claimer.join()
    ids = [action.id for batch in got for action in batch.actions]
    assert sorted(ids) == list(range(1, 21))
    assert len({batch.number for batch in got}) == len(got) == 5


def test_a_ref_is_claimed_by_one_batch_at_a_time(store: Store) -> None:
    push(store, source(1))
    first = claimed(store)
    push(store, source(2))
    assert claim.due(store, None) is None
    assert due_at(store) is None
    finish.action(store, first.actions[0], {1: Outcome()})
    assert [a.id for a in claimed(store).actions] == [2]


def test_an_atomic_push_is_claimed_whole(store: Store) -> None:
    push(store, source(1, ref="refs/heads/a"))
    busy = claimed(store)
    push(
        store,
        source(2, ref="refs/heads/a", atomic=True, group="g"),
        source(2, ref="refs/heads/b", atomic=True, group="g"),
    )
    assert claim.due(store, None) is None
    finish.action(store, busy.actions[0], {1: Outcome()})
    assert [a.target for a in claimed(store).actions] == ["a", "b"]


def test_queue_order_holds_for_a_ref(store: Store) -> None:
    """An exact push (a forced update) and what was queued before it go one after the other."""
    first = push(store, source(1))[0]
    forced = push(store, source(2, verbatim=True), window=0)[0]
    batch = claimed(store, NOW + 1)
    assert [a.id for a in batch.actions] == [first.action]
    finish.action(store, batch.actions[0], {first.source: Outcome()})
    assert [a.id for a in claimed(store, NOW + 1).actions] == [forced.action]


# -- giving back and finishing -------------------------------------------------------------------------------


def test_a_released_action_is_pending_again_in_its_old_place(store: Store) -> None:
    ticket = push(store, source(1))[0]
    batch = claimed(store)
    returns.release(store, batch.actions[0])
    assert finish.close(store, batch, 1.0) == Status.CANCELLED
    again = claimed(store)
    assert [a.id for a in again.actions] == [ticket.action]
    assert again.number == 2


def test_what_was_planned_for_an_action_ends_with_the_push_that_carries_it(store: Store) -> None:
    """It was to go onto its branch, which moved at the same moment; then a push took it along."""
    first, carrier = push(store, source(1, ref="refs/heads/a"))[0], push(store, source(2))[0]
    batch = claimed(store)
    own, other = (next(a for a in batch.actions if a.id == n) for n in (first.action, carrier.action))
    claim.write_plan(store, batch, [landing(own)])
    store.db.execute("UPDATE deploy_queue SET carried_by = ? WHERE id = ?", (other.id, own.id))
    written = claim.write_plan(store, batch, [landing(other, "e" * 40)])
    finish.action(store, other, {}, written[0].id)
    assert query(store, "SELECT action_id, status FROM landings ORDER BY id") == [
        (own.id, "abandoned"), (other.id, "landed"),
    ]  # fmt: skip


def test_a_released_action_takes_the_younger_open_group_in(store: Store) -> None:
    old_1, old_2 = push(store, source(1, tip="a" * 40))[0], push(store, source(2))[0]
    batch = claimed(store)
    new_1, new_3 = push(store, source(1, tip="b" * 40))[0], push(store, source(3))[0]
    assert new_1.action == new_3.action != old_1.action
    returns.release(store, batch.actions[0])
    found = gathered.sources(store, old_1.action)
    assert [s.agent for s in found] == ["agent-1", "agent-2", "agent-1", "agent-3"]
    assert [found[0].tip, found[2].tip] == ["a" * 40, "b" * 40]
    assert [(a.id, a.status) for a in views.actions(store, "pending", "cancelled")] == [
        (old_1.action, Status.PENDING),
        (new_1.action, Status.CANCELLED),
    ]
    assert push(store, source(4))[0].action == old_1.action
    assert states(store, old_2, new_3) == [SourceStatus.PENDING] * 2


@pytest.mark.parametrize("waits", [False, True])
def test_what_is_left_to_a_flush_by_hand_goes_on_so_unless_somebody_else_is_in_it(store: Store, waits: bool) -> None:
    lane = Lane(None, "origin")
    push(store, source(1)._replace(by_hand=True))
    assert (due_at(store, lane), claim.due(store, None, lane=lane)) == (None, None)
    batch = claimed(store)
    push(store, source(2)._replace(by_hand=not waits))
    returns.release(store, batch.actions[0])
    again = claim.due(store, None, lane=lane)
    assert (again is not None) == waits
    push(store, source(3, ref="refs/heads/joined")._replace(by_hand=True))
    push(store, source(4, ref="refs/heads/joined"))
    joined = claim.due(store, None, lane=lane)
    assert joined is not None and [action.target for action in joined.actions] == ["joined"]


def landing(action: Action, new: str = "f" * 40) -> NewLanding:
    return NewLanding(action.id, "origin", MAIN, "0" * 40, new, new, (1,), Detail(How.AS_IS))


def test_a_plan_is_on_the_batch_before_its_push(store: Store) -> None:
    push(store, source(1))
    batch = claimed(store)
    written = claim.write_plan(store, batch, [landing(batch.actions[0])])
    assert journal.planned(store, batch.actions[0]) == written[0]
    assert [b.id for b in journal.open_batches(store)] == [batch.id]
    assert unsettled(store)
    # integrated anew: the older plan is history
    again = claim.write_plan(store, batch, [landing(batch.actions[0], "e" * 40)])
    assert journal.planned(store, batch.actions[0]) == again[0]
    assert query(store, "SELECT status FROM landings ORDER BY id") == [("abandoned",), ("planned",)]


def test_what_was_pushed_and_never_seen_to_have_landed_is_found_by_ref(store: Store) -> None:
    refs = [MAIN, "refs/heads/\udcff", "refs/heads/größe", "refs/heads/other"]  # the second has a byte that is no UTF-8
    push(store, *(source(number, ref) for number, ref in enumerate(refs)))
    batch = claimed(store)
    plans = [landing(action)._replace(ref=ref) for action, ref in zip(batch.actions, refs, strict=True)]
    claim.write_plan(store, batch, plans)
    claim.write_plan(store, batch, [plan._replace(new="e" * 40) for plan in plans])
    found = journal.landings(store, "origin", refs[:3])
    news = {ref: "".join(one.new[0] for one in landings) for ref, landings in found.items()}
    assert news == dict.fromkeys(refs[:3], "ef")
    assert journal.landings(store, "backup", refs) == {}
    finish.action(store, batch.actions[1], {2: Outcome(new="e" * 40)}, found[refs[1]][0].id)
    assert list(journal.landings(store, "origin", refs[:2])) == [MAIN]


def test_finishing_ends_action_landing_batch_and_commits(store: Store) -> None:
    noted.commits(store, [CommitNote("1" * 40, MAIN, "a", "/w")], [], 30, NOW)
    ticket = push(store, source(1))[0]
    batch = claimed(store)
    written = claim.write_plan(store, batch, [landing(batch.actions[0])])
    outcome = {ticket.source: Outcome(new="f" * 40)}
    finish.action(store, batch.actions[0], outcome, written[0].id, ["1" * 40])
    assert finish.close(store, batch, 12.34) == Status.COMPLETED
    assert not unsettled(store)
    assert journal.open_batches(store) == []
    assert query(store, "SELECT status FROM landings") == [("landed",)]
    assert query(store, "SELECT status FROM deploy_queue") == [("completed",), ("completed",)]
    assert views.commits(store) == []
    ended = views.batch(store, "1")
    assert ended is not None
    landings = ended.result.pop("landings")
    assert ended.result == {
        "executedActions": 1, "failedActions": 0, "deferredActions": 0, "errors": [], "duration": 12.3,
    }  # fmt: skip
    assert [(entry["ref"], entry["new"], entry["how"]) for entry in landings] == [(MAIN, "f" * 40, "as-is")]
    assert views.batch(store, batch.id[:6]) == views.batch(store, "1")


def test_a_claim_that_was_lost_finishes_nothing(store: Store) -> None:
    ticket = push(store, source(1))[0]
    lost = claimed(store)
    returns.release(store, lost.actions[0])
    mine = claimed(store)
    finish.action(store, lost.actions[0], {ticket.source: Outcome(failure=Failure("x"))})
    assert states(store, ticket) == [SourceStatus.PENDING]
    finish.action(store, mine.actions[0], {ticket.source: Outcome()})
    assert states(store, ticket) == [SourceStatus.LANDED]


def test_one_bad_source_does_not_fail_the_action(store: Store) -> None:
    good, bad = push(store, source(1))[0], push(store, source(2))[0]
    batch = claimed(store)
    outcomes = {
        good.source: Outcome(),
        bad.source: Outcome(failure=Failure("conflict in a")),
    }
    finish.action(store, batch.actions[0], outcomes)
    assert finish.close(store, batch, 0) == Status.COMPLETED
    assert [(a.status, a.error) for a in views.actions(store, "completed", "failed")] == [
        (Status.COMPLETED, "conflict in a")
    ]
    found = views.failed_sources(store, NOW - 1)
    assert [(s.agent, s.outcome.error) for _, s in found] == [("agent-2", "conflict in a")]


# -- commits -------------------------------------------------------------------------------------------------


def test_commits_of_a_branch_gather_and_are_taken_in_once(store: Store) -> None:
    notes = [CommitNote("1" * 40, MAIN, "a", "/w"), CommitNote("2" * 40, MAIN, "b", "/v")]
    for _ in range(2):
        noted.commits(store, notes, [], 30, NOW)
    noted.commits(store, [CommitNote("3" * 40, "refs/heads/x", "a", "/w")], [], 30, NOW + 1)
    assert [(c.action_id, c.oid[0]) for c in views.commits(store)] == [(1, "1"), (1, "2"), (2, "3")]
    assert [a.execute_after for a in views.actions(store, "pending")] == [iso(NOW + 30), iso(NOW + 31)]


def test_a_rewritten_commit_hands_its_place_on(store: Store) -> None:
    noted.commits(store, [CommitNote("1" * 40, MAIN, "a", "/w")], [], 30, NOW)
    noted.commits(store, [], [("1" * 40, "2" * 40), ("8" * 40, "9" * 40)], 30, NOW + 5)
    assert [(c.action_id, c.oid[0], c.agent) for c in views.commits(store)] == [(1, "2", "a")]
    assert views.actions(store, "pending")[0].execute_after == iso(NOW + 30)


def test_commits_pushed_or_gone_need_no_push_any_more(store: Store) -> None:
    notes = [CommitNote(digit * 40, MAIN, "", "/w") for digit in "123"]
    noted.commits(store, notes, [], 30, NOW)
    finish.describe(store, {"1" * 40: ("ada", "Add a", "", 2)}, {"2" * 40: "landed", "3" * 40: "gone"})
    assert [(c.oid[0], c.agent, c.subject, c.files) for c in views.commits(store)] == [("1", "ada", "Add a", 2)]
    finish.describe(store, {}, {"1" * 40: "landed"})
    assert [a.status for a in views.actions(store, "completed")] == [Status.COMPLETED]


# -- turns ---------------------------------------------------------------------------------------------------


def test_writers_have_their_turn_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    order: list[int] = []
    path = tmp_path / "queue.db"

    def waiting() -> int:
        inode = f":{(tmp_path / 'queue.db-turn').stat().st_ino} "
        return sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())

    def write(number: int) -> None:
        with Store(path) as mine, mine.transaction():
            order.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    with Store(path) as store, store.transaction():
        for number, thread in enumerate(threads, 1):
            thread.start()
            until(lambda number=number: waiting() == number, f"{number} wait")  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_a_turn_that_does_not_come_is_done_without(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has it may have been stopped; the file may be gone."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    turn = store.database.with_name("queue.db-turn")
    with locked(turn):
        push(store, source(1))
        push(store, source(2))
    push(store, source(3))
    with Store(store.database) as other, other.transaction():
        assert not free(turn)
    assert free(turn)
    turn.unlink()
    with Store(store.database, make=False) as other:
        push(other, source(4))
    assert not turn.exists() and len(query(store, "SELECT * FROM sources")) == 4


def test_the_database_is_not_opened_beside_a_connection(store: Store, tmp_path: Path) -> None:
    """Closing it would end the connection's locks: another process would take it for gone, and remove the log."""
    push(store, source(1))
    with Store(tmp_path / "queue.db"):
        pass
    code = "import sys; from uam_hooks.hot.queue.connection import Store; Store(sys.argv[1]).close()".replace(
        "Store(sys.argv[1])", "Store(__import__('pathlib').Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-I", "-c", code, str(tmp_path / "queue.db")], check=True)
    assert (tmp_path / "queue.db-wal").exists()
    push(store, source(2))
    assert len(query(store, "SELECT * FROM sources")) == 2


# -- the file ------------------------------------------------------------------------------------------------


def test_migrations_are_recorded_and_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "queue.db"
    with Store(path) as store:
        push(store, source(1))
        count = len(schema.MIGRATIONS)
        assert store.version() == count
        assert query(store, "SELECT number, name FROM migrations") == [
            (number, name) for number, (name, _) in enumerate(schema.MIGRATIONS, 1)
        ]
        assert query(store, "PRAGMA journal_mode") == [("wal",)]
    later = (*schema.MIGRATIONS, ("one more", "CREATE TABLE more (x); ALTER TABLE more ADD COLUMN y"))
    monkeypatch.setattr(connection, "MIGRATIONS", later)
    with Store(path) as store:
        assert store.version() == count + 1
        assert query(store, "SELECT x, y FROM more") == []
        assert len(gathered.sources(store, 1)) == 1


def test_what_the_version_before_holds_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = next(n for n, (name, _) in enumerate(schema.MIGRATIONS) if name == "whether a push is held")
    with monkeypatch.context() as before:
        before.setattr(connection, "MIGRATIONS", schema.MIGRATIONS[:number])
        with Store(tmp_path / "queue.db") as store, store.transaction() as db:
            for status, until in (("pending", iso(NOW)), ("completed", iso(NOW)), ("pending", ""), ("pending", "9")):
                db.execute(
                    "INSERT INTO deploy_queue"
                    " (agent_id, action_type, target, queued_at, execute_after, status, hold_until)"
                    " VALUES ('a', 'push', 'main', '', ?, ?, ?)",
                    (iso(NOW), status, until),
                )
    with Store(tmp_path / "queue.db") as store:
        assert query(store, "SELECT held FROM deploy_queue ORDER BY id") == [(1,), (0,), (0,), (0,)]


def test_a_hold_that_ends_with_the_window_is_none_yet(store: Store) -> None:
    """Who joins a push that is not held gives it the window of both; what is tried again is held no more."""
    enqueue.push(store, [source(1)], 60.0, NOW, hold=60.0)
    why = reasons.reason(store, [1], NOW)
    assert why is not None and why.waits is reasons.Waits.COMPANY
    (push,) = ci_states.holdable(store, EVERYTHING)
    ci_states.set_due(store, {push: ci_states.Due(push.hold_until, held=True)})
    why = reasons.reason(store, [1], NOW)
    assert why is not None and why.waits is reasons.Waits.CI
    enqueue.push(store, [source(2)], 5.0, NOW, hold=90.0)
    assert query(store, "SELECT execute_after, held FROM deploy_queue") == [(iso(NOW + 60), 1)]
    (action,) = claimed(store).actions
    returns.requeue(store, action, iso(NOW + 70), "another time", tried=True)
    assert query(store, "SELECT execute_after, held FROM deploy_queue") == [(iso(NOW + 70), 0)]


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "queue.db"
    with Store(path) as store:
        push(store, source(1))
    broken = (*schema.MIGRATIONS, ("broken", "CREATE TABLE half (x); CREATE TABLE deploy_queue (x)"))
    monkeypatch.setattr(connection, "MIGRATIONS", broken)
    with pytest.raises(StoreError, match="cannot be used: table deploy_queue already exists"):
        Store(path)
    monkeypatch.undo()
    with Store(path) as store:
        assert store.version() == len(schema.MIGRATIONS)
        assert query(store, "SELECT name FROM sqlite_schema WHERE name = 'half'") == []


def test_a_database_of_a_newer_version_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreError, match=r"was written by a newer uam_hooks\."):
        Store(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (999,)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_transaction_that_is_interrupted_changes_nothing(store: Store, interruption: type[BaseException]) -> None:
    push(store, source(1))

    def interrupted() -> None:
        with store.transaction() as db:
            db.execute("DELETE FROM sources")
            raise interruption

    with pytest.raises(interruption):
        interrupted()
    assert query(store, "SELECT count(*) FROM sources") == [(1,)]
    push(store, source(2))


def test_a_reader_sees_one_state_while_others_write(store: Store, tmp_path: Path) -> None:
    push(store, source(1))
    with Store(tmp_path / "queue.db") as other, store.reading() as db:
        assert db.execute("SELECT count(*) FROM sources").fetchone()[0] == 1
        started = time.monotonic()
        push(other, source(2))
        assert time.monotonic() - started < 5  # WAL: readers hold no writer up
        assert db.execute("SELECT count(*) FROM sources").fetchone()[0] == 1


def test_a_refusal_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_text("no database, and long enough to be looked at" * 100)
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "queue.db")
    assert caught.value.what == f"The queue {tmp_path / 'queue.db'} cannot be used: file is not a database."
    assert "`git uam doctor` says what mends it" in caught.value.do


@pytest.mark.parametrize("moment", [0.0, 0.999, 1_700_000_000.001, 1_700_000_000.9999, 4_102_444_799.5])
def test_times_sort_as_text(moment: float) -> None:
    assert abs(seconds_of(iso(moment)) - moment) < 0.0011
    assert iso(moment) < iso(moment + 0.002)
