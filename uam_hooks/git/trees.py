"""Trees as git stores them: read entry by entry, and edited without an index. A name that is no UTF-8 is escaped as
Python does it.
"""

from __future__ import annotations

from collections.abc import Mapping

from uam_hooks.git.repo import Repository

TREE = 0o040000


def entry(repo: Repository, tree: str, path: str) -> tuple[int, str] | None:
    """Mode and object of a path in a tree; None where it has none."""
    name, slash, rest = path.partition("/")
    for oid, mode, found in _entries(repo, tree):
        if found == name:
            if not slash:
                return mode, oid.hex()
            return entry(repo, oid.hex(), rest) if mode == TREE else None
    return None


def names_in(repo: Repository, tree: str) -> list[str]:
    """The names at the top of a tree or a commit."""
    if repo.is_commit(tree):
        tree = repo.commit(tree).tree
    return [name for _, _, name in _entries(repo, tree)]


def edit(repo: Repository, tree: str, changes: Mapping[str, tuple[int, str] | None]) -> str:
    """The tree `tree` with these paths set to (mode, object) or removed; stores what is new, returns its name."""
    entries = {name: (oid, mode) for oid, mode, name in _entries(repo, tree)}
    below: dict[str, dict[str, tuple[int, str] | None]] = {}
    for path, what in changes.items():
        name, slash, rest = path.partition("/")
        if slash:
            below.setdefault(name, {})[rest] = what
        elif what is None:
            entries.pop(name, None)
        else:
            entries[name] = (bytes.fromhex(what[1]), what[0])
    for name, inner in below.items():
        oid, mode = entries.get(name, (b"", 0))
        edited = edit(repo, oid.hex() if mode == TREE else repo.empty_tree, inner)
        if edited != repo.empty_tree:
            entries[name] = (bytes.fromhex(edited), TREE)
        elif mode == TREE:
            del entries[name]
    # git sorts a directory as if its name ended in a slash
    in_order = sorted(entries.items(), key=lambda e: _bytes(e[0]) + b"/" * (e[1][1] == TREE))
    data = b"".join(b"%o %s\0%s" % (mode, _bytes(name), oid) for name, (oid, mode) in in_order)
    return repo.write("tree", data)


def _entries(repo: Repository, tree: str) -> list[tuple[bytes, int, str]]:
    data, size = repo.tree(tree), repo.object_format.size
    found, at = [], 0
    # not GitPython's own reader: what that checks of each name costs more than all else that is done with a tree
    while at < len(data):
        space = data.index(b" ", at)
        end = data.index(b"\0", space)
        name = data[space + 1 : end].decode("utf-8", "surrogateescape")
        at_next = end + 1 + size
        found.append((data[end + 1 : at_next], int(data[at:space], 8), name))
        at = at_next
    return found


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
