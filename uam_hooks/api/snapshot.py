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
    links: dict[str, bool] = {}
    for name in files:
        gate.path(name)
        # the last component may be a symbolic link, which is committed as one; a parent directory may not
        path = _below(top, os.path.normpath(f"{at}/{name}" if not name.startswith("/") else name))
        if path is None:
            raise UsageError(f"{name} is not in this worktree.", f"Name files below {top}.")
        if not path or ".git" in path.lower().split("/"):
            raise UsageError(f"{name} cannot be committed.", "Name the files themselves.")
        above = path.rpartition("/")[0]
        while above and above not in links:
            links[above] = os.path.islink(f"{top}/{above}")
            if links[above]:
                raise UsageError(f"{name} is beyond the symbolic link {above}.", "Name the file itself.")
            above = above.rpartition("/")[0]
        found.append(path)
    return tuple(dict.fromkeys(found))


def _below(top: Path, full: str) -> str | None:
    """The path of `full` relative to `top`, "" for `top` itself; None where it is not below."""
    if full == str(top):
        return ""
    if full.startswith(f"{top}/"):
        return full[len(str(top)) + 1 :]
    up = next((up for up in Path(full).parents if up.resolve() == top), None)  # another path to the same worktree
    return None if up is None else str(Path(full).relative_to(up))


def contents(repo: Repository, top: Path, paths: Sequence[str], file_mode: bool) -> dict[str, tuple[int, str] | None]:
    """What git would store for these files as they are now: mode and object id; None for a missing file."""
    found: dict[str, tuple[int, str] | None] = {}
    converted: list[str] = []
    for path in paths:
        try:
            what = os.lstat(f"{top}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            found[path] = None
            continue
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
        if stat.S_ISLNK(what.st_mode):
            found[path] = LINK, repo.write("blob", os.fsencode((top / path).readlink()))
        elif stat.S_ISREG(what.st_mode):
            mode = EXECUTABLE if file_mode and what.st_mode & 0o100 else FILE
            try:
                data = repo.worktree.content(path)
            except OSError as error:
                raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
            found[path] = mode, "" if data is None else repo.write("blob", data)
            if data is None:
                converted.append(path)
        else:
            raise UsageError(f"{path} is not a file.", "Name the files themselves, not a directory.")
    if converted:
        # with the paths, so that filters and line endings are applied as by `git add`
        oids = repo.run("hash-object", "-w", "--stdin-paths", feed=fed(converted), at=top).lines
        found.update({path: ((found[path] or (FILE, ""))[0], oid) for path, oid in zip(converted, oids, strict=True)})
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
        above = path
        while above := above.rpartition("/")[0]:
            if (entry := trees.entry(repo, tree, above)) is not None and entry[0] == SUBMODULE:
                raise UsageError(f"{path} is in the submodule {above}.", "Commit it there.")
    _refuse_ignored(repo, [p for p, what in changes.items() if what is not None and before[p] is None])
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


def _refuse_ignored(repo: Repository, paths: list[str]) -> None:
    """Raise UsageError for an ignored file: it may hold secrets."""
    for path in paths:
        if repo.worktree.ignored(path):
            name = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise UsageError(f"{name} is ignored by git.", "Add it with `git add --force` and `git commit`.")


# What decides whom git names, and when.
_NAMED = (
    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL",
    "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE",
)  # fmt: skip


def _idents(repo: Repository, top: Path) -> tuple[bytes, bytes]:
    """Author and committer, asked of git once for each identity; the time is now unless it is set."""
    key = tuple(os.environ.get(name) for name in _NAMED)
    if key not in repo.idents:
        asked = [repo.run("var", f"GIT_{who}_IDENT", at=top).out.strip() for who in ("AUTHOR", "COMMITTER")]
        repo.idents[key] = asked[0], asked[1]
    now = str(int(time.time())).encode()
    author, committer = (
        ident if dated else b" ".join((*ident.rsplit(b" ", 2)[:1], now, ident.rsplit(b" ", 1)[1]))
        for ident, dated in zip(repo.idents[key], key[-2:], strict=True)
    )
    return author, committer
