"""`DeployBatcher`: the queue from Python. Each method opens a session and calls one function, as a command does."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from uam_hooks.api import submit, windows
from uam_hooks.api.request import OPTIONS, ActionRequest, action_request
from uam_hooks.fleet.recall import recall
from uam_hooks.flush.batch_run import Tell
from uam_hooks.flush.flush import create_batch, execute_batch, flush, open_recovered, recover_here
from uam_hooks.flush.noted_commits import refresh
from uam_hooks.git.repo import clear_git_environment
from uam_hooks.hot.core.errors import UsageError, next_action
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.core.words import show_line
from uam_hooks.hot.queue.model import ActionType, Batch, BatchResult
from uam_hooks.report import batch_view
from uam_hooks.report.next_step import of_queue
from uam_hooks.report.preview import plans, preview
from uam_hooks.report.status import state
from uam_hooks.session import KeptSession, Session, open_session
from uam_hooks.store import journal, views
from uam_hooks.store import requests as queue_of

_MOST = 999_999_999

# Names that callers of the original DeployBatcher write, and their names here.
_SPELLED = {"actionType": "action_type", "executeAfter": "execute_after", "agentId": "agent_id"}


class DeployBatcher:
    """One repository's queue: queue actions, show what waits, execute it.

    `repository` is any directory in one of its worktrees (default: the working directory); file names are relative
    to it. All processes and worktrees of the repository share one queue, whatever arguments their `DeployBatcher` has.
    Settings that are passed here apply to this object and override git config:

    - `dynamic_windows`: milliseconds for each action type, such as `{"commit": 30000}`; `batch_window_ms` applies to
      all types that it does not name.
    - `max_batch_size`: about how many actions are executed together (uam.batch.size, 20).
    - `dry_run`: `create_batch`, `execute_batch` and `flush_all` show what would happen, and change nothing.
    - `parallel_execution`, `max_parallel_actions`: how many workflows and deploys run at the same time
      (uam.batch.parallel, 5); one at a time when `parallel_execution` is false.
    - `db_path`: a database to use instead of `.git/uam/queue.db`. Only this object executes such a queue.

    The repository stays open from one call of `queue` and `queue_bulk` to the next, with up to four processes of git
    that answer for it, until any other call, the end of a `with` block, or the end of the object. It may be used from
    several processes at once, also from one that was forked, but not from several threads at once. It removes variables
    that point to another repository (GIT_DIR and others), and those that make git read paths in another way
    (GIT_LITERAL_PATHSPECS and others), from the environment.

    Raises UsageError for an invalid argument, NotInstalled where git uam is not enabled.
    """

    def __init__(
        self,
        *,
        repository: Path | str | None = None,
        dynamic_windows: Mapping[str, float] | None = None,
        batch_window_ms: float | None = None,
        max_batch_size: int | None = None,
        dry_run: bool = False,
        parallel_execution: bool = True,
        max_parallel_actions: int | None = None,
        db_path: Path | str | None = None,
    ) -> None:
        clear_git_environment()
        self.at = Path(repository).absolute() if repository is not None else Path.cwd()
        self.dry_run = dry_run
        self._database = None if db_path is None else Path(db_path).absolute()
        self._own: dict[str, str] = {}
        if dynamic_windows is not None and not isinstance(dynamic_windows, Mapping):
            raise UsageError("dynamic_windows must map action types to milliseconds.")
        given = dict(dynamic_windows or {})
        if batch_window_ms is not None:
            given = {kind.value: batch_window_ms for kind in ActionType} | given
        for kind, milliseconds in given.items():
            if kind not in list(ActionType):
                raise UsageError(f"There is no action type '{kind}'.", f"Use one of {', '.join(ActionType)}.")
            self._own[f"uam.window.{kind}"] = f"{_whole(milliseconds, f'window of {kind}', 0)}ms"
        if max_batch_size is not None:
            self._own["uam.batch.size"] = str(_whole(max_batch_size, "max_batch_size", 1))
        parallel = 1 if not parallel_execution else max_parallel_actions
        if parallel is not None:
            self._own["uam.batch.parallel"] = str(_whole(parallel, "max_parallel_actions", 1))
        self._preview: Batch | None = None
        self._kept = KeptSession(self.at, self._own, self._database)
        weakref.finalize(self, self._kept.close)
        with self._kept.opened() as session:
            self._recover(session)

    def close(self) -> None:
        """Close the repository. The next call opens it again."""
        self._kept.close()

    def __enter__(self) -> DeployBatcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _recover(self, session: Session) -> None:
        if not self.dry_run:
            recover_here(session)

    def _session(self) -> AbstractContextManager[Session]:
        self._kept.close()
        opened = open_session if self.dry_run else open_recovered
        return opened(self.at, self._own, self._database)

    # -- into the queue ------------------------------------------------------------------------------------

    def queue(
        self, agent_id: str, action_type: str, target: str, payload: Mapping[str, Any] | None = None, *,
        urgent: bool = False, priority: int | None = None, dependencies: Sequence[int | str] = (),
        execute_after: Any = None,
    ) -> int:  # fmt: skip
        """Queue one action; returns its id, which is that of a waiting action if it merges with one.

        `target` is a branch (commit, push, merge), a workflow, or the name of a deploy. `payload` has, for a commit:
        `message` and `files`, which are read now; for a push: `remote`, `force`, `push_options`; for a merge: `source`
        and `strategy` (no-ff, squash, ff-only) and `push`, or `pr` and `method` (merge, squash, rebase), and `message`;
        for a workflow: `ref` and `inputs`; for a deploy: `ref` and whatever its command reads. `execute_after` is the
        earliest time of execution: a datetime, an ISO 8601 text, or seconds since 1970. `dependencies` are ids of
        actions that must complete first.

        Raises UsageError, with nothing queued, for a request that cannot be executed.
        """
        options = {
            "urgent": urgent, "priority": priority, "dependencies": dependencies, "execute_after": execute_after,
        }  # fmt: skip
        return self._enter([action_request(agent_id, action_type, target, payload, options)])[0]

    def queue_bulk(self, agent_id: str, actions: Sequence[Mapping[str, Any]]) -> list[int]:
        """Queue several actions, all or none; returns their ids in the same order.

        Each has `action_type` and `target`, and optionally `payload` and the options of `queue`, at the same level or
        in `options`. An action may have a `name`, and `dependencies` of the same call may name it.

        Raises UsageError as `queue` does, and for a circle of dependencies.
        """
        if isinstance(actions, str) or not isinstance(actions, Sequence):
            raise UsageError("The actions of a bulk must be a list.")
        return self._enter([_request_of(agent_id, action) for action in actions])

    def _enter(self, requests: list[ActionRequest]) -> list[int]:
        if not requests:
            return []
        with self._kept.opened() as session:
            self._recover(session)
            return submit.enter(session, requests, self.at)

    # -- out of the queue ----------------------------------------------------------------------------------

    def create_batch(self) -> Batch | None:
        """Claim what is due; None when nothing is. `execute_batch` executes the batch as it is shown.

        A flush that runs before `execute_batch` executes the batch instead.
        """
        with self._session() as session:
            if self.dry_run:
                self._preview = batch_view.would_be_created(session)
                return self._preview
            batch = create_batch(session)
            return None if batch is None else batch_view.as_shown(session.store, batch)

    def execute_batch(self, batch_id: str, tell: Tell | None = None) -> BatchResult:
        """Execute a batch; returns the recorded result if a flush has executed it meanwhile.

        A dry run counts no action as executed or failed; `errors` has what would conflict or fail.

        Raises UsageError for an unknown id, Locked when another flush runs for longer than uam.flush.lockTimeout,
        Refused for a batch that was put back into the queue.
        """
        if self.dry_run:
            foreseen = self.plan_of(batch_id)
            for plan in foreseen:
                show_line(f"{plan['where']}: {plan['summary']}")
            errors = tuple(plan["summary"] for plan in foreseen if plan["fails"])
            return BatchResult(batch_id, not errors, 0, 0, errors, 0.0)
        with self._session() as session:
            return execute_batch(session, batch_id, session.settings["uam.flush.lockTimeout"], tell)

    def plan_of(self, batch_id: str) -> list[dict[str, Any]]:
        """What executing a batch would do, as data: one entry for each action, with a `summary` for people."""
        with self._session() as session:
            shown = self._preview if self._preview and self._preview.id == batch_id else None
            known = shown or views.existing_batch(session.store, batch_id)
            return plans(session, batch_view.as_shown(session.store, known))

    def flush_all(self, *, due_only: bool = False, tell: Tell | None = None) -> list[BatchResult]:
        """Execute everything now, batches from `create_batch` first; returns a result for each batch.

        With `due_only`, actions inside their window wait. An action with a later `execute_after` waits in any case.
        """
        with self._session() as session:
            if self.dry_run:
                for plan in preview(session, due_only):
                    show_line(f"{plan['where']}: {plan['summary']}")
                return []
            return flush(session, due_only, session.settings["uam.flush.lockTimeout"], tell)

    def cancel(self, *action_ids: int) -> None:
        """Take actions out of the queue, all or none. UsageError for an unknown one, Refused for one in a batch."""
        with self._session() as session:
            queue_of.cancel(session.store, recall(session, action_ids))

    def retry(self, action_id: int) -> int:
        """Queue a failed or cancelled action again; returns the new id. Raises UsageError or Refused as `cancel`."""
        with self._session() as session:
            return queue_of.retry(session.store, [action_id])[action_id]

    # -- showing it ----------------------------------------------------------------------------------------

    def get_batch(self, batch_id: str) -> Batch | None:
        """The batch with this id, number, or unambiguous prefix of an id; None when there is none."""
        with self._session() as session:
            found = views.batch(session.store, batch_id) if batch_id else None
            return None if found is None else batch_view.as_shown(session.store, found)

    def get_pending_batches(self) -> list[Batch]:
        """Batches whose execution has not begun, oldest first."""
        with self._session() as session:
            return [batch_view.as_shown(session.store, batch) for batch in journal.made_by_hand(session.store)]

    # -- windows -------------------------------------------------------------------------------------------

    def get_batch_window(self, action_type: str) -> int:
        """How long an action of this type waits for company if it is queued now, in milliseconds."""
        if action_type not in list(ActionType):
            raise UsageError(f"There is no action type '{action_type}'.", f"Use one of {', '.join(ActionType)}.")
        return self.get_window_config()[action_type]

    def get_window_config(self) -> dict[str, int]:
        """The windows of all types in milliseconds, as they are now: shorter in urgent mode."""
        with self._session() as session:
            return windows.window_config(session)

    def set_urgent_mode(self, urgent: bool, seconds: float | None = None) -> None:
        """Shorten all windows of this repository, for everybody: until it is turned off, or for `seconds`."""
        with self._session() as session:
            windows.set_urgent_mode(session, urgent, seconds)

    def status(self) -> dict[str, Any]:
        """The queue as data: what waits, what runs, what failed, and what to do next."""
        with self._session() as session:
            refresh(session.repo, session.store)
            found, waiting = state(session), views.waiting(session.store, session.identity.id)
            return found | {"next_action": next_action(of_queue(session, found, waiting).do)}


def _request_of(agent_id: str, action: Mapping[str, Any]) -> ActionRequest:
    if not isinstance(action, Mapping) or not isinstance(action.get("options") or {}, Mapping):
        raise UsageError(f"{action!r} is not an action.", "Each needs an action_type and a target.")
    fields = {_SPELLED.get(name, name): value for name, value in action.items()}
    inner = fields.pop("options", None) or {}
    fields |= {_SPELLED.get(name, name): value for name, value in inner.items()}
    kind, target, payload = (fields.pop(name, None) for name in ("action_type", "target", "payload"))
    agent = fields.pop("agent_id", agent_id)
    if unknown := sorted(set(fields) - set(OPTIONS)):
        raise UsageError(f"An action of a bulk cannot have '{unknown[0]}'.")
    return action_request(agent, str(kind), target if target is not None else "", payload, fields)


def _whole(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < least:
        raise UsageError(f"The {what} is {value!r}, which is not a number of at least {least}.")
    if value == float("inf") or value != int(value) or value > _MOST:
        raise UsageError(f"The {what} is {value!r}, which is not a whole number up to {_MOST}.")
    return int(value)
