"""A repository, its queue and its settings, opened together: what everything off the hot path works with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import NotInstalled
from uam_hooks.hot.core.identity import Identity, agent_name, carried, identity_of
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.spool import take_in
from uam_hooks.hot.worktree.repair import repair


class Session(NamedTuple):
    """A repository, its queue and its settings, and who acts in it."""

    repo: Repository
    store: Store
    settings: Settings
    identity: Identity

    @property
    def lane(self) -> Lane:
        """All that this process may do."""
        return Lane(self.identity.id, None)


@contextmanager
def open_session(at: Path, own: Mapping[str, str] | None = None, database: Path | None = None) -> Iterator[Session]:
    """Find the repository around the directory `at` and open its queue; see `open_queue`.

    Raises UsageError where there is no repository. A command calls this once, usually by `open_recovered`.
    """
    with Repository.at(at) as repo, open_queue(repo, own, database) as session:
        yield session


@contextmanager
def open_queue(
    repo: Repository, own: Mapping[str, str] | None = None, database: Path | None = None
) -> Iterator[Session]:
    """Open the queue of `repo` and import the spool into it. What is missing in .git/uam is made.

    `own` holds settings that override git config. The spool is imported into the repository's own queue, never into
    another `database`. Raises NotInstalled where git uam is not enabled.
    """
    settings = _prepared(repo).with_own(own or {})
    files.remember_worktree(repo.paths, Path.cwd())
    if repo.git_dir != repo.paths.common_dir:  # a worktree may have a key of its own (git config --worktree)
        settings = settings.signing_as(Settings.read(repo, repo.git_dir))
        repo.configure(carried(settings))
    files.furnish(repo.paths)
    repair(repo, repo.paths)
    with Store(database or repo.paths.database) as store:
        if database is None:
            take_in(store, repo.paths, settings["uam.window.commit"])
        yield Session(repo, store, settings, identity_of(repo.paths, settings, os.environ))


def background(repo: Repository, store: Store, key: bytes, acting_as: str = "") -> Session:
    """The session of a process that nobody waits for, as things are now, with the spool imported into `store`.

    `store` is open as long as that process lives, and `key` is the secret of identities: nothing is made in .git/uam,
    because whoever has an answer may remove the repository. `acting_as` is the identity that the process was started
    for, whose settings it may see otherwise than a linked worktree does; by default its environment decides. Raises
    NotInstalled where git uam is not enabled.
    """
    settings = _prepared(repo)
    repair(repo, repo.paths)
    take_in(store, repo.paths, settings["uam.window.commit"])
    identity = identity_of(repo.paths, settings, os.environ, key)
    return Session(repo, store, settings, identity._replace(id=acting_as or identity.id))


def _prepared(repo: Repository) -> Settings:
    """The settings of a repository in which git uam is enabled, with the modes in .git/uam that they ask for."""
    if not repo.paths.env_file.exists():
        raise NotInstalled("git uam is not enabled in this repository.", "Run `git uam install` here.")
    settings = Settings.read(repo)
    files.secure(repo.paths.uam, (settings.all("core.sharedrepository") or [""])[-1])
    return settings


def agent_here(session: Session) -> str:
    """The name of the agent that runs this process: UAM_AGENT_ID, uam.agent, or an address and the worktree."""
    paths = RepoPaths.of(session.repo.git_dir)
    return agent_name(session.settings, os.environ, paths.worktree.name)
