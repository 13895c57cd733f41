"""`DeployBatcher`: the queue from Python. The command line uses this class, and the same functions are under both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from uam_hooks.api import submit
from uam_hooks.api.request import OPTIONS, ActionRequest, action_request
from uam_hooks.flush.batch_run import Tell
from uam_hooks.flush.execute import execute
from uam_hooks.flush.flush import flush, locked, next_batch, recover_if_idle
from uam_hooks.flush.recover import recover
from uam_hooks.git.repo import Repository, clear_git_environment
from uam_hooks.hot.core.errors import NotInstalled, Refused, UsageError
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.model import URGENT_WINDOWS, ActionType, Batch, BatchResult, Status
from uam_hooks.report import batch_view
from uam_hooks.report.preview import plans, preview
from uam_hooks.report.status import state
from uam_hooks.session import Session, open_session
from uam_hooks.store import claim, journal, views
from uam_hooks.store import requests as queue_of

_MOST = 999_999_999

# Names that the original's callers write, and the ones that they are here.
_SPELLED = {"actionType": "action_type", "executeAfter": "execute_after", "agentId": "agent_id"}


class DeployBatcher:
    """One repository's queue: put actions in, see what waits, execute it.

    `repository` is any directory in one of its worktrees (the working directory when it is None); files are named
    relative to it. Every process and every worktree of the repository shares the one queue, whatever its
    `DeployBatcher` is made with. Settings that are given here hold for this object and go before git config:

    - `dynamic_windows`: milliseconds for each action type, such as `{"commit": 30000}`; `batch_window_ms` is the same
      for all types that it does not name.
    - `max_batch_size`: about how many actions are executed together (uam.batch.size, 20).
    - `dry_run`: `create_batch`, `execute_batch` and `flush_all` say what would happen, and change nothing.
    - `parallel_execution`, `max_parallel_actions`: how many workflows and deploys run at the same time
      (uam.batch.parallel, 5); one at a time when `parallel_execution` is false.
    - `db_path`: another database than `.git/uam/queue.db`. Such a queue is executed by this object only.

    It holds no connection between calls and may be used from several processes at once, but not from several
    threads. Variables that tie a process to another repository (GIT_DIR and friends) are dropped from the environment.

    Raises UsageError for a value that is not what it should be, NotInstalled where git uam is not enabled.
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
            raise UsageError("dynamic_windows has to name action types, with milliseconds for each.")
        windows = dict(dynamic_windows or {})
        if batch_window_ms is not None:
            windows = {kind.value: batch_window_ms for kind in ActionType} | windows
        for kind, milliseconds in windows.items():
            if kind not in list(ActionType):
                raise UsageError(f"There is no action type '{kind}'.", f"Use one of {', '.join(ActionType)}.")
            self._own[f"uam.window.{kind}"] = f"{_whole(milliseconds, f'window of {kind}', 0)}ms"
        if max_batch_size is not None:
            self._own["uam.batch.size"] = str(_whole(max_batch_size, "max_batch_size", 1))
        parallel = 1 if not parallel_execution else max_parallel_actions
        if parallel is not None:
            self._own["uam.batch.parallel"] = str(_whole(parallel, "max_parallel_actions", 1))
        self._preview: Batch | None = None
        with self._open_session():
            pass

    @contextmanager
    def _open_session(self) -> Iterator[Session]:
        with Repository.at(self.at) as repo:
            if not repo.paths.env_file.exists():
                raise NotInstalled("git uam is not enabled in this repository.", "Run `git uam install` here.")
            with open_session(repo, self._own, self._database) as session:
                if not self.dry_run:
                    recover_if_idle(session)
                yield session

    # -- into the queue ------------------------------------------------------------------------------------

    def queue(
        self, agent_id: str, action_type: str, target: str, payload: Mapping[str, Any] | None = None, *,
        urgent: bool = False, priority: int | None = None, dependencies: Sequence[int | str] = (),
        execute_after: Any = None,
    ) -> int:  # fmt: skip
        """Queue one action; gives its id, which is an earlier one where it merges with an action that waits.

        `target` is a branch (commit, push, merge), a workflow, or the name of a deploy. `payload` has, for a commit:
        `message` and `files`, which are taken as they are now; for a push: `remote`, `force`, `push_options`; for a
        merge: `source` and `strategy` (no-ff, squash, ff-only) and `push`, or `pr` and `method` (merge, squash,
        rebase), and `message`; for a workflow: `ref` and `inputs`; for a deploy: `ref` and whatever its command
        reads. `execute_after` is a moment before which nothing happens: a datetime, an ISO 8601 text, or seconds since
        1970. `dependencies` are ids of actions that have to complete first.

        Raises UsageError for whatever cannot be executed as it is said; nothing was queued then.
        """
        options = {
            "urgent": urgent, "priority": priority, "dependencies": dependencies, "execute_after": execute_after,
        }  # fmt: skip
        return self._enter([action_request(agent_id, action_type, target, payload, options)])[0]

    def queue_bulk(self, agent_id: str, actions: Sequence[Mapping[str, Any]]) -> list[int]:
        """Queue several actions, all or none; gives an id for each, in their order.

        Each has `action_type`, `target`, and if wanted `payload` and the options of `queue`, beside them or in
        `options`. `name` lets others of the same call depend on it: `dependencies` takes names as well as ids.

        Raises UsageError as `queue` does, and for dependencies that go round in a circle.
        """
        if isinstance(actions, str) or not isinstance(actions, Sequence):
            raise UsageError("A bulk has to be a list of actions.")
        return self._enter([_request_of(agent_id, action) for action in actions])

    def _enter(self, requests: list[ActionRequest]) -> list[int]:
        with self._open_session() as session:
            return submit.enter(session, requests, self.at) if requests else []

    # -- out of the queue ----------------------------------------------------------------------------------

    def create_batch(self) -> Batch | None:
        """Claim what is due; None when nothing is. What it shows is what `execute_batch` does.

        A flush that comes before `execute_batch` executes the batch in its place.
        """
        with self._open_session() as session:
            if self.dry_run:
                found = claim.would_be_due(session.store, time.time(), session.settings["uam.batch.size"])
                self._preview = None if not found else batch_view.not_claimed(session.store, found)
                return self._preview
            batch = next_batch(session, True, frozenset(), by_hand=True)
            return None if batch is None else batch_view.as_shown(session.store, batch)

    def execute_batch(self, batch_id: str, tell: Tell | None = None) -> BatchResult:
        """Execute a batch; one that a flush has executed meanwhile gives the result that it had.

        Raises UsageError for an unknown id, Locked when another flush runs for longer than uam.flush.lockTimeout,
        Refused for a batch that has been given back to the queue.
        """
        if self.dry_run:
            for plan in self.plan_of(batch_id):
                print(f"{plan['where']}: {plan['summary']}")
            return BatchResult(batch_id, True, 0, 0, (), 0.0)
        with self._open_session() as session:
            self._known(session, batch_id)
            with locked(session.repo, session.settings["uam.flush.lockTimeout"]):
                recover(session)
                wanted = self._known(session, batch_id)
                for batch in journal.made_by_hand(session.store):
                    if batch.id == wanted.id:
                        return execute(session, batch, tell)
            return _result(self._known(session, wanted.id))

    def _known(self, session: Session, batch_id: str) -> Batch:
        found = views.batch(session.store, batch_id) if batch_id else None
        if found is None:
            raise UsageError(f"There is no batch '{batch_id}' here.", "`git uam batch` makes one.")
        return found

    def plan_of(self, batch_id: str) -> list[dict[str, Any]]:
        """What executing a batch would do, as data: one entry for each action, with a `summary` for people."""
        with self._open_session() as session:
            known = self._preview if self._preview and self._preview.id == batch_id else None
            return plans(session, batch_view.as_shown(session.store, known or self._known(session, batch_id)))

    def flush_all(self, *, due_only: bool = False, tell: Tell | None = None) -> list[BatchResult]:
        """Execute everything now, batches that were made and not executed first; gives a result for each batch.

        With `due_only`, what is inside its window waits. What was queued for a later moment waits in any case.
        """
        with self._open_session() as session:
            if self.dry_run:
                for plan in preview(session, due_only):
                    print(f"{plan['where']}: {plan['summary']}")
                return []
            return flush(session, due_only, session.settings["uam.flush.lockTimeout"], tell)

    def cancel(self, *action_ids: int) -> None:
        """Take actions out of the queue, all or none. UsageError for an unknown one, Refused once a batch has one."""
        with self._open_session() as session:
            queue_of.cancel(session.store, action_ids, "cancelled by hand")

    def retry(self, action_id: int) -> int:
        """Queue what failed or was cancelled once more; gives its new id. UsageError or Refused as `cancel`."""
        with self._open_session() as session:
            return queue_of.retry(session.store, [action_id])[action_id]

    # -- what there is -------------------------------------------------------------------------------------

    def get_batch(self, batch_id: str) -> Batch | None:
        """The batch with this id, number, or unambiguous beginning of an id; None when there is none."""
        with self._open_session() as session:
            found = views.batch(session.store, batch_id) if batch_id else None
            return None if found is None else batch_view.as_shown(session.store, found)

    def get_pending_batches(self) -> list[Batch]:
        """Batches that were made and that nobody has begun to execute, oldest first."""
        with self._open_session() as session:
            return [batch_view.as_shown(session.store, batch) for batch in journal.made_by_hand(session.store)]

    # -- windows -------------------------------------------------------------------------------------------

    def get_batch_window(self, action_type: str) -> int:
        """How long an action of this type waits for company if it is queued now, in milliseconds."""
        if action_type not in list(ActionType):
            raise UsageError(f"There is no action type '{action_type}'.", f"Use one of {', '.join(ActionType)}.")
        return self.get_window_config()[action_type]

    def get_window_config(self) -> dict[str, int]:
        """The windows of all types in milliseconds, as they are now: in urgent mode they are shorter."""
        with self._open_session() as session:
            urgent = enqueue.urgent_mode(session.store, time.time()) is not None
            usual = {kind.value: float(session.settings[f"uam.window.{kind.value}"]) for kind in ActionType}
        return {
            kind: round(1000 * (min(seconds, URGENT_WINDOWS[kind]) if urgent else seconds))
            for kind, seconds in usual.items()
        }

    def set_urgent_mode(self, urgent: bool, seconds: float | None = None) -> None:
        """Shorten all windows of this repository, for everybody: until it is turned off, or for `seconds`."""
        until = None if seconds is None else time.time() + _positive(seconds, "time of urgent mode")
        self.get_window_config()  # a window that cannot be read is an error before anything is changed
        with self._open_session() as session:
            queue_of.set_urgent(session.store, until, urgent)

    def status(self) -> dict[str, Any]:
        """The queue as data: what waits, what runs, what failed, and what to do next."""
        with self._open_session() as session:
            return state(session, start=False)


def _request_of(agent_id: str, action: Mapping[str, Any]) -> ActionRequest:
    if not isinstance(action, Mapping) or not isinstance(action.get("options") or {}, Mapping):
        raise UsageError(f"{action!r} is no action.", "Each has an action_type and a target.")
    fields = {_SPELLED.get(name, name): value for name, value in action.items()}
    inner = fields.pop("options", None) or {}
    fields |= {_SPELLED.get(name, name): value for name, value in inner.items()}
    kind, target, payload = (fields.pop(name, None) for name in ("action_type", "target", "payload"))
    agent = fields.pop("agent_id", agent_id)
    if unknown := sorted(set(fields) - set(OPTIONS)):
        raise UsageError(f"An action of a bulk has no '{unknown[0]}'.")
    return action_request(agent, str(kind), target if target is not None else "", payload, fields)


def _result(batch: Batch) -> BatchResult:
    """What a batch came to that has been executed before."""
    if batch.status not in (Status.COMPLETED, Status.FAILED):
        raise Refused(f"Batch {batch.number} is {batch.status}.", "`git uam status` shows what waits.")
    done = batch.result
    failed, later, errors = int(done["failedActions"]), int(done.get("deferredActions", 0)), tuple(done["errors"])
    return BatchResult(
        batch.id, not failed + later and not errors, int(done["executedActions"]), failed, errors,
        float(done["duration"]), later,
    )  # fmt: skip


def _whole(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value < least:
        raise UsageError(f"The {what} is {value!r}, which is no number from {least} up.")
    if value == float("inf") or value != int(value) or value > _MOST:
        raise UsageError(f"The {what} is {value!r}, which is no whole number up to {_MOST}.")
    return int(value)


def _positive(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**10:
        raise UsageError(f"The {what} is {value!r}, which is no number of seconds.")
    return float(value)
