"""The names that a landing brings: one that git cannot check out would be in everybody's way from then on.

git itself takes such a tree, and so does a remote that does not check what it gets (receive.fsckObjects). But a merge
of it dies (an assertion of merge-ort in git 2.39), and no worktree can follow it.
"""

from __future__ import annotations

from typing import NamedTuple

from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO, oid_of

_NEVER = frozenset(("", ".", "..", ".git"))


class BadName(UamError):
    """A commit brings a name that no worktree can hold. Nothing was pushed."""


class Difference(NamedTuple):
    """Where two trees differ: the paths, and each directory as (path, old tree, new tree), ZERO for none."""

    paths: set[str]
    directories: tuple[tuple[str, str, str], ...]


def difference(repo: Repository, old: str, new: str) -> Difference:
    """Compare two commits or trees, modes included; renames are two differences."""
    out = repo.run("diff-tree", "-r", "-t", "-z", "--no-renames", old, new).out
    fields = out.decode("utf-8", "surrogateescape").split("\0")[:-1]
    paths: set[str] = set()
    directories = []
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        was, mode, before, after, _ = facts.removeprefix(":").split(" ")
        if trees.TREE in (int(was, 8), int(mode, 8)):
            directories.append((path, oid_of(before), oid_of(after)))
        else:
            paths.add(path)
    return Difference(paths, tuple(directories))


def check_names(repo: Repository, old: str, new: str, directories: tuple[tuple[str, str, str], ...]) -> None:
    """Raise BadName where one of these directories, or the top of `new`, has a bad name that it did not have."""
    for path, before, after in (("", old, new), *directories):
        if after == ZERO:
            continue
        bad = {name for name in trees.names_in(repo, after) if name.lower() in _NEVER or "/" in name}
        if bad and before != ZERO:
            bad -= set(trees.names_in(repo, before))
        if bad:
            where = f" in {path}" if path else ""
            raise BadName(
                f"A commit has an entry called {sorted(bad)[0]!r}{where}, which no worktree can hold.",
                "Take it out; `UAM=off git push` pushes it as it is.",
            )
