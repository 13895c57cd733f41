"""The session of a command. What it needs only where something has happened is loaded then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.identity import agent_name
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.urls import unwired
from uam_hooks.hot.queue import again
from uam_hooks.hot.queue.lane import unsettled
from uam_hooks.session import Session, open_session


def only_looks() -> bool:
    """Whether commands that show something are to do nothing else: UAM_LOOK=1, as for git GIT_OPTIONAL_LOCKS=0."""
    return os.environ.get("UAM_LOOK") == "1"


@contextmanager
def opened(news: bool = True, shows: bool = False) -> Iterator[Session]:
    """The session of the repository around the current directory, with what a crashed flush left behind decided first.

    Remotes that came after the install are wired. With `news`, the agent of this worktree hears first what became of
    its pushes that were killed. A command that only `shows` something does none of this where `only_looks`.
    """
    looks = shows and only_looks()
    with open_session(Path.cwd(), brief=True, mends=not looks) as session:
        if looks:
            yield session
            return
        if unsettled(session.store):
            from uam_hooks.flush.flush import recover_here

            recover_here(session)
        if unwired(session.settings):
            from uam_hooks.install.later import wire

            with suppress(UamError):  # the next command tries again, and pushes are queued by the hook door
                wire(session.repo)
        if news and _has_news(session):
            from uam_hooks.report.waited import hear_news

            hear_news(session)
        yield session


def _has_news(session: Session) -> bool:
    """Whether a push of this agent has ended that it has not heard of; not where that cannot be told."""
    paths = RepoPaths.of(session.repo.git_dir)
    with suppress(UamError):
        agent = agent_name(session.settings, os.environ, paths.worktree.name)
        return bool(again.untold(session.store, str(paths.git_dir), agent))
    return False
