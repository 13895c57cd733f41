"""Hints: a file in .git/uam for a worktree of which an agent has not heard that something of it failed.

post-commit looks whether its worktree has one, and starts an interpreter only then (see hot.push.news). What is to be
told stands in the queue: a hint that is missing is made up for by the next push, and one too many costs one look.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core import files
from uam_hooks.hot.core.words import visible

_MOST_BYTES = 4096


def place(uam: Path, worktree: str) -> Path:
    """The hint of a worktree, which is given by its git directory: `news` for the main one, else `news.<worktree>`."""
    return uam / "news" if Path(worktree) == uam.parent else uam / f"news.{Path(worktree).name}"


def leave(uam: Path, whose: Iterable[tuple[str, str]]) -> None:
    """Leave hints for these worktrees and agents, a line for each; what cannot be written is done without."""
    for worktree, agent in whose:
        with suppress(Exception):  # no room, or an entry that says nonsense: it is to end all the same
            fd = files.opened(place(uam, worktree), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                if os.fstat(fd).st_size < _MOST_BYTES:
                    os.write(fd, f"{visible(agent)}\n".encode("utf-8", "replace"))
            finally:
                os.close(fd)


def drop(uam: Path, worktree: str) -> bool:
    """Take the hint of a worktree away; returns whether there was one."""
    try:
        place(uam, worktree).unlink()
    except OSError:
        return False
    return True
