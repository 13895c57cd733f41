"""What comes before what in a batch. Pure: no database, no git, no clock.

Two actions have to do with each other when one names a branch that the other one changes. Commits to a branch come
first, then pushes and merges in the order they were queued, then what only names the branch: workflows and deploys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.model import Action, ActionType


class Edge(NamedTuple):
    """`after` waits for `before`; when it is `gating`, a failure of `before` fails `after` as well."""

    before: int
    after: int
    gating: bool


def changes(action: Action) -> str:
    """The branch that an action changes, "" for none; other refs by their full name."""
    return "" if action.action_type in (ActionType.WORKFLOW, ActionType.DEPLOY) else short_target(action.ref)


def reads(action: Action) -> str:
    """The branch that an action names without changing it, "" for none."""
    if action.action_type == ActionType.MERGE:
        return short_target(str(action.payload.get("source", "")))
    if action.action_type in (ActionType.WORKFLOW, ActionType.DEPLOY):
        return short_target(str(action.payload.get("ref", "")))
    return ""


def edges(actions: Sequence[Action]) -> list[Edge]:
    """The order of a batch. What was asked for explicitly goes before what follows from the branches.

    A commit that a push carries is done with that push, and has no place of its own.
    """
    done_with = {a.id: a.id if a.carried_by is None else a.carried_by for a in actions}
    alone = sorted((a for a in actions if a.carried_by is None), key=lambda a: a.id)
    asked = {(done_with[dep], a.id) for a in alone for dep in a.dependencies if dep in done_with}
    found = [Edge(before, after, True) for before, after in sorted(asked) if before != after]
    risky = bool(found) or any(a.action_type == ActionType.MERGE for a in alone)
    after: dict[int, set[int]] = {}
    for edge in found:
        after.setdefault(edge.before, set()).add(edge.after)
    for edge in _implied(alone):
        # an order that was asked for may contradict the usual one, and then it wins
        if edge.after in after.get(edge.before, ()) or (risky and leads(after, edge.after, edge.before)):
            continue
        after.setdefault(edge.before, set()).add(edge.after)
        found.append(edge)
    return found + _apart(alone, found)


def leads(after: Mapping[int, set[int]], start: int, end: int) -> bool:
    seen, todo = {start}, [start]
    while todo:
        for following in after.get(todo.pop(), ()):
            if following == end:
                return True
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return False


def _implied(actions: Sequence[Action]) -> Iterable[Edge]:
    """Commits before pushes and merges of their branch, and all of them before what names it."""
    changing: dict[str, list[Action]] = {}
    for action in actions:
        if branch := changes(action):
            changing.setdefault(branch, []).append(action)
    for same in changing.values():
        first = [a for a in same if a.action_type == ActionType.COMMIT]
        then = [a for a in same if a.action_type != ActionType.COMMIT]
        # what an agent has pushed is its own work; a push by name is one of the branch with that commit
        yield from (Edge(a.id, b.id, b.explicit) for a in first for b in then)
    for action in actions:
        for other in changing.get(reads(action), ()):
            # two merges that name each other's branches: as they were queued
            merges = action.action_type == other.action_type == ActionType.MERGE
            if other.id != action.id and not (merges and other.id > action.id):
                yield Edge(other.id, action.id, True)


def _apart(actions: Sequence[Action], found: Sequence[Edge]) -> list[Edge]:
    """What must not happen at the same time, in the order that the other edges leave, else as it was queued.

    That is commits of one branch, its merges among its pushes, and deploys of one target. Pushes of one branch are for
    different remotes and go together.
    """
    more: list[Edge] = []
    groups: dict[tuple[str, str], list[Action]] = {}
    for action in _in_order(actions, found):
        kind = "deploy" if action.action_type == ActionType.DEPLOY else "commit"
        if action.action_type in (ActionType.PUSH, ActionType.MERGE):
            kind = "push"
        if action.action_type != ActionType.WORKFLOW:
            groups.setdefault((kind, action.target if kind == "deploy" else changes(action)), []).append(action)
    for (kind, _), same in groups.items():
        since: list[int] = []
        last: int | None = None
        for action in same:
            alone = kind != "push" or action.action_type == ActionType.MERGE
            earlier = since if alone and since else [] if last is None else [last]
            more += [Edge(before, action.id, False) for before in earlier]
            since, last = ([], action.id) if alone else ([*since, action.id], last)
    known = {(edge.before, edge.after) for edge in found}
    return [edge for edge in more if (edge.before, edge.after) not in known]


def _in_order(actions: Sequence[Action], found: Sequence[Edge]) -> list[Action]:
    """The actions, each after what has to come before it, and as they were queued where that is open."""
    by_id = {action.id: action for action in actions}
    left = dict.fromkeys(by_id, 0)
    after: dict[int, list[int]] = {}
    for edge in found:
        left[edge.after] += 1
        after.setdefault(edge.before, []).append(edge.after)
    ready = [number for number, many in left.items() if not many]
    heapify(ready)
    order = []
    while ready:
        number = heappop(ready)
        order.append(by_id[number])
        for following in after.get(number, ()):
            left[following] -= 1
            if not left[following]:
                heappush(ready, following)
    return order
