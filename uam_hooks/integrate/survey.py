"""What sources bring to what the remote has: for one ref, or, in two processes, for all refs of a landing.

For all of them at once it is found out only where that is certain: where a ref's sources stand on what the remote has
in that ref and on nothing else, or, on a new branch, left what the remote has in one place. Of the others git is asked
one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.integrate.graph import Graph, parse


class News(NamedTuple):
    """What the sources bring.

    `graph` is all that the base has not, of it `new` what never landed, of that `flat` what may be squashed: the
    rest is on other branches of the remote, and stays as it is.
    """

    graph: Graph
    new: frozenset[str]
    flat: frozenset[str]


class Asked(NamedTuple):
    """A ref that is asked about: the tips of its sources, what the remote has there (ZERO: nothing), the shadow that
    counts, and whether the remote was seen to have that ref.
    """

    tips: tuple[str, ...]
    there: str
    shadow: str | None
    seen: bool


class Ground(NamedTuple):
    """What a plan stands on: the base, the shadow that counts, and what the `tips` bring.

    `forks` has, of tips, where they left base and shadow; of those that are not in it git has to be asked.
    """

    tips: tuple[str, ...]
    base: str
    shadow: str | None
    news: News
    forks: Mapping[str, tuple[str, ...]]


def survey(repo: Repository, asked: Asked, others: Sequence[str]) -> Ground:
    """Ask git about one ref. `others` are the tips of the remote's other branches."""
    base = asked.there if asked.there != ZERO else _where_it_starts(repo, asked.tips[0], others)
    known = [] if base == ZERO else [base]
    landed = [asked.shadow] if asked.shadow else []
    graph = _listed(repo, asked.tips, known)
    new = set(_listed(repo, asked.tips, [*known, *landed])) if landed else set(graph)
    flat = new & set(_listed(repo, asked.tips, [*known, *landed, *others])) if others else new
    return Ground(asked.tips, base, asked.shadow, News(graph, frozenset(new), frozenset(flat)), {})


def survey_all(repo: Repository, refs: Sequence[Asked], seen: Iterable[str]) -> list[Ground | None]:
    """Ask git about many refs of one remote at once; None for those that have to be asked about one by one.

    `seen` is what all branches of the remote were seen at.
    """
    branches = set(seen)
    begun = [one for one in refs if one.there != ZERO]
    known = branches | {one.there for one in begun} | {one.shadow for one in begun if one.shadow}
    # what has landed on one branch squashed is new on another that begins
    old = _Lines(_listed(repo, [tip for one in begun for tip in one.tips], known)) if begun else None
    fresh_tips = [tip for one in refs if one.there == ZERO for tip in one.tips]
    fresh = _Lines(_listed(repo, fresh_tips, branches)) if fresh_tips else None
    found = []
    for one in refs:
        lines = fresh if one.there == ZERO else old
        assert lines is not None
        found.append(lines.ground(one))
    return found


class _Lines:
    """Lines of work: the commits that the remote has not, and where each left what it has."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._place = {oid: number for number, oid in enumerate(graph)}

    def ground(self, asked: Asked) -> Ground | None:
        walks = {tip: self._walk(tip) for tip in asked.tips}
        edges = set().union(*(edge for _, edge in walks.values()))
        if asked.there == ZERO and (asked.seen or len(edges) > 1):
            return None
        first = walks[asked.tips[0]][1]
        base = asked.there if asked.there != ZERO else next(iter(first), ZERO)
        if not edges <= {base}:
            return None
        inside = set().union(*(commits for commits, _ in walks.values()))
        graph = {oid: self._graph[oid] for oid in sorted(inside, key=self._place.__getitem__)}
        forks = {tip: (base,) for tip, (_, edge) in walks.items() if edge}
        return Ground(asked.tips, base, asked.shadow, News(graph, frozenset(inside), frozenset(inside)), forks)

    def _walk(self, tip: str) -> tuple[set[str], set[str]]:
        """All commits that `tip` contains and the remote does not, and those of the remote that they stand on."""
        inside: set[str] = set()
        edge: set[str] = set()
        todo = [tip]
        while todo:
            oid = todo.pop()
            if oid not in self._graph:
                edge.add(oid)
            elif oid not in inside:
                inside.add(oid)
                todo += self._graph[oid]
        return inside, edge


def _where_it_starts(repo: Repository, tip: str, others: Sequence[str]) -> str:
    """A branch that is new on the remote starts where its first source left what the remote has."""
    if not others:
        return ZERO
    lines = repo.run("merge-base", tip, *others, ok=(0, 1)).lines
    return lines[0] if lines else ZERO


def _listed(repo: Repository, tips: Iterable[str], without: Iterable[str]) -> Graph:
    feed = "".join(f"{oid}\n" for oid in [*tips, *(f"^{oid}" for oid in without)]).encode()
    return parse(repo.run("rev-list", "--parents", "--topo-order", "--reverse", "--stdin", feed=feed).lines)
