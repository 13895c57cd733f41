"""The session of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uam_hooks.flush.flush import open_recovered
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.urls import unwired
from uam_hooks.install.later import wire
from uam_hooks.report.waited import hear_news
from uam_hooks.session import Session


@contextmanager
def opened(news: bool = True) -> Iterator[Session]:
    """The session of the repository around the current directory, with what a crashed flush left behind decided first.

    Remotes that came after the install are wired. With `news`, the agent of this worktree hears first what became of
    its pushes that were killed.
    """
    with open_recovered(Path.cwd()) as session:
        if unwired(session.settings):
            with suppress(UamError):  # the next command tries again, and pushes are queued by the hook door
                wire(session.repo)
        if news:
            hear_news(session)
        yield session
