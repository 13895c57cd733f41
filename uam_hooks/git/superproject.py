"""What the superproject of a submodule names of it: commits that must reach the submodule's remote as they are."""

from __future__ import annotations

import os
from pathlib import Path

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import Answer

_GITLINK = "160000"


def named_by_superproject(repo: Repository, git_dir: str) -> frozenset[str]:
    """The commits of the submodule in the worktree `git_dir` that its superproject is at or is about to push.

    These are in its index, in HEAD, and in commits that no remote of it has. Empty for what is no submodule. GitFailed
    when git fails.
    """
    worktree = repo.paths.seen_from(git_dir).worktree
    if not any((above / ".git").exists() for above in worktree.parents):
        return frozenset()
    above = repo.run("rev-parse", "--show-superproject-working-tree", at=worktree).text
    if not above:
        return frozenset()
    top = Path(above)
    path = os.path.relpath(worktree.resolve(), top.resolve())
    asked = f":(top,literal){path}"
    staged = [line.split(" ", 2)[:2] for line in repo.run("ls-files", "--stage", "--", asked, at=top).lines]
    there = repo.run("ls-tree", "HEAD", "--", path, ok=(0, 128), at=top)
    held = [(mode, oid) for mode, _, oid in (line.partition("\t")[0].split(" ") for line in there.lines)]
    changed = _changes(repo.run(
        "log", "--format=", "--raw", "--no-abbrev", "--no-renames", "-m", "--exclude=refs/uam/*", "--all", "--not",
        "--remotes", "--", asked, at=top,
    ))  # fmt: skip
    return frozenset(oid for mode, oid in [*map(tuple, staged), *held, *changed] if mode == _GITLINK)


def _changes(answer: Answer) -> list[tuple[str, str]]:
    """New mode and object of every line of a raw diff."""
    fields = [line.split(" ") for line in answer.lines if line.startswith(":")]
    return [(line[1], line[3]) for line in fields]
