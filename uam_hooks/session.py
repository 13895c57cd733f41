"""The queue of one repository, opened: what everything off the hot path works with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import NotInstalled
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.spool import take_in


class Session(NamedTuple):
    """A repository, its queue and its settings."""

    repo: Repository
    store: Store
    settings: Settings


@contextmanager
def open_session(
    repo: Repository, own: Mapping[str, str] | None = None, database: Path | None = None
) -> Iterator[Session]:
    """The queue of `repo`, with the spool taken in; NotInstalled where there is none.

    `own` are settings that go before git config. The spool goes to the repository's own queue, never to another
    `database`.
    """
    if not repo.paths.env_file.exists():
        raise NotInstalled("git uam is not enabled in this repository.", "Run `git uam install` here.")
    settings = Settings.read(repo).with_own(own or {})
    with Store(database or repo.paths.database) as store:
        if database is None:
            take_in(store, repo.paths, settings["uam.window.commit"])
        yield Session(repo, store, settings)


def agent_here(session: Session) -> str:
    """Who acts, where nobody said."""
    paths = RepoPaths.of(session.repo.git_dir)
    return session.settings.agent(os.environ.get("UAM_AGENT_ID", ""), paths.worktree.name)
