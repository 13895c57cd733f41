"""A thousand commits of four sources: what landing them takes, against cherry-picking them and an octopus merge.

    python benchmarks/thousand.py --commits 1000 --sources 4 --files 2000 --rounds 3

A history whose sources each change files of their own, one in each commit. Three ways to get all of them to main of a
bare remote, in turn, each in new clones: `git uam flush` of pushes that wait (mode `manual`), `git cherry-pick` of all
commits and `git push`, `git merge` of all sources at once and `git push`. Prints the medians, and fails where a remote
does not have the same files as the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from worktrees import enable, git, tree

from uam_hooks.demo.demo import private_environment

OURS, PICKED, OCTOPUS = "git uam flush", "git cherry-pick", "octopus merge"
WAYS = (OURS, PICKED, OCTOPUS)


def _commit(branch: str, start: str, changes: Sequence[tuple[str, str]]) -> str:
    """A commit with these contents of files, for git fast-import."""
    files = "".join(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in changes)
    who = "committer Bench <bench@example.invalid> 1700000000 +0000"
    return f"commit refs/heads/{branch}\n{who}\ndata 6\nChange\n{start}{files}"


def history(at: Path, commits: int, sources: int, files: int) -> list[str]:
    """A repository with so many files on main, and a branch for each source; gives the names of these."""
    git(at.parent, "init", "-q", str(at))
    names = [f"directory-{n // 50}/file-{n}" for n in range(files)]
    feed = [_commit("main", "", [(name, "first\n") for name in names])]
    found = [f"source-{n}" for n in range(sources)]
    for number, source in enumerate(found):
        own = names[number::sources]
        for n in range(commits // sources):
            start = "" if n else "from refs/heads/main\n"
            feed.append(_commit(source, start, [(own[n % len(own)], f"change {n}\n")]))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=at, check=True, input="\n".join(feed).encode())
    return found


def landed(way: str, root: Path, template: Path, sources: Sequence[str]) -> tuple[float, str]:
    """How many seconds one way takes, and the tree that main of its remote has then."""
    root.mkdir()
    git(root, "clone", "-q", "--bare", "--single-branch", "--branch", "main", str(template), "remote.git")
    git(root, "clone", "-q", str(root / "remote.git"), "repo")
    top = root / "repo"
    git(top, "fetch", "-q", str(template), *(f"{source}:{source}" for source in sources))
    if way == OURS:
        enable(top, {"uam.push.mode": "manual"})
        for source in sources:
            git(top, "push", "-q", "origin", f"{source}:main", UAM_AGENT_ID=source)
    began = time.perf_counter()
    if way == OURS:
        git(top, "uam", "flush")
    else:
        if way == PICKED:
            git(top, "cherry-pick", "--allow-empty", *sources, "^main")
        else:
            git(top, "merge", "-q", "-m", "Merge", *sources)
        git(top, "push", "-q", "origin", "main")
    return time.perf_counter() - began, tree(root / "remote.git")


def measured(
    root: Path, rounds: int, commits: int = 1000, sources: int = 4, files: int = 2000
) -> dict[str, list[float]]:
    """The seconds of each way, round by round."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    branches = history(root / "template", commits, sources, files)
    before = git(root / "template", "rev-parse", "main^{tree}")
    for number in range(rounds):
        trees = set()
        for place, way in enumerate(WAYS if number % 2 else WAYS[::-1]):
            seconds, there = landed(way, root / f"{number}-{place}", root / "template", branches)
            found[way].append(seconds)
            trees.add(there)
        assert len(trees) == 1 and before not in trees, "the remotes do not hold the same files"
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=4)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        found = measured(Path(directory), given.rounds, given.commits, given.sources, given.files)
    print(f"{given.commits} commits, {given.sources} sources, {given.files} files, load {os.getloadavg()[0]:.1f}")
    for way, took in found.items():
        print(f"{way}: {median(took):.2f} s")


if __name__ == "__main__":
    main()
