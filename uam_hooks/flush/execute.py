"""One batch to its end: what is free of each other at the same time, everything else in its order.

git's own work (commits, merges, pushes) is done here, one after the other; commands of others run beside it. A
failed action fails what depends on it without running it, and one that is given back takes those with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter

from uam_hooks.flush import deploy, gh
from uam_hooks.flush.process import Command, Ended, Running
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import Failure, UamError, say
from uam_hooks.hot.queue.model import Action, ActionType, Batch, BatchResult, SourceStatus, Status, is_external
from uam_hooks.hot.queue.outcome import How, Outcome
from uam_hooks.land.commits import land_commits
from uam_hooks.land.follow import follow, settle_unattended
from uam_hooks.land.merges import merge_here, merge_to_push
from uam_hooks.land.pushes import land_pushes
from uam_hooks.land.retention import unpin
from uam_hooks.land.retry import fail_or_requeue, failure_of
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, journal, views
from uam_hooks.store.schedule import Edge, edges

Tell = Callable[[Action, str], None]


def execute(session: Session, batch: Batch, tell: Tell | None = None) -> BatchResult:
    """Run one batch to its end and close it. `tell` hears of every action: `running`, then its status."""
    began = time.monotonic()
    asked = {source.id for action in batch.actions for source in claim.sources(session.store, action.id)}
    run = _Run(session, batch, tell or (lambda _action, _state: None))
    run.to_its_end()
    took = (time.monotonic() - began) * 1000
    result = result_of(session, batch, took, asked)
    finish.close(session.store, batch, took, result.deferred_actions, result.errors)
    return result


def result_of(session: Session, batch: Batch, took: float, asked: set[int]) -> BatchResult:
    """What became of the actions of a batch. `asked` are the sources that it began with: others failed before."""
    done = failed = deferred = unknown = 0
    errors: list[str] = []
    for action in batch.actions:
        now = views.action(session.store, action.id)
        if now is None:
            continue
        done += now.status == Status.COMPLETED
        failed += now.status == Status.FAILED
        deferred += now.status == Status.PENDING
        unknown += now.status in (Status.BATCHED, Status.EXECUTING)  # only the remote can tell
        sources = views.sources(session.store, action.id)
        refused = [s.outcome.error for s in sources if s.status == SourceStatus.FAILED and s.id in asked]
        errors += refused or ([now.error] if now.status in (Status.FAILED, Status.PENDING) else [])
    words = tuple(dict.fromkeys(errors))
    good = not errors and not failed + deferred + unknown
    return BatchResult(batch.id, good, done, failed, words, took, deferred)


class _Run:
    """The state of one execution."""

    def __init__(self, session: Session, batch: Batch, tell: Tell) -> None:
        self.session, self.batch, self.tell = session, batch, tell
        self.actions = {a.id: a for a in batch.actions if a.carried_by is None}
        self.before: dict[int, list[Edge]] = {i: [] for i in self.actions}
        self.carried: dict[int, list[int]] = {}
        for action in batch.actions:
            if action.carried_by is not None:
                self.carried.setdefault(action.carried_by, []).append(action.id)
        for edge in edges(batch.actions):
            self.before[edge.after].append(edge)
        self.commands = Running()
        self.backlog: list[Action] = []

    def to_its_end(self) -> None:
        """Everything in its order; external commands in threads of their own, all else here."""
        sorter = TopologicalSorter({i: [e.before for e in found] for i, found in self.before.items()})
        sorter.prepare()
        parallel = self.session.settings["uam.batch.parallel"]
        running: dict[Future[Ended], Action] = {}
        pushes: list[Action] = []
        with ThreadPoolExecutor(max_workers=parallel) as pool:
            try:
                while sorter.is_active():
                    ready = [self.actions[i] for i in sorter.get_ready()]
                    for action in sorted(ready, key=lambda a: (-a.priority, a.id)):
                        self.sort_in(action, pushes, sorter)
                    self.start(pool, running, parallel, sorter)
                    if ready:
                        continue  # what has just been done may have freed more, and all pushes go out together
                    if pushes:
                        self.land(pushes)
                        sorter.done(*(action.id for action in pushes))
                        pushes = []
                    elif running:
                        for future in wait(running, return_when=FIRST_COMPLETED).done:
                            action = running.pop(future)
                            self.ended(action, future.result())
                            sorter.done(action.id)
            except BaseException:
                self.commands.end_all()
                raise

    def sort_in(self, action: Action, pushes: list[Action], sorter: TopologicalSorter[int]) -> None:
        """Do an action that is free to go, or put it where it is done with others."""
        if self.held_back(action):
            sorter.done(action.id)
        elif is_external(action):
            self.backlog.append(action)
        elif self.pushes(action):
            pushes.append(action)
        else:
            self.here(action)
            sorter.done(action.id)

    def held_back(self, action: Action) -> bool:
        """Whether something that the action depends on has failed, or was given back; it shares its fate."""
        gating = [edge.before for edge in self.before[action.id] if edge.gating]
        # a push may have gone well without the commit that it was to take along
        gating += [commit for push in gating for commit in self.carried.get(push, ())]
        for number in dict.fromkeys((*action.dependencies, *gating)):
            found = views.action(self.session.store, number)
            status = self.fate(action, number, found)
            if status in (Status.FAILED, Status.CANCELLED):
                self.fail(
                    action, Failure(f"dependency #{number} {'failed' if status == Status.FAILED else 'was cancelled'}")
                )
                return True
            if status != Status.COMPLETED:
                when = found.execute_after if found is not None else ""
                finish.requeue(self.session.store, action, when, f"it waits for #{number}", tried=False)
                self.tell(action, Status.PENDING.value)
                return True
        return False

    def fate(self, action: Action, number: int, found: Action | None) -> Status:
        """What became of a dependency: of the agent's own part, where several asked for it together."""
        if found is None:
            return Status.CANCELLED
        if found.status == Status.COMPLETED and number in action.dependencies:
            sources = views.sources(self.session.store, number)
            own = [source.status for source in sources if source.agent == action.agent_id]
            if SourceStatus.FAILED in own and SourceStatus.LANDED not in own:
                return Status.FAILED
        return found.status

    def pushes(self, action: Action) -> bool:
        """Whether the action goes out with the pushes; a merge has to be made first."""
        if action.action_type == ActionType.PUSH:
            return True
        return action.action_type == ActionType.MERGE and bool(action.payload.get("push")) and self.made(action)

    def made(self, action: Action) -> bool:
        """Make a merge that is to be pushed; where that fails it is ended, and the push has nothing to do."""
        try:
            merge_to_push(self.session, self.batch, action)
        except Exception as error:
            self.fail(action, failure_of(error))
        return True

    def here(self, action: Action) -> None:
        """A commit or a merge onto a branch of this repository."""
        self.tell(action, "running")
        try:
            work = land_commits if action.action_type == ActionType.COMMIT else merge_here
            work(self.session, self.batch, action)
        except Exception as error:
            landing = journal.planned(self.session.store, action)
            if landing is None or landing.batch_id != self.batch.id:
                self.fail(action, failure_of(error))
            else:  # the branch may have moved: recovery looks
                say(f"batch {self.batch.number}: {failure_of(error).what}")
        self.after(action)

    def land(self, pushes: Sequence[Action]) -> None:
        """All pushes that are ready, together."""
        waiting = [action for action in pushes if self.status(action) in (Status.BATCHED, Status.EXECUTING)]
        for action in waiting:
            self.tell(action, "running")
        follow(self.session, waiting)
        land_pushes(self.session, self.batch, waiting)
        for action in pushes:
            settle_unattended(self.session, action)
            self.after(action)

    def status(self, action: Action) -> Status:
        now = views.action(self.session.store, action.id)
        return now.status if now is not None else Status.CANCELLED

    def after(self, action: Action) -> None:
        unpin(self.session, claim.with_carried(self.session.store, action.id))
        self.tell(action, self.status(action).value)

    def start(
        self, pool: ThreadPoolExecutor, running: dict[Future[Ended], Action], parallel: int,
        sorter: TopologicalSorter[int],
    ) -> None:  # fmt: skip
        """Start commands up to the limit. That one is about to run is written down first."""
        while self.backlog and len(running) < parallel:
            action = self.backlog.pop(0)
            try:
                command = self.command(action)
            except UamError as error:
                self.fail(action, error.failure)
                sorter.done(action.id)
                continue
            if not claim.begin(self.session.store, action):
                sorter.done(action.id)
                continue
            reached(Step.BEGUN)
            self.tell(action, "running")
            running[pool.submit(self.commands.run, command)] = action

    def command(self, action: Action) -> Command:
        log = self.session.repo.paths.log_of(action.id)
        if action.action_type == ActionType.DEPLOY:
            return deploy.command(self.session, self.batch, action, log)
        return (gh.workflow if action.action_type == ActionType.WORKFLOW else gh.merge)(self.session, action, log)

    def ended(self, action: Action, ended: Ended) -> None:
        """Record how a command ended."""
        failure = Failure(ended.error) if ended.error else None
        if action.action_type != ActionType.DEPLOY:
            failure = gh.failure(ended)
            gh.forget(self.session.repo.paths.log_of(action.id))
        if action.action_type == ActionType.MERGE and failure is None:
            self.look_at(action)
        if failure is not None:
            self.fail(action, failure, exit_code=ended.code)
            return
        outcome = Outcome(batch=self.batch.number, exit_code=ended.code, how=How(action.action_type.value))
        finish.command(self.session.store, action, outcome)
        self.tell(action, Status.COMPLETED.value)

    def look_at(self, action: Action) -> None:
        """Take note of what GitHub made of a branch: what comes next may name it."""
        try:
            Remote(self.session.repo, self.session.settings, action.remote).observe([action.ref])
        except UamError as error:
            say(f"#{action.id} is merged, but {error.what}")

    def fail(self, action: Action, failure: Failure, *, exit_code: int | None = None) -> None:
        fail_or_requeue(self.session, action, failure, batch=self.batch.number, exit_code=exit_code)
        self.tell(action, self.status(action).value)
