"""A batch while it is being executed: what waits for what, where each action stands, and how an action fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from uam_hooks.flush.acting import leads_elsewhere
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.identity import Place
from uam_hooks.hot.queue.model import Action, Batch, SourceStatus, Status
from uam_hooks.land.ahead import Ahead
from uam_hooks.land.retry import fail_or_requeue
from uam_hooks.session import Session
from uam_hooks.store import returns, views
from uam_hooks.store.order import Edge, edges

Tell = Callable[[Action, str], None]


class BatchRun:
    """The state of one execution. `tell` is called with every action: `running`, then its status."""

    def __init__(self, session: Session, batch: Batch, tell: Tell, ahead: Ahead | None = None) -> None:
        self.session, self.batch, self.tell, self.ahead = session, batch, tell, ahead
        self.actions = {a.id: a for a in batch.actions if a.carried_by is None}
        self._elsewhere: dict[tuple[str, Place], Failure | None] = {}  # by remote, and where it led
        self._before: dict[int, list[Edge]] = {i: [] for i in self.actions}
        self._carried: dict[int, list[int]] = {}
        for action in batch.actions:
            if action.carried_by is not None:
                self._carried.setdefault(action.carried_by, []).append(action.id)
        for edge in edges(batch.actions):
            self._before[edge.after].append(edge)

    def graph(self) -> dict[int, list[int]]:
        """The ids of all actions, each with those that come before it."""
        return {number: [edge.before for edge in found] for number, found in self._before.items()}

    def by_priority(self, numbers: Iterable[int]) -> list[Action]:
        """These actions, the highest priority first, the oldest of equal ones first."""
        return sorted((self.actions[number] for number in numbers), key=lambda a: (-a.priority, a.id))

    def status(self, action: Action) -> Status:
        return self._statuses([action])[action.id]

    def _statuses(self, actions: Iterable[Action]) -> dict[int, Status]:
        ids = [action.id for action in actions]
        found = views.standing(self.session.store, ids)
        return {number: found[number][0] if number in found else Status.CANCELLED for number in ids}

    def pending(self, actions: Iterable[Action]) -> list[Action]:
        """Those of the actions that have not ended: making a merge may have failed, and recovery may own an action."""
        asked = list(actions)
        now = self._statuses(asked)
        return [action for action in asked if now[action.id] in (Status.BATCHED, Status.EXECUTING)]

    def held_back(self, action: Action) -> bool:
        """Fail or put back an action whose dependency has failed or was put back, whose remote leads elsewhere than
        when it was queued, or whose entry cannot be read; returns whether that was so.
        """
        never = Failure(action.fault) if action.fault else self._leads_elsewhere(action)
        if never is not None:
            self.fail(action, never)
            return True
        gating = [edge.before for edge in self._before[action.id] if edge.gating]
        # a push may have landed without the commit that it was to carry
        gating += [commit for push in gating for commit in self._carried.get(push, ())]
        for number in dict.fromkeys((*action.dependencies, *gating)):
            found = views.current(self.session.store, number)
            status = self._outcome_for(action, number, found)
            if status in (Status.FAILED, Status.CANCELLED):
                became = "failed" if status == Status.FAILED else "was cancelled"
                self.fail(action, Failure(f"dependency #{number} {became}"))
                return True
            if status != Status.COMPLETED:
                when = found.execute_after if found is not None else ""
                returns.requeue(self.session.store, action, when, f"it waits for #{number}", tried=False)
                self.tell(action, Status.PENDING.value)
                return True
        return False

    def _leads_elsewhere(self, action: Action) -> Failure | None:
        where = action.remote, action.place
        if where not in self._elsewhere:
            self._elsewhere[where] = leads_elsewhere(self.session, action)
        return self._elsewhere[where]

    def _outcome_for(self, action: Action, number: int, found: Action | None) -> Status:
        """The outcome of a dependency; for one that several agents share, the outcome of this agent's own sources."""
        if found is None:
            return Status.CANCELLED
        if found.status == Status.COMPLETED and number in action.dependencies:
            sources = views.sources(self.session.store, found.id)
            own = [source.status for source in sources if source.agent == action.agent_id]
            if SourceStatus.FAILED in own and SourceStatus.LANDED not in own:
                return Status.FAILED
        return found.status

    def ended(self, *actions: Action) -> None:
        """Report the status of actions that have ended."""
        now = self._statuses(actions)
        for action in actions:
            self.tell(action, now[action.id].value)

    def fail(self, action: Action, failure: Failure, *, exit_code: int | None = None) -> None:
        """End an action as failed, or put it back where another try may help."""
        fail_or_requeue(self.session, action, failure, batch=self.batch.number, exit_code=exit_code)
        self.tell(action, self.status(action).value)
