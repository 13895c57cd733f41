"""The actions of a batch that are commands of others: `gh` and deploys, in threads of their own, up to a limit.

The threads touch neither the queue nor the repository. That a command is about to start is recorded before it starts:
after a crash it is not started again by itself.
"""

from __future__ import annotations

from types import TracebackType

from uam_hooks.command import github
from uam_hooks.command.process import Command, Ended, Running
from uam_hooks.flush import deploy, gh
from uam_hooks.flush.batch_run import BatchRun
from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import Failure, StoreError, UamError
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, ActionType, Status
from uam_hooks.hot.queue.outcome import How, Outcome
from uam_hooks.land.retry import failure_of
from uam_hooks.land.steps import Step, reached
from uam_hooks.store import claim, finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# How long a signal to this process may go unnoticed.
_LOOK_SECONDS = 0.5


class ExternalCommands:
    """The commands of one batch. Leaving it on an exception ends every command that is running."""

    def __init__(self, run: BatchRun) -> None:
        self.run, self.session, self.batch = run, run.session, run.batch
        self._limit: int = run.session.settings["uam.batch.parallel"]
        self._pool: ThreadPoolExecutor | None = None
        self._processes = Running()
        self._backlog: list[Action] = []
        self._running: dict[Future[Ended], Action] = {}

    def __enter__(self) -> ExternalCommands:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: TracebackType | None) -> None:
        if kind is not None:
            self._processes.end_all()
        if self._pool is not None:
            self._pool.shutdown()

    def add(self, action: Action) -> None:
        """Run the command of this action as soon as the limit allows."""
        self._backlog.append(action)

    def start(self) -> list[int]:
        """Start commands up to the limit; returns the ids of actions that ended without a command."""
        ended: list[int] = []
        while self._backlog and len(self._running) < self._limit:
            action = self._backlog.pop(0)
            try:
                command = self._command(action)
            except Exception as error:
                self.run.fail(action, failure_of(error))
                ended.append(action.id)
                continue
            if not claim.begin(self.session.store, action):
                ended.append(action.id)
                continue
            reached(Step.BEGUN)
            self.run.tell(action, "running")
            self._running[self._threads().submit(self._processes.run, command)] = action
        return ended

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # most batches are pushes alone

            self._pool = ThreadPoolExecutor(max_workers=self._limit)
        return self._pool

    def wait(self) -> list[int]:
        """Wait until a command ends, and record how; returns the ids of the actions that ended."""
        from concurrent.futures import FIRST_COMPLETED, wait

        ended: list[int] = []
        done: set[Future[Ended]] = set()
        while self._running and not done:  # a signal that arrives just before the wait begins does not end it
            done = wait(self._running, _LOOK_SECONDS, FIRST_COMPLETED).done
        for future in done:
            action = self._running.pop(future)
            try:
                self._record(action, future.result())
            except StoreError:
                raise
            except Exception as error:  # the others that are running have nothing to do with it
                self.run.fail(action, failure_of(error))
            ended.append(action.id)
        return ended

    def _command(self, action: Action) -> Command:
        log = self.session.repo.paths.log_of(action.id)
        if action.action_type == ActionType.DEPLOY:
            return deploy.command(self.session, self.batch, action, log)
        return (gh.workflow if action.action_type == ActionType.WORKFLOW else gh.merge)(self.session, action, log)

    def _record(self, action: Action, ended: Ended) -> None:
        """Record how a command ended."""
        failure = Failure(ended.error) if ended.error else None
        if action.action_type != ActionType.DEPLOY:
            failure = gh.failure(ended)
            github.forget(self.session.repo.paths.log_of(action.id))
        if action.action_type == ActionType.MERGE and failure is None:
            self._observe_target(action)
        if failure is not None:
            self.run.fail(action, failure, exit_code=ended.code)
            return
        outcome = Outcome(batch=self.batch.number, exit_code=ended.code, how=How(action.action_type.value))
        finish.action(self.session.store, action, outcome)
        self.run.tell(action, Status.COMPLETED.value)

    def _observe_target(self, action: Action) -> None:
        """Update the tracking ref of a branch that GitHub has merged into: a later action may name it."""
        try:
            remote = Remote(self.session.repo, self.session.settings, action.remote)
            there = remote.observe([action.ref])[action.ref]
            remote.memory.track([Seen(action.ref, there, there)])
        except UamError as error:
            say(f"#{action.id} is merged, but {error.what}")
