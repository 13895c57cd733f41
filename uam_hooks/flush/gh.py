"""GitHub's command line: the `gh` command for an action, and the meaning of its failure."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from uam_hooks.flush.process import Command, Ended
from uam_hooks.git.verdict import is_transient
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Failure, UsageError
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.core.urls import push_urls
from uam_hooks.hot.queue.model import Action
from uam_hooks.session import Session

# gh itself waits for a server indefinitely.
TIMEOUT_SECONDS = 120.0
NOT_LOGGED_IN = 4

_REPO = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.:-]*/)?[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_URL = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/]*@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+)?/|(?:[^@/:]+@)?(?P<scp>[A-Za-z0-9.-]+):)"
    r"(?P<path>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+?)(?:\.git)?/?"
)


def repository(session: Session, remote: str) -> str:
    """HOST/OWNER/REPO for gh, from uam.gh.repo, else from the URL of the remote.

    Raises UsageError when neither has it: by default gh would choose a remote by itself.
    """
    named: str = session.settings["uam.gh.repo"]
    if named:
        if not _REPO.fullmatch(named):
            raise UsageError(f"The setting uam.gh.repo is '{named}'.", "It must be OWNER/REPO or HOST/OWNER/REPO.")
        return named
    for url in push_urls(session.settings, remote)[:1]:
        if found := _URL.fullmatch(url):
            host = found["host"] or found["scp"]
            return f"{'github.com' if host == 'ssh.github.com' else host}/{found['path']}"
    raise UsageError(
        f"The URL of {remote or 'the remote'} does not name a GitHub repository.", "Set uam.gh.repo to OWNER/REPO."
    )


def workflow(session: Session, action: Action, log: Path) -> Command:
    """Dispatch a workflow: `gh workflow run`."""
    words = ["gh", "workflow", "run", "--ref", str(action.payload["ref"])]
    for name, value in action.payload.get("inputs", {}).items():
        words += ["--raw-field", f"{name}={value}"]
    return _command(session, [*words, *_at(session, action), "--", action.target], log)


def merge(session: Session, action: Action, log: Path) -> Command:
    """Merge a pull request: `gh pr merge`."""
    words = ["gh", "pr", "merge", f"--{action.payload['method']}"]
    if action.payload.get("message"):
        subject, _, body = str(action.payload["message"]).partition("\n")
        words += ["--subject", subject, "--body", body.strip()]
    return _command(session, [*words, *_at(session, action), "--", str(action.payload["pr"])], log)


def _at(session: Session, action: Action) -> list[str]:
    return ["--repo", repository(session, action.remote)]


def _command(session: Session, words: list[str], log: Path) -> Command:
    env = reduced(os.environ, session.settings)
    # gh 2.23 caches an answer like "401" in $TMPDIR/gh-cli-cache for a day and uses it for every later call
    cache = log.with_suffix(".gh")
    forget(log)
    files.make_directory(cache)
    env |= {"GH_PROMPT_DISABLED": "1", "NO_COLOR": "1", "GH_NO_UPDATE_NOTIFIER": "1", "TMPDIR": str(cache)}
    return Command(words, env, b"", session.repo.paths.worktree, TIMEOUT_SECONDS, log)


def forget(log: Path) -> None:
    """Delete the cache of gh for the action with this log."""
    shutil.rmtree(log.with_suffix(".gh"), ignore_errors=True)


def failure(ended: Ended) -> Failure | None:
    """Why gh failed; None when it did not."""
    if ended.code == 0 or not ended.error:
        return Failure(ended.error) if ended.error else None
    if ended.code == 127:
        return Failure("gh is not installed: install it, or take the action out of the queue")
    if ended.code == NOT_LOGGED_IN:
        return Failure("gh is not logged in: run `gh auth login`, or set GH_TOKEN")
    lines = [line.strip() for line in ended.tail.splitlines() if line.strip()]
    what = f"gh: {lines[0]}" if lines and not ended.by_us else ended.error
    return Failure(what, is_transient(what))
