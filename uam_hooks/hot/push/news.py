"""What became of pushes whose process did not stay to hear it: it was killed, or its wait was over.

The next push or command of the same agent in the same worktree says so, and settles the branch, as the push itself
would have done.
"""

from __future__ import annotations

import os
from contextlib import suppress

from uam_hooks.hot.core.colours import Colours
from uam_hooks.hot.core.errors import GitFailed, StoreError, UamError
from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.identity import agent_name
from uam_hooks.hot.core.words import each_once, pass_on, say
from uam_hooks.hot.push import messages
from uam_hooks.hot.push.own_branch import OwnBranches
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue import again
from uam_hooks.hot.queue.model import Source, SourceStatus
from uam_hooks.hot.worktree.landed import Landed


class News:
    """The ended pushes of this agent that it has not heard of. No push fails because they cannot be read.

    `quiet`: only of those that did not land; the others remain for the next push or command.
    """

    def __init__(self, session: PushSession, quiet: bool = False) -> None:
        self.session = session
        self.found: list[tuple[str, Source]] = []
        with suppress(UamError):
            agent = agent_name(session.settings, os.environ, session.paths.worktree.name)
            found = again.untold(session.store, str(session.paths.git_dir), agent)
            self.found = [one for one in found if not (quiet and one[1].status == SourceStatus.LANDED)]

    def tell(self) -> None:
        """Say what became of each."""
        said = each_once(source.outcome.said for _, source in self.found)
        pass_on(said, Colours(self.session.git, self.session.settings).coloured)
        for remote, source in self.found:
            say_ended(remote, source, earlier=True, mine=True)

    def settle(self, branches: OwnBranches) -> None:
        """Settle the branches of those that landed, except those that `branches` has settled already."""
        for remote, source in self.found:
            settle_ended(self.session, remote, source, branches)

    def done(self) -> None:
        """Remember that all of this was said."""
        with suppress(StoreError):  # then it is said once more
            again.told(self.session.store, [source.id for _, source in self.found])


def say_ended(remote: str, source: Source, *, earlier: bool, mine: bool) -> None:
    """The lines that tell what became of a source (see messages.ended)."""
    say(messages.ended(source, remote, earlier=earlier, mine=mine))
    gathered = messages.gathered(source, remote) if source.status == SourceStatus.LANDED else None
    for line in (gathered, *source.outcome.advice, source.outcome.note) if mine else ():
        if line:
            say(line)


def settle_ended(session: PushSession, remote: str, source: Source, branches: OwnBranches) -> None:
    """Settle the branch of a source that landed; without a branch HEAD, where that is still at its tip."""
    if source.status != SourceStatus.LANDED or source.verbatim:
        return
    facts = source.outcome
    head = False
    if not source.branch:
        with suppress(OSError, GitFailed):  # nobody knows where HEAD is: then it stays there
            head = head_of(session.git, session.paths.git_dir) == ("", source.tip)
    branches.settle(Landed(source.branch, source.tip, facts.new, facts.keep), facts.ref, head, remote)
