"""The replay of benchmarks/: the real scheduler, on the traces of fixtures/, keeps what the docs promise."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def replay() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARKS / "replay.py"))


def table(replay: dict[str, Any], *args: object) -> dict[str, list[str]]:
    """The cells of each policy's row."""
    rows = [[cell.strip() for cell in line.split("|")] for line in replay["lines"](300.0, *args)]
    return {row[0]: row[1:] for row in rows}


def percent(cell: str) -> int:
    return int(cell.removesuffix("%"))


def test_held_pushes_of_ten_agents_take_a_quarter_of_the_minutes(replay: dict[str, Any]) -> None:
    found = table(replay, replay["generated"](10))
    assert percent(found["held until idle, mode queue"][1]) <= 26
    assert percent(found["held 60 s, mode queue"][1]) <= 56
    for name, cells in found.items():
        if name.startswith("held"):
            assert cells[-1] == "100%", name  # every landing has a verdict
        if name.endswith("mode queue"):
            assert float(cells[5]) <= 1  # nobody is blocked
        if name.startswith("held 60 s"):
            assert float(cells[3]) <= 60


def test_alone_it_saves_little(replay: dict[str, Any]) -> None:
    found = table(replay, replay["generated"](1))
    assert percent(found["held until idle, mode queue"][1]) > 80
    assert found["plain git"] == ["60", "100%", "0", "0", "0", "0", "100%"]


def test_a_recorded_trace_is_replayed(replay: dict[str, Any]) -> None:
    at = replay["recorded"](BENCHMARKS.parent / "fixtures" / "traces" / "recorded.csv")
    found = table(replay, [], at)
    assert int(found["plain git"][0]) == len(at)
    assert percent(found["held until idle, mode queue"][1]) < percent(found["window 60 s"][1]) < 100
