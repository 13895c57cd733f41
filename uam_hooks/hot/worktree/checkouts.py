"""Which worktree has a branch checked out, and whether git is in the middle of something there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.head import head_of, refs_are_files, root_ref
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git

# What git leaves in a worktree's git directory while an operation is unfinished.
_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
}
_ROOT_REFS = ("CHERRY_PICK_HEAD", "REVERT_HEAD")  # refs like any other, unlike MERGE_HEAD


def checked_out_at(git: Git, paths: RepoPaths, branch: str) -> Path | None:
    """The git directory of the worktree that has `branch` checked out; None when none has.

    A `branch` of "" is a detached HEAD, which belongs to the worktree of `paths`.
    """
    if not branch:
        return paths.git_dir
    for git_dir in (paths.git_dir, *paths.git_dirs()):
        if branch in (head_of(git, git_dir)[0], *_rebased(git_dir)):
            return git_dir
    return None


def _rebased(git_dir: Path) -> Iterator[str]:
    """The branch that an unfinished rebase will move; HEAD is detached until it ends."""
    for name in ("rebase-merge", "rebase-apply"):
        with suppress(OSError):
            yield (git_dir / name / "head-name").read_bytes().decode("utf-8", "surrogateescape").strip()


def run_directory(home: Path | None, paths: RepoPaths) -> Path:
    """The directory to run git in, so that it writes the reflog of the right worktree's HEAD.

    `home` is the git directory of the worktree that has the branch checked out, None if none has.
    """
    if home is None:
        return paths.common_dir
    worktree = RepoPaths.of(home).worktree
    return worktree if worktree.is_dir() else home


def unfinished(git: Git, git_dir: Path) -> str:
    """What is under way in the worktree of `git_dir`, as a reason not to touch it; "" when nothing is."""
    files = refs_are_files(git_dir)
    for name, what in _UNFINISHED.items():
        if (git_dir / name).exists() or (name in _ROOT_REFS and not files and root_ref(git, git_dir, name)):
            return f"{what} is under way there"
    return ""
