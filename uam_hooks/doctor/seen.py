"""What the checks look at, and locks that they look at without taking them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fcntl import LOCK_NB, LOCK_SH, flock
from pathlib import Path
from typing import NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.identity import Identity
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import Settings
from uam_hooks.install.wiring import HELPER_ALIAS, has_wired
from uam_hooks.store.looked import Looked

# The directory that holds the package that looks.
SITE = Path(__file__).resolve().parents[2]


class Installed(NamedTuple):
    """What `env` names: interpreter and directory of the package; None where there is no such line."""

    python: Path | None
    site: Path | None

    @classmethod
    def read(cls, paths: RepoPaths) -> Installed | None:
        """None where the file is not there."""
        try:
            lines = paths.env_file.read_bytes().splitlines()
        except FileNotFoundError:
            return None
        found = [Path(os.fsdecode(line)) for line in lines[:2] if line]
        return cls(*found, *[None] * (2 - len(found)))

    @property
    def starts(self) -> bool:
        """Whether there is an interpreter to start."""
        return self.python is not None and self.python.is_file() and os.access(self.python, os.X_OK)

    @property
    def has_program(self) -> bool:
        """Whether the package is there, as the hooks look for it."""
        return self.site is not None and (self.site / "uam_hooks" / "hot" / "push" / "entry.py").is_file()


class Seen(NamedTuple):
    """A repository as it is looked at: `installed` is None where `env` is gone, `store` where no queue can be read,
    `identity` where its key is not there.
    """

    repo: Repository
    settings: Settings
    installed: Installed | None
    store: Looked | None
    identity: Identity | None
    environ: Mapping[str, str]
    now: float

    @property
    def paths(self) -> RepoPaths:
        return self.repo.paths

    @property
    def of_others(self) -> bool:
        """Whether the hooks start another program than the one that looks."""
        now = self.installed
        return now is not None and now.has_program and now.site is not None and now.site.resolve() != SITE

    @property
    def wired(self) -> bool:
        """Whether the install has wired remotes (it was none with --hooks-only), as far as that was written down."""
        found = has_wired(self.paths.uam)
        return bool(self.settings.all(HELPER_ALIAS[0])) if found is None else found


def held(path: Path) -> bool:
    """Whether a process holds the lock `path`. One that is not there is held by nobody, and is not made."""
    try:
        fd = files.opened(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        flock(fd, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
