"""What a fleet promises those who use its database: against a real server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tests.fleet.conftest import machine
from uam_hooks.fleet.database import Fleet
from uam_hooks.fleet.values import Branch, Entry

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
