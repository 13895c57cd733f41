"""The one place where a branch of this repository moves: after a check that it takes its own work along."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from uam_hooks.hot.core.plumbing import ZERO, Answer, Git, is_ancestor, resolve_names
from uam_hooks.hot.core.refs import original_ref, pin_ref
from uam_hooks.hot.core.typed import NamedTuple


class BranchMove(NamedTuple):
    """A move of `branch` ("" for a detached HEAD) from `old` to `new` that `checked` has allowed.

    `carried` are the commits of `old` that `new` has in another form.
    """

    branch: str
    old: str
    new: str
    reason: str
    carried: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The git command that does it, with the old value checked; the reflog gets the reason."""
        where = ("--no-deref", "HEAD") if not self.branch else (self.branch,)
        return ("update-ref", "-m", self.reason, *where, self.new, "" if self.old == ZERO else self.old)

    def run(self, git: Git, at: Path) -> Answer:
        """Move the branch; an answer with code 128 means that it did not.

        Where commits are carried, it moves only if none of them is pinned, in one transaction. Who queues a push looks
        at its branch once more when the tip is pinned: either it prevents the move, or it sees it.
        """
        if not self.carried:
            return git.run(*self.command, ok=(0, 128), at=at)
        where = f"update {self.branch}" if self.branch else "option no-deref\nupdate HEAD"
        lines = [f"verify {pin_ref(oid)}" for oid in self.carried]
        lines += [self._originals(), f"{where} {self.new} {self.old}", ""]
        feed = "\n".join(lines).encode("utf-8", "surrogateescape")
        return git.run("update-ref", "-m", self.reason, "--stdin", feed=feed, ok=(0, 128), at=at)

    def keep_originals(self, git: Git, at: Path) -> None:
        """Hold on to what is carried, for a move that is not made by `run`."""
        if self.carried:
            git.run("update-ref", "-m", self.reason, "--stdin", feed=f"{self._originals()}\n".encode(), at=at)

    def _originals(self) -> str:
        return f"update {original_ref(time.time(), self.old)} {self.old}"


def queued(git: Git, commits: Collection[str], at: Path) -> bool:
    """Whether one of these commits waits in the queue as the tip of a push."""
    return any(oid for oid, _ in resolve_names(git, [pin_ref(commit) for commit in commits], at))


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
        # its walk goes by the dates of commits, and where clocks differ it can miss that one holds another
        if not set(lost) <= set(carried) and not any(is_ancestor(git, old, oid, at) for oid in (new, *kept)):
            return None
    return BranchMove(branch, old, new, reason, tuple(carried))
