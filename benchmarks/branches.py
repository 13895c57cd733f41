"""Branches of several agents, handed over and landed: git uam against mergetrain.

    python benchmarks/branches.py --branches 20 --rounds 3 [--peers ENVIRONMENT]

A clone with a bare remote, 500 files, and a worktree for each branch, which has two commits. There are no gates, and
nothing runs when the measurement begins. Ways to land them all on main:

- by hand: `git push` of each in the mode `manual`, then one `git uam flush`;
- waiting: all agents run `git push` at the same moment, which returns when they have landed (window 1 s);
- mergetrain: `mergetrain enqueue --auto` of each, then one `mergetrain daemon --once`, which lands what is queued;
- mergetrain, together: the same, all agents enqueueing at the same moment.

Each round has new repositories, and the ways in turn. Prints the medians of the seconds, and fails where a remote does
not have the same files as the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from worktrees import agents, cloned, enable, git, tree

from uam_hooks.demo.demo import private_environment

FILES = 500
BY_HAND, WAITING, PEER, PEER_TOGETHER = "by hand", "waiting", "mergetrain", "mergetrain, together"
_CONFIG = "version: 2\nproject:\n  name: bench\ngates: []\n"


class Took(NamedTuple):
    """Seconds: what each hand-over took (of those that are done one by one), the landing, and all of it."""

    each: list[float]
    landing: float
    total: float


def _timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def _one_by_one(hand_over: Callable[[Path], object], land: Callable[[], object], places: Sequence[Path]) -> Took:
    each = [_timed(lambda place=place: hand_over(place)) for place in places]  # type: ignore[misc]
    landing = _timed(land)
    return Took(each, landing, sum(each) + landing)


def _together(commands: Sequence[Sequence[str]], places: Sequence[Path]) -> None:
    """Run a command in each place, all at once; each has to succeed."""
    started = [
        subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command, place in zip(commands, places, strict=True)
    ]
    codes = [one.wait() for one in started]
    assert not any(codes), f"exits: {codes}"


def _peer(program: Path, top: Path, *args: str) -> list[str]:
    return [str(program), "--repo", str(top), *args]


def _enqueue(program: Path, top: Path, place: Path) -> list[str]:
    return _peer(program, top, "enqueue", "--task", place.name, "--branch", place.name, "--auto")


def landed(way: str, top: Path, places: Sequence[Path], program: Path | None) -> Took:
    """Land the branches in one of the ways."""

    def run(*command: str) -> None:
        subprocess.run(command, cwd=top, check=True, capture_output=True)

    def push(place: Path) -> None:
        git(place, "push", "-q", "origin", "HEAD:main", UAM_AGENT_ID=place.name)

    if way == BY_HAND:
        enable(top, {"uam.push.mode": "manual"})
        return _one_by_one(push, lambda: git(top, "uam", "flush"), places)
    if way == WAITING:
        enable(top, {"uam.window.push": "1s"})
        total = _timed(lambda: _together([["git", "push", "-q", "origin", "HEAD:main"]] * len(places), places))
        return Took([], total, total)
    assert program is not None
    land = _peer(program, top, "daemon", "--once")
    if way == PEER:
        return _one_by_one(lambda place: run(*_enqueue(program, top, place)), lambda: run(*land), places)
    first = _timed(lambda: _together([_enqueue(program, top, place) for place in places], places))
    landing = _timed(lambda: run(*land))
    return Took([], landing, first + landing)


def measured(root: Path, branches: int, rounds: int, peers: Path | None) -> dict[str, list[Took]]:
    """What each way took, round by round: the peer's only where the environment has it."""
    program = peers and peers / "bin" / "mergetrain"
    ways = (BY_HAND, WAITING, PEER, PEER_TOGETHER) if program and program.exists() else (BY_HAND, WAITING)
    found: dict[str, list[Took]] = {way: [] for way in ways}
    start = {f"files/{n // 50}/{n}": f"{n}\n" for n in range(FILES)} | {".mergetrain.yaml": _CONFIG}
    for number in range(rounds):
        trees = set()
        for way in ways[:: 1 if number % 2 else -1]:
            here = root / f"{number}-{way.replace(', ', '-').replace(' ', '-')}"
            here.mkdir(parents=True)
            top = cloned(here, start)
            places = agents(top, branches, commits=2)
            found[way].append(landed(way, top, places, program))
            trees.add(tree(here / "remote.git"))
        assert len(trees) == 1, "the remotes do not hold the same files"
        files = git(here / "remote.git", "ls-tree", "-r", "--name-only", "main").split()
        assert len(files) == len(start) + 2 * branches, "not all of the branches have landed"
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--branches", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="the virtual environment that has mergetrain")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        peers = given.peers and given.peers.absolute()
        found = measured(Path(directory).resolve(), given.branches, given.rounds, peers)
    print(f"{given.branches} branches, {given.rounds} rounds, load of the machine {os.getloadavg()[0]:.1f}")
    for way, took in found.items():
        each = [1000 * seconds for one in took for seconds in one.each]
        handed = f"{median(each):.0f} ms to hand over one, " if each else ""
        landing, total = (median(seconds) for seconds in zip(*((one.landing, one.total) for one in took), strict=True))
        print(f"{way}: {total:.2f} s, {handed}landing {landing:.2f} s")


if __name__ == "__main__":
    main()
