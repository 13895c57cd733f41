"""How a fleet stands, for who asks: its machines, who lands what, what waits, and what has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from uam_hooks.fleet import statements, values
from uam_hooks.fleet.values import Branch, Machine
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.typed import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Present(NamedTuple):
    """A machine of the fleet, and how many seconds ago it was seen."""

    machine: Machine
    seen: float
    terms: str


class Holder(NamedTuple):
    """Which machine lands a branch, since how many seconds, when it was last heard of, and how many there have been."""

    branch: Branch
    machine: str
    since: float
    beat: float
    term: int


class Waits(NamedTuple):
    """How many entries of a machine wait for a branch, and the seconds for which the oldest has."""

    branch: Branch
    machine: str
    entries: int
    oldest: float


class Day(NamedTuple):
    """What ended on a branch in a day (UTC), of what is folded."""

    day: str
    branch: Branch
    landed: int
    failed: int
    home: int


class Status(NamedTuple):
    """A fleet as its database has it; all ages are by the clock of the server.

    `terms` are what all its machines have to agree on ("" for nothing), `unreadable` counts what waits and is left
    alone because it cannot be read.
    """

    name: str
    terms: str
    machines: tuple[Present, ...]
    holders: tuple[Holder, ...]
    waiting: tuple[Waits, ...]
    days: tuple[Day, ...]
    unreadable: int


def of(ask: Callable[..., Iterable[Sequence[Any]]], name: str) -> Status:
    """How the fleet `name` stands; `ask` gives the rows of a statement about it."""
    asked = [*ask(statements.TERMS)]
    return Status(
        name,
        values.name_of(asked[0][0]) if asked and asked[0][0] else "",
        tuple(map(_present, ask(statements.MACHINES))),
        _readable(map(_holder, ask(statements.HOLDERS))),
        _readable(map(_waits, ask(statements.WAITS))),
        _readable(map(_day, ask(statements.DAYS))),
        _unreadable(ask),
    )


def _readable(found: Iterable[T | None]) -> tuple[T, ...]:
    return tuple(one for one in found if one is not None)


def _unreadable(ask: Callable[..., Iterable[Sequence[Any]]]) -> int:
    found, after = 0, 0
    while True:
        rows = [*ask(statements.ALL_WAITING, after=after, most=statements.AT_ONCE)]
        found += sum(not values.is_readable(row) for row in rows)
        if len(rows) < statements.AT_ONCE:
            return found
        after = int(rows[-1][10])


def _present(row: Sequence[Any]) -> Present:
    """A machine, from its row."""
    id, name, terms, seen = row
    return Present(Machine(str(id), values.name_of(name)), float(seen), values.name_of(terms) if terms else "")


def _holder(row: Sequence[Any]) -> Holder | None:
    """Who lands a branch, from its row; None where the branch cannot be read."""
    remote, ref, machine, since, beat, term = row
    try:
        return Holder(values.branch_of(remote, ref), values.name_of(machine), float(since), float(beat), int(term))
    except UsageError:
        return None


def _waits(row: Sequence[Any]) -> Waits | None:
    """What waits, from its row; None where the branch cannot be read."""
    remote, ref, machine, entries, oldest = row
    try:
        return Waits(values.branch_of(remote, ref), values.name_of(machine), int(entries), float(oldest))
    except UsageError:
        return None


def _day(row: Sequence[Any]) -> Day | None:
    """A day, from its row; None where the branch cannot be read."""
    day, remote, ref, landed, failed, home = row
    try:
        return Day(str(day), values.branch_of(remote, ref), int(landed), int(failed), int(home))
    except UsageError:
        return None
