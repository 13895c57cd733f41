"""Repositories to measure in: a clone with a bare remote of its own, and a worktree with commits for each agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install


def git(at: Path, *args: str, **env: str) -> str:
    """What git prints; it has to succeed."""
    done = subprocess.run(
        ["git", *args], cwd=at, check=True, capture_output=True, text=True, env={**os.environ, **env}
    )  # fmt: skip
    return done.stdout.strip()


def enable(top: Path, settings: Mapping[str, str]) -> None:
    """Enable git uam in a repository, with these settings."""
    with Repository.at(top) as opened:
        install(opened)
    for name, value in settings.items():
        git(top, "config", name, value)


def cloned(root: Path, files: Mapping[str, str] = {}) -> Path:
    """A repository `root/repo` with one commit of these files on main, which its remote `root/remote.git` has, too."""
    git(root, "init", "-q", "--bare", "remote.git")
    git(root, "clone", "-q", str(root / "remote.git"), "repo")
    top = root / "repo"
    for name, contents in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(contents)
    git(top, "add", "--all")
    git(top, "commit", "-q", "--allow-empty", "-m", "Begin")
    git(top, "push", "-q", "origin", "HEAD:main")
    return top


def agents(top: Path, number: int, commits: int = 1) -> list[Path]:
    """The worktrees of so many agents, each on a branch of its own with so many commits of a file each."""
    found = []
    for one in range(number):
        place = top.parent / f"agent-{one}"
        git(top, "worktree", "add", "-q", "-b", place.name, str(place))
        for commit in range(commits):
            name = f"{place.name}-{commit}"
            (place / name).write_text("x\n")
            git(place, "add", name)
            git(place, "commit", "-q", "-m", f"Add {name}")
        found.append(place)
    return found


def tree(remote: Path, branch: str = "main") -> str:
    """The tree that a branch of a bare repository has: what two ways to the same result have in common."""
    return git(remote, "rev-parse", f"{branch}^{{tree}}")
