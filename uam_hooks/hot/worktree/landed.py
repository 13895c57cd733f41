"""What a settle is given and what it did, as values: a push knows them before there is anything to settle."""

from __future__ import annotations

from collections.abc import Mapping

from uam_hooks.hot.core.typed import NamedTuple

# How the reflog entry of a branch that was settled begins.
SETTLED = "uam: landed as "


class Settled(NamedTuple):
    """What became of a branch: `at` is the commit it is at now, `why` is empty unless it stayed where it was.

    `moved` tells whether the branch moved, `files` whether it is checked out, so that index and files match it;
    `transient` that the reason to stay passes by itself.
    """

    at: str
    moved: bool = False
    files: bool = False
    why: str = ""
    transient: bool = False


class Landed(NamedTuple):
    """What to settle: the pushed `tip` of `branch` ("" for a detached HEAD) landed as `landing`.

    `keep` is a commit that contains all that has landed with it (the shadow, or the landing itself), `shadow` the name
    of the ref that contains what landed before. `mine` maps paths that were read from files of this worktree to the
    mode and object they had.
    """

    branch: str
    tip: str
    landing: str
    keep: str
    mine: Mapping[str, tuple[str, str]] = {}
    shadow: str = ""
