"""What goes into a batch, and in which order: `batch` alone, without a queue and without git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import Action, ActionType, Status
from uam_hooks.store.order import Edge, changes, edges, reads
from uam_hooks.store.schedule import Busy, Choice, Waiting, choose

NOW = "2024-05-06T07:08:09.000Z"
EARLIER, LATER = "2024-05-06T07:08:08.000Z", "2024-05-06T07:08:10.000Z"
COMMIT, PUSH, MERGE, WORKFLOW, DEPLOY = ActionType
NOTHING = Busy()
RANDOM = settings(
    max_examples=200, derandomize=True, deadline=None, database=None, print_blob=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate, Phase.shrink],
)  # fmt: skip


def act(
    number: int, kind: ActionType, target: str = "main", *needs: int, ref: str = "", source: str = "",
    remote: str = "origin", due: str = EARLIER, not_before: str = "", priority: int = 5, carried: int | None = None,
) -> Action:  # fmt: skip
    """A pending action; `ref` is what a workflow or a deploy names, `source` what a merge takes in."""
    payload = {"ref": ref or "main"} if kind in (WORKFLOW, DEPLOY) else {"source": source} if kind == MERGE else {}
    return Action(
        number, "ada", kind, target, payload, Status.PENDING, None, EARLIER, due, priority, needs, remote, None, "",
        True, carried, not_before,
    )  # fmt: skip


def order(*actions: Action) -> list[int]:
    """The one order that these actions can be executed in."""
    sorter = _sorter(actions, edges(actions))
    sorter.prepare()
    found: list[int] = []
    while sorter.is_active():
        ready = sorter.get_ready()
        assert len(ready) == 1, f"after {found} the order of {ready} is open"
        found += ready
        sorter.done(*ready)
    return found


def _sorter(actions: Sequence[Action], found: Sequence[Edge]) -> TopologicalSorter[int]:
    return TopologicalSorter({a.id: [e.before for e in found if e.after == a.id] for a in actions})


def follows(found: Sequence[Edge]) -> set[tuple[int, int]]:
    """All pairs (before, after), also those that follow from others."""
    after: dict[int, set[int]] = {}
    for edge in found:
        after.setdefault(edge.before, set()).add(edge.after)
    pairs = set()
    for start in after:
        todo = [start]
        while todo:
            for one in after.get(todo.pop(), ()):
                if (start, one) not in pairs:
                    pairs.add((start, one))
                    todo.append(one)
    return pairs


def chosen(
    *waiting: Waiting | Action, ended: Mapping[int, Status] | None = None, busy: Busy = NOTHING,
    due_only: bool = True, most: int = 20,
) -> list[int]:  # fmt: skip
    """The ids that the next batch takes, in queue order."""
    return sorted(c.id for c in choices(*waiting, ended=ended, busy=busy, due_only=due_only, most=most))


def choices(
    *waiting: Waiting | Action, ended: Mapping[int, Status] | None = None, busy: Busy = NOTHING,
    due_only: bool = True, most: int = 20,
) -> list[Choice]:  # fmt: skip
    """What the next batch takes, as `choose` says it."""
    pending = [w if isinstance(w, Waiting) else Waiting(w) for w in waiting]
    known = {w.action.id: Status.PENDING for w in pending} | dict(ended or {})
    return choose(pending, known, busy, NOW, due_only, most)


# -- the order of a batch ----------------------------------------------------------------------------------------


def test_what_is_asked_for_goes_in_that_order() -> None:
    assert order(act(1, DEPLOY, "a"), act(2, COMMIT, "main", 1), act(3, DEPLOY, "b", 2, ref="other")) == [1, 2, 3]


def test_the_commit_goes_before_its_push_however_late_it_was_queued() -> None:
    assert order(act(1, PUSH), act(2, COMMIT)) == [2, 1]
    assert Edge(2, 1, True) in edges([act(1, PUSH), act(2, COMMIT)])


@pytest.mark.parametrize("kind", [WORKFLOW, DEPLOY])
def test_what_names_a_branch_waits_for_what_lands_on_it(kind: ActionType) -> None:
    found = [act(1, kind, "x", ref="main"), act(2, PUSH), act(3, MERGE, source="topic")]
    assert order(*found) == [2, 3, 1]
    assert {(e.before, e.after) for e in edges(found) if e.gating} == {(2, 1), (3, 1)}


def test_what_names_another_branch_waits_for_nothing() -> None:
    assert edges([act(1, DEPLOY, "prod", ref="dev"), act(2, PUSH), act(3, WORKFLOW, "ci", ref="topic")]) == []


def test_a_full_name_is_the_same_branch() -> None:
    assert order(act(1, DEPLOY, "prod", ref="refs/heads/main"), act(2, PUSH, "refs/heads/main")) == [2, 1]


def test_a_tag_is_no_branch_of_that_name() -> None:
    assert edges([act(1, DEPLOY, "prod", ref="main"), act(2, PUSH, "refs/tags/main")]) == []


def test_a_merge_waits_for_what_lands_on_its_source() -> None:
    assert order(act(1, MERGE, "main", source="topic"), act(2, PUSH, "topic")) == [2, 1]
    assert order(act(1, MERGE, "main", source="topic"), act(2, COMMIT, "topic")) == [2, 1]


def test_pushes_and_merges_of_one_branch_go_in_queue_order() -> None:
    assert order(act(1, MERGE, source="a"), act(2, PUSH), act(3, MERGE, source="b")) == [1, 2, 3]
    assert order(act(1, PUSH), act(2, MERGE, source="a")) == [1, 2]


def test_a_merge_that_fails_does_not_take_the_next_one_with_it() -> None:
    assert [e.gating for e in edges([act(1, MERGE, source="a"), act(2, MERGE, source="b")])] == [False]


def test_merges_of_two_branches_into_each_other_go_in_queue_order() -> None:
    assert order(act(1, MERGE, "main", source="dev"), act(2, MERGE, "dev", source="main")) == [1, 2]


def test_commits_of_one_branch_go_in_queue_order() -> None:
    """A later one stands on the earlier one: its files hold what that one brought."""
    assert order(act(1, COMMIT), act(2, COMMIT, "main", 9)) == [1, 2]


def test_pushes_of_one_branch_to_two_remotes_go_together() -> None:
    assert edges([act(1, PUSH), act(2, PUSH, remote="backup")]) == []


def test_two_deploys_of_one_target_go_one_after_the_other() -> None:
    """... whatever became of the first."""
    found = [act(n, DEPLOY, "prod", ref=f"branch-{n}") for n in (1, 2, 3)]
    assert order(*found) == [1, 2, 3]
    assert not any(e.gating for e in edges(found))
    assert edges([act(1, DEPLOY, "prod"), act(2, DEPLOY, "test")]) == []


def test_two_deploys_of_one_target_stay_apart_when_another_order_was_asked_for() -> None:
    """1 waits for the commit, which waits for 2: so 2 goes before 1, and 4 has to know its place all the same."""
    found = [
        act(1, DEPLOY, "prod", ref="main"), act(2, DEPLOY, "prod", ref="dev"), act(3, COMMIT, "main", 2),
        act(4, DEPLOY, "prod", ref="other"),
    ]  # fmt: skip
    pairs = follows(edges(found))
    assert (2, 1) in pairs
    assert {(1, 4), (4, 1)} & pairs, "deploys 1 and 4 may overlap"


def test_a_merge_waits_for_every_push_before_it_and_every_push_after_it_waits() -> None:
    found = [
        act(1, PUSH), act(2, PUSH, remote="backup"), act(3, MERGE, source="x"), act(4, PUSH, remote="a"),
        act(5, PUSH, remote="b"), act(6, MERGE, source="y"),
    ]  # fmt: skip
    pairs = follows(edges(found))
    assert pairs >= {(1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6)}
    assert not pairs & {(1, 2), (2, 1), (4, 5), (5, 4)}


def test_a_commit_that_fails_fails_the_pushes_of_its_branch_that_were_asked_for_by_name() -> None:
    """What an agent has pushed is its own work, and lands all the same."""
    commit = act(1, COMMIT, "main", 101)
    assert edges([commit, act(2, PUSH), act(3, PUSH, remote="backup")._replace(explicit=False)]) == [
        Edge(1, 2, True), Edge(1, 3, False),
    ]  # fmt: skip


def test_an_order_that_was_asked_for_wins_over_the_usual_one() -> None:
    assert order(act(1, DEPLOY, "prod", ref="main"), act(2, PUSH, "main", 1)) == [1, 2]
    assert order(act(1, PUSH), act(2, COMMIT, "main", 1)) == [1, 2]


def test_what_a_push_carries_is_done_with_the_push() -> None:
    found = edges([act(1, COMMIT, carried=2), act(2, PUSH), act(3, DEPLOY, "prod")])
    assert {(e.before, e.after) for e in found} == {(2, 3)}


# -- what a batch takes ------------------------------------------------------------------------------------------


def test_only_what_is_due_is_taken() -> None:
    waiting = [act(1, DEPLOY, "a"), act(2, DEPLOY, "b", due=LATER)]
    assert chosen(*waiting) == [1]
    assert chosen(*waiting, due_only=False) == [1, 2]


def test_a_moment_that_was_asked_for_is_respected_by_everybody() -> None:
    waiting = [act(1, DEPLOY, "a", not_before=NOW), act(2, DEPLOY, "b", not_before=LATER)]
    assert chosen(*waiting, due_only=False) == [1]


def test_of_each_ref_of_a_remote_the_oldest_push_goes_first() -> None:
    waiting = [act(1, PUSH), act(2, PUSH), act(3, PUSH, remote="backup"), act(4, PUSH, "topic")]
    assert chosen(*waiting) == [1, 3, 4]


def test_a_push_that_is_due_is_not_overtaken_and_takes_the_older_one_first() -> None:
    assert chosen(act(1, PUSH, due=LATER), act(2, PUSH)) == [1]


def test_a_due_push_takes_its_commits_along() -> None:
    push = Waiting(act(2, PUSH), lines=frozenset({"refs/heads/main"}))
    found = choices(act(1, COMMIT, due=LATER), act(3, COMMIT, "other", due=LATER), push)
    assert sorted(found) == [Choice(1, 2), Choice(2, None)]


def test_an_exact_push_takes_nothing_along() -> None:
    push = Waiting(act(2, PUSH), lines=frozenset({"refs/heads/main"}), whole=True)
    assert choices(act(1, COMMIT, due=LATER), push) == [Choice(2)]


def test_a_commit_that_waits_for_something_is_not_carried() -> None:
    push = Waiting(act(3, PUSH), lines=frozenset({"refs/heads/main"}))
    assert sorted(choices(act(1, DEPLOY, "x", due=LATER), act(2, COMMIT, "main", 1), push)) == [Choice(3)]


def test_a_due_merge_wants_the_commits_of_both_its_branches() -> None:
    commits = [act(1, COMMIT, "main", due=LATER), act(2, COMMIT, "topic", due=LATER), act(3, COMMIT, "x", due=LATER)]
    assert chosen(*commits, act(4, MERGE, source="topic")) == [1, 2, 4]


def test_what_waits_for_an_action_waits_until_that_is_taken_too() -> None:
    waiting = [act(1, DEPLOY, "a", due=LATER), act(2, DEPLOY, "b", 1), act(3, DEPLOY, "c", 2)]
    assert chosen(*waiting) == []
    assert chosen(*waiting, due_only=False) == [1, 2, 3]


@pytest.mark.parametrize("status", [Status.BATCHED, Status.EXECUTING])
def test_what_waits_for_another_batch_is_left(status: Status) -> None:
    assert chosen(act(2, DEPLOY, "b", 1), ended={1: status}) == []


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_what_waited_for_something_that_has_ended_is_taken(status: Status) -> None:
    """... also where that ended badly: executing it says so."""
    assert chosen(act(2, DEPLOY, "b", 1), ended={1: status}) == [2]


def test_a_ref_that_another_batch_changes_is_left_alone() -> None:
    busy = Busy(frozenset({("origin", "main")}))
    waiting = [
        act(1, PUSH), act(2, PUSH, remote="backup"), act(3, PUSH, "dev"), act(4, COMMIT), act(5, MERGE, source="dev"),
        act(6, MERGE, "dev", source="main"), act(7, DEPLOY, "prod", ref="main"), act(8, DEPLOY, "test", ref="dev"),
        act(9, WORKFLOW, "ci", ref="main"),
    ]  # fmt: skip
    assert chosen(*waiting, busy=busy) == [2, 3, 4, 8]
    busy = Busy(frozenset({("origin", "main")}), frozenset({"main"}))
    assert chosen(*waiting, busy=busy) == [3, 8], "a push by name is one of the branch here, wherever it goes"
    assert chosen(waiting[1]._replace(explicit=False), busy=busy) == [2]
    assert chosen(*waiting[6:8], busy=Busy(deploys=frozenset({"test"}))) == [7]


def test_an_atomic_push_goes_whole_or_not_at_all() -> None:
    one = Waiting(act(2, PUSH), "g", frozenset({3}), whole=True)
    two = Waiting(act(3, PUSH, "dev"), "g", frozenset({2}), whole=True)
    assert chosen(one, two) == [2, 3]
    assert chosen(act(1, PUSH, "dev"), one, two) == [1]
    assert chosen(one, two, busy=Busy(frozenset({("origin", "dev")}))) == []


def test_the_size_counts_what_is_pushed_at_once_as_one() -> None:
    loose = [act(n, DEPLOY, f"t{n}") for n in range(1, 6)]
    assert chosen(*loose, most=3) == [1, 2, 3]
    pushes = [Waiting(act(n, PUSH, f"b{n}"), "one push") for n in range(1, 6)]
    assert chosen(*pushes, act(6, DEPLOY, "t", ref="x"), act(7, DEPLOY, "u", ref="x"), most=2) == [1, 2, 3, 4, 5, 6]


def test_carried_commits_do_not_count() -> None:
    push = Waiting(act(3, PUSH), lines=frozenset({"refs/heads/main"}))
    assert chosen(act(1, COMMIT), act(2, COMMIT), push, act(4, DEPLOY, "x", ref="x"), most=2) == [1, 2, 3, 4]


def test_what_belongs_together_goes_together_whatever_the_size() -> None:
    assert chosen(act(1, DEPLOY, "a"), act(2, DEPLOY, "b", 1), act(3, DEPLOY, "c", 2, priority=9), most=1) == [1, 2, 3]


def test_the_more_important_goes_first() -> None:
    assert chosen(act(1, DEPLOY, "a", priority=0), act(2, DEPLOY, "b"), act(3, DEPLOY, "c", priority=9), most=1) == [3]


def test_a_commit_that_waits_for_a_younger_push_does_not_hold_up_the_older_one() -> None:
    """The push 1 is the oldest, so 2 has to wait for it; and 3, which comes before any push, waits for 2."""
    waiting = [act(1, PUSH), act(2, PUSH, "main", 101), act(3, COMMIT, "main", 2)]
    assert chosen(*waiting, ended={101: Status.COMPLETED}) == [1]


BLOCKED = {  # each waits for the deploy 1, which may not be taken for a while
    "later": act(1, DEPLOY, "slow", ref="x", not_before=LATER),
    "in its window": act(1, DEPLOY, "slow", ref="x", due=LATER),
}


@pytest.mark.parametrize("why", BLOCKED)
def test_a_push_that_waits_for_something_holds_up_nobody_elses(why: str) -> None:
    assert chosen(BLOCKED[why], act(2, PUSH, "main", 1), act(3, PUSH)) == [3]


@pytest.mark.parametrize("why", BLOCKED)
def test_a_push_that_waits_for_something_holds_up_no_commit(why: str) -> None:
    push = Waiting(act(2, PUSH, "main", 1), lines=frozenset({"refs/heads/main"}))
    assert choices(BLOCKED[why], push, act(3, COMMIT)) == [Choice(3)]


@pytest.mark.parametrize("why", BLOCKED)
def test_what_waits_for_something_holds_up_nothing_that_names_its_branch(why: str) -> None:
    assert chosen(BLOCKED[why], act(2, PUSH, "main", 1), act(3, DEPLOY, "prod", ref="main")) == [3]
    assert chosen(BLOCKED[why], act(2, MERGE, "main", 1, source="x"), act(3, PUSH)) == [3]


# -- whatever is queued ------------------------------------------------------------------------------------------

BRANCHES = ("main", "dev")


@st.composite
def anything(draw: st.DrawFn, later_too: bool = False) -> list[Action]:
    """Up to eight actions on two branches. In a queue only older ones can be depended on; `later_too` does not care."""
    count = draw(st.integers(1, 8))
    ranks = draw(st.permutations(range(count))) if later_too else list(range(count))
    found = []
    for n in range(count):
        kind = draw(st.sampled_from(ActionType))
        changes_it = kind in (COMMIT, PUSH, MERGE)
        target = draw(st.sampled_from(BRANCHES if changes_it else ("prod", "test")))
        before = [m + 1 for m in range(count) if ranks[m] < ranks[n]]
        needs = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        branch = draw(st.sampled_from(BRANCHES))
        found.append(act(
            n + 1, kind, target, *needs, ref=branch, source=branch, remote=draw(st.sampled_from(("origin", "backup"))),
            due=draw(st.sampled_from((EARLIER, LATER))), not_before=draw(st.sampled_from(("", "", "", LATER))),
            priority=draw(st.sampled_from((0, 5, 5, 9))),
        ))  # fmt: skip
    return found


@RANDOM
@given(anything(later_too=True))
def test_the_order_has_no_circle_and_every_dependency(actions: list[Action]) -> None:
    found = edges(actions)
    _sorter(actions, found).prepare()  # CycleError for a circle
    assert {Edge(need, a.id, True) for a in actions for need in a.dependencies} <= set(found)
    pairs = follows(found)
    for reader in actions:
        for writer in actions:
            if reader.id == writer.id or not reads(reader) or reads(reader) != changes(writer):
                continue
            before, after = (writer.id, reader.id), (reader.id, writer.id)
            if reader.action_type == writer.action_type == MERGE:
                assert {before, after} & pairs or writer.id > reader.id
            else:
                # the other way round only where another order leads there
                assert {before, after} & pairs, f"{writer} and {reader}"
                if not any(a.dependencies for a in actions) and MERGE not in {a.action_type for a in actions}:
                    assert before in pairs


@RANDOM
@given(anything())
def test_what_must_not_happen_at_the_same_time_has_an_order(actions: list[Action]) -> None:
    pairs = follows(edges(actions))
    for one in actions:
        for other in actions[one.id :]:
            deploys = one.action_type == other.action_type == DEPLOY and one.target == other.target
            same = bool(changes(one)) and changes(one) == changes(other)
            pushes = one.action_type == other.action_type == PUSH  # go out together
            if deploys or (same and not pushes):
                assert {(one.id, other.id), (other.id, one.id)} & pairs, f"{one} and {other}"


@st.composite
def queued(draw: st.DrawFn, atomic: bool = True) -> tuple[list[Waiting], dict[int, Status], Busy]:
    """Pending actions with some atomic pushes, others that have ended, and refs that are busy."""
    found = []
    actions = draw(anything())
    ended = {a.id: Status.PENDING for a in actions}
    for number in (101, 102):
        ended[number] = draw(st.sampled_from(Status))
    pushes = [a for a in actions if a.action_type == PUSH and not a.dependencies]
    mates = frozenset(a.id for a in pushes[:2]) if atomic and len(pushes) > 1 and draw(st.booleans()) else frozenset()
    if len({(a.remote, a.target) for a in pushes[:2]}) < 2:
        mates = frozenset()  # one git push names no ref twice
    for one in actions:
        # one that has ended, or is in another batch; 0 for none
        more = draw(st.sampled_from((0, 0, 0, 101, 102)))
        known = more and one.id not in mates and ended[more] != Status.PENDING
        needs = (*one.dependencies, more) if known else one.dependencies
        lines = draw(st.sets(st.sampled_from([f"refs/heads/{b}" for b in BRANCHES]), max_size=2))
        found.append(Waiting(
            one._replace(dependencies=needs, not_before="" if one.id in mates else one.not_before),
            str(one.id) if one.action_type == PUSH else "", mates - {one.id} if one.id in mates else frozenset(),
            frozenset(lines) if one.action_type == PUSH else frozenset(), one.id in mates,
        ))  # fmt: skip
    places = [("origin", "main"), ("backup", "dev"), ("origin", "dev")]
    taken = draw(st.lists(st.sampled_from(places), max_size=1))
    moving = draw(st.lists(st.sampled_from(BRANCHES), max_size=1))
    return found, ended, Busy(frozenset(taken), frozenset(moving))


def _in_the_way(action: Action, busy: Busy) -> bool:
    names = {changes(action), reads(action)} - {""}
    if action.action_type != COMMIT and any((action.remote, name) in busy.refs for name in names):
        return True
    return bool(names & busy.moving)


@pytest.mark.slow
@RANDOM
@given(queued(), st.booleans(), st.integers(1, 4))
def test_a_batch_holds_what_may_be_executed_now(case: Any, due_only: bool, most: int) -> None:
    pending, ended, busy = case
    by_id = {w.action.id: w for w in pending}
    found = choose(pending, ended, busy, NOW, due_only, most)
    ids = [c.id for c in found]
    assert len(ids) == len(set(ids))
    places = []
    merging = {
        name for w in pending if w.action.action_type == MERGE and w.action.execute_after <= NOW
        for name in (changes(w.action), reads(w.action))
    }  # fmt: skip
    for choice in found:
        one = by_id[choice.id]
        action = one.action
        assert action.not_before <= NOW
        assert not _in_the_way(action, busy)
        for need in action.dependencies:
            assert need in ids or ended[need] in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
        assert {m for m in one.mates if m in by_id} <= set(ids), "half of an atomic push"
        if action.action_type == PUSH:
            places.append((action.remote, action.target))
            older = [
                w.action for w in pending
                if w.action.action_type == PUSH and (w.action.remote, w.action.target) == places[-1]
                and w.action.id < action.id and w.action.not_before <= NOW and not w.action.dependencies and not w.mates
            ]  # fmt: skip
            assert older == [], "overtakes an older push"
        elif due_only and action.execute_after > NOW:
            assert action.action_type == COMMIT
            assert choice.carried_by is not None or changes(action) in merging
        if choice.carried_by is not None:
            push = by_id[choice.carried_by]
            assert choice.carried_by in ids and not push.whole and action.ref in push.lines
            assert action.action_type == COMMIT and push.action.action_type == PUSH
    assert len(places) == len(set(places)), "two pushes of one ref"


@pytest.mark.slow
@RANDOM
@given(queued(atomic=False), st.booleans(), st.integers(1, 4))
@example(
    ([Waiting(act(1, DEPLOY, "slow", ref="x", not_before=LATER)), Waiting(act(2, PUSH, "main", 1)),
      Waiting(act(3, PUSH))], {1: Status.PENDING, 2: Status.PENDING, 3: Status.PENDING}, NOTHING),
    True, 4,
)  # fmt: skip
def test_what_is_due_and_free_does_not_starve(case: Any, due_only: bool, most: int) -> None:
    pending, ended, busy = case
    free = [
        w.action for w in pending
        if w.action.not_before <= NOW and not w.action.dependencies and not _in_the_way(w.action, busy)
        and (not due_only or w.action.execute_after <= NOW)
    ]  # fmt: skip
    assert choose(pending, ended, busy, NOW, due_only, most) or not free


@pytest.mark.slow
@RANDOM
@given(queued(), st.integers(1, 4))
def test_batch_after_batch_everything_has_its_turn(case: Any, most: int) -> None:
    pending, ended, _ = case
    ended = {n: Status.COMPLETED if n > 100 else s for n, s in ended.items()}
    left = [w._replace(action=w.action._replace(not_before="")) for w in pending]
    while left:
        taken = {c.id for c in choose(left, ended, NOTHING, NOW, False, most)}
        assert taken, f"nobody takes {[w.action.id for w in left]}"
        ended |= dict.fromkeys(taken, Status.COMPLETED)
        left = [w for w in left if w.action.id not in taken]


# -- lanes -------------------------------------------------------------------------------------------------------


LANES = tuple(Lane(remote=remote) for remote in ("origin", "backup", ""))


def of_lane(lane: Lane, *waiting: Waiting | Action) -> list[int]:
    """The ids that the next batch of a lane takes."""
    pending = [w if isinstance(w, Waiting) else Waiting(w) for w in waiting]
    return sorted(c.id for c in choose(pending, {w.action.id: Status.PENDING for w in pending}, NOTHING, NOW, True, 20,
                                       lane))  # fmt: skip


def test_a_lane_takes_what_is_its_own() -> None:
    waiting = [act(1, PUSH), act(2, PUSH, remote="backup"), act(3, COMMIT, "dev", remote=""), act(4, DEPLOY, "prod")]
    assert [of_lane(lane, *waiting) for lane in LANES] == [[1, 4], [2], [3]]


def test_a_push_takes_the_commits_that_it_brings_along() -> None:
    push = Waiting(act(2, PUSH), lines=frozenset({"refs/heads/main"}))
    assert [of_lane(lane, act(1, COMMIT, remote=""), push) for lane in LANES] == [[1, 2], [], []]


def test_only_an_order_that_was_asked_for_counts_between_lanes() -> None:
    implied = [act(1, PUSH), act(2, WORKFLOW, "ci", remote="backup")]
    assert [of_lane(lane, *implied) for lane in LANES] == [[1], [2], []]
    asked = [act(1, PUSH), act(2, WORKFLOW, "ci", 1, remote="backup"), act(3, COMMIT, "dev", 1, remote="")]
    assert [of_lane(lane, *asked) for lane in LANES] == [[1], [], []]
    asked = [act(1, COMMIT, "dev", remote=""), act(2, PUSH, "main", 1)]
    assert [of_lane(lane, *asked) for lane in LANES] == [[1, 2], [], [1]]


@pytest.mark.slow
@RANDOM
@given(queued(), st.integers(1, 4))
def test_lane_after_lane_everything_has_its_turn(case: Any, most: int) -> None:
    pending, ended, _ = case
    ended = {n: Status.COMPLETED if n > 100 else s for n, s in ended.items()}
    left = []
    for w in pending:
        remote = "" if w.action.action_type == COMMIT else w.action.remote
        left.append(w._replace(action=w.action._replace(not_before="", remote=remote)))
    while left:
        before = len(left)
        for lane in LANES:
            found = {c.id for c in choose(left, ended, NOTHING, NOW, False, most, lane)}
            assert {w.action.remote for w in left if w.action.id in found} <= {lane.remote, ""}
            ended |= dict.fromkeys(found, Status.COMPLETED)
            left = [w for w in left if w.action.id not in found]
        assert len(left) < before, f"nobody takes {[w.action.id for w in left]}"


# -- sizes -------------------------------------------------------------------------------------------------------


@RANDOM
@given(st.integers(0, 12), st.integers(1, 6))
def test_a_batch_is_as_big_as_it_may_be(count: int, most: int) -> None:
    loose = [act(n + 1, WORKFLOW, f"w{n}") for n in range(count)]
    assert len(chosen(*loose, most=most)) == min(count, most)
