"""What a push of many branches costs: all of them new, once more with nothing new, and with a commit more on each.

    python benchmarks/many_refs.py --branches 200 --rounds 3

Two clones of one history, each with a bare remote of its own: git uam is enabled in one of them, the other has never
seen it. Both do the same in turn, round by round, with new branches in every round. Prints the medians of the seconds
that `git push` takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

WHAT = ("new", "nothing new", "a commit more")


def _git(repo: Path, *args: str, feed: str = "") -> str:
    done = subprocess.run(["git", *args], cwd=repo, check=True, capture_output=True, text=True, input=feed)
    return done.stdout.strip()


def _clone(at: Path, history: Path) -> Path:
    """A clone whose remote `origin` is a bare copy of the history that nobody else pushes to."""
    _git(at.parent, "clone", "-q", "--bare", str(history), f"{at}.git")
    _git(at.parent, "clone", "-q", f"{at}.git", str(at))
    return at


def _grow(repo: Path, name: str, branches: int, again: bool) -> None:
    """Give each of the branches `name/*` a commit with a file of its own: the first one, or one more."""
    start = _git(repo, "rev-parse", "HEAD")
    feed = [
        f"commit refs/heads/{name}/{n}\ncommitter Bench <bench@example.invalid> {1700000000 + again} +0000\n"
        f"data 6\nChange\nfrom {f'refs/heads/{name}/{n}^0' if again else start}\n"
        f"M 100644 inline {name}-{n}-{again:d}\ndata 1\nx\n"
        for n in range(branches)
    ]
    _git(repo, "fast-import", "--quiet", feed="\n".join(feed))


def _pushes(repo: Path, name: str, branches: int, hooked: bool) -> list[float]:
    """How long each push of the branches `name/*` takes."""
    found = []
    for what in WHAT:
        if what != "nothing new":
            _grow(repo, name, branches, what != "new")
        began = time.perf_counter()
        _git(repo, "push", "-q", "origin", f"refs/heads/{name}/*:refs/heads/{name}/*")
        found.append(time.perf_counter() - began)
        if hooked:
            _git(repo, "uam", "flush")  # nothing is left to do in the background
    return found


def main() -> None:
    """Do the same with git uam and without it, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        history = Path(directory) / "history"
        _git(Path(directory), "init", "-q", str(history))
        _git(history, "commit", "-q", "--allow-empty", "-m", "Begin")
        repos = {hooked: _clone(Path(directory) / name, history) for hooked, name in ((True, "ours"), (False, "plain"))}
        with Repository.at(repos[True]) as opened:
            install(opened)
        found: dict[bool, list[list[float]]] = {True: [], False: []}
        for number in range(given.rounds):
            for hooked in (True, False) if number % 2 == 0 else (False, True):
                found[hooked].append(_pushes(repos[hooked], f"r{number}", given.branches, hooked))
        print(f"{given.branches} branches, {given.rounds} rounds, load of the machine {os.getloadavg()[0]:.1f}")
        for place, what in enumerate(WHAT):
            ours, plain = (median(times[place] for times in found[hooked]) for hooked in (True, False))
            print(f"{what}: git uam {ours:.2f} s, plain git {plain:.2f} s, {ours / plain:.1f} times")


if __name__ == "__main__":
    main()
