"""The search for who broke a gate, with the scripted gate of benchmarks/gates.py: who lands, who is blamed, what for.

The bound of runs, apart from those that only tell (the base, running again, alone on the base): all together once, and
for each culprit a halving down to it, ceil(log2 n), and the rest after it, all together, once more.
"""

from __future__ import annotations

import itertools
import math
import random
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from uam_hooks.gate import search

GATES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "gates.py"))
Faults, World, ours = GATES["Faults"], GATES["World"], GATES["ours"]

CASES = settings(
    max_examples=300, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
)  # fmt: skip


def bound(count: int, culprits: int) -> int:
    return 1 + culprits * (math.ceil(math.log2(count)) + 1)


def searching(world: Any) -> int:
    """How many runs there were to find somebody and to judge the rest."""
    return sum(why in ("find", "rest") for _content, why in world.runs)


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, Any]:
    """1 to 32 sources, up to 3 culprits, and up to 2 pairs of others, no source in both."""
    count = draw(st.integers(1, 32))
    order = random.Random(draw(st.integers(0, 2**32))).sample(range(count), count)  # noqa: S311
    culprits = min(draw(st.integers(0, 3)), count)
    pairs = [frozenset(order[at : at + 2]) for at in (culprits, culprits + 2)[: draw(st.integers(0, 2))]]
    return count, Faults(frozenset(order[:culprits]), tuple(pair for pair in pairs if len(pair) == 2))


@CASES
@given(batches(), st.integers(0, 2), st.booleans())
def test_every_innocent_lands_and_every_culprit_is_named(
    batch: tuple[int, Any], retries: int, base_is_known: bool
) -> None:
    count, faults = batch
    world = World(faults.red, retries=retries, known=[frozenset()] if base_is_known else [])
    result = ours(world, range(count))

    assert result.landed == faults.innocents(count)
    for landing in result.landings:
        assert landing.tested
        assert world.known(landing.content) is True
        assert any(content == landing.content for content, _why in world.runs[: landing.runs])

    told = {blamed.source: blamed.rivals for blamed in result.blamed}
    later = {max(pair): min(pair) for pair in faults.pairs}
    assert set(told) == faults.culprits | set(later)
    for source, rivals in told.items():
        if source in later:
            assert later[source] in rivals
            assert set(rivals) <= faults.innocents(source)
        else:
            assert rivals == ()

    judged = [content for content, why in world.runs if why not in ("again", "second")]
    again = [content for content, why in world.runs if why == "again"]
    assert len(set(judged)) == len(judged)  # nothing is tested twice
    assert all(again.count(content) == retries for content in set(again))  # but before somebody is blamed
    assert sum(why == "base" for _content, why in world.runs) == (not base_is_known and bool(told))
    assert sum(why == "alone" for _content, why in world.runs) <= len(told)


@settings(CASES, max_examples=200)
@given(batches())
def test_the_runs_stay_within_a_halving_for_each_culprit(batch: tuple[int, Any]) -> None:
    count, faults = batch
    world = World(faults.red)
    result = ours(world, range(count))
    assert searching(world) <= bound(count, len(result.blamed))


@settings(CASES, max_examples=100)
@given(st.integers(1, 32), st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 0.2))
def test_whatever_a_gate_says_only_what_passed_lands(count: int, seed: int, share: float, flakes: float) -> None:
    """A gate may be moody, and a later source may mend an earlier one; the search ends all the same."""

    def red(content: frozenset[int]) -> bool:
        return bool(content) and random.Random(f"{seed} {sorted(content)}").random() < share  # noqa: S311

    world = World(red, flakes=flakes, seed=seed)
    result = ours(world, range(count))
    for landing in result.landings:
        assert landing.tested
        assert not red(landing.content)
    blamed = {one.source for one in result.blamed}
    assert len(blamed) == len(result.blamed)
    assert blamed | result.landed == set(range(count))
    assert not blamed & result.landed


@pytest.mark.parametrize("culprit", range(8))
def test_one_culprit_of_eight_costs_five_runs(culprit: int) -> None:
    world = World(Faults(frozenset({culprit})).red, retries=0)
    result = ours(world, range(8))
    assert [(blamed.source, blamed.rivals) for blamed in result.blamed] == [(culprit, ())]
    assert result.landed == set(range(8)) - {culprit}
    assert searching(world) <= 5
    # the one more run tells that the culprit fails by itself
    assert len(world.runs) - searching(world) == (culprit > 0)
    assert result.landings[-1].runs <= 5


def test_of_a_pair_the_first_lands_and_the_second_is_told_with_whom() -> None:
    world = World(Faults(pairs=(frozenset({0, 1}),)).red, retries=0)
    result = ours(world, range(2))
    assert result.landed == {0}
    assert [(blamed.source, blamed.rivals) for blamed in result.blamed] == [(1, (0,))]
    assert world.runs == [({0, 1}, "find"), ({0}, "find"), ({1}, "alone")]


def test_a_culprit_is_run_again_before_it_is_blamed() -> None:
    world = World(Faults(frozenset({1})).red)
    ours(world, range(2))
    assert [why for _content, why in world.runs] == ["find", "find", "again", "alone"]
    assert [set(content) for content, _why in world.runs] == [{0, 1}, {0}, {0, 1}, {1}]


def test_who_passes_alone_has_a_second_chance() -> None:
    """A gate with a mood blames nobody who passes alone; of a pair that is one run more."""
    world = World(Faults(pairs=(frozenset({0, 1}),)).red)
    assert [blamed.source for blamed in ours(world, range(2)).blamed] == [1]
    assert [why for _content, why in world.runs] == ["find", "find", "again", "alone", "second"]


def test_a_red_base_costs_its_own_runs_and_blames_nobody() -> None:
    world = World(Faults(red_base=True).red, known=())
    result = ours(world, range(8))
    assert [why for _content, why in world.runs] == ["find", "base", "again"]
    assert not result.blamed
    assert [(landing.content, landing.tested) for landing in result.landings] == [(set(range(8)), False)]


def test_a_green_batch_is_one_run_and_one_that_is_known_none() -> None:
    world = World(Faults().red)
    for _again in range(2):
        assert ours(world, range(32)).landed == set(range(32))
        assert len(world.runs) == 1


@pytest.mark.parametrize("positions", list(itertools.combinations(range(8), 2)))
def test_two_culprits_of_eight(positions: tuple[int, int]) -> None:
    world = World(Faults(frozenset(positions)).red)
    result = ours(world, range(8))
    assert [blamed.source for blamed in result.blamed] == list(positions)
    assert searching(world) <= bound(8, 2)


@pytest.mark.parametrize(
    ("count", "known", "step"),
    [
        (4, {}, search.Test(4)),
        (4, {4: True}, search.Land(4)),
        (4, {4: False}, search.Test(2)),
        (4, {4: False, 2: True}, search.Land(2)),
        (4, {4: False, 2: False}, search.Test(1)),
        (4, {4: False, 2: False, 1: True}, search.Land(1)),
        (4, {4: False, 2: False, 1: False}, search.Blame()),
        (3, {3: False, 2: False}, search.Test(1)),
        (6, {6: False, 2: False}, search.Test(1)),
        (6, {6: False, 1: False}, search.Blame()),
        (1, {}, search.Test(1)),
        (1, {1: False}, search.Blame()),
    ],
)
def test_the_next_step(count: int, known: dict[int, bool], step: search.Step) -> None:
    assert search.next_step(count, known.get) == step
    assert type(search.next_step(count, known.get)) is type(step)


def test_the_first_few_that_passed_ahead_land_before_the_others_are_tested() -> None:
    known = {1: True, 2: True}
    assert search.next_step(4, known.get) == search.Land(2)
    assert search.next_step(4, {**known, 4: False}.get) == search.Land(2)
    assert search.next_step(4, {**known, 4: True}.get) == search.Land(4)
