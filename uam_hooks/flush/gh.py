"""GitHub's command line: the `gh` command for an action, and the meaning of its failure."""

from __future__ import annotations

from pathlib import Path

from uam_hooks.command.github import NOT_LOGGED_IN, environment, repository
from uam_hooks.command.process import Command, Ended
from uam_hooks.git.verdict import is_transient
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.queue.model import Action
from uam_hooks.session import Session

# gh itself waits for a server indefinitely.
TIMEOUT_SECONDS = 120.0


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
    env = environment(session, log)
    return Command(words, env, b"", session.repo.paths.worktree, TIMEOUT_SECONDS, log)


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
