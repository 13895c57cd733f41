"""What a fleet promises those who use its database: against a real server."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.fleet.conftest import machine
from tests.support.scenes import until
from uam_hooks.fleet import holding
from uam_hooks.fleet.database import Fleet, join, leave
from uam_hooks.fleet.values import Branch, Entry, FleetAway, Verdict

MAIN = Branch("origin", "refs/heads/main")
Connect = Callable[[int], Fleet]
LANDED = json.dumps({"ref": "refs/heads/main", "new": "b" * 40})


def entry(
    branch: Branch = MAIN, *, window: float = 1.0, terms: str = "", facts: Mapping[str, Any] | None = None
) -> Entry:
    id = str(uuid.uuid4())
    return Entry(id, branch, "a" * 40, f"refs/uam/fleet/{id}", "agent", terms, False, window, facts or {"wish": "keep"})


def ids(entries: list[Entry]) -> list[str]:
    return [one.id for one in entries]


def test_a_push_is_entered_taken_reported_and_heard_of(connect: Connect) -> None:
    ours, theirs = connect(1), connect(2)
    assert theirs.hold(MAIN)
    handed = [entry(), entry()]
    ours.enter(handed)
    assert theirs.wait(5)
    found = theirs.waiting(MAIN, "")
    assert [one._replace(machine="", due_in=0.0) for one in found] == handed
    assert {one.machine for one in found} == {machine(1).id}
    assert all(0 < one.due_in <= 1 for one in found)
    assert theirs.report(MAIN, {handed[0].id: (True, LANDED)}) == {handed[0].id}
    assert ours.wait(5)
    assert [tuple(one) for one in ours.ended(ids(handed))] == [(handed[0].id, "landed", LANDED)]
    assert ids(theirs.waiting(MAIN, "")) == [handed[1].id]


def test_one_push_costs_four_statements_and_two_notifications(connect: Connect) -> None:
    """Entered, read, reported and heard of; each of the two is woken once."""
    ours, theirs = connect(1), connect(2)
    assert theirs.hold(MAIN)
    before = ours.link.statements + theirs.link.statements
    one = entry()
    ours.enter([one])
    assert theirs.wait(5)
    assert ids(theirs.waiting(MAIN, "")) == [one.id]
    theirs.report(MAIN, {one.id: (True, LANDED)})
    assert ours.wait(5)
    assert ours.ended([one.id])
    assert ours.link.statements + theirs.link.statements - before == 4
    assert (ours.link.heard, theirs.link.heard) == (1, 1)
    assert not ours.wait(0)
    assert not theirs.wait(0)


# -- who lands a branch --------------------------------------------------------------------------------------


def test_a_branch_has_one_holder_who_wakes_the_next_when_it_lets_go(connect: Connect) -> None:
    first, second = connect(1), connect(2)
    other = Branch("origin", "refs/heads/other")
    assert first.hold(MAIN)
    assert first.hold(MAIN)
    assert not second.hold(MAIN)
    assert second.hold(other)
    assert (first.held, second.held) == (frozenset({MAIN}), frozenset({other}))
    first.release(MAIN)
    assert first.held == frozenset()
    assert second.wait(5)
    assert second.hold(MAIN)
    assert second.held == {MAIN, other}
    assert [(one.branch, one.machine, one.term) for one in second.status().holders] == [
        (MAIN, "clone-2", 2), (other, "clone-2", 1),
    ]  # fmt: skip


def test_who_ends_lets_go_of_all_that_it_holds(connect: Connect) -> None:
    first, second = connect(1), connect(2)
    assert first.hold(MAIN)
    assert not second.hold(MAIN)
    first.close()
    assert second.wait(5)
    assert second.hold(MAIN)


def test_who_lands_a_branch_does_not_hear_of_others(connect: Connect) -> None:
    first, second = connect(1), connect(2)
    assert first.hold(MAIN)
    second.enter([entry(Branch("origin", "refs/heads/other"))])
    second.enter([entry(Branch("other", MAIN.ref))])
    assert not first.wait(0.1)
    assert first.waiting(MAIN, "") == []


def test_what_one_has_entered_twice_is_there_once(connect: Connect) -> None:
    ours, theirs = connect(1), connect(2)
    handed = [entry() for _ in range(3)]
    ours.enter(handed[:2])
    ours.enter(handed)
    assert theirs.hold(MAIN)
    assert ids(theirs.waiting(MAIN, "")) == ids(handed)
    theirs.report(MAIN, {handed[0].id: (True, LANDED)})
    ours.enter(handed)
    assert ids(theirs.waiting(MAIN, "")) == ids(handed[1:])


def test_what_waits_is_shown_to_who_holds_the_branch_and_has_its_terms(connect: Connect) -> None:
    ours, theirs = connect(1), connect(2)
    handed = [entry(), entry(terms="a"), entry(terms="b")]
    ours.enter(handed)
    assert theirs.waiting(MAIN, "a") == []
    assert theirs.hold(MAIN)
    assert ids(theirs.waiting(MAIN, "a")) == ids(handed[:2])
    assert ids(theirs.waiting(MAIN, "")) == ids(handed[:1])
    assert ids(theirs.waiting(MAIN, "b", most=1)) == ids(handed[:1])


def test_what_is_taken_home_waits_no_more(connect: Connect) -> None:
    ours, theirs = connect(1), connect(2)
    handed = [entry(), entry(), entry()]
    ours.enter(handed)
    assert theirs.hold(MAIN)
    theirs.report(MAIN, {handed[0].id: (True, LANDED)})
    assert theirs.take_home(ids(handed)) == set(), "they are not its own"
    assert ours.take_home(ids(handed[:2])) == {handed[1].id}
    assert theirs.report(MAIN, {handed[1].id: (True, LANDED)}) == set()
    assert {one.id: one.state for one in ours.ended(ids(handed))} == {handed[0].id: "landed", handed[1].id: "home"}


def test_who_holds_a_branch_no_more_may_say_what_has_landed_and_not_what_failed(connect: Connect) -> None:
    ours, theirs = connect(1), connect(2)
    handed = [entry(), entry()]
    ours.enter(handed)
    assert theirs.hold(MAIN)
    theirs.release(MAIN)
    failed = json.dumps({"error": "conflict", "explain": []})
    assert theirs.report(MAIN, {handed[0].id: (True, LANDED), handed[1].id: (False, failed)}) == {handed[0].id}
    assert theirs.hold(MAIN)
    assert theirs.report(MAIN, {handed[1].id: (False, failed)}) == {handed[1].id}
    assert {one.state: json.loads(one.outcome) for one in ours.ended(ids(handed))} == {
        "landed": json.loads(LANDED), "failed": json.loads(failed),
    }  # fmt: skip


def test_what_is_taken_home_and_reported_at_once_has_one_end(connect: Connect) -> None:
    """Whoever is second waits for the first one, and finds that it waits no more."""
    ours, theirs, reporter = connect(1), connect(2), connect(2)
    one, other = entry(), entry()
    ours.enter([one, other])
    assert theirs.hold(MAIN)
    written: list[set[str]] = []
    thread = threading.Thread(
        target=lambda: written.append(reporter.report(MAIN, {one.id: (True, LANDED), other.id: (True, LANDED)}))
    )
    with ours.link.transaction():
        assert ours.take_home([one.id]) == {one.id}
        thread.start()
        until = time.monotonic() + 3
        while not theirs.link.ask("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %(pid)s", pid=reporter.link.pid):
            assert time.monotonic() < until
    thread.join()
    assert written == [{other.id}]
    assert {ended.id: ended.state for ended in ours.ended([one.id, other.id])} == {one.id: "home", other.id: "landed"}


def test_what_a_beat_has_heard_wakes_who_waits(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other thread may read from the connection what was told, before this one waits for it."""
    monkeypatch.setattr(holding, "BEAT_SECONDS", 0.01)
    ours, theirs = connect(1), connect(2)
    assert theirs.hold(MAIN)
    for _ in range(20):
        ours.enter([entry()])
        until = time.monotonic() + 5
        while not theirs.link.heard:
            assert time.monotonic() < until
        theirs.link.heard = 0
        assert theirs.wait(5)
        assert not theirs.wait(0)


def test_a_machine_that_was_taken_out_holds_nothing(
    connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "BEAT_SECONDS", 0.02)
    ours, theirs = connect(1), connect(2)
    assert theirs.hold(MAIN)
    leave(url, "shop", theirs.machine.id)
    with pytest.raises(FleetAway):
        theirs.wait(10)
    assert theirs.held == frozenset()
    until(lambda: ours.hold(MAIN), "the end of what the server had for it")  # after that of the connection here


# -- gates ---------------------------------------------------------------------------------------------------


def test_what_gates_have_said_is_known_to_all_and_what_is_sure_stays(connect: Connect) -> None:
    ours, theirs = connect(1), connect(2)
    red = Verdict("test", "f" * 64, "c" * 40, False, False, "1 failed \udc80\n")
    ours.share_verdicts([red, red._replace(tree="d" * 40)])
    found = theirs.verdicts(0)
    assert [one._replace(number=0) for one in found] == [red, red._replace(tree="d" * 40)]
    seen = found[-1].number
    assert theirs.verdicts(seen) == []
    sure = red._replace(sure=True)
    theirs.share_verdicts([sure])
    ours.share_verdicts([red])
    again = ours.verdicts(seen)
    assert [one._replace(number=0) for one in again] == [sure]
    ours.share_verdicts([red, sure, red._replace(tree="d" * 40)])
    assert ours.verdicts(again[-1].number) == [], "nothing of that is news"


# -- what there is -------------------------------------------------------------------------------------------


def test_what_has_ended_is_folded_into_sums_of_its_day(connect: Connect) -> None:
    ours = connect(1)
    handed = [entry() for _ in range(6)]
    ours.enter(handed)
    assert ours.hold(MAIN)
    failed = json.dumps({"error": "conflict"})
    ours.report(MAIN, {handed[0].id: (True, LANDED), handed[1].id: (True, LANDED), handed[2].id: (False, failed)})
    assert ours.fold(3600) == 0
    assert ours.fold(-1) == 3
    ours.take_home([handed[3].id])
    assert ours.fold(-1) == 1
    [day] = ours.status().days
    assert (day.branch, day.landed, day.failed, day.home) == (MAIN, 2, 1, 1)
    assert ours.ended(ids(handed)) == []
    assert ids(ours.waiting(MAIN, "")) == ids(handed[4:])


def test_two_fleets_in_one_database_know_nothing_of_each_other(connect: Connect, url: str) -> None:
    ours = connect(1)
    join(url, "other", machine(1))
    theirs = Fleet(url, "other", machine(1))
    ours.enter([entry()])
    assert ours.hold(MAIN)
    assert theirs.hold(MAIN)
    assert theirs.waiting(MAIN, "") == []
    ours.share_verdicts([Verdict("test", "f", "c" * 40, True, True, "")])
    assert theirs.verdicts(0) == []
    theirs.close()
