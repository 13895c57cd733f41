"""What a push is called that git was given an address for, and which of these pushes are none of ours."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.urls import own_helper, push_urls
from uam_hooks.hot.core.words import has_secret, redact


def called(settings: Settings, name: str, address: str) -> str:
    """What the queue calls the place of a push: the remote `name` where that is configured, else its URL.

    A local path is made absolute, because the landing is at work in another directory; one that git rewrites is none.
    """
    if name in settings.remotes():
        return name
    return _absolute(address) if push_urls(settings, address) == [address] else address


def stranger(settings: Settings, paths: RepoPaths, remote: str) -> str | None:
    """Why pushes to `remote`, a name or a URL, are not for the queue; None when they are.

    In words for the user, "" where there is nothing to say.
    """
    if own_helper(settings, remote):
        return ""
    if remote in settings.remotes():
        return None
    place = push_urls(settings, remote)[0]
    if has_secret(remote) or has_secret(place):
        return f"{redact(place)} contains a password, which the queue would have to store; this push goes straight."
    return "" if _leads_here(paths, place) else None


def _absolute(url: str) -> str:
    """A local path with one name, whatever directory it was named from; any other URL unchanged."""
    if "://" in url or (":" in url.partition("/")[0]):
        return url
    return str(Path(url).resolve())


def _leads_here(paths: RepoPaths, path: str) -> bool:
    """Whether `path` is this repository, or a worktree of it: such a push costs nobody anything."""
    for place in (Path(path), Path(path, ".git")):
        with suppress(OSError, ValueError):
            linked = place.is_file()  # of a worktree: "gitdir: <its git directory>"
            git_dir = place.parent / place.read_text("utf-8").removeprefix("gitdir:").strip() if linked else place
            if RepoPaths.of(git_dir).common_dir.samefile(paths.common_dir):
                return True
    return False
