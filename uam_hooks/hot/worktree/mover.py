"""A worktree on its way to a landing: written down, moved, and put back if it did not get there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uam_hooks.hot.core.errors import GitFailed, last_line
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.steps import Settling, reached
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.worktree import index, journal
from uam_hooks.hot.worktree.branches import BranchMove
from uam_hooks.hot.worktree.checkouts import run_directory
from uam_hooks.hot.worktree.repair import NotYet, put_back
from uam_hooks.hot.worktree.swap import Swapped, swap


class Mover(NamedTuple):
    """A branch that is to move, checked out in the worktree of `home`; `turn` is the settle lock."""

    git: Git
    paths: RepoPaths
    home: Path
    move: BranchMove
    turn: int

    @property
    def at(self) -> Path:
        """The directory to run git in."""
        return run_directory(self.home, self.paths)

    def run(self, staged: Sequence[index.Entry], kept: Sequence[str], *, files: bool) -> tuple[Swapped, str]:
        """Write down what is to happen, and let it happen; or put back what there is of it.

        The index gets the new side of `staged`; with `files` the other files move to the new commit. `kept` are paths
        whose files stay in any case. Returns how it went, and why the worktree is not as it was if that is so.
        """
        plan = journal.Move(str(self.home), self.move.branch, self.move.old, self.move.new, tuple(kept))
        stage = index.feed(self.git, ((e.path, index.after(e)) for e in staged))
        record = journal.write(self.paths, plan)
        reached(Settling.RECORDED)
        done = swap(self.at, plan, record, self.turn, stage=stage, files=files, branch=self.move.command)
        if done.code == 0:
            journal.forget(record, plan)
            return done, ""
        try:
            put_back(self.git, self.paths, record, plan, self.turn)
        except (NotYet, GitFailed, OSError) as error:
            return done, last_line(str(error))
        return done, ""
