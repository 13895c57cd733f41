"""What a commit costs with our hooks: `git commit --allow-empty` with and without them, in turn.

    python benchmarks/hooks.py --runs 50

Prints the median of each in milliseconds, and the median of the differences pair by pair.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install


def commit_ms(repo: Path, *settings: str) -> float:
    """The wall time of one empty commit in milliseconds."""
    began = time.perf_counter()
    subprocess.run(["git", *settings, "commit", "-q", "--allow-empty", "-m", "x"], cwd=repo, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure pairs and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        repo = Path(directory) / "repo"
        subprocess.run(["git", "init", "-q", str(repo)], check=True)
        with Repository.at(repo) as opened:
            install(opened)
        commit_ms(repo)
        # a hooks path of nothing is what a repository without hooks looks like to git
        pairs = [(commit_ms(repo), commit_ms(repo, "-c", "core.hooksPath=/dev/null")) for _ in range(runs)]
    with_hooks, without = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"with hooks {with_hooks:.1f} ms, without {without:.1f} ms", end=", ")
    print(f"difference {statistics.median(a - b for a, b in pairs):.1f} ms (medians of {runs} pairs)")


if __name__ == "__main__":
    main()
