"""What a flush would do, as far as it is foreseen: where refs would be, what would become of actions, local squashes.

Every plan is made on top of what those before it would leave. Nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.flush.noted_commits import ended
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.queue.model import Action, Batch, Source, SourceStatus, Status
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.branch import would_stay
from uam_hooks.land.local_squash import Ready, failed_tips, plan_squash, ready, run_on_top
from uam_hooks.session import Session
from uam_hooks.store import gathered, views
from uam_hooks.store.views import QueuedCommit


class Foreseen(NamedTuple):
    """What would become of one action.

    `plan` is None for commands of others, and where nothing can be planned. `failure` is why the action would fail as a
    whole, or go back into the queue; sources that would fail alone are in the plan. `unknown` is why nothing can be
    said. `sources` are what it would land or leave out, with the tips that they would have.
    """

    action: Action
    plan: Plan | None = None
    failure: Failure | None = None
    unknown: str = ""
    sources: tuple[Source, ...] = ()

    @property
    def error(self) -> str:
        """Why the action would fail, in a sentence; empty where it would not."""
        return "" if self.failure is None else self.failure.what

    @property
    def done(self) -> Plan | None:
        """The plan, where it would be executed."""
        return None if self.failure else self.plan


class Foresight:
    """What is foreseen so far: where the refs would be, and what would become of actions and sources."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tips = Tips(session.repo)
        self.all: list[Foreseen] = []
        self.fates: dict[int, Status] = {}
        self.sources: dict[int, SourceStatus] = {}

    def squashes(self, batch: Batch, now: float | None) -> list[Foreseen]:
        """The local squashes of a flush, after all its batches; `batch` stands for those that they would be."""
        began = len(self.all)
        if self.session.settings["uam.squash"] != Squash.NEVER:
            tips = {source.id: source.tip for one in self.all for source in one.sources}
            failed = failed_tips(self.session)
            failed |= {tips[i] for i, status in self.sources.items() if status == SourceStatus.FAILED}
            on_their_way = self._branches_on_their_way()
            for one in self._ready(now):
                run = () if one.branch in on_their_way else run_on_top(self.session, one, failed, self.tips)
                if len(run) > 1:
                    self.move(plan_squash(self.session, batch, one, run), ())
        return self.all[began:]

    def _ready(self, now: float | None) -> list[Ready]:
        """The ready commits: without those that would have landed, with those that would be noted meanwhile."""
        plans = [plan for one in self.all if (plan := one.done) is not None and plan.new != plan.old]
        landed = {oid for plan in plans if not plan.here for oid in plan.commits}
        found = []
        for one in ready(self.session, now):
            noted = [
                QueuedCommit(one.action.id, plan.action.agent_id, plan.worktree, plan.ref, plan.new, None, 0)
                for plan in plans
                if plan.here and plan.ref == one.branch
            ]
            done = landed | ended(self.session.repo, [*one.commits, *noted], self.tips).keys()
            left = [commit for commit in one.commits if commit.oid not in done]
            if left:  # newer commits would join no action that has ended
                found.append(one._replace(commits=(*left, *(c for c in noted if c.oid not in done))))
        return found

    def _branches_on_their_way(self) -> set[str]:
        """Local branches whose push would still wait."""
        waiting = views.actions(self.session.store, "pending", "batched", "executing", most=1_000_000)
        sources = [source for action in waiting for source in gathered.sources(self.session.store, action.id)]
        return {source.branch for source in sources if source.id not in self.sources}

    def move(self, plan: Plan, sources: Sequence[Source]) -> None:
        """Foresee the move of a branch of this repository."""
        moves = plan.new != plan.old
        why = would_stay(self.session, plan) if moves else None
        if moves and why is None:
            self.tips = self.tips.landed("", plan.ref, plan.new, plan.keep)
        self.note(Foreseen(plan.action, plan, why, sources=tuple(sources)))

    def note(self, one: Foreseen, fate: Status | None = None) -> None:
        """Take down what would become of an action and its sources."""
        self.all.append(one)
        if fate is None:
            good = one.plan is None or bool(one.plan.landed) or one.plan.new != one.plan.old
            fate = Status.COMPLETED if good else Status.FAILED
            if one.failure is not None:
                fate = Status.PENDING if one.failure.transient else Status.FAILED
        self.fates[one.action.id] = fate
        landed = {source.id for source in one.done.landed} if one.done is not None else set()
        for source in one.sources if fate != Status.PENDING else ():
            went_well = source.id in landed or bool(one.unknown)
            self.sources[source.id] = SourceStatus.LANDED if went_well else SourceStatus.FAILED
