"""Trees and commits made by hand: what no worktree can hold, and what git itself would refuse to make."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from tests.support.scenes import Worktree

FILE, DIRECTORY, GITLINK = "100644", "40000", "160000"


class Entry(NamedTuple):
    """A tree's entry: its mode as git writes it, and its object."""

    mode: str
    oid: str


Entries = Mapping[bytes, Entry]


def _stored(place: Worktree, kind: str, data: bytes) -> str:
    command = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    done = subprocess.run(command, cwd=place.top, env=place.env, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def blob(place: Worktree, text: bytes) -> Entry:
    """A file with this content."""
    return Entry(FILE, _stored(place, "blob", text))


def tree(place: Worktree, entries: Entries) -> Entry:
    """A directory with these entries, whatever their names are."""
    in_order = sorted(entries.items(), key=lambda e: e[0] + b"/" * (e[1].mode == DIRECTORY))
    data = b"".join(b"%s %s\0%s" % (e.mode.encode(), name, bytes.fromhex(e.oid)) for name, e in in_order)
    return Entry(DIRECTORY, _stored(place, "tree", data))


def entries(place: Worktree, revision: str) -> dict[bytes, Entry]:
    """The entries at the top of a commit."""
    found = {}
    for line in place.git("ls-tree", "-z", revision).split("\0")[:-1]:
        facts, _, name = line.partition("\t")
        mode, _, oid = facts.split(" ")
        found[os.fsencode(name)] = Entry(mode.lstrip("0"), oid)
    return found


def commit(place: Worktree, parent: str, changes: Entries, message: str = "by hand") -> str:
    """A commit on `parent` that sets these entries at the top; it is on no branch."""
    whole = tree(place, {**entries(place, parent), **changes})
    return place.git("commit-tree", "-p", parent, "-m", message, whole.oid)


def nested(place: Worktree, names: list[bytes], inside: Entries) -> Entries:
    """These directories in each other, the last one with the entries `inside`."""
    for name in reversed(names):
        inside = {name: tree(place, inside)}
    return inside
