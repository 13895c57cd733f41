"""A branch whose worktree has the files of its landing already: the index is updated, no file changes.

That is how a commit by name ends, because its files are still in the worktree that they were read from: git alone would
refuse to overwrite them with the same content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from uam_hooks.hot.core.plumbing import ZERO, Git, fed, oid_of
from uam_hooks.hot.core.typed import NamedTuple

LINK, SUBMODULE, ABSENT = "120000", "160000", "000000"


class Entry(NamedTuple):
    """A path that differs between two trees, with its mode and object in each."""

    path: str
    old_mode: str
    old: str
    new_mode: str
    new: str

    @property
    def reverse(self) -> Entry:
        """The same difference, seen from the other tree."""
        return Entry(self.path, self.new_mode, self.new, self.old_mode, self.old)


def changed(git: Git, at: Path, old: str, new: str) -> list[Entry]:
    """The paths that differ between two trees."""
    out = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new, at=at).out
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    found = []
    for what, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, old_oid, new_oid, _ = what.lstrip(":").split(" ")
        found.append(Entry(path, old_mode, oid_of(old_oid), new_mode, oid_of(new_oid)))
    return found


def there_already(git: Git, at: Path, entries: list[Entry], mine: Mapping[str, tuple[str, str]]) -> list[Entry]:
    """Those of `entries` that the worktree `at` has already, or that were read from it.

    `mine` maps what was read to its mode and object. A later edit of such a file is an edit of what lands, unless
    others' work landed in the file as well: the edit would undo that. A path with other content in the index is left
    out: somebody staged it.
    """
    in_index = staged(git, at)
    found = []
    alike = objects(git, at, [entry for entry in entries if mine.get(entry.path) != _side(entry)])
    for entry in entries:
        before = (entry.old_mode, entry.old) if entry.old != ZERO else None
        if SUBMODULE in (entry.old_mode, entry.new_mode) or in_index.get(entry.path) not in (before, after(entry)):
            continue
        if mine.get(entry.path) == _side(entry) or alike.get(entry.path, ZERO) == entry.new:
            found.append(entry)
    return found


def _side(entry: Entry) -> tuple[str, str]:
    return entry.new_mode, entry.new


def after(entry: Entry) -> tuple[str, str] | None:
    """What the index has for a path once it is at the new side of `entry`."""
    return None if entry.new == ZERO else (entry.new_mode, entry.new)


def feed(git: Git, wanted: Iterable[tuple[str, tuple[str, str] | None]]) -> bytes:
    """Input of `git update-index -z --index-info` that sets each path to a mode and object, or removes it."""
    lines = []
    for path, what in wanted:
        mode, oid = what or ("0", git.object_format.written(ZERO))
        lines.append(f"{mode} {oid}\t{path}\0")
    # a removal comes first: a file may become a directory
    return "".join(sorted(lines, key=lambda line: not line.startswith("0 "))).encode("utf-8", "surrogateescape")


def staged(git: Git, at: Path, file: Path | None = None) -> dict[str, tuple[str, str]]:
    """Mode and object of every path of the index, or of the index in `file`."""
    if file is not None and not file.stat().st_size:  # there was no index
        return {}
    env = {"GIT_INDEX_FILE": str(file)} if file is not None else {}
    found = {}
    for line in git.run("ls-files", "-s", "-z", at=at, env=env).out.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        what, _, path = line.partition("\t")
        mode, oid, level = what.split(" ")
        found[path] = (mode, oid) if level == "0" else ("unmerged", "")
    return found


def objects(git: Git, at: Path, entries: Sequence[Entry]) -> dict[str, str]:
    """The object ids that git would store for the files at these paths; ZERO where no file is.

    Where mode or type differ, a word that equals no id.
    """
    found, files = {}, []
    for entry in entries:
        path = at / entry.path
        if path.is_symlink():
            link = os.fsencode(path.readlink())
            is_link = entry.new_mode == LINK
            found[entry.path] = git.run("hash-object", "--stdin", feed=link, at=at).text if is_link else "link"
        elif path.is_file() and "\n" not in entry.path:
            executable = bool(path.stat().st_mode & 0o100)
            if entry.new_mode == LINK or executable != (entry.new_mode == "100755"):
                found[entry.path] = "mode"
            else:
                files.append(entry.path)
        else:
            found[entry.path] = ZERO if path.is_dir() or not path.exists() else "special"
    oids = git.run("hash-object", "--stdin-paths", feed=fed(files), at=at).lines if files else []
    return {**found, **dict(zip(files, oids, strict=True))}
