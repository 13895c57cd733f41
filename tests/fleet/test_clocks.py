"""Machines of a fleet whose clocks are an hour off, in everything that they run: nothing of theirs decides when a push
lands.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.fleet.machines import Clone, clones, let_hold, pushed_together, url_of, waiting
from tests.fleet.test_member import nothing_left, once, runs, warm
from tests.support.clocks import OFFSET, clock, library, needs_clocks
from tests.support.postgres import Server, needs_postgres
from tests.support.scenes import Scene, finished

pytestmark = [needs_clocks, needs_postgres, pytest.mark.slow, pytest.mark.staying]

HOUR = 3600
# In which way each of them is wrong, in seconds.
WRONG = {"ada": HOUR, "bob": -HOUR}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def machines(plain: Scene, postgres: Server, made: Path) -> Iterator[list[Clone]]:
    found = clones(plain, postgres, list(WRONG))
    for one in found:
        one.git("config", "uam.identity.env", OFFSET)
        one.env |= clock(made, WRONG[one.top.name])
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):  # its commits are of its time, too
            del one.env[name]
    warm(found)
    yield found
    for one in found:
        one.close()


def has_its_own_time(one: Clone) -> None:
    """What a push and what a flusher of the machine has written down has the machine's time."""
    lines = (one.uam / "log" / "events.jsonl").read_text().splitlines()
    latest = {found["event"]: found["at"] for found in map(json.loads, lines)}
    for event in ("queued", "landed"):
        off = datetime.fromisoformat(latest[event]).timestamp() - time.time()
        assert abs(off - WRONG[one.top.name]) < HOUR / 6, (event, latest[event])


def test_machines_with_wrong_clocks_land_together_within_a_window(plain: Scene, machines: list[Clone]) -> None:
    before = runs(plain)
    for one in machines:
        one.commit(f"work-{one.top.name}", message=f"Work of {one.top.name}")
    done = pushed_together(machines)
    assert [one.code for one in done] == [0, 0], done
    assert runs(plain) == before + 1
    once(plain, "Work of ada", "Work of bob")
    for one in machines:
        has_its_own_time(one)
        found = json.loads(one.git("uam", "fleet", "status", "--json"))
        assert all(0 <= each["seen"] < HOUR / 6 for each in found["machines"]), found
    nothing_left(machines)


def holding(machines: list[Clone], server: Server, name: str) -> tuple[Clone, Clone]:
    """The machine with this name, which holds main for something that is due tomorrow, and the other one."""
    first, second = sorted(machines, key=lambda one: one.top.name != name)
    let_hold(server, first, "1d")
    return first, second


@pytest.mark.parametrize("holds", WRONG)
def test_what_is_handed_over_waits_for_its_window_and_no_hour_more(
    plain: Scene, postgres: Server, machines: list[Clone], holds: str
) -> None:
    first, second = holding(machines, postgres, holds)
    second.commit("waits", message="Waits")
    done = second.push("origin", "main")
    assert done.code == 0, done
    once(plain, "Waits")
    assert first.rows("deploy_queue")[-1]["status"] == "completed", "it was landed where the branch was held"


@pytest.mark.parametrize("dies", WRONG)
def test_a_holder_with_a_wrong_clock_that_is_killed_is_replaced(
    plain: Scene, postgres: Server, machines: list[Clone], dies: str
) -> None:
    first, second = holding(machines, postgres, dies)
    second.commit("waits", message="Waits")
    push = second.start("push", "origin", "main")
    waiting(postgres, url_of(second), 1)
    for pid in first.flushers():
        os.kill(pid, signal.SIGKILL)
    done = finished(push)
    assert done.code == 0, done
    once(plain, "Waits")
    first.git("config", "uam.window.push", "0")
    first.commit("more", message="More")
    done = first.push("origin", "main")
    assert done.code == 0, done
    nothing_left(machines)
    once(plain, "Held", "Waits", "More")
