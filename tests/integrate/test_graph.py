"""The graph of new commits: reading what rev-list printed, and what can be asked of it. No git, no files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from uam_hooks.integrate.graph import heads, in_order, parse, reachable, stands_on

# old <- a <- b <- merge, old <- side <- merge, and a commit that is on neither
FORK = parse(["a old", "b a", "side old", "merge b side", "alone"])


def test_what_rev_list_prints() -> None:
    assert FORK == {"a": ("old",), "b": ("a",), "side": ("old",), "merge": ("b", "side"), "alone": ()}
    assert list(FORK) == ["a", "b", "side", "merge", "alone"]
    assert parse([]) == {}


def test_what_a_tip_contains() -> None:
    assert reachable(FORK, "b") == {"a", "b"}
    assert reachable(FORK, "merge") == {"a", "b", "side", "merge"}
    assert reachable(FORK, "alone") == {"alone"}
    assert reachable(FORK, "old") == set()  # not new
    assert reachable({}, "anything") == set()


def test_what_a_tip_stands_on() -> None:
    assert stands_on(FORK, "old", "old")
    assert stands_on(FORK, "b", "old")
    assert stands_on(FORK, "merge", "old")
    assert stands_on(FORK, "merge", "side")
    assert not stands_on(FORK, "alone", "old")
    assert not stands_on(FORK, "old", "a")


def test_heads_are_those_that_no_other_has_for_a_parent() -> None:
    assert heads(FORK, FORK) == ["merge", "alone"]
    assert heads(FORK, ["side", "b", "a"]) == ["b", "side"]
    assert heads(FORK, ["a", "a"]) == ["a"]
    assert heads(FORK, []) == []


def test_order_is_the_graphs() -> None:
    assert in_order(FORK, {"merge", "a", "side"}) == ["a", "side", "merge"]
    assert in_order(FORK, ["alone", "b"]) == ["b", "alone"]


@st.composite
def histories(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Commits with up to three parents each, of which some are old ones."""
    lines = []
    for number in range(draw(st.integers(1, 12))):
        known = [f"c{n}" for n in range(number)] + ["old"]
        parents = draw(st.lists(st.sampled_from(known), max_size=3, unique=True))
        lines.append(" ".join([f"c{number}", *parents]))
    return parse(lines)


@given(histories())
def test_a_tip_contains_what_its_parents_contain(graph: dict[str, tuple[str, ...]]) -> None:
    for commit, parents in graph.items():
        contained = set().union(*(reachable(graph, parent) for parent in parents)) if parents else set()
        assert reachable(graph, commit) == contained | {commit}
        assert in_order(graph, reachable(graph, commit))[-1] == commit


@given(histories())
def test_the_heads_of_everything_contain_everything(graph: dict[str, tuple[str, ...]]) -> None:
    tips = heads(graph, graph)
    assert set().union(*(reachable(graph, tip) for tip in tips)) == set(graph)
    for tip in tips:
        assert not any(tip in reachable(graph, other) for other in tips if other != tip)


@given(histories())
def test_to_stand_on_a_commit_is_to_contain_it(graph: dict[str, tuple[str, ...]]) -> None:
    for tip in graph:
        for base in graph:
            assert stands_on(graph, tip, base) is (base in reachable(graph, tip))
