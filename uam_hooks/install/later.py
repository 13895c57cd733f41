"""Remotes that were added, renamed or given other URLs after the install: their pushes go through git uam, too."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError
from uam_hooks.install.hookdir import exclusive
from uam_hooks.install.install import in_words, replace_config
from uam_hooks.install.wiring import config_file, wired


def wire(repo: Repository) -> tuple[str, ...]:
    """Wire what `urls.unwired` has found; returns the remotes whose pushes go through git uam from now on.

    Nothing happens where git uam was taken out meanwhile. UamError when the config file cannot be changed.
    """
    with in_words(), exclusive(repo.paths.common_dir):
        if not repo.paths.env_file.exists():
            return ()
        with config_file(repo) as config, ExitStack() as undo:
            result = wired(repo, config.text, later=True)
            replace_config(repo, config, result.text, undo)
            undo.pop_all()
    return result.remotes


def main(common_dir: str, remote: str) -> None:
    """The process that a pre-push hook starts; its exit status is 0 when `remote` is wired by it."""
    try:
        with Repository(Path(common_dir)) as repo:
            sys.exit(0 if remote in wire(repo) else 1)
    except UamError:
        sys.exit(1)
