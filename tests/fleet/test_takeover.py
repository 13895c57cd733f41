"""A holder that is gone, or stands still, is replaced within ten seconds: by what is told, never by looking again and
again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.conftest import machine
from tests.support.postgres import Server
from uam_hooks.fleet import holding
from uam_hooks.fleet.database import Fleet, join
from uam_hooks.fleet.values import Branch, FleetAway

MAIN = Branch("origin", "refs/heads/main")
Connect = Callable[[int], Fleet]
ROOT = Path(__file__).resolve().parents[2]
WITHIN = 10.0


@contextmanager
def staying(url: str, number: int) -> Iterator[subprocess.Popen[str]]:
    """Another machine, which holds the branch now."""
    join(url, "shop", machine(number))
    command = [sys.executable, "-m", "tests.fleet.stays", url, "shop", str(number), *MAIN]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def seconds_until_held(fleet: Fleet) -> float:
    """As a flusher waits: until it is woken, then it asks again."""
    began = time.monotonic()
    while not fleet.hold(MAIN):
        assert time.monotonic() - began < 2 * WITHIN
        fleet.wait(60)
    return time.monotonic() - began


@pytest.mark.slow
def test_who_was_killed_is_replaced(url: str, connect: Connect) -> None:
    with staying(url, 2) as process:
        ours = connect(1)
        assert not ours.hold(MAIN)
        process.kill()
        assert seconds_until_held(ours) < WITHIN
        assert ours.status().holders[0].term == 2


@pytest.mark.slow
def test_who_was_stopped_is_replaced_and_finds_it_lost(url: str, connect: Connect) -> None:
    with staying(url, 2) as process:
        ours = connect(1)
        assert not ours.hold(MAIN)
        process.send_signal(signal.SIGSTOP)
        assert seconds_until_held(ours) < WITHIN
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.readline() == "FleetAway\n"
        assert process.stdout.readline() == "lost\n"
        assert ours.held == {MAIN}


@pytest.mark.slow
def test_who_is_there_is_not_replaced(url: str, connect: Connect) -> None:
    """Longer than what counts as silence: it beats."""
    with staying(url, 2):
        ours = connect(1)
        until = time.monotonic() + holding.STALE_SECONDS + holding.BEAT_SECONDS
        while (left := until - time.monotonic()) > 0:
            assert not ours.hold(MAIN)
            ours.wait(left)
        assert ours.status().holders[0].beat < holding.BEAT_SECONDS + 1


def test_a_lock_without_its_row_is_ended_too(
    postgres: Server, url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was stopped after a statement that failed half-way has the lock, and says so nowhere."""
    ours, theirs = connect(1), connect(2)
    assert theirs.hold(MAIN)
    postgres.sql("DELETE FROM uam.holders", database=url.split("/")[3].split("?")[0])
    monkeypatch.setattr(holding, "STALE_SECONDS", 0.0)
    assert ours.hold(MAIN)
    with pytest.raises(FleetAway):
        theirs.status()
    assert theirs.held == frozenset()


def test_a_holder_whose_row_is_gone_lets_go(
    postgres: Server, url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "BEAT_SECONDS", 0.05)
    ours, theirs = connect(1), connect(2)
    assert theirs.hold(MAIN)
    postgres.sql("DELETE FROM uam.holders", database=url.split("/")[3].split("?")[0])
    with pytest.raises(FleetAway):
        theirs.wait(10)
    assert theirs.held == frozenset()
    until = time.monotonic() + WITHIN
    while not ours.hold(MAIN):  # the server has yet to see that the connection was closed
        assert time.monotonic() < until


def test_who_waits_goes_on_when_one_of_its_own_can_be_read(connect: Connect) -> None:
    ours = connect(1)
    reader, writer = os.pipe()
    try:
        assert not ours.wait(0.01, reader)
        os.write(writer, b"x")
        assert ours.wait(10, reader)
    finally:
        os.close(reader)
        os.close(writer)
