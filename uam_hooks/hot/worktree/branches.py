"""The one place where a branch of this repository moves: after a check that it takes its own work along."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from uam_hooks.hot.core.plumbing import ZERO, Answer, Git


class BranchMove(NamedTuple):
    """A move of `branch` ("" for a detached HEAD) from `old` to `new` that `checked` has allowed."""

    branch: str
    old: str
    new: str
    reason: str

    @property
    def command(self) -> tuple[str, ...]:
        """The git command that does it, with the old value checked; the reflog gets the reason."""
        where = ("--no-deref", "HEAD") if not self.branch else (self.branch,)
        return ("update-ref", "-m", self.reason, *where, self.new, self.old)

    def run(self, git: Git, at: Path) -> Answer:
        """Move the branch; an answer with code 128 means that it did not."""
        return git.run(*self.command, ok=(0, 128), at=at)


def checked(
    git: Git, branch: str, old: str, new: str, reason: str, *, kept: Collection[str], at: Path,
    carried: Collection[str] = (),
) -> BranchMove | None:  # fmt: skip
    """The move, if nothing that the branch has gets lost by it; else None.

    Every commit of `old` has to be in `new`, in one of the objects `kept`, which refs of ours hold, or among the
    `carried` ones, which `new` has in another form. Whatever led to the move, it is asked here.
    """
    if old != ZERO:
        limit = () if carried else ("--max-count=1",)
        without = [f"^{oid}" for oid in dict.fromkeys((new, *kept))]
        lost = git.run("rev-list", *limit, old, *without, at=at).lines
        if not set(lost) <= set(carried):
            return None
    return BranchMove(branch, old, new, reason)
