"""What git keeps in files of a worktree's git directory, or, with the reftable backend, where git alone can read it."""

from __future__ import annotations

from pathlib import Path

from uam_hooks.hot.core.plumbing import Git

# What the file HEAD has with the reftable backend, for a git that does not know it (gitrepository-layout(5)).
_ELSEWHERE = "ref: refs/heads/.invalid"


def head_of(git: Git, git_dir: Path) -> tuple[str, str]:
    """HEAD of `git_dir`: (full branch name, ""), ("", commit) when it is detached, ("", "") when there is no HEAD.

    Raises OSError or GitFailed when it cannot be read: a branch that may be checked out must not be taken for one that
    is not. Costs no process but with the reftable backend.
    """
    text = _head(git_dir)
    if text != _ELSEWHERE:
        return (text[5:].strip(), "") if text.startswith("ref: ") else ("", text)
    branch = git.run("--git-dir", str(git_dir), "symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text
    return (branch, "") if branch else ("", root_ref(git, git_dir, "HEAD"))


def refs_are_files(git_dir: Path) -> bool:
    """Whether refs and their logs are files of the git directory."""
    return _head(git_dir) != _ELSEWHERE


def root_ref(git: Git, git_dir: Path, name: str) -> str:
    """The object of a ref of a worktree that is in no namespace, as CHERRY_PICK_HEAD; "" where there is none."""
    return git.run("--git-dir", str(git_dir), "rev-parse", "--quiet", "--verify", name, ok=(0, 1)).text


def _head(git_dir: Path) -> str:
    """The text of the file HEAD, "" where there is none."""
    try:
        return (git_dir / "HEAD").read_bytes().decode("utf-8", "surrogateescape").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
