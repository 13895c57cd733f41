"""The names that a landing brings: one that git cannot check out would be in everybody's way from then on.

git itself takes such a tree, and so does a remote that does not check what it gets (receive.fsckObjects). But a merge
of it dies (an assertion of merge-ort in git 2.39), and no worktree can follow it.
"""

from __future__ import annotations

from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO

_NEVER = frozenset(("", ".", "..", ".git"))


class BadName(UamError):
    """A commit brings a name that no worktree can hold. Nothing was pushed."""


def check_names(
    repo: Repository, old: str, new: str, directories: tuple[tuple[str, str, str], ...], sound: set[str]
) -> None:
    """Raise BadName where one of these directories, or the top of `new`, has a bad name that it did not have.

    `sound` are directories without any; what is found to be one is added.
    """
    for path, before, after in (("", old, new), *directories):
        if after == ZERO or after in sound:
            continue
        bad = {name for name in trees.names_in(repo, after) if name.lower() in _NEVER or "/" in name}
        if not bad:
            sound.add(after)
        elif before != ZERO:
            bad -= set(trees.names_in(repo, before))
        if bad:
            where = f" in {path}" if path else ""
            raise BadName(
                f"A commit has an entry called {sorted(bad)[0]!r}{where}, which no worktree can hold.",
                "Take it out; `UAM=off git push` pushes it as it is.",
            )
