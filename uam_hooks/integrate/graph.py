"""The new commits of a landing as a graph. Pure: reads what `git rev-list --parents` printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Graph = Mapping[str, tuple[str, ...]]


def parse(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`rev-list --parents --topo-order --reverse` output: commit to parents, parents first."""
    return {words[0]: tuple(words[1:]) for words in (line.split() for line in lines)}


def reachable(graph: Graph, tip: str) -> set[str]:
    """All commits of `graph` that `tip` contains, itself included."""
    seen: set[str] = set()
    todo = [tip]
    while todo:
        commit = todo.pop()
        if commit in graph and commit not in seen:
            seen.add(commit)
            todo += graph[commit]
    return seen


def stands_on(graph: Graph, tip: str, base: str) -> bool:
    """Whether `tip` contains `base`, where `graph` is everything that `base` does not contain."""
    return tip == base or any(base in graph[commit] for commit in reachable(graph, tip))


def heads(graph: Graph, commits: Iterable[str]) -> list[str]:
    """Those of `commits` that no other of them contains directly, in `graph`'s order."""
    chosen = set(commits)
    inner = {parent for commit in chosen for parent in graph[commit]}
    return [commit for commit in graph if commit in chosen and commit not in inner]


def in_order(graph: Graph, commits: Iterable[str]) -> list[str]:
    """`commits` in `graph`'s order, parents first."""
    chosen = set(commits)
    return [commit for commit in graph if commit in chosen]
