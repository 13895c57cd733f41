"""Where trees differ and what commits changed, asked of git for many at a time.

`prepare` asks in two processes for whatever will be needed; what was not prepared costs a process when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.git.trees import Changed
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO, oid_of
from uam_hooks.hot.core.typed import NamedTuple

# So many trees are read for one landing before git is asked: reading one costs far less than starting a process.
_NEAR = 60
_HEADER = re.compile(rb"([0-9a-f]+)(?: ([0-9a-f]+))?[\0\n]")
# what settings say of renames, and of submodules that are to be passed over, is not about what was pushed
_ALIKE = ("-z", "--no-renames", "--ignore-submodules=none")


class Difference(NamedTuple):
    """Where two trees differ: the paths, those of them that are gone, and each directory as (path, old tree, new tree),
    ZERO for none.
    """

    paths: frozenset[str]
    gone: frozenset[str]
    directories: tuple[tuple[str, str, str], ...]


class Differences:
    """The differences that one landing asks about. Objects do not change, so nothing here gets out of date."""

    def __init__(self, repo: Repository) -> None:
        self._repo, self._nothing = repo, repo.empty_tree
        self._between: dict[tuple[str, str], Difference] = {}
        self._touched: dict[str, frozenset[str]] = {}
        self._trees: dict[str, str] = {}
        self._whole = ""  # a tree of which all is known
        self.sound: set[str] = set()  # trees without a bad name, see names
        self._left = _NEAR

    def prepare(self, pairs: Iterable[tuple[str, str]], commits: Iterable[str]) -> None:
        """Ask at once where these pairs of commits or trees differ, and what these commits changed."""
        wanted = {(self._tree(old), self._tree(new)) for old, new in pairs}
        whole = sorted(new for old, new in wanted if old == self._nothing)
        if whole:  # many branches of one project: each is much like the others
            self._whole = whole[0]
            wanted = {pair for pair in wanted if pair[0] != self._nothing} | {(self._whole, new) for new in whole[1:]}
            wanted.add((self._nothing, self._whole))
        self._compare(pair for pair in wanted if pair[0] != pair[1])
        self._read([oid for oid in dict.fromkeys(commits) if oid not in self._touched])

    def between(self, old: str, new: str) -> Difference:
        """Compare two commits or trees, modes included; renames are two differences."""
        pair = self._tree(old), self._tree(new)
        if pair[0] == pair[1]:
            return Difference(frozenset(), frozenset(), ())
        if pair[0] == self._nothing and pair not in self._between and (self._whole, pair[1]) in self._between:
            return _added(self._between[self._nothing, self._whole], self._between[self._whole, pair[1]])
        if pair not in self._between:
            self._compare([pair])
        return self._between[pair]

    def touched(self, commits: Sequence[str]) -> set[str]:
        """The paths that these commits changed; of a merge, those in which it differs from all of its parents."""
        self._read([oid for oid in commits if oid not in self._touched])
        return set().union(*(self._touched[oid] for oid in commits))

    def _tree(self, oid: str) -> str:
        if oid not in self._trees:
            is_tree = oid == self._nothing or not self._repo.is_commit(oid)
            self._trees[oid] = oid if is_tree else self._repo.commit(oid).tree
        return self._trees[oid]

    def _compare(self, pairs: Iterable[tuple[str, str]]) -> None:
        asked = dict.fromkeys(pairs)
        if not asked:
            return
        here = self._here(list(asked))
        if here is None:
            here = self._asked(asked)
        for pair, entries in here.items():
            self._between[pair] = Difference(
                frozenset(one.path for one in entries if not one.directory),
                frozenset(one.path for one in entries if not one.directory and one.after == ZERO),
                tuple((one.path, one.before, one.after) for one in entries if one.directory),
            )

    def _here(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Changed]] | None:
        """Where pairs of trees differ, from what is read here; None where a process of git is quicker."""
        found = {}
        for pair in pairs if 2 * len(pairs) <= self._left else ():
            try:
                found[pair] = trees.changed(self._repo, *pair, self._left)
            except trees.TooMany:
                break
            self._left -= 1 + sum(one.directory for one in found[pair])
        return found if len(found) == len(pairs) else None

    def _asked(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[Changed]]:
        """The same, asked of git."""
        found: dict[tuple[str, str], list[Changed]] = {pair: [] for pair in pairs}
        feed = "".join(f"{old} {new}\n" for old, new in found).encode()
        out = self._repo.run("diff-tree", "--stdin", "-r", "-t", *_ALIKE, feed=feed).out
        answered = set()
        for of, entry in _entries(out):
            answered.add(of)
            if entry is not None:
                found[of].append(entry)
        _see_answered(found, answered)
        return found

    def _read(self, commits: Sequence[str]) -> None:
        if not commits:
            return
        pairs = [self._pair(oid) for oid in commits] if 2 * len(commits) <= self._left else []
        known = [pair for pair in pairs if pair is not None]
        if len(known) == len(commits) and (here := self._here(known)) is not None:
            for oid, pair in zip(commits, known, strict=True):
                self._touched[oid] = frozenset(one.path for one in here[pair] if not one.directory)
            return
        found: dict[str, set[str]] = {oid: set() for oid in commits}
        feed = "".join(f"{oid}\n" for oid in found).encode()
        args = ("diff-tree", "--stdin", "--always", "--root", "-r", "-c", *_ALIKE)
        answered = set()
        for (oid, _), entry in _entries(self._repo.run(*args, feed=feed).out):
            answered.add(oid)
            if entry is not None:
                found[oid].add(entry.path)
        _see_answered(found, answered)
        self._touched |= {oid: frozenset(paths) for oid, paths in found.items()}

    def _pair(self, oid: str) -> tuple[str, str] | None:
        """The trees before and after a commit; None for a merge, and where what was before is not here."""
        parents = self._repo.commit(oid).parents if self._repo.is_commit(oid) else ("", "")
        if len(parents) > 1 or not all(map(self._repo.is_commit, parents)):
            return None
        return self._tree(parents[0]) if parents else self._nothing, self._tree(oid)


def _see_answered(asked: Iterable[object], answered: Collection[object]) -> None:
    """GitFailed where git passed over a question: it does so, with exit code 0, where an object is not there (2.39)."""
    for one in asked:
        if one not in answered:
            raise GitFailed(["diff-tree", "--stdin"], 0, "", f"fatal: no answer about {one}")


def _added(whole: Difference, then: Difference) -> Difference:
    """All of a tree, by what another one has, and where they differ."""
    directories = {path: after for path, _, after in (*whole.directories, *then.directories)}
    return Difference(
        (whole.paths - then.gone) | (then.paths - then.gone),
        frozenset(),
        tuple((path, ZERO, oid) for path, oid in directories.items() if oid != ZERO),
    )


def _entries(out: bytes) -> Iterator[tuple[tuple[str, str], Changed | None]]:
    """The raw output of `git diff-tree --stdin -z`: for each input the one or two objects that git names in a line or a
    field, first alone and then with each entry.

    A path follows the facts about it, so no name of a file is taken for anything else.
    """
    at, of = 0, ("", "")
    while at < len(out):
        if header := _HEADER.match(out, at):
            of = header[1].decode(), (header[2] or b"").decode()
            at = header.end()
            yield of, None
            continue
        middle = out.index(b"\0", at)
        end = out.index(b"\0", middle + 1)
        facts = out[at:middle].lstrip(b":").decode().split(" ")
        sides = len(facts) // 2  # of a merge there are several before it
        yield of, Changed(
            any(int(mode, 8) == trees.TREE for mode in facts[:sides]),
            oid_of(facts[sides]), oid_of(facts[2 * sides - 1]),
            out[middle + 1 : end].decode("utf-8", "surrogateescape"),
        )  # fmt: skip
        at = end + 1
