"""The process that runs uam.notify.command: once for each failure, one after the other, each of them once."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from uam_hooks.command.process import Command, Ended, Running
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import NotInstalled, UamError
from uam_hooks.hot.core.identity import key_of, reduced
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue import events
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso
from uam_hooks.session import Session, background
from uam_hooks.store import notices

# A command that takes longer is ended, with all that it started.
TIME_LIMIT_SECONDS = 60.0


def main(common_dir: str, identity: str) -> None:
    """Entry of the process that tells: all that there is, of one identity."""
    paths = RepoPaths.of(Path(common_dir))
    try:
        with Repository(paths.common_dir, brief=True) as repo, Store(paths.database, make=False) as store:
            session = background(repo, store, key_of(paths, make=False), identity)
            words: list[str] = session.settings["uam.notify.command"]
            while words and (event := notices.take(store, identity)) is not None:
                _run(session, words, events.line(event))
    except NotInstalled:
        return
    except UamError as error:
        say(f"{iso(time.time())} uam.notify.command: {error.what}")


def _run(session: Session, words: list[str], line: bytes) -> None:
    paths = session.repo.paths
    env = reduced(os.environ, session.settings)
    command = Command(words, env, line, paths.worktree, TIME_LIMIT_SECONDS, paths.logs / "notify.log")
    ended = Running().run(command)
    _keep(paths, ended)
    if ended.error:
        number = json.loads(line)["action"]
        say(f"{iso(time.time())} uam.notify.command was told of #{number} and failed: {ended.error}")


def _keep(paths: RepoPaths, ended: Ended) -> None:
    """Let the doctor see whether the last run has failed."""
    with suppress(OSError, UamError):
        if not ended.error:
            paths.notify_failed.unlink(missing_ok=True)
            return
        fd = files.anew(paths.notify_failed)
        try:
            os.write(fd, f"{ended.error}\n".encode("utf-8", "replace"))
        finally:
            os.close(fd)
