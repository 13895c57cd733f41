"""Merges in memory by git: what it is told each time, and how its answers are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.typed import NamedTuple

# Unrelated histories merge as `git merge --allow-unrelated-histories` would.
MERGE = (
    "-c", "merge.directoryRenames=conflict", "merge-tree", "--write-tree", "--allow-unrelated-histories", "--name-only",
    "-z",
)  # fmt: skip


class Conflict(NamedTuple):
    """Why a source could not be merged, and the files that conflict."""

    files: tuple[str, ...]
    words: str


def conflict_of(files: Sequence[str], parts: Sequence[str]) -> Conflict:
    """The conflict in these files; `parts` is what git says of the merge."""
    words = [part for part in parts if part.startswith("CONFLICT")]
    return Conflict(tuple(dict.fromkeys(files)), " ".join((words or ["it conflicts"])[0].split()))


def merge_pairs(git: Git, pairs: Sequence[tuple[str, str]], at: Path) -> list[str | Conflict]:
    """The tree of the merge of each pair of commits, in one process (git 2.39); GitFailed where git cannot tell.

    It runs in the git directory `at`, without any worktree: no .gitattributes count.
    """
    feed = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
    env = {"GIT_INDEX_FILE": str(at / "uam" / "no-index")}
    answer = git.run(*MERGE[:-1], "--stdin", feed=feed, env=env, at=at)
    fields = iter(answer.out.decode("utf-8", "surrogateescape").split("\0"))
    try:
        return [_read(fields) for _ in pairs]
    except (StopIteration, ValueError):
        raise GitFailed([*MERGE, "--stdin"], answer.code, answer.text, answer.err) from None


def _read(fields: Iterator[str]) -> str | Conflict:
    """One answer of `git merge-tree --stdin`."""
    clean, tree = int(next(fields)), next(fields)
    files = [] if clean else _until_empty(fields)
    words = []
    while count := next(fields):
        words += [next(fields) for _ in range(int(count) + 2)]
    return tree if clean else conflict_of(files, words)


def _until_empty(fields: Iterator[str]) -> list[str]:
    found = []
    while field := next(fields):
        found.append(field)
    return found
