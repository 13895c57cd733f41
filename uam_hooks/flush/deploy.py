"""Deploys: the command that git config names for a target, never one that came through the queue."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from uam_hooks.command.process import Command
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.core.quoting import word
from uam_hooks.hot.core.refs import full_target
from uam_hooks.hot.queue.model import Action, Batch
from uam_hooks.session import Session
from uam_hooks.store import views

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_target(name: str) -> str:
    """Return `name` if it is a valid name for a deploy; raises UsageError otherwise."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a valid deploy name.", "Use letters, digits, dots, dashes and underscores.")
    return name


def words_of(session: Session, target: str) -> list[str]:
    """The argument list that is configured for `target`; raises UsageError where there is none."""
    key = f"uam.deploy.{target}.command"
    if not session.settings.all(key):
        raise UsageError(f"There is no deploy '{target}' here.", f"Name its command: `git uam config {word(key)} ...`.")
    words: list[str] = session.settings[key]
    return words


def _timeout(session: Session, target: str) -> float:
    key = f"uam.deploy.{target}.timeout"
    return float(session.settings[key if session.settings.all(key) else "uam.deploy.timeout"])


def command(session: Session, batch: Batch, action: Action, log: Path) -> Command:
    """The command of a deploy: it runs in the main worktree and reads the payload on stdin."""
    words = words_of(session, action.target)
    branch = str(action.payload.get("ref", ""))
    facts = {
        "UAM_BATCH": batch.id,
        "UAM_ACTION": str(action.id),
        "UAM_TARGET": action.target,
        "UAM_REF": branch,
        "UAM_SHA": tip_of(session, batch, action.remote, branch),
    }
    feed = json.dumps(action.payload).encode()
    at = session.repo.paths.worktree
    return Command(
        words, {**reduced(os.environ, session.settings), **facts}, feed, at, _timeout(session, action.target), log
    )


def tip_of(session: Session, batch: Batch, remote: str, branch: str) -> str:
    """The tip of a branch: what this batch landed on it, else what the remote has, else the local one, else ""."""
    ref = full_target(branch)
    for landing in reversed(views.landings(session.store, batch.id)):
        if landing.ref == ref and landing.status == "landed" and landing.remote == remote:
            return str(landing.new)
    for name in (session.settings.tracking_ref(remote, ref) if remote else None, ref):
        if name and (found := session.repo.name_of(name))[0]:
            return found[0]
    return ""
