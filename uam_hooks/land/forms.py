"""What becomes of the commits of a push: what was asked for, and what uam.squash says of its branch."""

from __future__ import annotations

from collections.abc import Collection

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.refs import HEADS, named_by, short_target
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.queue.model import Action, ActionType, Source, Wish

# where a remote has not said which branch is its default
_USUAL = ("main", "master")


def default_branch(repo: Repository, remote: str, tracked: Collection[str]) -> str:
    """The default branch of a remote: what this clone was made from, else what the remote said when it was listed, else
    "". `tracked` are the remote-tracking refs that are here.
    """
    name, prefix = f"refs/remotes/{remote}/HEAD", f"refs/remotes/{remote}/"
    if name in tracked:
        at = repo.run("symbolic-ref", "--quiet", name, ok=(0, 1)).text
        if at.startswith(prefix):
            return at.removeprefix(prefix)
    return repo.heads.get(remote, "").removeprefix(HEADS)


def form_of(settings: Settings, action: Action, source: Source, default: str) -> Squash:
    """What the commits of a source become when they land; `default` is the default branch of the remote, "" if unknown.

    A merge by name keeps them, as `git merge` does. What else was asked for by name becomes one commit for the whole
    batch, on every branch.
    """
    asked: Squash = settings["uam.squash"]
    if action.action_type != ActionType.PUSH or source.wish == Wish.KEEP:
        return Squash.NEVER
    if source.wish == Wish.SQUASH:
        return Squash.PUSH if asked == Squash.NEVER else asked
    if source.by_name:
        return asked if asked == Squash.NEVER else Squash.BATCH
    return asked if is_squashed(settings, short_target(action.ref), default) else Squash.NEVER


def is_squashed(settings: Settings, branch: str, default: str) -> bool:
    """Whether uam.squash applies to a branch of the remote."""
    patterns: list[str] = settings.values("uam.squash.branches")
    if not patterns:
        return branch == default if default else branch in _USUAL
    return named_by(branch, patterns)
