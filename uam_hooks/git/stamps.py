"""What an answer of git rests on: files, and whether they are as they were when it was asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git

Stamp = tuple[int, ...]


def stamp(path: str) -> Stamp:
    """What tells one state of a file from another; empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def which(path: str) -> Stamp:
    """What tells one file or directory from another, whatever is in it; empty where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mode


def settings_files(git: Git, paths: RepoPaths) -> list[str] | None:
    """The files that git reads settings from, also those that are not there; None where settings decide about that."""
    found = set(usual_files((paths.common_dir, paths.git_dir), os.environ))
    listed = git.run("config", "-z", "--list", "--show-origin", "--name-only", at=paths.git_dir).out
    fields = listed.decode("utf-8", "surrogateescape").split("\0")[:-1]
    for origin, key in zip(fields[::2], fields[1::2], strict=True):
        if key.startswith(("include.", "includeif.")):
            return None
        kind, _, name = origin.partition(":")
        if kind == "file":
            found.add(os.path.join(paths.git_dir, name))
    return sorted(found)


def usual_files(directories: Iterable[Path], environ: Mapping[str, str]) -> Iterator[str]:
    """The files that git would read settings from if they were there; `directories` are those of the repository."""
    yield from (f"{directory}/{name}" for directory in directories for name in ("config", "config.worktree"))
    yield environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig")
    if "GIT_CONFIG_GLOBAL" in environ:
        yield environ["GIT_CONFIG_GLOBAL"]
        return
    yield f"{_home(environ)}/.gitconfig"
    yield persons_file("config", environ)


def persons_file(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Where git looks for a person's own file of this name."""
    return f"{environ.get('XDG_CONFIG_HOME') or f'{_home(environ)}/.config'}/git/{name}"


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME", "")


def ways_to(paths: RepoPaths, at: Path) -> list[str]:
    """The paths that decide which repository a directory is in: each that git looks at on its way up."""
    found = []
    for directory in (at, *at.parents):
        here = f"{directory}/.git"
        found.append(here)
        if os.path.lexists(here):
            break
    return [*found, *map(str, paths)]
