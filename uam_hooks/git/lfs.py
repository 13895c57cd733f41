"""Objects of git-lfs: they go to their server before the landing that names them, whichever way the push has taken.

git-lfs itself does it from a pre-push hook, which no commit or push by name comes through, and no landing.
"""

from __future__ import annotations

from collections.abc import Iterable

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed, reason
from uam_hooks.hot.core.plumbing import ZERO


def is_used(repo: Repository) -> bool:
    """Whether this repository has objects of git-lfs, and git-lfs is there to send them. Starts no process."""
    if not (repo.paths.common_dir / "lfs" / "objects").is_dir():
        return False
    from shutil import which  # it loads all that unpacks archives

    return which("git-lfs") is not None


def upload(repo: Repository, remote: str, url: str, tips: Iterable[str], silence: float) -> str:
    """Send what these commits need to the server of `remote` at `url`; returns why that failed, "" when it did not.

    git-lfs finds its server by the remote's push URL, which is the door's in a repository that we are installed in:
    for this command it is `url`. `silence` is in seconds, as for every talk with a remote.
    """
    wanted = [tip for tip in tips if tip != ZERO]
    if not wanted:
        return ""
    try:
        repo.talk("-c", f"remote.{remote}.pushurl={url}", "lfs", "push", remote, *wanted, silence=silence)
    except GitFailed as error:
        return f"git lfs: {reason(error.stderr)}"
    return ""
