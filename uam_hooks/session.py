"""A repository, its queue and its settings, opened together: what everything off the hot path works with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from uam_hooks.git.repo import Repository
from uam_hooks.git.stamps import Stamp, settings_files, stamp, ways_to, which
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import NotInstalled
from uam_hooks.hot.core.identity import Identity, agent_name, carried, identity_of
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.bell import FLUSHERS, WAITERS
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
def open_session(
    at: Path, own: Mapping[str, str] | None = None, database: Path | None = None, *, brief: bool = False,
    mends: bool = True,
) -> Iterator[Session]:  # fmt: skip
    """Find the repository around the directory `at` and open its queue; see `open_queue`, and Repository for `brief`.

    Raises UsageError where there is no repository. A command calls this once, usually by `open_recovered`.
    """
    with Repository.at(at, brief) as repo, open_queue(repo, own, database, mends) as session:
        yield session


@contextmanager
def open_queue(
    repo: Repository, own: Mapping[str, str] | None = None, database: Path | None = None, mends: bool = True
) -> Iterator[Session]:
    """Open the queue of `repo` and import the spool into it. What is missing in .git/uam is made, and with `mends` a
    branch that a dead process was moving is brought to where it belongs.

    `own` holds settings that override git config. The spool is imported into the repository's own queue, never into
    another `database`. Raises NotInstalled where git uam is not enabled.
    """
    settings = _prepared(repo).with_own(own or {})
    files.remember_worktree(repo.paths, Path.cwd())
    if repo.git_dir != repo.paths.common_dir:  # a worktree may have a key of its own (git config --worktree)
        settings = settings.signing_as(Settings.read(repo, repo.git_dir))
        repo.configure(carried(settings))
    files.furnish(repo.paths)
    if mends:
        repair(repo, repo.paths)
    with Store(database or repo.paths.database, rings=(FLUSHERS, WAITERS)) as store:
        if database is None:
            take_in(store, repo.paths, settings["uam.window.commit"])
        yield Session(repo, store, settings, identity_of(repo.paths, settings, os.environ))


class _Open(NamedTuple):
    """A session that is open, and what it rests on: process, environment, settings, and where things are."""

    session: Session
    pid: int
    environ: dict[str, str]
    files: Mapping[str, Stamp]
    places: Mapping[str, Stamp]

    def holds(self) -> bool:
        """Whether opening it again would give the same."""
        return (
            self.pid == os.getpid()
            and self.environ == dict(os.environ)
            and all(stamp(path) == was for path, was in self.files.items())
            and all(which(path) == was for path, was in self.places.items())
        )


class KeptSession:
    """A session that stays open from one call to the next, for one caller.

    A call looks whether anything has changed that the session rests on, and opens it anew then. `git` processes that
    answer questions stay as well, until `close`, or the end of this process.
    """

    def __init__(self, at: Path, own: Mapping[str, str], database: Path | None) -> None:
        self._at, self._own, self._database = at, own, database
        self._open: _Open | None = None
        self._stack = ExitStack()

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """The session of one call, with the spool imported; see `open_session`. It is not kept if the call fails."""
        try:
            if self._open is not None and self._open.holds():
                session = self._open.session
                repair(session.repo, session.repo.paths)
                if self._database is None:
                    take_in(session.store, session.repo.paths, session.settings["uam.window.commit"])
            else:
                self.close()
                session = self._opened()
            yield session
            session.repo.rest()
            if self._open is None:
                self.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close what is open. In a process that was forked, that is its parent's."""
        kept, self._open = self._open, None
        if kept is not None and kept.pid != os.getpid():
            _parents.append((self._stack, kept))
            self._stack = ExitStack()
        self._stack.close()

    def _opened(self) -> Session:
        repo = self._stack.enter_context(Repository.at(self._at))
        seen = RepoPaths.of(repo.git_dir)
        files = settings_files(repo, seen)
        # looked at before the settings are read: what changes in between is seen by the next call
        stamps = {path: stamp(path) for path in files or ()}
        session = self._stack.enter_context(open_queue(repo, self._own, self._database))
        if files is not None:
            key = str(repo.paths.identity_key)
            stamps[key] = stamp(key)
            places = [*ways_to(seen, self._at), str(repo.paths.env_file), str(session.store.database)]
            self._open = _Open(session, os.getpid(), dict(os.environ), stamps, {path: which(path) for path in places})
        return session


# What a process has of the one that it was forked from: neither to be used nor to be closed here.
_parents: list[object] = []


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
        raise NotInstalled("git uam is not enabled in this repository.")
    settings = Settings.read(repo)
    repo.syncs_objects = settings.syncs_objects
    files.secure(repo.paths.uam, (settings.all("core.sharedrepository") or [""])[-1])
    return settings


def agent_here(session: Session) -> str:
    """The name of the agent that runs this process: UAM_AGENT_ID, uam.agent, or an address and the worktree."""
    paths = RepoPaths.of(session.repo.git_dir)
    return agent_name(session.settings, os.environ, paths.worktree.name)
