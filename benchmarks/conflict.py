"""How soon a push hears that it conflicts with one that waits, in each mode, and what asking costs one that does not.

    python benchmarks/conflict.py --rounds 20

In a clone with a bare remote, one agent's push waits for the end of a long window. A second agent's push that changes
the same line is timed from its start to its exit with the conflict; in the mode `queue` also one that changes another
line, with acceptance and without it. Prints medians and the longest.
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

LINES = 20
MODES = ("manual", "queue", "wait")


def _git(repo: Path, *args: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *args], cwd=repo, check=ok, capture_output=True, text=True)


class Scene:
    """A repository with two worktrees, in which the first agent's push waits."""

    def __init__(self, root: Path) -> None:
        self.top, self.one, self.two = root / "repo", root / "one", root / "two"
        _git(root, "init", "-q", "--bare", str(root / "remote.git"))
        _git(root, "clone", "-q", str(root / "remote.git"), str(self.top))
        (self.top / "table").write_text("line\n\n\n" * LINES)
        _git(self.top, "add", "table")
        _git(self.top, "commit", "-q", "-m", "Begin")
        _git(self.top, "push", "-q", "origin", "HEAD:main")
        with Repository.at(self.top) as opened:
            install(opened)
        for place in (self.one, self.two):
            _git(self.top, "worktree", "add", "-q", "-b", place.name, str(place))
        self.set("uam.window.push", "1h")

    def set(self, key: str, value: str) -> None:
        _git(self.top, "config", key, value)

    def edit(self, place: Path, line: int) -> None:
        """Commit another text for one line, on top of what the remote has."""
        _git(place, "reset", "-q", "--hard", "origin/main")
        lines = (place / "table").read_text().splitlines()
        lines[line * 3] = f"by {place.name} {time.time_ns()}"
        (place / "table").write_text("\n".join(lines) + "\n")
        _git(place, "commit", "-q", "-a", "-m", "Change a line")

    def push(self, place: Path, code: int) -> float:
        """How long the push took, which has to end with this exit code."""
        began = time.perf_counter()
        done = _git(place, "push", "origin", "HEAD:main", ok=False)
        took = time.perf_counter() - began
        assert done.returncode == code, done.stderr
        assert ("conflict in table" in done.stderr) == bool(code), done.stderr
        return took

    def waits(self, mode: str) -> subprocess.Popen[bytes]:
        """The first agent's push, which waits in the queue by now."""
        self.set("uam.push.mode", mode)
        self.edit(self.one, 0)
        quiet = subprocess.DEVNULL
        push = subprocess.Popen(["git", "push", "-q", "origin", "HEAD:main"], cwd=self.one, stdout=quiet, stderr=quiet)
        while "push" not in _git(self.top, "uam", "status").stdout:
            time.sleep(0.05)
        return push

    def empty(self, push: subprocess.Popen[bytes]) -> None:
        """Land what waits."""
        _git(self.top, "uam", "flush")
        push.wait()
        _git(self.top, "fetch", "-q")


def told(scene: Scene, mode: str) -> float:
    """One conflict, from the start of the second push to its exit."""
    push = scene.waits(mode)
    scene.edit(scene.two, 0)
    took = scene.push(scene.two, 1)
    scene.empty(push)
    return took


def accepted(scene: Scene, asked: bool) -> float:
    """One push that does not conflict, behind one that waits."""
    scene.set("uam.push.accept", str(asked).lower())
    push = scene.waits("queue")
    scene.edit(scene.two, 9)
    took = scene.push(scene.two, 0)
    scene.empty(push)
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        scene = Scene(Path(directory))
        print(f"{given.rounds} rounds, load of the machine {os.getloadavg()[0]:.1f}")
        for mode in MODES:
            found = [told(scene, mode) for _ in range(given.rounds)]
            print(f"told in the mode {mode}: {median(found) * 1000:.0f} ms, longest {max(found) * 1000:.0f} ms")
        pairs = [(accepted(scene, asked=True), accepted(scene, asked=False)) for _ in range(given.rounds)]
        with_it, without = (median(each) * 1000 for each in zip(*pairs, strict=True))
        print(f"queued behind another: {with_it:.0f} ms, without acceptance {without:.0f} ms")


if __name__ == "__main__":
    main()
