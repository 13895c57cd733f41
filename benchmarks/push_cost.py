"""What a `git push` costs with nobody else at work, held against plain git: time, git processes, connections.

    python benchmarks/push_cost.py --rounds 15
    python benchmarks/push_cost.py --rounds 15 --json

Two clones of one history, each with a bare remote of its own: git uam is enabled in one of them. Both do the same in
turn, round by round: push one commit, push three that become one, push one to a remote that takes a while to connect
to, first with nobody and then with somebody else having pushed since (plain git then is rejected, fetches, rebases and
pushes again), and push one that is only queued (`uam.push.mode=manual`). Prints the medians of the seconds that `git
push` takes, the median of the ratios round by round, and what each push started all in all, until its landing was
done: git processes, with those of the remote, and connections.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

NOTHING: Mapping[str, str] = {}
SERVERS = ("git-receive-pack", "git-upload-pack")


class Kind(NamedTuple):
    """A kind of push: how many commits it brings, how the remote is reached, whether it is only queued, and whether
    somebody else has pushed before.
    """

    name: str
    commits: int
    slow: bool = False
    manual: bool = False
    behind: bool = False


KINDS = (
    Kind("one commit", 1),
    Kind("three commits", 3),
    Kind("one commit, slow remote", 1, slow=True),
    Kind("the same, behind", 1, slow=True, behind=True),
    Kind("one commit, manual", 1, manual=True),
)


class Cost(NamedTuple):
    """What one push took."""

    seconds: float
    processes: int
    connections: int


class Clone:
    """A clone with a remote of its own, and what git says of itself there."""

    def __init__(self, at: Path, history: Path, kind: Kind, connect: float, hooked: bool) -> None:
        self.top, self.hooked, self.kind = at, hooked, kind
        self._trace = at.with_name(f"{at.name}.trace")
        self._trace.mkdir()
        _git(at.parent, "clone", "-q", "--bare", str(history), f"{at}.git")
        _git(at.parent, "clone", "-q", f"{at}.git", str(at))
        if kind.slow:
            slow = at.with_name(f"{at.name}.slow")
            slow.write_text(f'sleep {connect}\nexec "$@"\n')
            for pack in SERVERS:
                _git(at, "config", f"remote.origin.{pack.removeprefix('git-').replace('-', '')}", f"sh {slow} {pack}")
        if hooked:
            with Repository.at(at) as opened:
                install(opened)
            if kind.manual:
                _git(at, "config", "uam.push.mode", "manual")

    def push(self, number: int) -> Cost:
        """Commit, push and see what that took."""
        for commit in range(self.kind.commits):
            (self.top / f"file-{number}-{commit}").write_text("x\n")
            _git(self.top, "add", "--all")
            _git(self.top, "commit", "-q", "-m", f"Change {number} {commit}")
        if self.kind.behind:
            self._somebody_else(number)
        before = list(self._started())
        began = time.perf_counter()
        self._hand_over({"GIT_TRACE2_EVENT": str(self._trace)})
        seconds = time.perf_counter() - began
        if self.hooked:
            _git(self.top, "uam", "flush")  # which says nothing of itself; and nothing is left to do in the background
        now = list(self._started())
        connections = [sum(name in SERVERS for name in started) for started in (before, now)]
        return Cost(seconds, len(now) - len(before), connections[1] - connections[0])

    def _hand_over(self, trace: Mapping[str, str]) -> None:
        if self.kind.behind and not self.hooked:
            _git(self.top, "push", "-q", "origin", "main", ok=1, env=trace)  # it is rejected
            _git(self.top, "fetch", "-q", "origin", env=trace)
            _git(self.top, "rebase", "-q", "origin/main", env=trace)
        _git(self.top, "push", "-q", "origin", "main", env=trace)

    def _somebody_else(self, number: int) -> None:
        """Somebody with a clone of their own pushes, quickly."""
        other = self.top.with_name(f"{self.top.name}.other")
        if not other.exists():
            _git(self.top.parent, "clone", "-q", f"{self.top}.git", str(other))
        _git(other, "pull", "-q", "--ff-only")
        (other / f"other-{number}").write_text("x\n")
        _git(other, "add", "--all")
        _git(other, "commit", "-q", "-m", f"Other {number}")
        _git(other, "push", "-q")

    def tree(self) -> str:
        """What main of the remote holds."""
        return _git(Path(f"{self.top}.git"), "rev-parse", "main^{tree}")

    def _started(self) -> Iterator[str]:
        """The programs of git that were started so far, in no order."""
        for path in self._trace.iterdir():
            for line in path.read_text().splitlines():
                event = json.loads(line)
                if event["event"] == "start":
                    yield event["argv"][0].rpartition("/")[2]


def _git(repo: Path, *args: str, ok: int = 0, env: Mapping[str, str] = NOTHING) -> str:
    """What git prints: on stdout, or on stderr where it is to fail; raises CalledProcessError."""
    done = subprocess.run(["git", *args], cwd=repo, capture_output=True, text=True, env={**os.environ, **env})
    if done.returncode != ok:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    return (done.stderr if ok else done.stdout).strip()


def measured(root: Path, kind: Kind, rounds: int, connect: float) -> dict[str, Any]:
    """The medians of one kind of push, and the seconds of each round; both remotes have to have the same files then."""
    root.mkdir()
    history = root / "history"
    _git(root, "init", "-q", str(history))
    _git(history, "commit", "-q", "--allow-empty", "-m", "Begin")
    clones = [Clone(root / name, history, kind, connect, name == "ours") for name in ("ours", "plain")]
    found: list[list[Cost]] = [[], []]
    for number in range(rounds + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            cost = clones[side].push(number)
            if number:  # the first push of all finds out what the remote has
                found[side].append(cost)
    assert clones[0].tree() == clones[1].tree(), "the remotes do not hold the same files"
    ours, plain = found
    ratios = [mine.seconds / theirs.seconds for mine, theirs in zip(ours, plain, strict=True)]
    return {
        "push": kind.name,
        "ms": [round(1000 * median(cost.seconds for cost in side)) for side in found],
        "ratio": round(median(ratios), 2),
        "processes": [median(cost.processes for cost in side) for side in found],
        "connections": [median(cost.connections for cost in side) for side in found],
        "seconds": [[cost.seconds for cost in side] for side in found],
    }


def main() -> None:
    """Measure every kind and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--connect", type=float, default=0.4, help="how many seconds the slow remote takes to connect")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        _git(Path(directory), "config", "--global", "gc.auto", "0")
        rows = [
            measured(Path(directory) / str(number), kind, given.rounds, given.connect)
            for number, kind in enumerate(KINDS)
        ]
    version = subprocess.run(["git", "version"], check=True, capture_output=True, text=True).stdout.split()[2]
    facts = {"rounds": given.rounds, "git": version, "python": sys.version.split()[0],
             "load": round(os.getloadavg()[0], 1)}  # fmt: skip
    if given.json:
        print(json.dumps({**facts, "pushes": rows}))
        return
    print(" ".join(f"{key} {value}" for key, value in facts.items()))
    print("git uam / plain git      |           ms |  ratio | processes | connections")
    for row in rows:
        ms, processes, connections = (
            " / ".join(f"{value:g}" for value in row[key]) for key in ("ms", "processes", "connections")
        )
        print(f"{row['push']:24} | {ms:>12} | {row['ratio']:6.2f} | {processes:>9} | {connections:>11}")


if __name__ == "__main__":
    main()
