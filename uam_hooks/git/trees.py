"""Trees as git stores them: read entry by entry, and edited without an index. A name that is no UTF-8 is escaped as
Python does it.
"""

from __future__ import annotations

from collections.abc import Mapping

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple

TREE = 0o040000
_TREE = b"40000 "


class Changed(NamedTuple):
    """An entry in which two trees differ: whether it is a directory, both objects (ZERO for none) and the path."""

    directory: bool
    before: str
    after: str
    path: str


class TooMany(Exception):
    """A process of git says it sooner, or better."""


def changed(repo: Repository, old: str, new: str, most: int) -> list[Changed]:
    """Where two trees differ, as `git diff-tree -r -t --no-renames` lists it. Starts no process.

    Raises TooMany where reading `most` pairs of trees is not enough to find out, or one is as git would not make it,
    and GitFailed where one cannot be read.
    """
    found: list[Changed] = []
    todo = [("", old, new)]
    while todo:
        most -= 1
        if most < 0:
            raise TooMany
        path, before, after = todo.pop()
        sides = [{} if oid == ZERO else _by_kind(repo, oid) for oid in (before, after)]
        for name, directory in sorted(sides[0].keys() | sides[1].keys()):
            was, now = (side.get((name, directory)) for side in sides)
            if was == now:
                continue
            one = Changed(directory, was[1] if was else ZERO, now[1] if now else ZERO, path + name)
            found.append(one)
            if directory:
                todo.append((f"{one.path}/", one.before, one.after))
    return found


def _by_kind(repo: Repository, tree: str) -> dict[tuple[str, bool], tuple[int, str]]:
    """Mode and object of each entry; to git a file and a directory of one name are two."""
    data, size = repo.tree(tree), repo.object_format.size
    found: dict[tuple[str, bool], tuple[int, str]] = {}
    at = 0
    while at < len(data):
        space, end = data.index(b" ", at), data.index(b"\0", at)
        mode = int(data[at:space], 8)
        one = data[space + 1 : end].decode("utf-8", "surrogateescape"), mode == TREE
        if one in found:  # a name that is there twice; git shows both
            raise TooMany
        at = end + 1 + size
        found[one] = mode, data[end + 1 : at].hex()
    return found


def entry(repo: Repository, tree: str, path: str) -> tuple[int, str] | None:
    """Mode and object of a path in a tree; None where it has none."""
    name, slash, rest = path.partition("/")
    raw = _entries(repo, tree).get(_bytes(name))
    if raw is None:
        return None
    mode, oid = int(raw[: raw.index(b" ")], 8), raw[-repo.object_format.size :].hex()
    if not slash:
        return mode, oid
    return entry(repo, oid, rest) if mode == TREE else None


def names_in(repo: Repository, tree: str) -> list[str]:
    """The names at the top of a tree or a commit."""
    if repo.is_commit(tree):
        tree = repo.commit(tree).tree
    return [name.decode("utf-8", "surrogateescape") for name in _entries(repo, tree)]


def edit(repo: Repository, tree: str, changes: Mapping[str, tuple[int, str] | None]) -> str:
    """The tree `tree` with these paths set to (mode, object) or removed; stores what is new, returns its name."""
    entries = dict(_entries(repo, tree))
    below: dict[str, dict[str, tuple[int, str] | None]] = {}
    moved = False
    for path, what in changes.items():
        name, slash, rest = path.partition("/")
        if slash:
            below.setdefault(name, {})[rest] = what
        else:
            moved |= _put(entries, _bytes(name), what)
    for directory, inner in below.items():
        name_of = _bytes(directory)
        raw = entries.get(name_of, b"")
        is_tree = raw.startswith(_TREE)
        edited = edit(repo, raw[-repo.object_format.size :].hex() if is_tree else repo.empty_tree, inner)
        if edited != repo.empty_tree:
            moved |= _put(entries, name_of, (TREE, edited))
        elif is_tree:
            del entries[name_of]
    if moved:
        # git sorts a directory as if its name ended in a slash
        entries = dict(sorted(entries.items(), key=lambda e: e[0] + b"/" if e[1].startswith(_TREE) else e[0]))
    made = repo.write("tree", b"".join(entries.values()))
    repo.entries[made] = entries
    return made


def _put(entries: dict[bytes, bytes], name: bytes, what: tuple[int, str] | None) -> bool:
    """Set an entry, or remove it; returns whether it may not be where git has it, as one that is new."""
    if what is None:
        entries.pop(name, None)
        return False
    raw = b"%o %s\0%s" % (what[0], name, bytes.fromhex(what[1]))
    moved = name not in entries or entries[name].startswith(_TREE) != raw.startswith(_TREE)
    entries[name] = raw
    return moved


def _entries(repo: Repository, tree: str) -> Mapping[bytes, bytes]:
    """The entries of a tree in git's order, by name, each as git stores it."""
    if tree in repo.entries:
        return repo.entries[tree]
    data, size = repo.tree(tree), repo.object_format.size
    found: dict[bytes, bytes] = {}
    at = 0
    # not GitPython's own reader: what that checks of each name costs more than all else that is done with a tree
    while at < len(data):
        end = data.index(b"\0", at)
        at_next = end + 1 + size
        found[data[data.index(b" ", at) + 1 : end]] = data[at:at_next]
        at = at_next
    repo.entries[tree] = found
    return found


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
