"""What a commit costs with our hooks, or with those of other tools: `git commit` with and without them, in turn.

    python benchmarks/hooks.py --runs 50 [--peers ENVIRONMENT]

Each tool has a repository of its own. Ours has its pre-commit and its post-commit hook; a peer (prek, lefthook and
pre-commit, where the environment that is named has them) runs one local command in each of these two, a line of sh
that appends to a file. Commits go round: each tool in turn, with its hooks and without any. Prints the medians in
milliseconds, and the median of the differences pair by pair. It fails where a hook did not run in every commit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from worktrees import enable, git

from uam_hooks.demo.demo import private_environment

STAGES = ("pre-commit", "post-commit")
OURS = "git uam"
PEERS = ("prek", "lefthook", "lefthook, its binary", "pre-commit")
_NOTE = 'echo x >>".git/noted-$1"\n'
# a hooks path of nothing is what a repository without hooks looks like to git
_WITHOUT = ("-c", "core.hooksPath=/dev/null")


class Tool:
    """A repository with the hooks of one tool. `took` has the milliseconds of each commit with them and without."""

    def __init__(self, name: str, top: Path, environ: Mapping[str, str]) -> None:
        self.name, self.top = name, top
        self.took: list[tuple[float, float]] = []
        self._environ = {**os.environ, **environ}
        self._commits = 0

    def round(self) -> None:
        """A commit with the hooks and one without."""
        self.took.append((self.commit_ms(), self.commit_ms(*_WITHOUT)))

    def commit_ms(self, *settings: str) -> float:
        """The wall time of one commit with a file."""
        self._commits += 1
        (self.top / "file").write_text(f"{self._commits}\n")
        git(self.top, "add", "file")
        began = time.perf_counter()
        subprocess.run(
            ["git", *settings, "commit", "-q", "-m", "x"],
            cwd=self.top, check=True, env=self._environ, capture_output=True,
        )  # fmt: skip
        return (time.perf_counter() - began) * 1000

    def noted(self) -> set[int]:
        """How often each of the hooks ran."""
        if self.name == OURS:
            return {len(list((self.top / ".git" / "uam" / "spool").iterdir()))}
        return {len((self.top / ".git" / f"noted-{stage}").read_text().split()) for stage in STAGES}

    @property
    def added(self) -> float:
        """What the hooks add to a commit, in milliseconds: the median of the pairs."""
        return statistics.median(with_hooks - without for with_hooks, without in self.took)


def _config(name: str) -> tuple[str, str]:
    """The config file that has a tool run the same in both hooks, and its contents."""
    if name.startswith("lefthook"):
        return "lefthook.yml", "".join(
            f"{stage}:\n  commands:\n    note:\n      run: sh note.sh {stage}\n" for stage in STAGES
        )
    hooks = "".join(
        f"  - id: {stage}\n    name: {stage}\n    language: system\n    entry: sh note.sh {stage}\n"
        f"    always_run: true\n    pass_filenames: false\n    stages: [{stage}]\n"
        for stage in STAGES
    )
    return ".pre-commit-config.yaml", f"repos:\n- repo: local\n  hooks:\n{hooks}"


def binary(peers: Path) -> Path | None:
    """The program of lefthook itself, which the package on PyPI starts from a script in Python."""
    return next(iter(sorted(peers.glob("lib/python*/site-packages/lefthook/bin/*/lefthook"))), None)


def tool(name: str, root: Path, peers: Path | None) -> Tool | None:
    """The tool with its hooks in a repository of its own; None where the environment does not have it."""
    top = root / name.replace(", ", "-").replace(" ", "-")
    program = name.split(",", 1)[0]
    environ: dict[str, str] = {}
    if name != OURS:
        if peers is None or not (peers / "bin" / program).exists():
            return None
        environ["PATH"] = f"{peers / 'bin'}{os.pathsep}{os.environ['PATH']}"
        if name != program:
            itself = binary(peers)
            if itself is None:
                return None
            environ["LEFTHOOK_BIN"] = str(itself)
    git(root, "init", "-q", str(top))
    (top / "note.sh").write_text(_NOTE)
    if name != OURS:
        where, what = _config(name)
        (top / where).write_text(what)
    git(top, "add", "--all")
    git(top, "commit", "-q", "-m", "Begin")
    if name == OURS:
        enable(top, {})
    else:
        stages = () if program == "lefthook" else tuple(word for stage in STAGES for word in ("-t", stage))
        subprocess.run(
            [str(peers / "bin" / program) if peers else program, "install", *stages],
            cwd=top, check=True, capture_output=True, env={**os.environ, **environ},
        )  # fmt: skip
    return Tool(name, top, environ)


def measured(root: Path, runs: int, peers: Path | None) -> list[Tool]:
    """Ours and the peers that are there, after so many pairs of commits in turn."""
    found = [one for name in (OURS, *PEERS) if (one := tool(name, root, peers))]
    for one in found:
        one.commit_ms()  # what is made once is there
        one.commit_ms(*_WITHOUT)
    for _ in range(runs):
        for one in found:
            one.round()
    for one in found:
        assert one.noted() == {runs + 1}, f"a hook of {one.name} ran {one.noted()} times in {runs + 1} commits"
    return found


def main() -> None:
    """Measure pairs and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--peers", type=Path, help="the virtual environment that has the other tools")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        found = measured(Path(directory), given.runs, given.peers and given.peers.absolute())
    for one in found:
        with_hooks, without = (statistics.median(side) for side in zip(*one.took, strict=True))
        print(f"{one.name}: with hooks {with_hooks:.1f} ms, without {without:.1f} ms", end=", ")
        print(f"difference {one.added:.1f} ms (medians of {given.runs} pairs)")


if __name__ == "__main__":
    main()
