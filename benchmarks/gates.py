"""What finding out who broke a gate costs in runs of it, by the real culprit search and a scripted gate.

    python benchmarks/gates.py [--rounds 10000] [--seed 11] [--retries 1]

No process runs and no time passes: `uam_hooks.gate.search` decides what is tested next, and a gate is a rule about
which sources may be together. What is around the search (what lands, who is blamed, what is run again) is done here as
`uam_hooks.land.gated` does it. One gate runs at a time, so "after 3 gate times" is after 3 runs.

Two others get the same sources and the same gate, with as many retries before somebody is blamed, and know nothing
from one run to the next:

- test each: every source alone on top of what has landed;
- plain bisection: a batch that fails is split in two halves, and each is tested on top of what has landed, and so on.

Both only say that a source fails; ours says whether by itself or together with which others, which may be one run more.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from uam_hooks.gate.search import Blame, Land, Test, next_step

Content = frozenset[int]
BASE: Content = frozenset()


class Faults(NamedTuple):
    """Which sources fail by themselves, which two only together, and whether the branch fails before any of them."""

    culprits: Content = frozenset()
    pairs: tuple[Content, ...] = ()
    red_base: bool = False

    def red(self, content: Content) -> bool:
        """Whether a gate that tells the truth fails on the branch with these sources on it."""
        if self.red_base or not self.culprits.isdisjoint(content):
            return True
        return bool(self.pairs) and any(pair <= content for pair in self.pairs)

    def innocents(self, count: int) -> Content:
        """Of so many sources in queue order those that should land. Of a pair the later one is to blame."""
        good = BASE
        for source in range(count):
            if self.red_base or not self.red(good | {source}):
                good |= {source}
        return good


class Known(NamedTuple):
    """A verdict; one that is not `sure` is red and has retries left."""

    green: bool
    sure: bool


GREEN, RED, UNSURE = Known(True, True), Known(False, True), Known(False, False)


class World:
    """A gate that runs on contents, which are the sets of sources on top of the branch, and what is known of them.

    With the chance `flakes` a run is red for no reason. `runs` has every run: its content, and what it was for.
    """

    def __init__(
        self,
        red: Callable[[Content], bool],
        *,
        retries: int = 1,
        flakes: float = 0.0,
        seed: float = 0,
        known: Iterable[Content] = (BASE,),
    ) -> None:
        self._red, self.retries, self._flakes = red, retries, flakes
        self._random = random.Random(seed)  # noqa: S311 -- dice, not secrets
        self._memo = dict.fromkeys(known, GREEN)
        self.runs: list[tuple[Content, str]] = []

    def known(self, content: Content) -> bool | None:
        """Whether a content passes; None where it is not known."""
        found = self._memo.get(content)
        return None if found is None else found.green

    def verdict(self, content: Content, why: str, *, sure: bool = False) -> bool:
        """Whether a content passes, run where that is not known. For a `sure` verdict red is run again first."""
        found = self._memo.get(content) or self._run(content, why, last=not self.retries)
        left = self.retries
        while sure and not found.green and not found.sure:
            left -= 1
            found = self._run(content, "again", last=left <= 0)
        return found.green

    def second_chance(self, content: Content) -> bool:
        """Whether a content passes, run whatever is known of it; never without retries."""
        return bool(self.retries) and self._run(content, "second", last=True).green

    def forgetful(self, content: Content, *, sure: bool) -> bool:
        """Whether a content passes, run whatever is known of it."""
        self._memo.pop(content, None)
        return self.verdict(content, "find", sure=sure)

    def _run(self, content: Content, why: str, *, last: bool) -> Known:
        self.runs.append((content, why))
        red = self._red(content) or (self._flakes and self._random.random() < self._flakes)
        found = self._memo[content] = GREEN if not red else RED if last else UNSURE
        return found


class Landing(NamedTuple):
    """What was on the branch after so many runs; `tested` unless it was red before, and landed all the same."""

    runs: int
    content: Content
    tested: bool = True


class Blamed(NamedTuple):
    """A source that was not landed, and the ones that it fails together with: none where it fails by itself."""

    source: int
    rivals: tuple[int, ...] = ()


class Result(NamedTuple):
    """What became of a batch."""

    landings: list[Landing]
    blamed: list[Blamed]

    @property
    def landed(self) -> Content:
        return self.landings[-1].content if self.landings else BASE


Way = Callable[[World, Sequence[int]], Result]


def ours(world: World, sources: Sequence[int]) -> Result:
    """The search of git uam, driven as its landings drive it."""
    left, landed = list(sources), BASE
    result = Result([], [])
    suspects: list[Blamed] = []
    base_is_red: bool | None = None
    while left:
        there = landed
        step = next_step(len(left), lambda size: world.known(there | frozenset(left[:size])))  # noqa: B023
        if not isinstance(step, Land):
            size = step.size if isinstance(step, Test) else 1
            why = "rest" if suspects else "find"
            if world.verdict(there | frozenset(left[:size]), why, sure=isinstance(step, Blame)):
                continue
            if base_is_red is None:
                base_is_red = not world.verdict(there, "base", sure=True)
            if not base_is_red:
                if isinstance(step, Blame):
                    suspects.append(Blamed(left.pop(0), tuple(sorted(landed))))
                continue
        size = step.size if isinstance(step, Land) else len(left)
        landed |= frozenset(left[:size])
        result.landings.append(Landing(len(world.runs), landed, tested=isinstance(step, Land)))
        del left[:size]
    for source, before in suspects:
        passes = bool(before) and world.verdict(frozenset({source}), "alone")
        if passes and world.second_chance(landed | {source}):
            landed |= {source}
            result.landings.append(Landing(len(world.runs), landed))
        else:
            result.blamed.append(Blamed(source, before if passes else ()))
    return result


def test_each(world: World, sources: Sequence[int]) -> Result:
    """Every source alone on top of what has landed."""
    result = Result([], [])
    for source in sources:
        _land_or_blame(world, [source], result)
    return result


def bisection(world: World, sources: Sequence[int]) -> Result:
    """All together; what fails in two halves, one after the other."""
    result = Result([], [])
    parts = [list(sources)]
    while parts:
        part = parts.pop(0)
        if not _land_or_blame(world, part, result) and len(part) > 1:
            half = (len(part) + 1) // 2
            parts[:0] = [part[:half], part[half:]]
    return result


def _land_or_blame(world: World, part: Sequence[int], result: Result) -> bool:
    content = result.landed | frozenset(part)
    green = world.forgetful(content, sure=len(part) == 1)
    if green:
        result.landings.append(Landing(len(world.runs), content))
    elif len(part) == 1:
        result.blamed.append(Blamed(part[0]))
    return green


WAYS: tuple[tuple[str, Way], ...] = (("ours", ours), ("test each", test_each), ("bisection", bisection))

# -- scenarios --------------------------------------------------------------------------------------------------


class Scenario(NamedTuple):
    """Batches of one kind: how many sources (from, to), how many culprits and pairs, or a culprit with what chance."""

    name: str
    sizes: tuple[int, int] = (8, 8)
    culprits: int = 0
    pairs: int = 0
    chance: float = 0.0
    flakes: float = 0.0
    red_base: bool = False
    base_known: bool = True

    def batch(self, dice: random.Random) -> tuple[int, Faults]:
        """How many sources, and what is wrong with them."""
        count = dice.randint(*self.sizes)
        order = dice.sample(range(count), count)
        bad = frozenset(order[: self.culprits]) | {source for source in range(count) if dice.random() < self.chance}
        rest = [source for source in order if source not in bad]
        pairs = [frozenset(rest[at : at + 2]) for at in range(0, 2 * self.pairs, 2)]
        return count, Faults(bad, tuple(pair for pair in pairs if len(pair) == 2), self.red_base)


ANY = (1, 32)
SCENARIOS = (
    Scenario("8, nothing wrong"),
    Scenario("8, 1 culprit", culprits=1),
    Scenario("8, a pair", pairs=1),
    Scenario("8, 5 % culprits", chance=0.05),
    Scenario("8, 5 % culprits, base unknown", chance=0.05, base_known=False),
    Scenario("8, red base", red_base=True, base_known=False),
    Scenario("8, 5 % flakes", flakes=0.05),
    Scenario("8, 5 % culprits, 5 % flakes", chance=0.05, flakes=0.05),
    Scenario("8, 5 % both, base unknown", chance=0.05, flakes=0.05, base_known=False),
    Scenario("8, 5 % culprits, 10 % flakes", chance=0.05, flakes=0.1),
    Scenario("1-32, nothing wrong", ANY),
    Scenario("1-32, 1 culprit", ANY, culprits=1),
    Scenario("1-32, 2 culprits", ANY, culprits=2),
    Scenario("1-32, 3 culprits", ANY, culprits=3),
    Scenario("1-32, 1 culprit, a pair", ANY, culprits=1, pairs=1),
    Scenario("1-32, 3 culprits, 5 % flakes", ANY, culprits=3, flakes=0.05),
)


class Tally:
    """The figures of one way over many batches."""

    def __init__(self) -> None:
        self.rounds = self.runs = self.most = self.last = 0
        self.innocents = self.blamed = self.wrongly = self.broken = 0

    def add(self, world: World, result: Result, faults: Faults, innocents: Content) -> None:
        """Count one batch more."""
        self.rounds += 1
        self.runs += len(world.runs)
        self.most = max(self.most, len(world.runs))
        self.last += _last(result, innocents)
        self.innocents += len(innocents)
        self.blamed += len(result.blamed)
        self.wrongly += sum(blamed.source in innocents for blamed in result.blamed)
        self.broken += not faults.red_base and faults.red(result.landed)

    @property
    def mean(self) -> float:
        return self.runs / self.rounds

    def cells(self) -> tuple[str, str, str]:
        wrongly = 100 * self.wrongly / self.innocents if self.innocents else 0.0
        return f"{self.mean:5.2f} /{self.most:3}", f"{self.last / self.rounds:5.2f}", f"{wrongly:6.2f}"


def _last(result: Result, innocents: Content) -> int:
    """After how many gate times the last of the innocents had landed that do."""
    before, last = BASE, 0
    for landing in result.landings:
        if (landing.content - before) & innocents:
            last = landing.runs
        before = landing.content
    return last


def tallies(scenario: Scenario, rounds: int, *, seed: int = 11, retries: int = 1) -> dict[str, Tally]:
    """Every way over the same batches."""
    dice = random.Random(f"{seed} {scenario.name}")  # noqa: S311
    found = {name: Tally() for name, _way in WAYS}
    for _round in range(rounds):
        count, faults = scenario.batch(dice)
        luck, innocents = dice.random(), faults.innocents(count)
        for name, way in WAYS:
            known = (BASE,) if scenario.base_known else ()
            world = World(faults.red, retries=retries, flakes=scenario.flakes, seed=luck, known=known)
            found[name].add(world, way(world, range(count)), faults, innocents)
    return found


# -- what is printed --------------------------------------------------------------------------------------------

HEAD = (
    f"{'':30}| {'runs, mean / max':33} | {'last innocent in after':23} | innocents blamed, %\n"
    f"{'sources':30}|      ours | test each | bisection |  ours |  each | bisect. |   ours |   each | bisect."
)


def line(scenario: Scenario, found: dict[str, Tally]) -> str:
    """The row of a scenario."""
    runs, last, wrongly = zip(*(found[name].cells() for name, _way in WAYS), strict=True)
    return f"{scenario.name:30}| {' | '.join(runs)} | {' | '.join(last)}   | {' | '.join(wrongly)}"


def one_in_eight(retries: int, *, base_known: bool) -> str:
    """What one culprit in each of the 8 positions costs, and what for."""
    parts: list[Counter[str]] = []
    last = 0
    for culprit in range(8):
        faults = Faults(frozenset({culprit}))
        world = World(faults.red, retries=retries, known=(BASE,) if base_known else ())
        result = ours(world, range(8))
        parts.append(Counter(why for _content, why in world.runs))
        last = max(last, _last(result, faults.innocents(8)))
    sums = [sum(part.values()) for part in parts]
    each = ", ".join(
        f"{words} {sum(part[why] for part in parts) / 8:.2f} / {max(part[why] for part in parts)}"
        for why, words in (
            ("find", "find"), ("base", "base"), ("again", "run again"), ("alone", "alone on the base"),
            ("rest", "the rest"),
        )
    )  # fmt: skip
    found = [part["find"] + part["rest"] for part in parts]
    return (
        f"8 sources, 1 culprit, retries {retries}, base {'known' if base_known else 'unknown'}, mean / max of runs:"
        f" {sum(sums) / 8:.2f} / {max(sums)} ({each});\n"
        f"  find and the rest, by position: {' '.join(map(str, found))} ({sum(found) / 8:.2f} / {max(found)});"
        f" by position in all: {' '.join(map(str, sums))}; last innocent in after {last} at most"
    )


def two_together(retries: int, *, base_known: bool) -> str:
    """What a batch of two costs that only fail together."""
    faults = Faults(pairs=(frozenset({0, 1}),))
    world = World(faults.red, retries=retries, known=(BASE,) if base_known else ())
    result = ours(world, range(2))
    parts = ", ".join(f"{why} {number}" for why, number in Counter(why for _content, why in world.runs).items())
    (blamed,) = result.blamed
    return (
        f"a pair alone, retries {retries}, base {'known' if base_known else 'unknown'}: {len(world.runs)} runs"
        f" ({parts}); landed {sorted(result.landed)}, blamed {blamed.source} with {list(blamed.rivals)}"
    )


def exactly(retries: int) -> Iterator[str]:
    """What is the same in every round: one culprit in eight, and the pair."""
    for costs in (one_in_eight, two_together):
        for again, known in ((0, True), (retries, True), (retries, False)):
            yield costs(again, base_known=known)


def by_chance(scenario: Scenario, found: dict[str, Tally], retries: int) -> Iterator[str]:
    """What a scenario with chances comes to, beside its row."""
    if scenario.flakes and scenario.sizes == (8, 8):
        yield _flaky(scenario, found, retries)
    elif scenario.chance:
        mean = found["ours"].mean
        yield (
            f"{scenario.name}: {mean:.2f} runs,"
            f" {100 - 100 * mean / 8:.1f} % fewer than 8 (test each without retries),"
            f" {100 - 100 * mean / found['test each'].mean:.1f} % fewer than test each with retries {retries}"
        )


def _flaky(scenario: Scenario, found: dict[str, Tally], retries: int) -> str:
    parts = []
    for name, _way in WAYS:
        tally = found[name]
        share = f"{100 * tally.wrongly / tally.blamed:.2f} %" if tally.blamed else "none"
        parts.append(
            f"{name} {tally.wrongly} of {tally.blamed} ({share}; {100 * tally.wrongly / tally.innocents:.3f} % of the"
            f" {tally.innocents} innocents)"
        )
    return (
        f"{scenario.name}, retries {retries}, innocents among the blamed:\n  {'; '.join(parts)};\n"
        f"  red ones that ours landed, where the base seemed red: {found['ours'].broken} of {found['ours'].rounds}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10000, help="batches of each kind")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--retries", type=int, default=1, help="runs on the same tree before anybody is blamed")
    given = parser.parse_args()
    print(f"{given.rounds} batches of each kind, seed {given.seed}, retries {given.retries}\n{HEAD}")
    more = list(exactly(given.retries))
    for scenario in SCENARIOS:
        found = tallies(scenario, given.rounds, seed=given.seed, retries=given.retries)
        print(line(scenario, found), flush=True)
        more += by_chance(scenario, found, given.retries)
    print("", *more, sep="\n")


if __name__ == "__main__":
    main()
