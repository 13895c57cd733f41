"""A commit of named files as they are now, without touching the index, the worktree or the branch."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO, fed
from uam_hooks.hot.core.refs import short_target
from uam_hooks.session import Session

FILE, EXECUTABLE, LINK, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o160000


def names(top: Path, at: Path, files: Iterable[str]) -> tuple[str, ...]:
    """The files as paths relative to the top of the worktree; raises UsageError for one that is not in it.

    Relative names count from `at`. Each file is checked on its own, so that one bad name does not affect other commits.
    """
    found = []
    for name in files:
        gate.path(name)
        # the last component may be a symbolic link, which is committed as one; a parent directory may not
        full = Path(os.path.normpath(at / name))
        if not full.is_relative_to(top):  # another path to the same worktree
            full = next((top / full.relative_to(up) for up in full.parents if up.resolve() == top), full)
        try:
            path = full.relative_to(top)
        except ValueError:
            raise UsageError(f"{name} is not in this worktree.", f"Name files below {top}.") from None
        if not path.parts or ".git" in (part.lower() for part in path.parts):
            raise UsageError(f"{name} cannot be committed.", "Name the files themselves.")
        for above in list(path.parents)[:-1]:
            if (top / above).is_symlink():
                raise UsageError(f"{name} is beyond the symbolic link {above}.", "Name the file itself.")
        found.append(str(path))
    return tuple(dict.fromkeys(found))


def contents(repo: Repository, top: Path, paths: Sequence[str], file_mode: bool) -> dict[str, tuple[int, str] | None]:
    """What git would store for these files as they are now: mode and object id; None for a missing file."""
    found: dict[str, tuple[int, str] | None] = {}
    plain: list[str] = []
    for path in paths:
        try:
            what = (top / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            found[path] = None
            continue
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
        if stat.S_ISLNK(what.st_mode):
            found[path] = LINK, repo.write("blob", os.fsencode((top / path).readlink()))
        elif stat.S_ISREG(what.st_mode):
            plain.append(path)
            found[path] = EXECUTABLE if file_mode and what.st_mode & 0o100 else FILE, ""
        else:
            raise UsageError(f"{path} is not a file.", "Name the files themselves, not a directory.")
    if plain:
        # with the paths, so that filters and line endings are applied as by `git add`
        oids = repo.run("hash-object", "-w", "--stdin-paths", feed=fed(plain), at=top).lines
        found.update({path: ((found[path] or (FILE, ""))[0], oid) for path, oid in zip(plain, oids, strict=True)})
    return found


def make(
    session: Session, top: Path, target: str, parent: str, changes: dict[str, tuple[int, str] | None], message: str,
    file_mode: bool,
) -> str:  # fmt: skip
    """Store a commit on `parent` (ZERO: none) that changes only these files; returns its id.

    Raises UsageError for a file that is neither in the worktree nor in the branch, and when nothing changes.
    """
    repo = session.repo
    tree = repo.empty_tree if parent == ZERO else repo.commit(parent).tree
    before = {path: trees.entry(repo, tree, path) for path in changes}
    for path, what in changes.items():
        old = before[path]
        if what is None and old is None:
            raise UsageError(f"There is no file {path} here or in {short_target(target)}.")
        if old is not None and old[0] == SUBMODULE:
            raise UsageError(f"{path} is a submodule.", "Commit it with `git commit`.")
        for above in list(Path(path).parents)[:-1]:
            if (entry := trees.entry(repo, tree, str(above))) is not None and entry[0] == SUBMODULE:
                raise UsageError(f"{path} is in the submodule {above}.", "Commit it there.")
    _refuse_ignored(repo, top, [p for p, what in changes.items() if what is not None and before[p] is None])
    if not file_mode:  # the worktree has no executable bit, so the old mode is kept
        kept = {path for path, old in before.items() if old is not None and old[0] == EXECUTABLE}
        changes = {p: (EXECUTABLE, what[1]) if p in kept and what is not None else what for p, what in changes.items()}
    made = trees.edit(repo, tree, changes)
    if changes and made == tree:
        raise UsageError(f"Nothing to commit; unchanged from {short_target(target)}: {', '.join(changes)}.")
    author, committer = _idents(repo, top)
    text = message.strip("\n") + "\n"
    parents = () if parent == ZERO else (parent,)
    return repo.store_commit(Commit("", made, parents, author, committer, text.encode("utf-8", "surrogateescape")))


def _refuse_ignored(repo: Repository, top: Path, paths: list[str]) -> None:
    """Raise UsageError for an ignored file: it may hold secrets."""
    if paths:
        feed = "".join(f"./{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        ignored = repo.run("check-ignore", "-z", "--stdin", feed=feed, ok=(0, 1), at=top).out
        if ignored:
            name = ignored.split(b"\0")[0].removeprefix(b"./").decode("utf-8", "replace")
            raise UsageError(f"{name} is ignored by git.", "Add it with `git add --force` and `git commit`.")


_known: dict[tuple[str, ...], tuple[bytes, bytes]] = {}
_NAMED = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL")


def _idents(repo: Repository, top: Path) -> tuple[bytes, bytes]:
    """Author and committer, asked of git once for each worktree and identity; the time is now unless it is set."""
    key = str(top), *(os.environ.get(name, "") for name in _NAMED)
    dated = "GIT_AUTHOR_DATE" in os.environ or "GIT_COMMITTER_DATE" in os.environ
    if dated or key not in _known:
        asked = [repo.run("var", f"GIT_{who}_IDENT", at=top).out.strip() for who in ("AUTHOR", "COMMITTER")]
        if dated:
            return asked[0], asked[1]
        _known[key] = asked[0], asked[1]
    now = str(int(time.time())).encode()
    author, committer = (b" ".join((*i.rsplit(b" ", 2)[:1], now, i.rsplit(b" ", 1)[1])) for i in _known[key])
    return author, committer
