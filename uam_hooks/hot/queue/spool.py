"""From the notes of the commit hooks in .git/uam/spool to the queue.

A file is queued first and deleted second: after a kill in between, the next reader queues it again, which changes
nothing. A file that is not complete yet is left for the next reader.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import CommitNote

_OID = re.compile(r"[0-9a-f]{40}")
# A file that is incomplete after this many seconds was left by a process that died.
ABANDONED_AFTER = 3600.0


def take_in(store: Store, paths: RepoPaths, window: float) -> None:
    """Move the notes in the spool to the queue; `window` is how long a commit waits, in seconds."""
    files = _complete_files(paths.spool)
    if not files:
        return
    notes: list[CommitNote] = []
    rewritten: list[tuple[str, str]] = []
    for _, text in files:
        if text.startswith("commit\t"):
            notes += _note(text)
        else:
            rewritten += _pairs(text)
    enqueue.commits(store, notes, rewritten, window, time.time())
    for path, _ in files:
        with suppress(OSError):
            path.unlink()


def _complete_files(spool: Path) -> list[tuple[Path, str]]:
    """The spool's finished files, oldest first."""
    found = []
    try:
        entries = list(spool.iterdir())
    except OSError:
        return []
    for path in entries:
        with suppress(OSError):
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            written = path.stat().st_mtime_ns
            whole = text.endswith("\nend\n") if text.startswith("rewrite\n") else text.endswith("\n")
            if whole:
                found.append((written, path, text))
            elif time.time() - written / 1e9 > ABANDONED_AFTER:
                path.unlink()
    return [(path, text) for _, path, text in sorted(found, key=lambda entry: entry[0])]


def _note(text: str) -> list[CommitNote]:
    fields = text.rstrip("\n").split("\t", 4)
    if len(fields) != 5 or not _OID.fullmatch(fields[1]):
        return []
    _, oid, branch, agent, worktree = fields
    return [CommitNote(oid, branch, agent, worktree)]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = [line.split(" ")[:2] for line in text.splitlines()[1:-1]]
    return [(p[0], p[1]) for p in pairs if len(p) == 2 and all(_OID.fullmatch(oid) for oid in p)]
