"""What GitHub's command line, gh, has to be told: which repository, and an environment in which it asks nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.urls import push_urls
from uam_hooks.session import Session

# The exit code of gh where it has no token.
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
    place = _place(session.settings, remote)
    if place is not None:
        host, path = place
        return f"{'github.com' if host == 'ssh.github.com' else host}/{path}"
    raise UsageError(
        f"The URL of {remote or 'the remote'} does not name a GitHub repository.", "Set uam.gh.repo to OWNER/REPO."
    )


def is_githubs(settings: Settings, remote: str) -> bool:
    """Whether the URL of the remote is one of GitHub, rather than of another forge or of a server of one's own."""
    host, _ = _place(settings, remote) or ("", "")
    return host in ("github.com", "ssh.github.com") or host.endswith(".ghe.com")


def _place(settings: Settings, remote: str) -> tuple[str, str] | None:
    """Host and OWNER/REPO in the URL of the remote; None where it has no such form."""
    found = _URL.fullmatch(push_urls(settings, remote)[0])
    return None if found is None else (str(found["host"] or found["scp"]), str(found["path"]))


def environment(session: Session, log: Path) -> dict[str, str]:
    """The environment for the call of gh that writes to `log`, with an empty cache of its own."""
    # gh 2.23 caches an answer like "401" in $TMPDIR/gh-cli-cache for a day and uses it for every later call
    cache = log.with_suffix(".gh")
    forget(log)
    files.make_directory(cache)
    return reduced(os.environ, session.settings) | {
        "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1", "GH_NO_UPDATE_NOTIFIER": "1", "TMPDIR": str(cache),
    }  # fmt: skip


def forget(log: Path) -> None:
    """Delete the cache of gh for the call with this log."""
    from shutil import rmtree  # it loads all that unpacks archives

    rmtree(log.with_suffix(".gh"), ignore_errors=True)
