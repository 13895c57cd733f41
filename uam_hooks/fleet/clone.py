"""What tells this clone from all others, and what it agrees about with those that may land its pushes."""

from __future__ import annotations

import os
import socket
from _blake2 import blake2b
from collections.abc import Mapping

from uam_hooks.gate.config import gates_of
from uam_hooks.hot.core import files
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import SIGNING, Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.whole import put
from uam_hooks.store.claim import random_uuid

# The settings that decide what a landing looks like. Who lands for others has the same.
_SHAPING = ("uam.squash", "uam.squash.branches", "uam.squash.subject", "uam.originals")


class Clone(NamedTuple):
    """A clone: its number, and a name for people."""

    id: str
    name: str


def clone_of(paths: RepoPaths) -> Clone:
    """This clone. A copy of the directory is another one: the number is that of the place, too."""
    path, place = paths.uam / "clone", str(paths.common_dir)
    name = f"{socket.gethostname()}:{_called(paths)}"
    try:
        fd = files.opened(path, os.O_RDONLY)
        try:
            number, _, where = os.read(fd, 8192).decode("utf-8", "surrogateescape").rstrip("\n").partition(" ")
        finally:
            os.close(fd)
        if where == place and len(number) == 36:
            return Clone(number, name)
    except FileNotFoundError:
        pass
    number = random_uuid()
    put(path, f"{number} {place}\n".encode("utf-8", "surrogateescape"), 0o600)
    return Clone(number, name)


def _called(paths: RepoPaths) -> str:
    home = paths.common_dir
    return (home.parent if home.name == ".git" else home).name


def terms_of(settings: Settings, environ: Mapping[str, str]) -> str:
    """A digest of what a landing has to pass, and of what it looks like: only who has the same lands for another."""
    facts: list[object] = [(key, settings.all(key)) for key in (*_SHAPING, *SIGNING)]
    facts += [(g.name, g.words, g.paths, g.branches, g.needs) for g in gates_of(settings, environ)]
    return blake2b(repr(facts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
