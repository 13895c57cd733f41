"""What rows measure with, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
NOT_THERE = "not installed"


class Bench:
    """The place to measure in, how often, and the peers that there are.

    `most` limits the rounds of every row, `seconds` is how long what waits is looked at. A measurement that several
    rows show is made `once`.
    """

    def __init__(self, root: Path, most: int | None, seconds: float, peers: Path | None) -> None:
        self.seconds, self.peers = seconds, peers
        self._root, self._most = root, most
        self._made: dict[str, Any] = {}
        self._places = 0

    def rounds(self, wanted: int) -> int:
        """How many rounds a row gets that wants so many."""
        return wanted if self._most is None else min(wanted, self._most)

    def place(self) -> Path:
        """An empty directory that nobody has had before."""
        self._places += 1
        found = self._root / str(self._places)
        found.mkdir()
        return found

    def once(self, name: str, what: Callable[[], T]) -> T:
        """What a function gives, called the first time that this name is asked for."""
        if name not in self._made:
            self._made[name] = what()
        found: T = self._made[name]
        return found


class Found(NamedTuple):
    """What a row shows: ours, what it is held against, both in words, and ours as a multiple of the other.

    `met` is whether what is to be reached is reached, None where that is not known for want of a peer. `raw` has
    everything that was measured, for JSON.
    """

    ours: str
    held: str
    ratio: float | None
    met: bool | None
    raw: Any


class Row(NamedTuple):
    """A row: `key` is its name on the command line, `what` its name in the table, and `goal` is to be reached.

    `note` says what is not level between the two sides.
    """

    key: str
    what: str
    goal: str
    measure: Callable[[Bench], Found]
    note: str = ""


def ms(milliseconds: float) -> str:
    """Milliseconds in words, with three digits or so."""
    return f"{milliseconds:.{2 if milliseconds < 10 else 1 if milliseconds < 100 else 0}f} ms"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent of all are."""
    in_order = sorted(values)
    return in_order[max(0, round(percent / 100 * len(in_order)) - 1)]


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios round by round."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))
