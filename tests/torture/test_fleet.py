"""The short form of a fleet under chaos: what holds after a thousand pushes has to hold after a few."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.machines import missing


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_nothing_is_lost_while_holders_are_killed_and_the_server_starts_again(tmp_path: Path) -> None:
    from tests.torture.fleet import Plan, torture

    kinds = ("kill holder", "stop holder", "kill server", "cut wire")
    report = torture(
        Plan(seed=3, machines=3, agents=6, rounds=0, pause=0.6, seconds=10.0, kinds=kinds, scale=0.3), tmp_path
    )
    assert report.violations == []
    assert report.acts["kill server"] > 0
    assert report.acts.total() > 3
    assert report.told["pushed"] > 0
