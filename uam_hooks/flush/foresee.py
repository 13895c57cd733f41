"""One batch, foreseen plan by plan. Nothing moves, nothing is fetched.

The order is that of execute, and so is what a failed action does to those that depend on it. Commands of others are
taken to end well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from uam_hooks.flush.acting import leads_elsewhere
from uam_hooks.flush.foresight import Foreseen, Foresight
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import Failure, UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.queue.model import Action, ActionType, Batch, Source, SourceStatus, Status, is_external
from uam_hooks.land import shared_shadow
from uam_hooks.land.branch import conflict_words
from uam_hooks.land.commits import plan_commits
from uam_hooks.land.follow import followed, would_follow
from uam_hooks.land.merges import plan_merge, source_tip
from uam_hooks.land.push_plans import plan_push
from uam_hooks.land.pushes import ATOMIC, groups
from uam_hooks.land.retry import failure_of
from uam_hooks.store import gathered, views
from uam_hooks.store.order import Edge, edges

_ON_REFS = (ActionType.PUSH, ActionType.MERGE)


class _NotHere(UamError):
    """The remote has a commit that nobody has fetched: what comes onto it cannot be planned."""


def foresee(so_far: Foresight, batch: Batch) -> list[Foreseen]:
    """What executing a batch would do after what is foreseen so far, in its order."""
    began = len(so_far.all)
    _Batch(so_far, batch).to_its_end()
    return so_far.all[began:]


class _Batch:
    """One batch, foreseen; see `execute` for what this is the foresight of."""

    def __init__(self, so_far: Foresight, batch: Batch) -> None:
        self.so_far, self.batch, self.session = so_far, batch, so_far.session
        self.actions = {a.id: a for a in batch.actions if a.carried_by is None}
        self.before: dict[int, list[Edge]] = {i: [] for i in self.actions}
        for edge in edges(batch.actions):
            self.before[edge.after].append(edge)
        self.made: dict[int, Source] = {}
        self.listed: dict[str, dict[str, str] | UamError] = {}

    def to_its_end(self) -> None:
        """Everything in its order: what stays here at once, pushes together, commands of others when nothing else is
        left.
        """
        sorter = TopologicalSorter({i: [e.before for e in found] for i, found in self.before.items()})
        sorter.prepare()
        pushes: list[Action] = []
        outside: list[Action] = []
        while sorter.is_active():
            ready_now = [self.actions[i] for i in sorter.get_ready()]
            for action in sorted(ready_now, key=lambda a: (-a.priority, a.id)):
                if self.held_back(action):
                    sorter.done(action.id)
                elif is_external(action):
                    outside.append(action)
                elif self.goes_out(action):
                    pushes.append(action)
                else:
                    sorter.done(action.id)
            if ready_now:
                continue
            if pushes:
                self.push(pushes)
                sorter.done(*(action.id for action in pushes))
                pushes = []
            else:
                for action in outside:
                    self.so_far.note(Foreseen(action, sources=tuple(gathered.sources(self.session.store, action.id))))
                sorter.done(*(action.id for action in outside))
                outside = []

    def held_back(self, action: Action) -> bool:
        """Whether something that the action depends on would have failed, or would be given back; or whether its remote
        leads elsewhere than when it was queued.
        """
        if (elsewhere := leads_elsewhere(self.session, action)) is not None:
            self.fail([action], elsewhere)
            return True
        gating = [edge.before for edge in self.before[action.id] if edge.gating]
        gating += [a.id for a in self.batch.actions if a.carried_by in gating]
        for number in dict.fromkeys((*action.dependencies, *gating)):
            fate = self.fate(action, number)
            sources = tuple(gathered.sources(self.session.store, action.id))
            if fate in (Status.FAILED, Status.CANCELLED):
                words = f"dependency #{number} {'failed' if fate == Status.FAILED else 'was cancelled'}"
                self.so_far.note(Foreseen(action, None, Failure(words), sources=sources), Status.FAILED)
                return True
            if fate != Status.COMPLETED:
                words = f"it waits for #{number}"
                self.so_far.note(Foreseen(action, None, Failure(words), sources=sources), Status.PENDING)
                return True
        return False

    def fate(self, action: Action, number: int) -> Status:
        """What would become of a dependency: of the agent's own part, where several asked for it together."""
        known = self.so_far.fates.get(number)
        if known is None:
            found = views.action(self.session.store, number)
            known = Status.CANCELLED if found is None else found.status
        if known == Status.COMPLETED and number in action.dependencies:
            sources = views.sources(self.session.store, number)
            own = [self.so_far.sources.get(s.id, s.status) for s in sources if s.agent == action.agent_id]
            if SourceStatus.FAILED in own and SourceStatus.LANDED not in own:
                return Status.FAILED
        return known

    def goes_out(self, action: Action) -> bool:
        """Whether the action is to be pushed with others; everything else is foreseen here and now."""
        try:
            if action.action_type == ActionType.COMMIT:
                sources = gathered.sources(self.session.store, action.id)
                self.so_far.move(plan_commits(self.session, self.batch, action, self.so_far.tips), sources)
                return False
            return action.action_type == ActionType.PUSH or self.merge(action)
        except _NotHere as error:
            self.so_far.note(Foreseen(action, unknown=error.what))
        except Exception as error:
            self.fail([action], failure_of(error))
        return False

    def merge(self, action: Action) -> bool:
        """Foresee a merge; returns whether it is to be pushed."""
        pushed = bool(action.payload.get("push"))
        there = self.there([action])[action.ref] if pushed else None
        plan = plan_merge(self.session, self.batch, action, self.so_far.tips, there)
        tip = source_tip(self.session, str(action.payload["source"]), action.remote, self.so_far.tips)
        sources = [source._replace(tip=tip) for source in gathered.sources(self.session.store, action.id)]
        for conflict in plan.conflicts.values():
            self.so_far.note(Foreseen(action, plan, Failure(conflict_words(action, conflict)), sources=tuple(sources)))
            return False
        if pushed:
            self.made[action.id] = plan.landed[0]
        else:
            self.so_far.move(plan, sources)
        return pushed

    def push(self, actions: Sequence[Action]) -> None:
        """Foresee pushes that go out together, and the branches that follow them."""
        sources = {action.id: self.sources_of(action) for action in actions}
        began = len(self.so_far.all)
        for (_, _, atomic, _), group in groups(self.session, actions).items():
            try:
                there = self.there(group)
            except _NotHere as error:
                for action in group:
                    self.so_far.note(Foreseen(action, unknown=error.what, sources=sources[action.id]))
                continue
            except UamError as error:
                self.fail(group, error.failure)
                continue
            found = [self.planned(action, sources[action.id], there[action.ref]) for action in group]
            broken = any(one.failure or (one.plan and (one.plan.conflicts or one.plan.refused)) for one in found)
            for one in found:
                moves = one.plan is not None and one.plan.new != one.plan.old
                self.landed(one._replace(failure=Failure(ATOMIC)) if atomic and broken and moves else one)
        for one in self.so_far.all[began:]:
            if one.done is not None:
                self.so_far.tips = would_follow(self.session, one.done, one.sources, self.so_far.tips)

    def sources_of(self, action: Action) -> tuple[Source, ...]:
        """What a push would bring: the merge that was made for it, else its sources as they would be by then."""
        if action.id in self.made:
            return (self.made[action.id],)
        return tuple(followed(gathered.sources(self.session.store, action.id), self.so_far.tips))

    def planned(self, action: Action, sources: tuple[Source, ...], there: str) -> Foreseen:
        """The plan of a push, or why there is none."""
        try:
            plan = plan_push(self.session, self.batch, action, sources, there, self.so_far.tips)
        except Exception as error:
            return Foreseen(action, None, failure_of(error), sources=sources)
        return Foreseen(action, plan, sources=sources)

    def landed(self, one: Foreseen) -> None:
        """Foresee what a push would leave: on the remote, in the tracking ref and in the shadow."""
        plan = one.done
        if plan is not None and plan.new != plan.old:
            self.so_far.tips = self.so_far.tips.landed(plan.remote, plan.ref, plan.new, plan.keep)
        if plan is not None and plan.landed:
            self.track(plan.remote, plan.ref, plan.new)
        self.so_far.note(one)
        for action in self.batch.actions:
            if action.carried_by == one.action.id:
                own = [self.so_far.sources.get(s.id) for s in one.sources if s.action_id == action.id]
                good = SourceStatus.LANDED in own
                self.so_far.fates[action.id] = Status.COMPLETED if good else self.so_far.fates[one.action.id]

    def there(self, actions: Iterable[Action]) -> dict[str, str]:
        """What the remote of these actions has in their refs: listed once a batch, and never fetched.

        Raises UamError when it does not answer, or has what is not here.
        """
        found = {}
        for action in actions:
            if action.remote not in self.listed:
                self.listed[action.remote] = self.ask(action.remote)
            listed = self.listed[action.remote]
            if isinstance(listed, UamError):
                raise listed
            oid = self.so_far.tips.there(action.remote, action.ref, listed.get(action.ref, ZERO))
            if oid != ZERO and not self.session.repo.kind(oid):
                raise _NotHere(f"the remote is at {oid[:7]}, which is not here yet; fetch to see a plan")
            found[action.ref] = oid
            for ref in shared_shadow.refs_of(self.session, [action.ref]):
                theirs = self.so_far.tips.there(action.remote, ref, listed.get(ref, ZERO))
                if self.session.repo.kind(theirs):
                    self.so_far.tips = self.so_far.tips.seen(action.remote, {ref: theirs})
        return found

    def ask(self, remote: str) -> dict[str, str] | UamError:
        refs = {a.ref for a in self.batch.actions if a.remote == remote and a.action_type in _ON_REFS}
        try:
            asked = sorted(refs | set(shared_shadow.refs_of(self.session, sorted(refs))))
            return Remote(self.session.repo, self.session.settings, remote).refs(*asked)
        except UamError as error:
            return error

    def track(self, remote: str, ref: str, oid: str) -> None:
        """Foresee what the remote-tracking ref would say."""
        tracking = Remote(self.session.repo, self.session.settings, remote).memory.tracking(ref)
        if tracking is not None and self.so_far.tips.at(tracking) != oid:
            self.so_far.tips = self.so_far.tips.moved(tracking, oid)

    def fail(self, actions: Sequence[Action], failure: Failure) -> None:
        for action in actions:
            sources = tuple(gathered.sources(self.session.store, action.id))
            self.so_far.note(Foreseen(action, None, failure, sources=sources))
