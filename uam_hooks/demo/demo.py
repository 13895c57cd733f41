"""The demo: the same work of the same agents with plain git and with git uam, measured on real remotes.

Everything is created below one directory: a separate home, so that the user's git settings do not matter, and for each
side a bare remote with a CI, a repository and a worktree for each agent.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from uam_hooks.demo import agents
from uam_hooks.demo.ci import Ci, broken_for, together
from uam_hooks.demo.scenario import Scenario
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.queue.bell import dismiss
from uam_hooks.install.install import install

# How often CI is asked, in a demo in which a run takes seconds and not minutes.
CI_POLL = "200ms"

# Told of each act that has ended: whether with git uam, its number, and the seconds since the begin.
Tell = Callable[[bool, int, float], None]


class Told(NamedTuple):
    """What an agent was told of one push, and after how many seconds it knew; `files` has what is wrong with it."""

    agent: str
    seconds: float
    files: list[str]
    told: list[str]


class Side(NamedTuple):
    """The measurements of one side. The keys of `failed` and `told` are agents' names; `tree` is the tree of main.

    `pushes` has how many seconds each push took until it had landed, those of one agent after those of another. Of the
    pushes that were `rejected`, so many were for being `behind`. `acts` has after how many seconds each had ended.
    """

    ci_runs: int
    ci_minutes: float
    rejected: int
    commits: int
    seconds: float
    tree: str
    failed: dict[str, str]
    told: dict[str, list[str]]
    pushes: tuple[float, ...] = ()
    acts: tuple[float, ...] = ()
    behind: int = 0
    ci_together: int = 0
    ci_failed: int = 0
    broken_seconds: float = 0.0
    conflicts: tuple[Told, ...] = ()
    combinations: tuple[Told, ...] = ()


class Outcome(NamedTuple):
    """Both sides, and the tree of the scenario's files."""

    plain: Side
    hooked: Side
    expected: str

    @property
    def same_files(self) -> bool:
        """Whether both remotes have the same files, and exactly those that the agents wrote."""
        return self.plain.tree == self.hooked.tree == self.expected

    @property
    def success(self) -> bool:
        """Whether the files are the same and every push landed."""
        return self.same_files and not self.plain.failed and not self.hooked.failed


def silent(_hooked: bool, _act: int, _seconds: float) -> None:
    """Tells nobody."""


def play(scenario: Scenario, root: Path, tell: Tell = silent, page: Path | None = None) -> Outcome:
    """Play the scenario on both sides, one after the other, in the empty directory `root`.

    `page` is where `git uam stats` then writes its page about the side with git uam.
    """
    with private_environment(root / "home"):
        plain = play_side(scenario, root / "plain", hooked=False, tell=tell)
        hooked = play_side(scenario, root / "hooked", hooked=True, tell=tell)
        if page is not None:
            _git(root / "hooked" / "work", "uam", "stats", "--html", str(page))
        return Outcome(plain, hooked, tree_of(scenario.files(), root / "expected"))


@contextmanager
def private_environment(home: Path) -> Iterator[None]:
    """Use only the settings in `home`, in this process and in those that it starts."""
    home.mkdir(parents=True)
    config = home / ".gitconfig"
    config.write_text("[user]\n\tname = demo\n\temail = demo@example.invalid\n[init]\n\tdefaultBranch = main\n")
    before = dict(os.environ)
    for name in before:
        if name.startswith(("GIT_", "UAM", "XDG_")):
            del os.environ[name]
    os.environ.update(HOME=str(home), GIT_CONFIG_GLOBAL=str(config), GIT_CONFIG_NOSYSTEM="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def play_side(scenario: Scenario, root: Path, *, hooked: bool, tell: Tell = silent) -> Side:
    """Create a remote, a repository and the agents' worktrees in `root`, run the agents, and measure."""
    remote, work = root / "remote.git", root / "work"
    remote.mkdir(parents=True)
    _git(root, "init", "-q", "--bare", "remote.git")
    seed = _commit_files(scenario.start, work, "Begin")
    _git(work, "remote", "add", "origin", str(remote))
    _git(work, "push", "-q", "origin", "main")
    for name in scenario.agents:
        _git(work, "worktree", "add", "-q", "-b", name, str(root / "worktrees" / name))
    # the run for the first commit belongs to no agent; counting begins here
    with Ci(remote, scenario.ci_seconds, scenario.tests) as ci:
        if hooked:
            _enable(work, scenario, ci)
        played = agents.run(
            scenario, root, hooked=hooked, verdicts=ci.verdicts, tell=lambda act, seconds: tell(hooked, act, seconds)
        )
        if hooked:
            _wait_for_flusher(work)
    return _side(scenario, remote, seed, ci, played)


def _enable(work: Path, scenario: Scenario, ci: Ci) -> None:
    """Enable git uam as a person would who has this CI and these tests."""
    settings = {"uam.window.push": scenario.window}
    if scenario.ci_seconds:
        settings["uam.ci"] = "command"
        settings["uam.ci.command"] = shlex.join(["sh", str(ci.busy)])
        settings["uam.ci.poll"] = CI_POLL
        settings["uam.ci.minutes"] = f"{scenario.ci_minutes:g}"
    if scenario.tests:
        settings["uam.gate.tests.command"] = shlex.join([sys.executable, *scenario.tests])
    for name, value in settings.items():
        _git(work, "config", name, value)
    with Repository.at(work) as repo:
        install(repo)


def _side(scenario: Scenario, remote: Path, seed: str, ci: Ci, played: agents.Played) -> Side:
    reports, runs = played.reports, ci_runs(remote)
    return Side(
        ci_runs=len(runs),
        ci_minutes=len(runs) * scenario.ci_minutes,
        rejected=sum(report["rejected"] for report in reports.values()),
        commits=int(_git(remote, "rev-list", "--count", "main", f"^{seed}")),
        seconds=played.acts[-1],
        tree=_git(remote, "rev-parse", "main^{tree}"),
        failed={name: report["failed"] for name, report in reports.items() if report["failed"]},
        told={name: report["told"] for name, report in reports.items()},
        pushes=tuple(seconds for report in reports.values() for seconds in report["pushes"]),
        acts=played.acts,
        behind=sum(report["behind"] for report in reports.values()),
        ci_together=together(ci.runs, ci.seconds),
        ci_failed=sum(not run.passed for run in ci.runs),
        broken_seconds=broken_for(ci.runs),
        conflicts=_all_told(reports, "conflicts"),
        combinations=_all_told(reports, "combinations"),
    )


def _all_told(reports: dict[str, dict[str, Any]], kind: str) -> tuple[Told, ...]:
    return tuple(Told(agent=name, **told) for name, report in reports.items() for told in report[kind])


def ci_runs(remote: Path) -> list[str]:
    """The lines of the remote's post-receive hook: a commit and a ref for each run."""
    return (remote / "ci.log").read_text().splitlines()


def _wait_for_flusher(work: Path) -> None:
    """Let the background process leave, and wait until it releases its lock: nothing is written after that."""
    paths = RepoPaths.of(work / ".git")
    dismiss(paths.bells)
    for path in paths.uam.glob("flusher-*.lock"):
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)


def _git(at: Path, *args: str) -> str:
    return HotGit(at, at).run(*args, at=at).text


def _commit_files(files: dict[str, str], where: Path, message: str) -> str:
    """Create a repository `where` with one commit of `files` on main; returns the commit."""
    where.mkdir(parents=True)
    for name, contents in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents)
    _git(where, "init", "-q")
    _git(where, "add", "--all")
    _git(where, "commit", "-q", "-m", message)
    return _git(where, "rev-parse", "HEAD")


def tree_of(files: dict[str, str], where: Path) -> str:
    """The id of the tree that has exactly `files`."""
    return _git(where, "rev-parse", f"{_commit_files(files, where, 'What the agents wrote')}^{{tree}}")
