"""Which actions go together, and in which order. Pure: no database, no git, no clock.

Two actions have to do with each other when one names a branch that the other one changes. Commits to a branch come
first, then pushes and merges in the order they were queued, then what only names the branch: workflows and deploys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from .model import Action, ActionType, Status, short_target

ENDED_BADLY = (Status.FAILED, Status.CANCELLED)


class Waiting(NamedTuple):
    """A pending action as choosing sees it.

    `group` is one `git push` (its actions count once against the size of a batch), `mates` are the actions of the
    same atomic push, `lines` the local branches that a push brings. A `whole` push goes out exactly as it is.
    """

    action: Action
    group: str = ""
    mates: frozenset[int] = frozenset()
    lines: frozenset[str] = frozenset()
    whole: bool = False


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
    """The order of a batch. What was asked for explicitly goes before what follows from the branches."""
    ids = {action.id for action in actions}
    found = [Edge(dep, a.id, True) for a in actions for dep in a.dependencies if dep in ids]
    risky = bool(found) or any(a.action_type == ActionType.MERGE for a in actions)
    after: dict[int, set[int]] = {}
    for edge in found:
        after.setdefault(edge.before, set()).add(edge.after)
    for edge in _implied(actions):
        # an order that was asked for may contradict the usual one, and then it wins
        if risky and _leads(after, edge.after, edge.before):
            continue
        after.setdefault(edge.before, set()).add(edge.after)
        found.append(edge)
    return found


def _leads(after: Mapping[int, set[int]], start: int, end: int) -> bool:
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
    changing: dict[str, list[Action]] = {}
    deploys: dict[str, Action] = {}
    for action in sorted(actions, key=lambda a: a.id):
        if (branch := changes(action)) and action.carried_by is None:
            changing.setdefault(branch, []).append(action)
    for same in changing.values():
        first = [a for a in same if a.action_type == ActionType.COMMIT]
        then = [a for a in same if a.action_type != ActionType.COMMIT]
        yield from (Edge(a.id, b.id, True) for a in first for b in then)
        for a, b in pairwise(then):
            if ActionType.MERGE in (a.action_type, b.action_type):
                yield Edge(a.id, b.id, False)
    for action in sorted(actions, key=lambda a: a.id):
        for other in changing.get(reads(action), ()):
            # two merges that name each other's branches: as they were queued
            merges = action.action_type == other.action_type == ActionType.MERGE
            if other.id != action.id and not (merges and other.id > action.id):
                yield Edge(other.id, action.id, True)
        if action.action_type == ActionType.DEPLOY:
            if action.target in deploys:
                yield Edge(deploys[action.target].id, action.id, False)
            deploys[action.target] = action


class Choice(NamedTuple):
    """An action for the next batch; `carried_by` is the push that takes a commit along."""

    id: int
    carried_by: int | None = None


def choose(
    pending: Sequence[Waiting], ended: Mapping[int, Status], busy: frozenset[tuple[str, str]], now: str,
    due_only: bool, most: int,
) -> list[Choice]:  # fmt: skip
    """What the next batch takes: what is due at `now` (an ISO moment), or all of it, at most about `most` actions.

    `ended` has the status of every dependency, `busy` the (remote, target) that another batch is changing, and the
    same with an empty remote. Of each ref of a
    remote only the oldest push is taken, so what a ref goes through happens in queue order. An action whose
    dependency has not ended is left unless that dependency is taken, too; a push takes the commits of its branch
    along whatever their own window says.
    """
    free = [w for w in pending if _free(w.action, ended, busy, now)]
    free = _whole(_oldest_pushes(free, now, due_only), pending)
    carrier = {w.action.id: push for w in free if (push := _carrier(w, free)) is not None}
    wanted = [w for w in free if w.action.id in carrier or not due_only or _due(w, free, now)]
    return _taken(wanted, carrier, ended, most)


def _free(action: Action, ended: Mapping[int, Status], busy: frozenset[tuple[str, str]], now: str) -> bool:
    # a push is in the way of its own remote's ref alone; anything else of the branch, wherever that is
    remote = action.remote if action.action_type == ActionType.PUSH else ""
    if action.not_before > now or (remote, changes(action)) in busy or ("", reads(action)) in busy:
        return False
    return all(
        ended[dep] in (Status.PENDING, Status.COMPLETED, *ENDED_BADLY) for dep in action.dependencies if dep in ended
    )


def _oldest_pushes(free: list[Waiting], now: str, due_only: bool) -> list[Waiting]:
    oldest: dict[tuple[str, str], int] = {}
    due: set[tuple[str, str]] = set()
    for one in free:
        if one.action.action_type == ActionType.PUSH:
            place = one.action.remote, one.action.target
            oldest[place] = min(one.action.id, oldest.get(place, one.action.id))
            if not due_only or one.action.execute_after <= now:
                due.add(place)
    return [
        one for one in free
        if one.action.action_type != ActionType.PUSH
        or ((place := (one.action.remote, one.action.target)) in due and oldest[place] == one.action.id)
    ]  # fmt: skip


def _whole(free: list[Waiting], pending: Sequence[Waiting]) -> list[Waiting]:
    """Without actions of an atomic push whose other refs cannot be taken yet: they go together or not at all."""
    there, waiting = {w.action.id for w in free}, {w.action.id for w in pending}
    return [w for w in free if not w.mates & waiting - there]


def _carrier(one: Waiting, free: Sequence[Waiting]) -> int | None:
    """The push that takes this commit along: one of the branch it is for, to a branch of the same name."""
    if one.action.action_type != ActionType.COMMIT or one.action.dependencies:
        return None
    for other in free:
        same = other.action.action_type == ActionType.PUSH and other.action.ref == one.action.ref
        if same and not other.whole and one.action.ref in other.lines:
            return other.action.id
    return None


def _due(one: Waiting, free: Sequence[Waiting], now: str) -> bool:
    action = one.action
    if action.action_type == ActionType.PUSH or action.execute_after <= now:
        return True
    if action.action_type != ActionType.COMMIT:
        return False
    # a merge that is due wants the commits of the branches it names
    return any(
        w.action.action_type == ActionType.MERGE and w.action.execute_after <= now
        and short_target(action.ref) in (changes(w.action), reads(w.action))
        for w in free
    )  # fmt: skip


def _taken(
    wanted: Sequence[Waiting], carrier: Mapping[int, int], ended: Mapping[int, Status], most: int
) -> list[Choice]:
    by_id = {w.action.id: w for w in wanted}
    carried: dict[int, list[int]] = {}
    for commit, push in carrier.items():
        carried.setdefault(push, []).append(commit)
    before: dict[int, set[int]] = {}
    for edge in edges([w.action._replace(carried_by=carrier.get(w.action.id)) for w in wanted]):
        before.setdefault(edge.after, set()).add(edge.before)
    taken: dict[int, None] = {}
    units: set[str] = set()
    for one in sorted(wanted, key=lambda w: (-w.action.priority, w.action.id)):
        if len(units) >= most:
            break
        together = _with_what_it_needs(one.action.id, by_id, before, carrier, carried, ended)
        if together is not None:
            taken.update(dict.fromkeys(together))
            units.update(by_id[i].group or str(i) for i in together if i not in carrier)
    return [Choice(i, carrier.get(i)) for i in taken]


def _with_what_it_needs(
    start: int, by_id: Mapping[int, Waiting], before: Mapping[int, set[int]], carrier: Mapping[int, int],
    carried: Mapping[int, list[int]], ended: Mapping[int, Status],
) -> list[int] | None:  # fmt: skip
    """An action with all that has to come before it; None when something of that cannot be taken now."""
    found: dict[int, None] = {}
    todo = [start]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found[one] = None
        waiting = by_id[one]
        if any(ended.get(dep) == Status.PENDING and dep not in by_id for dep in waiting.action.dependencies):
            return None
        todo += [i for i in before.get(one, ()) if i in by_id]
        todo += [carrier[one]] if one in carrier else []
        todo += carried.get(one, [])
        todo += [mate for mate in waiting.mates if mate in by_id]
    return list(found)
