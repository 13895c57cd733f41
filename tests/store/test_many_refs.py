"""What a push of many branches and its landing ask of the queue grows with their number, not with its square: counted,
not timed.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.support.landscape import by_hand, enqueue_all, flushed, grow, refs_of, states
from tests.support.scenes import Scene
from tests.support.steps import Steps, counted
from uam_hooks.hot.push.request import Spec

FEW, TIMES = 40, 4
# Steps that a statement may take besides: those that are asked once, and pages of the database that were full.
BESIDES = 5000


def shapes(steps: Steps) -> Counter[str]:
    """The steps by what was asked, whatever it was asked for."""
    found: Counter[str] = Counter()
    for sql, number in steps.of.items():
        found[re.sub(r"'[^']*('|$)|\d+", "?", sql)[:90]] += number
    return found


def test_h15_what_the_queue_is_asked_grows_with_the_number_of_branches(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(scene)
    scene.git("config", "uam.push.accept", "true")
    found: list[Counter[str]] = []
    for number in (FEW, FEW * TIMES):
        names = [f"refs/heads/of-{number}/{n}" for n in range(number)]
        with counted(monkeypatch) as steps:
            for _ in ("new", "a commit more"):
                grow(scene, names)
                assert enqueue_all(scene, *(Spec(name, name) for name in names)) == number
                assert flushed(scene)[0].errors == ()
        assert set(states(scene)) == {"landed"}
        here, there = refs_of(scene), refs_of(scene.bare)
        assert [there[name] for name in names] == [here[name] for name in names]
        found.append(shapes(steps))
    few, many = found
    grown = {sql: (few[sql], steps) for sql, steps in many.items() if steps > 1.5 * TIMES * few[sql] + BESIDES}
    assert sum(few.values()) > FEW * 100
    assert grown == {}
