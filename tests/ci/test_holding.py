"""How long a push is held: the deciding alone, with times that are handed in."""

from __future__ import annotations

from uam_hooks.ci.holding import Due, Waiting, ask_at, current, due_at, of_landings
from uam_hooks.hot.queue.ci import CiState, Sight

PUSH = Waiting(queued=100.0, window_end=105.0, hold_until=160.0)


def seen(state: CiState, asked: float = 100.0, until: float | None = None) -> Sight:
    return Sight(state, asked, until=until)


def test_an_idle_branch_takes_a_push_at_once_and_a_busy_one_after_its_hold() -> None:
    assert due_at(PUSH, seen(CiState.IDLE), 101.0).at == 101.0
    assert due_at(PUSH, seen(CiState.UNKNOWN), 101.0).at == 101.0
    assert due_at(PUSH, seen(CiState.BUSY), 101.0).at == 160.0
    assert due_at(PUSH, seen(CiState.BUSY, until=130.0), 101.0).at == 130.0
    assert due_at(PUSH, seen(CiState.BUSY, until=900.0), 101.0).at == 160.0


def test_the_window_counts_where_nobody_watches_ci_or_nobody_has_answered_yet() -> None:
    assert due_at(PUSH, seen(CiState.OFF), 101.0).at == 105.0
    assert due_at(PUSH, None, 101.0).at == 105.0
    assert due_at(PUSH, None, 106.0).at == 160.0  # the answer decides, and the hold where there is none
    held = PUSH._replace(window_end=160.0, held=True)
    assert due_at(held, seen(CiState.OFF), 107.0).at == 107.0
    assert due_at(held, seen(CiState.IDLE), 107.0).at == 107.0


def test_a_push_is_held_while_it_waits_for_ci_alone() -> None:
    """Told by itself: a hold may end when the window does."""
    same = PUSH._replace(window_end=160.0)
    for sight in (None, seen(CiState.OFF)):
        assert due_at(same, sight, 101.0) == Due(160.0, held=False)
    for push, sight in ((same, seen(CiState.BUSY)), (same._replace(held=True), None), (PUSH, None)):
        assert due_at(push, sight, 106.0) == Due(160.0, held=True)
    assert due_at(same._replace(held=True), seen(CiState.IDLE), 101.0) == Due(101.0, held=False)


def test_what_is_urgent_or_was_queued_by_a_clock_that_was_ahead_is_not_held() -> None:
    assert due_at(PUSH._replace(hold_until=None), seen(CiState.BUSY), 101.0).at == 105.0
    assert due_at(PUSH, seen(CiState.BUSY), 50.0).at == 105.0


def test_a_landing_makes_its_branch_busy_until_somebody_asks() -> None:
    idle = seen(CiState.IDLE)
    assert current(idle, None, 10.0, 101.0) == current(idle, 99.0, 10.0, 101.0) == idle
    busy = current(idle, 101.0, 10.0, 102.0)
    assert busy is not None
    assert (busy.state, busy.since) == (CiState.BUSY, 101.0)
    for state in (CiState.UNKNOWN, CiState.OFF):
        assert current(seen(state), 101.0, 10.0, 102.0) == seen(state)
    nothing_runs = idle._replace(has_runs=False)
    assert current(nothing_runs, 101.0, 10.0, 102.0) == nothing_runs


def test_that_ci_was_idle_is_believed_until_it_may_be_asked_again() -> None:
    assert current(seen(CiState.IDLE), None, 10.0, 110.0) is not None
    assert current(seen(CiState.IDLE), None, 10.0, 111.0) is None
    assert current(seen(CiState.BUSY), None, 10.0, 111.0) is not None
    assert current(seen(CiState.BUSY), None, 10.0, 50.0) is None  # the clock was set back


def test_it_is_asked_at_once_then_at_most_every_poll() -> None:
    assert ask_at(None, 10.0, 100.0) == 100.0
    assert ask_at(seen(CiState.BUSY), 10.0, 103.0) == 110.0
    assert ask_at(seen(CiState.BUSY), 10.0, 50.0) == 50.0  # the clock was set back


def test_each_landing_keeps_ci_busy_for_a_duration() -> None:
    assert of_landings(None, 300.0, 100.0).state is CiState.IDLE
    busy = of_landings(90.0, 300.0, 100.0)
    assert (busy.state, busy.since, busy.until) == (CiState.BUSY, 90.0, 390.0)
    assert of_landings(90.0, 300.0, 390.0).state is CiState.IDLE
    assert of_landings(110.0, 300.0, 100.0).state is CiState.IDLE  # a landing that is still to come
