"""The short form: what holds after a thousand kills has to hold after a few."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.run import Plan, torture


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_nothing_is_lost_while_everything_is_killed(tmp_path: Path) -> None:
    report = torture(Plan(seed=7, kills=40, seconds=10.0, agents=3, pause=0.15, gates=True), tmp_path)
    assert report.violations == []
    assert report.killed.total() > 0
    assert report.told["pushed"] > 0
    assert report.told["culprit"] > 0
