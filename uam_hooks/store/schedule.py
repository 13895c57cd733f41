"""Which actions form the next batch of a lane. Pure: no database, no git, no clock; `order` has what comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.lane import EVERYTHING, Lane
from uam_hooks.hot.queue.model import Action, ActionType, Status
from uam_hooks.store.order import changes, edges, leads, reads


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


class Busy(NamedTuple):
    """What other batches are changing: refs of remotes as (remote, branch), branches that commits and merges by name
    move here, and what deploys are for.
    """

    refs: frozenset[tuple[str, str]] = frozenset()
    moving: frozenset[str] = frozenset()
    deploys: frozenset[str] = frozenset()


class Choice(NamedTuple):
    """An action for the next batch; `carried_by` is the push that carries a commit."""

    id: int
    carried_by: int | None = None


def choose(
    pending: Sequence[Waiting], ended: Mapping[int, Status], busy: Busy, now: str, due_only: bool, most: int,
    lane: Lane = EVERYTHING,
) -> list[Choice]:  # fmt: skip
    """What the next batch of a lane takes: what is due at `now` (an ISO moment), or all of it, at most about `most`
    actions.

    `ended` has the status of every dependency. Of each ref of a remote only the oldest push is taken, so what a ref
    goes through happens in queue order. An action whose dependency has not ended is left unless that dependency is
    taken, too; a push carries the commits of its branch whatever their own window says. What names no remote is taken
    along where the lane's own work needs it.
    """
    free = [w for w in pending if _free(w.action, ended, busy, now)]
    while True:
        wanted, carrier = _wanted(free, pending, now, due_only)
        there = {w.action.id for w in wanted}
        blocked: set[int] = set()
        for w in wanted:  # in queue order, so a whole line of actions that wait for each other is seen at once
            open_ones = [dep for dep in w.action.dependencies if ended.get(dep) == Status.PENDING]
            if any(dep not in there or dep in blocked for dep in open_ones):
                blocked.add(w.action.id)
        if not blocked:
            return _taken(wanted, carrier, most, lane)
        # what waits for something that is not taken holds up nobody else
        free = [w for w in free if w.action.id not in blocked]


def _wanted(
    free: Sequence[Waiting], pending: Sequence[Waiting], now: str, due_only: bool
) -> tuple[list[Waiting], dict[int, int]]:
    """What is due, or wanted by what is due; and the push that carries a commit, for those that one carries."""
    pushes = _whole(_oldest_pushes(free, now, due_only), pending)
    needs = {w.action.id: set(w.action.dependencies) for w in pending}
    bringing = _bringing(pushes)
    merges = [w.action for w in pushes if w.action.action_type == ActionType.MERGE and w.action.execute_after <= now]
    merged = frozenset(branch for action in merges for branch in (changes(action), reads(action)))
    carrier: dict[int, int] = {}
    found = []
    for one in pushes:
        takers: list[int] = []
        if one.action.action_type == ActionType.COMMIT and not any(dep in needs for dep in one.action.dependencies):
            takers = bringing.get(one.action.ref, [])
        # one that several pushes bring, or that has to be done before its push, lands on its branch first
        if len(takers) == 1 and not leads(needs, takers[0], one.action.id):
            carrier[one.action.id] = takers[0]
        if takers or not due_only or _due(one.action, merged, now):
            found.append(one)
    return found, carrier


def _free(action: Action, ended: Mapping[int, Status], busy: Busy, now: str) -> bool:
    if action.not_before > now or _held_up(action, busy):
        return False
    return not any(ended.get(dep) in (Status.BATCHED, Status.EXECUTING) for dep in action.dependencies)


def _held_up(action: Action, busy: Busy) -> bool:
    """Whether another batch is changing what the action names. `due_at` asks the database about what it changes.

    What goes on at another remote is no reason to wait.
    """
    kind, branch, read = action.action_type, changes(action), reads(action)
    if (action.remote, read) in busy.refs or read in busy.moving:
        return True
    if kind in (ActionType.PUSH, ActionType.MERGE) and (action.remote, branch) in busy.refs:
        return True
    # what an agent pushes is its own work; a push by name is one of the branch as commits and merges leave it
    if kind in (ActionType.COMMIT, ActionType.MERGE) or (kind == ActionType.PUSH and action.explicit):
        return branch in busy.moving
    return kind == ActionType.DEPLOY and action.target in busy.deploys


def _oldest_pushes(free: Sequence[Waiting], now: str, due_only: bool) -> list[Waiting]:
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
    left = {w.action.id for w in pending} - {w.action.id for w in free}
    return [w for w in free if not w.mates & left]


def _bringing(pushes: Iterable[Waiting]) -> dict[str, list[int]]:
    """The pushes that carry commits, by the branch of these: each from a branch to one of the same name."""
    found: dict[str, list[int]] = {}
    for one in pushes:
        if one.action.action_type == ActionType.PUSH and not one.whole and one.action.ref in one.lines:
            found.setdefault(one.action.ref, []).append(one.action.id)
    return found


def _due(one: Action, merged: frozenset[str], now: str) -> bool:
    # a merge that is due wants the commits of the branches it names
    return (
        one.action_type == ActionType.PUSH or one.execute_after <= now
        or (one.action_type == ActionType.COMMIT and short_target(one.ref) in merged)
    )  # fmt: skip


def _taken(wanted: Sequence[Waiting], carrier: Mapping[int, int], most: int, lane: Lane) -> list[Choice]:
    """The most important of `wanted` with all that has to come before them, until the batch is big enough."""
    by_id = {w.action.id: w for w in wanted}
    needs = _needs(by_id, carrier, lane)
    taken: dict[int, None] = {}
    units: set[str] = set()
    for one in sorted(wanted, key=lambda w: (-w.action.priority, w.action.id)):
        if len(units) >= most:
            break
        whole = _with_needs(one.action.id, needs)
        # what needs the work of another lane waits until that has ended
        if not lane.has(one.action) or not all(lane.has(a) or not a.remote for a in (by_id[n].action for n in whole)):
            continue
        for number in whole:
            if number not in taken:
                taken[number] = None
                units.update([by_id[number].group or str(number)] if number not in carrier else [])
    return [Choice(number, carrier.get(number)) for number in taken]


def _needs(by_id: Mapping[int, Waiting], carrier: Mapping[int, int], lane: Lane) -> dict[int, set[int]]:
    """What has to be in the same batch as each of these actions, or to have ended before."""
    needs: dict[int, set[int]] = {n: {mate for mate in w.mates if mate in by_id} for n, w in by_id.items()}
    for commit, push in carrier.items():
        needs[push].add(commit)
        needs[commit].add(push)
    for edge in edges([w.action._replace(carried_by=carrier.get(n)) for n, w in by_id.items()]):
        before, after = by_id[edge.before].action, by_id[edge.after].action
        # between two remotes only an order that was asked for counts: neither is to wait for the other
        apart = lane.remote is not None and before.remote and after.remote and before.remote != after.remote
        if not apart or before.id in after.dependencies:
            needs[after.id].add(before.id)
    return needs


def _with_needs(number: int, needs: Mapping[int, set[int]]) -> dict[int, None]:
    found: dict[int, None] = {}
    todo = [number]
    while todo:
        following = todo.pop()
        if following not in found:
            found[following] = None
            todo += needs[following]
    return found
