"""What pushes that wait cost, and the process that stays after a landing.

    python benchmarks/waiting.py --pushes 20 --seconds 10

A clone with a bare remote and a worktree for each agent, whose `git push` waits for the end of a long window. Prints
the processor time that all of them take together meanwhile, in percent of one core, and that of the process that will
land them; then what that process takes, and how much memory it has, when it has landed them and stays.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install


def _git(at: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=at, check=True, capture_output=True)


def _agents(root: Path, pushes: int, window: float) -> list[Path]:
    """The worktrees of the agents, each with a commit of its own."""
    _git(root, "init", "-q", "--bare", str(root / "remote.git"))
    _git(root, "clone", "-q", str(root / "remote.git"), str(root / "repo"))
    top = root / "repo"
    _git(top, "commit", "-q", "--allow-empty", "-m", "Begin")
    _git(top, "push", "-q", "origin", "HEAD:main")
    with Repository.at(top) as opened:
        install(opened)
    _git(top, "config", "uam.window.push", f"{window}s")
    _git(top, "config", "uam.window.company", "off")
    _git(top, "config", "uam.push.waitTimeout", "1h")
    found = []
    for number in range(pushes):
        place = root / f"agent-{number}"
        _git(top, "worktree", "add", "-q", "-b", place.name, str(place))
        (place / place.name).write_text("x\n")
        _git(place, "add", ".")
        _git(place, "commit", "-q", "-m", f"Add {place.name}")
        found.append(place)
    return found


def _flusher(top: Path) -> int:
    """The process that lands pushes, as its lock tells, once it has begun."""
    while True:
        for lock in (top / ".git" / "uam").glob("flusher-*.lock"):
            words = lock.read_text().split()
            if len(words) == 3:
                return int(words[1])
        time.sleep(0.01)


def _family(pids: list[int]) -> list[int]:
    """These processes with all that they have started."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(pids)
    for pid in found:
        found += parents.get(pid, [])
    return found


def _seconds(pids: list[int]) -> float:
    """The processor time that these processes have taken, in seconds, by the scheduler's own account."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def _share(pids: list[int], seconds: float) -> float:
    before, began = _seconds(pids), time.perf_counter()
    time.sleep(seconds)
    return 100 * (_seconds(pids) - before) / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, private_environment(Path(directory) / "home"):
        root = Path(directory)
        waiting = [
            subprocess.Popen(["git", "push", "-q", "origin", "HEAD:main"], cwd=place)
            for place in _agents(root, given.pushes, 30 + 3 * given.seconds)
        ]
        while len(list((root / "repo" / ".git" / "uam" / "bells").glob("waiter-*"))) < given.pushes:
            time.sleep(0.2)
        flusher = _flusher(root / "repo")
        time.sleep(3)  # what each says after 2 s is said
        pushes = _share(_family([one.pid for one in waiting]), given.seconds)
        sleeping = _share(_family([flusher]), given.seconds)
        codes = [one.wait() for one in waiting]
        time.sleep(3)
        staying = _share(_family([flusher]), given.seconds)
        resident = int(Path(f"/proc/{flusher}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        print(f"{given.pushes} pushes that wait: {pushes:.2f} % of a core, the flusher {sleeping:.2f} %")
        print(f"landed: {codes.count(0)}; the flusher that stays: {staying:.2f} % of a core, {resident:.0f} MB")


if __name__ == "__main__":
    main()
