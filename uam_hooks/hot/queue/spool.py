"""From the notes of the commit hooks in .git/uam/spool to the queue.

A file is queued first and deleted second: after a kill in between, the next reader queues it again, which changes
nothing. A file that is not complete yet is left for the next reader.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from uam_hooks.hot.core import gate
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue import noted
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.noted import CommitNote

# A file that is incomplete after this many seconds was left by a process that died.
ABANDONED_AFTER = 3600.0
# A rebase of a hundred thousand commits has less to say.
MOST_BYTES = 16 * 1024 * 1024


class _Note(NamedTuple):
    """One file of the spool that is complete."""

    written: int
    name: str
    text: str


def take_in(store: Store, paths: RepoPaths, window: float) -> None:
    """Move the notes in the spool to the queue; `window` is how long a commit waits, in seconds."""
    try:
        spool = os.open(paths.spool, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        say(f"{paths.spool} is no directory of ours ({error.strerror}); what commits noted there is not read.")
        return
    try:
        _take_in(store, spool, window)
    finally:
        os.close(spool)


def _take_in(store: Store, spool: int, window: float) -> None:
    files = _complete_files(spool)
    if not files:
        return
    notes: list[CommitNote] = []
    rewritten: list[tuple[str, str]] = []
    for file in files:
        if file.text.startswith("commit\t"):
            notes += _note(file.text)
        else:
            rewritten += _pairs(file.text)
    noted.commits(store, notes, rewritten, window, time.time())
    for file in files:
        with suppress(OSError):
            os.unlink(file.name, dir_fd=spool)


def _complete_files(spool: int) -> list[_Note]:
    """The finished files of the directory `spool`, oldest first. Anything but a plain file is left alone."""
    found = []
    for name in os.listdir(spool):
        with suppress(OSError):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=spool)
            with os.fdopen(fd, "rb") as file:
                what = os.fstat(fd)
                if not stat.S_ISREG(what.st_mode):
                    continue
                text = file.read(MOST_BYTES).decode("utf-8", "surrogateescape")
            whole = text.endswith("\nend\n") if text.startswith("rewrite\n") else text.endswith("\n")
            if whole:
                found.append(_Note(what.st_mtime_ns, name, text))
            elif time.time() - what.st_mtime > ABANDONED_AFTER:
                os.unlink(name, dir_fd=spool)
    return sorted(found)


def _note(text: str) -> list[CommitNote]:
    fields = text.rstrip("\n").split("\t", 4)
    if len(fields) != 5 or not gate.is_oid(fields[1]):
        return []
    _, oid, branch, agent, worktree = fields
    named = branch if gate.is_ref(branch) else ""
    told = "".join(c for c in agent if c.isprintable())
    return [CommitNote(oid, named, told if len(told) <= gate.NAME_BYTES else "", worktree)]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = [line.split(" ")[:2] for line in text.splitlines()[1:-1]]
    return [(p[0], p[1]) for p in pairs if len(p) == 2 and all(map(gate.is_oid, p))]
