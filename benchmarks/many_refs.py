"""What a push of many branches costs: all of them new, and once more with nothing new.

    python benchmarks/many_refs.py --branches 200

Prints the seconds of `git push` with and without git uam, for branches of one commit each.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install


def _git(repo: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=repo, check=True, capture_output=True, text=True).stdout.strip()


def _seconds(repo: Path, spec: str) -> float:
    """How long `git push` of these branches takes."""
    began = time.perf_counter()
    _git(repo, "push", "-q", "origin", spec)
    return time.perf_counter() - began


def main() -> None:
    """Push the branches twice with git uam, and under other names twice without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", type=int, default=200)
    branches = parser.parse_args().branches
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        remote, repo = Path(directory) / "origin.git", Path(directory) / "repo"
        _git(Path(directory), "init", "-q", "--bare", str(remote))
        _git(Path(directory), "clone", "-q", str(remote), str(repo))
        _git(repo, "commit", "-q", "--allow-empty", "-m", "Begin")
        base, tree = _git(repo, "rev-parse", "HEAD", "HEAD^{tree}").split()
        for number in range(branches):
            commit = _git(repo, "commit-tree", "-p", base, "-m", f"Change {number}", tree)
            _git(repo, "branch", f"b/{number}", commit)
        with Repository.at(repo) as opened:
            install(opened)
        for what, name in (("git uam", "b"), ("plain git", "c")):
            if name == "c":
                _git(repo, "uam", "uninstall")
            first = _seconds(repo, f"refs/heads/b/*:refs/heads/{name}/*")
            if name == "b":
                _git(repo, "uam", "flush")  # nothing is left to do in the background
            again = _seconds(repo, f"refs/heads/b/*:refs/heads/{name}/*")
            print(f"{what}: {branches} new branches {first:.2f} s, once more {again:.2f} s")


if __name__ == "__main__":
    main()
