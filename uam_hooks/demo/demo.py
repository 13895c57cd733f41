"""The demo: the same work of the same agents with plain git and with git uam, measured on real remotes.

Everything is created below one directory: a separate home, so that the user's git settings do not matter, and for each
side a bare remote, a repository and a worktree for each agent. The remote's post-receive hook records each CI run.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError, UsageError, last_line
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import duration
from uam_hooks.hot.queue.bell import dismiss
from uam_hooks.install.install import install

# Time limit for the agents of one side; more means that something is broken.
PATIENCE_SECONDS = 300.0

_PACKAGE = Path(__file__).resolve().parent.parent
_AGENT = "import sys; sys.path.append(sys.argv.pop(1)); from uam_hooks.demo.agent import main; main()"
_CI = """#!/bin/sh
# One line for each run that a forge would start: one for each pushed branch, none for a commit with [skip ci].
while read -r old new ref; do
	case $ref in refs/heads/*) ;; *) continue ;; esac
	case $new in *[!0]*) ;; *) continue ;; esac
	case $(git log -1 --format=%B "$new") in *"[skip ci]"*) continue ;; esac
	echo "$new $ref" >>ci.log
done
"""


class Commit(NamedTuple):
    """One commit of an agent: `file` gets these `contents`."""

    message: str
    file: str
    contents: str


class Agent(NamedTuple):
    """The work of one agent: in each round some commits, then a push."""

    name: str
    rounds: tuple[tuple[Commit, ...], ...]


class Scenario(NamedTuple):
    """A demo as data: `start` has the files of the first commit, `window` is uam.window.push."""

    window: str
    ci_minutes: float
    start: dict[str, str]
    agents: tuple[Agent, ...]

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """The scenario in the file `path`; raises UsageError where it is invalid."""
        try:
            found = json.loads(path.read_text())
            agents = tuple(
                Agent(a["name"], tuple(tuple(Commit(**c) for c in commits) for commits in a["rounds"]))
                for a in found["agents"]
            )
            scenario = cls(found["window"], found["ci_minutes"], dict(found["start"]), agents)
            duration(scenario.window)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is not a scenario of the demo: {error!r}.", "See fixtures/demo.json.") from None
        scenario.files()
        return scenario

    def files(self) -> dict[str, str]:
        """The files on main when everything has landed; raises UsageError when that depends on the order."""
        found, owner = dict(self.start), dict.fromkeys(self.start, "")
        for agent in self.agents:
            for commit in (commit for commits in agent.rounds for commit in commits):
                if owner.setdefault(commit.file, agent.name) not in ("", agent.name):
                    raise UsageError(f"Two agents of the scenario write {commit.file}.", "Give each its own files.")
                owner[commit.file] = agent.name
                found[commit.file] = commit.contents
        return found


class Side(NamedTuple):
    """The measurements of one side. The keys of `failed` and `told` are agents' names; `tree` is the tree of main.

    `pushes` has how many seconds each push took until it had landed, those of one agent after those of another.
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


def shipped(name: str) -> Path:
    """A file of fixtures/: inside the installed package, or next to it in a checkout."""
    for directory in (_PACKAGE / "fixtures", _PACKAGE.parent / "fixtures"):
        if (directory / name).is_file():
            return directory / name
    raise UamError(f"The file fixtures/{name} is missing.", "Run install.sh again.")


def play(scenario: Scenario, root: Path) -> Outcome:
    """Play the scenario on both sides, one after the other, in the empty directory `root`."""
    with private_environment(root / "home"):
        plain = play_side(scenario, root / "plain", hooked=False)
        hooked = play_side(scenario, root / "hooked", hooked=True)
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


def play_side(scenario: Scenario, root: Path, *, hooked: bool) -> Side:
    """Create a remote, a repository and the agents' worktrees in `root`, run the agents, and measure."""
    remote, work, worktrees = root / "remote.git", root / "work", root / "worktrees"
    remote.mkdir(parents=True)
    _git(root, "init", "-q", "--bare", "remote.git")
    seed = _commit_files(scenario.start, work, "Begin")
    _git(work, "remote", "add", "origin", str(remote))
    _git(work, "push", "-q", "origin", "main")
    # the run for the first commit belongs to no agent; counting begins here
    hook = remote / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_CI)
    hook.chmod(0o755)
    for agent in scenario.agents:
        _git(work, "worktree", "add", "-q", "-b", agent.name, str(worktrees / agent.name))
    if hooked:
        _git(work, "config", "uam.window.push", scenario.window)
        with Repository.at(work) as repo:
            install(repo)
    reports, seconds = _run_agents(scenario, root, worktrees, retry=not hooked)
    if hooked:
        _wait_for_flusher(work)
    runs = ci_runs(remote)
    return Side(
        ci_runs=len(runs),
        ci_minutes=len(runs) * scenario.ci_minutes,
        rejected=sum(report["rejected"] for report in reports.values()),
        commits=int(_git(remote, "rev-list", "--count", "main", f"^{seed}")),
        seconds=seconds,
        tree=_git(remote, "rev-parse", "main^{tree}"),
        failed={name: report["failed"] for name, report in reports.items() if report["failed"]},
        told={name: report["told"] for name, report in reports.items()},
        pushes=tuple(seconds for report in reports.values() for seconds in report["pushes"]),
    )


def ci_runs(remote: Path) -> list[str]:
    """The lines of the remote's post-receive hook: a commit and a ref for each run."""
    log = remote / "ci.log"
    return log.read_text().splitlines() if log.exists() else []


def _run_agents(
    scenario: Scenario, root: Path, worktrees: Path, *, retry: bool
) -> tuple[dict[str, dict[str, Any]], float]:
    """Start the agents together; returns their reports, and the seconds until the last push returned."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    read_end, write_end = os.pipe()
    running: dict[str, subprocess.Popen[str]] = {}
    # all agents wait for the end of the same pipe, so closing it once starts them all
    with os.fdopen(read_end, "rb") as gate, os.fdopen(write_end, "wb") as opener, ExitStack() as stack:
        for agent in scenario.agents:
            orders = root / f"{agent.name}.json"
            rounds = [[commit._asdict() for commit in commits] for commits in agent.rounds]
            what = {"worktree": str(worktrees / agent.name), "retry": retry, "rounds": rounds}
            orders.write_text(json.dumps(what, indent=1))
            running[agent.name] = process = stack.enter_context(_started(agent.name, orders, gate))
            stack.callback(process.kill)
        for name, process in running.items():
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise UamError(f"{name} could not start: {last_line(process.communicate()[1])}.")
        began = time.monotonic()
        opener.close()
        reports = {name: _report(name, process, deadline) for name, process in running.items()}
        return reports, time.monotonic() - began


def _started(name: str, orders: Path, gate: IO[bytes]) -> subprocess.Popen[str]:
    mail = f"{name}@example.invalid"
    identity = {
        "UAM_AGENT_ID": name,
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), name),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), mail),
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _AGENT, str(_PACKAGE.parent), str(orders)],
        stdin=gate, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **identity},
    )  # fmt: skip


def _report(name: str, process: subprocess.Popen[str], deadline: float) -> dict[str, Any]:
    """The report of an agent, which it prints when it ends."""
    try:
        out, err = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise UamError(f"{name} did not finish within {PATIENCE_SECONDS:g} s.") from None
    if process.returncode:
        return {
            "rejected": 0,
            "told": [],
            "pushes": [],
            "failed": last_line(err) or f"it ended with {process.returncode}",
        }
    report: dict[str, Any] = json.loads(out)
    return report


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
