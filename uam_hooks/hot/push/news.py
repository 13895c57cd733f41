"""What became of pushes whose process did not stay to hear it: it was killed, or its wait was over; and what failed
that nobody waited for.

The next push or command of the same agent in the same worktree says so, once, and settles the branch, as the push
itself would have done. Of what failed the next commit says it, if it comes first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.colours import Colours
from uam_hooks.hot.core.errors import GitFailed, StoreError, UamError
from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.identity import agent_name, identity_of
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NoReturn
from uam_hooks.hot.core.words import each_once, pass_on, say
from uam_hooks.hot.push import messages
from uam_hooks.hot.push.own_branch import OwnBranches
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue import again, hints
from uam_hooks.hot.queue.again import Untold
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Source, SourceStatus
from uam_hooks.hot.worktree.landed import Landed


class News:
    """What has ended of this agent that it has not heard of. No push fails because they cannot be read.

    `quiet`: only of those that did not land; the others remain for the next push or command.
    """

    def __init__(self, session: PushSession, quiet: bool = False) -> None:
        self.session = session
        self.found: list[Untold] = []
        with suppress(UamError):
            agent = agent_name(session.settings, os.environ, session.paths.worktree.name)
            found = again.untold(session.store, str(session.paths.git_dir), agent)
            self.found = [one for one in found if not (quiet and one.source.status == SourceStatus.LANDED)]

    def tell(self, reported: Collection[str] = ()) -> None:
        """Say what became of each, but for what failed in the batches `reported`: that is told already."""
        said = each_once(one.source.outcome.said for one in self.found)
        pass_on(said, Colours(self.session.git, self.session.settings).coloured)
        for one in (one for one in self.found if not one.batch or one.batch not in reported):
            say_ended(one.remote, one.source, earlier=True, mine=True, called=one.called)

    def settle(self, branches: OwnBranches) -> None:
        """Settle the branches of those that landed, except those that `branches` has settled already."""
        for one in self.found:
            settle_ended(self.session, one.remote, one.source, branches)

    def done(self) -> None:
        """Remember that all of this was said."""
        with suppress(StoreError):  # then it is said once more
            again.told(self.session.store, [one.source.id for one in self.found])
            leave_hint(self.session.store, self.session.paths)


def leave_hint(store: Store, paths: RepoPaths) -> None:
    """Let the hint of this worktree, if it has one, be about those that have not heard yet."""
    here = str(paths.git_dir)
    if hints.drop(paths.uam, here):
        hints.leave(paths.uam, [(here, agent) for agent in again.unheard(store, here)])


def after_commit() -> NoReturn:
    """The post-commit hook of a worktree with a hint: `python ... <git directory>`. Says what has failed of this agent.

    Whatever goes wrong here is left to the next push.
    """
    with suppress(UamError, OSError):
        paths = RepoPaths.of(Path(sys.argv[1]))
        git = HotGit(paths.git_dir, paths.worktree)
        settings = Settings.read(git)
        with Store(paths.database, make=False) as store:
            session = PushSession(paths, git, settings, store, identity_of(paths, settings, os.environ))
            news = News(session, quiet=True)
            # first, so that what fails meanwhile leaves another one
            leave_hint(store, paths)
            news.tell()
            news.done()
    sys.exit(0)


def say_ended(remote: str, source: Source, *, earlier: bool, mine: bool, called: str = "") -> None:
    """The lines that tell what became of a source (see messages.ended), and what to do where it failed."""
    say(messages.ended(source, remote, earlier=earlier, mine=mine, called=called))
    gathered = messages.gathered(source, remote) if source.status == SourceStatus.LANDED else None
    advice = source.outcome.advice
    if source.status == SourceStatus.FAILED and not advice:
        advice = (messages.tried_again(source),)
    for line in (gathered, *advice, source.outcome.note) if mine else ():
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
