"""Merging sources in memory: no worktree, no index, nothing checked out.

`ours` begins as what the remote has. Where squashed work has landed before, it begins as a synthetic commit that
also has the shadow as a parent, so that git knows which originals have landed already. Every source that merges
becomes part of it; one that does not fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.merging import MERGE, Conflict, conflict_of
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import visible
from uam_hooks.hot.queue.model import Source
from uam_hooks.integrate.graph import Graph, reachable, stands_on

_IDENT = b"uam <uam@localhost>"
_WHY = """Made by git uam to merge pushes and to remember what has landed.
It is on no branch; `git uam prune` drops it in time."""
_SENT = """Made by git uam (uam.originals = push). These commits landed on that branch in
another form: squashed, or moved onto others' work. They are parents of this
commit, after the one that holds those before them."""


class History(NamedTuple):
    """What has been merged, as a synthetic history that is written when somebody needs it: a source that lands as it is
    needs none.

    It begins at `base` (ZERO: nothing), with the `shadow` of what has landed there.
    """

    base: str
    shadow: str | None
    merged: tuple[tuple[str, str, str], ...] = ()

    def with_merged(self, tree: str, source: Source) -> History:
        """This history with a source merged, which comes to `tree`."""
        return self._replace(merged=(*self.merged, (tree, source.tip, source.agent)))

    def commit(self, repo: Repository) -> str:
        """The last commit of it; ZERO where it is empty. Writes what is not there yet."""
        ours = self.base if self.shadow is None else remembering(repo, self.base, self.shadow)
        for tree, tip, agent in self.merged:
            parents = (tip,) if ours == ZERO else (ours, tip)
            ours = _synthetic(repo, tree, parents, f"with {tip[:7]} of {agent}")
        return ours


class Step(NamedTuple):
    """One source that was taken in; `sources` are those whose work came with it, itself the last.

    `tree` is what all so far come to. `line` is its tip when all of that lies on one line on top of the base, so that
    nothing had to be merged. `inside` are the commits of the graph that it brought.
    """

    sources: tuple[Source, ...]
    tree: str
    line: str | None
    inside: frozenset[str]

    @property
    def tip(self) -> str:
        return self.sources[-1].tip


class Merged(NamedTuple):
    """The result of merging: the `steps` in their order, and what they come to.

    `history` is what the synthetic history is made of that contains every source. `landed` are the sources that are in
    it, also those that brought nothing, `inside` the commits of the graph that have been taken in.
    """

    steps: tuple[Step, ...]
    history: History
    landed: tuple[Source, ...]
    conflicts: dict[int, Conflict]
    inside: frozenset[str]


def merge_sources(
    repo: Repository, base: str, shadow: str | None, graph: Graph, new: frozenset[str],
    sources: Sequence[Source], attributes: Attributes,
) -> Merged:  # fmt: skip
    """Merge `sources` one after the other, in their order, into `base` (ZERO: the remote has nothing yet).

    `graph` is everything the sources have that `base` has not, `new` what of it has never landed. Commits by name
    from one place stand on each other: merging the last of them merges all, as long as nothing conflicts.
    """
    last = chains(graph, sources)
    ends = [source for source in sources if last[source.id] == source.id]
    if len(ends) < len(sources):
        merged = _merge_in_turn(repo, base, shadow, graph, new, ends, attributes)
        if not merged.conflicts:
            steps = [
                step._replace(sources=tuple(s for s in sources if last[s.id] == step.sources[-1].id))
                for step in merged.steps
            ]
            return merged._replace(steps=tuple(steps), landed=tuple(sources))
    return _merge_in_turn(repo, base, shadow, graph, new, sources, attributes)


def chains(graph: Graph, sources: Sequence[Source]) -> dict[int, int]:
    """For each source the later commit by name that contains it, or itself."""
    found: dict[int, int] = {}
    held: dict[str, int] = {}
    for source in reversed(sources):
        by_name = source.base and source.message
        found[source.id] = held.get(source.tip, source.id) if by_name else source.id
        if by_name and found[source.id] == source.id:
            for oid in reachable(graph, source.tip):
                held.setdefault(oid, source.id)
    return found


def _merge_in_turn(
    repo: Repository, base: str, shadow: str | None, graph: Graph, new: frozenset[str],
    sources: Sequence[Source], attributes: Attributes,
) -> Merged:  # fmt: skip
    tree = repo.empty_tree if base == ZERO else repo.commit(base).tree
    history = History(base, None if base == ZERO else shadow)
    line: str | None = base
    steps: list[Step] = []
    landed: list[Source] = []
    conflicts: dict[int, Conflict] = {}
    inside: set[str] = set()
    for source in sources:
        brings = reachable(graph, source.tip)
        if not brings & new or source.tip in inside:
            landed.append(source)
            continue
        if line is not None and (line == ZERO or stands_on(graph, source.tip, line)):
            tree = repo.commit(source.tip).tree
            line = source.tip
        else:
            history = History(history.commit(repo), None)
            result = merge_tree(attributes, history.base, source.tip)
            if isinstance(result, Conflict):
                conflicts[source.id] = result
                continue
            tree, line = result, None
        steps.append(Step((source,), tree, line, frozenset(brings - inside)))
        inside |= brings
        landed.append(source)
        history = history.with_merged(tree, source)
    return Merged(tuple(steps), history, tuple(landed), conflicts, frozenset(inside))


def remembering(repo: Repository, base: str, shadow: str) -> str:
    """`base` as git has to see it to know what has landed in it."""
    commit = repo.commit(base)
    what = "what the remote has, and what has landed in it"
    return _synthetic(repo, commit.tree, (base, shadow), what)


def conflicts(repo: Repository, one: str, other: str) -> bool:
    """Whether two lines of work are in each other's way."""
    return repo.run("merge-tree", "--write-tree", "--allow-unrelated-histories", one, other, ok=(0, 1)).code == 1


def merge_tree(attributes: Attributes, ours: str, theirs: str) -> str | Conflict:
    """The tree of the merge."""
    answer = attributes.run(*MERGE, ours, theirs)
    parts = answer.out.decode("utf-8", "surrogateescape").split("\0")
    if answer.code == 0:
        return parts[0]
    if len(parts) < 2:
        raise GitFailed(["merge-tree", ours, theirs], answer.code, answer.text, answer.err)
    return conflict_of(parts[1 : parts.index("", 1)], parts)


def merge_trees(repo: Repository, onto: str, commit: Commit, attributes: Attributes) -> str | Conflict:
    """The tree of `commit`'s own change applied to `onto`."""
    ours = _synthetic(repo, repo.commit(onto).tree, commit.parents, f"{onto[:7]} as a base for {commit.oid[:7]}")
    return merge_tree(attributes, ours, commit.oid)


def _synthetic(repo: Repository, tree: str, parents: tuple[str, ...], what: str, why: str = _WHY) -> str:
    """A commit of ours, with the date of its youngest parent: it comes out the same each time, and is never older than
    what it stands on.

    `git rev-list` stops soon after it has only older, excluded commits left (SLOP in its revision.c, git 2.39):
    behind a commit that is older than its parents it would miss what that holds.
    """
    message = f"uam: {visible(what)}\n\n{why}\n"
    ident = _IDENT + b" %d +0000" % max(repo.commit(parent).committed for parent in parents)
    return repo.write_commit(Commit("", tree, parents, ident, ident, message.encode("utf-8", "replace")))


def shadow_of(repo: Repository, landing: str, *originals: str) -> str:
    """The shadow of a landing: its tree, on top of the landing and of all that went into it."""
    commit = repo.commit(landing)
    what = f"the originals of {landing[:7]}: {commit.subject}"
    return _synthetic(repo, commit.tree, (landing, *originals), what)


def held_together(repo: Repository, commits: Sequence[str]) -> str:
    """A commit that is on top of all of these, and so keeps them: one ref for them instead of one for each."""
    return _synthetic(repo, repo.commit(commits[0]).tree, tuple(commits), f"{len(commits)} commits that are kept")


def originals_of(repo: Repository, landing: str, ref: str, before: Sequence[str], tips: Sequence[str]) -> str:
    """A commit with the tree of a landing on `ref` that keeps the pushed `tips`, on top of what kept those `before`."""
    what = f"originals of what landed on {short_target(ref)}"
    return _synthetic(repo, repo.commit(landing).tree, (*before, *tips), what, _SENT)
