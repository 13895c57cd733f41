"""Fixtures of the tests of a fleet: a server, a database of their own, and machines in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.postgres import Server
from tests.support.postgres import cluster as cluster  # a fixture, as the next one
from tests.support.postgres import postgres as postgres
from uam_hooks.fleet.database import Fleet, join
from uam_hooks.fleet.values import Machine


def machine(n: int) -> Machine:
    """The clone with this number."""
    return Machine(f"00000000-0000-4000-8000-{n:012x}", f"clone-{n}")


@pytest.fixture
def url(postgres: Server) -> str:
    """An empty database."""
    return postgres.url(postgres.database())


@pytest.fixture
def connect(url: str) -> Iterator[Callable[[int], Fleet]]:
    """Connects the machine with a number to the fleet `shop`, which it joins."""
    made: list[Fleet] = []

    def connected(n: int) -> Fleet:
        join(url, "shop", machine(n))
        made.append(Fleet(url, "shop", machine(n)))
        return made[-1]

    yield connected
    for fleet in made:
        fleet.close()
