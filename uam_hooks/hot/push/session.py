"""What one push works with: the repository, its settings and its queue."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from uam_hooks.hot.core import files, urls
from uam_hooks.hot.core.errors import GitFailed, GitNotStarted, UamError, reason
from uam_hooks.hot.core.gate import fit
from uam_hooks.hot.core.identity import Identity, identity_of, reduced
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git, HotGit, listed_refs
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import redact
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.leader import ensure_flusher, prepare_flusher
from uam_hooks.hot.queue.spool import take_in
from uam_hooks.hot.worktree.journal import unfinished


class PushSession(NamedTuple):
    """A repository as seen from the worktree of a push, with its settings, its open queue, and who pushes."""

    paths: RepoPaths
    git: Git
    settings: Settings
    store: Store
    identity: Identity

    def lane(self, remote: str) -> Lane:
        """The lane of a push to `remote` by whoever pushes."""
        return Lane(self.identity.id, remote)

    def ensure_flusher(self, remote: str, start: bool = True) -> bool:
        """See leader.ensure_flusher: a flusher for pushes of whoever pushes to `remote`."""
        return ensure_flusher(self.paths, self.lane(remote), partial(reduced, os.environ, self.settings), start)

    def prepare_flusher(self, remote: str) -> None:
        """Let a flusher get ready while this process finds out what to queue, where one stays and pushes need one."""
        with suppress(UamError, OSError):  # whoever queues something hears of it
            if not self.settings["uam.flusher.linger"] or self.settings["uam.push.mode"] == "manual":
                return
            prepare_flusher(self.paths, self.lane(remote), partial(reduced, os.environ, self.settings))

    def ask_remote(self, remote: str, *patterns: str, silence: float | None = None) -> dict[str, str]:
        """The refs that the remote itself has now, by name; GitFailed when it does not answer.

        It may be silent for `silence` seconds, None for uam.remote.timeout.
        """
        url = urls.push_urls(self.settings, remote)[0]
        there = urls.at(self.settings, remote, url)
        few = patterns if fit(patterns) else ()  # those that do not: ask for all
        asked = (*there, "ls-remote", "--", urls.NAME, *few)
        silence = self.settings["uam.remote.timeout"] if silence is None else silence
        try:
            return listed_refs(self.git.talk(*asked, silence=silence))
        except GitFailed as error:
            if error.returncode > 0 and not isinstance(error, GitNotStarted) and (why := reason(error.stderr)):
                error.what = redact(f"{remote} did not answer: {why}.")  # as a landing says it
            raise


def open_session(git_dir: Path) -> PushSession | None:
    """The session of a push from the worktree of `git_dir`, with the spool taken in; None when uam.enabled is false.

    Raises UamError or OSError when the repository or its queue cannot be used.
    """
    paths = RepoPaths.of(git_dir)
    files.remember_worktree(paths, Path.cwd())
    git = HotGit(paths.git_dir, paths.worktree)
    settings = Settings.read(git)
    if not settings["uam.enabled"]:
        return None
    files.secure(paths.uam, (settings.all("core.sharedrepository") or [""])[-1])
    files.furnish(paths)
    identity = identity_of(paths, settings, os.environ)
    if unfinished(paths):
        from uam_hooks.hot.worktree.repair import repair  # nearly never: not among what every push loads

        repair(git, paths)
    store = Store(paths.database)
    take_in(store, paths, settings["uam.window.commit"])
    return PushSession(paths, git, settings, store, identity)
