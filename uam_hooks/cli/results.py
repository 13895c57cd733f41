"""Results of batches and plans, in lines for people or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Cell, Part, Screen, Tint, state
from uam_hooks.hot.core.errors import Advice, ExitCode
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.words import from_remotes, show_line
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, ActionType, Batch, BatchResult, SourceStatus, Status, is_external, where
from uam_hooks.report.next_step import of_actions
from uam_hooks.session import Session
from uam_hooks.store import views


def print_plans(plans: list[dict[str, Any]], as_json: bool, do: Advice) -> int:
    """Print what would be done, and what to `do` to have it done; returns the exit status."""
    lines = [f"{plan['where']}: {plan['summary']}" for plan in plans] or ["nothing to land"]
    if as_json:
        tell({"plans": plans}, do if plans else None)
        return ExitCode.OK
    for line in lines:
        show_line(line)
    return ExitCode.OK


def report(session: Session, results: Sequence[BatchResult], as_json: bool, left: int = 0) -> int:
    """Print the results; returns the exit status: 1 when anything failed or is still to come.

    `left` actions wait for somebody with other settings.
    """
    if as_json:
        tell(of_flush(results, left), of_results(session, results, left))
    else:
        screen, store = Screen(session.settings), session.store
        for line in [line for result in results for line in _lines(store, result)] or [["nothing to land"]]:
            screen.line(*line)
        if left:
            many = "1 action waits" if left == 1 else f"{left} actions wait"
            screen.line(f"{many} for agents with other settings, see git uam status")
    return ExitCode.OK if all(result.success for result in results) else ExitCode.FAILED


def of_flush(results: Sequence[BatchResult], left: int = 0) -> dict[str, object]:
    """The results of a flush, which left so many actions to others."""
    return {"batches": [as_dict(result) for result in results], "left": left}


def of_results(session: Session, results: Sequence[BatchResult], left: int = 0) -> Advice | None:
    """What to do about what failed in these batches; else to see what the actions that are left wait for."""
    batches = [views.batch(session.store, result.batch_id) for result in results]
    failed = of_actions(session, (action.id for batch in batches if batch is not None for action in batch.actions))
    return failed or (Advice.of("{} shows what the others wait for", "git", "uam", "status") if left else None)


def as_dict(result: BatchResult) -> dict[str, object]:
    """A result with the field names of the original DeployBatcher."""
    return {
        "batchId": result.batch_id,
        "success": result.success,
        "executedActions": result.executed_actions,
        "failedActions": result.failed_actions,
        "deferredActions": result.deferred_actions,
        "errors": list(result.errors),
        "duration": round(result.duration, 1),
    }


def _lines(store: Store, result: BatchResult) -> Iterator[list[Cell]]:
    """One line for each source of a push: its landing, or why it failed; one for each other action."""
    batch = views.batch(store, result.batch_id)
    assert batch is not None
    for line in (*_landings(store, batch), *_actions(store, batch), *_said(store, batch)):
        yield [f"batch {batch.number}: ", *line]
    if result.deferred_actions:
        many = result.deferred_actions
        yield [f"batch {batch.number}: {many} action{'s' * (many != 1)} will be tried again, see git uam status"]


def _landings(store: Store, batch: Batch) -> Iterator[list[Cell]]:
    """What became one commit here, and was not pushed."""
    for landing in views.landings(store, batch.id):
        if not landing.remote and landing.status == "landed" and not landing.sources:
            many, branch = len(landing.detail.commits), short_target(landing.ref)
            yield [f"{many} commits on {branch} are one now: {landing.new[:7]}, not pushed"]


def _actions(store: Store, batch: Batch) -> Iterator[list[Cell]]:
    for action in batch.actions:
        if action.action_type == ActionType.PUSH or action.carried_by is not None:
            yield from _of_sources(store, action)
        elif action.explicit:
            yield _of_action(store, action)


def _said(store: Store, batch: Batch) -> Iterator[list[Cell]]:
    """What the remote said of it, and what those should hear whose work it is."""
    outcomes = [source.outcome for action in batch.actions for source in views.sources(store, action.id)]
    notes = dict.fromkeys(outcome.note for outcome in outcomes if outcome.note)
    for line in (*from_remotes(outcome.said for outcome in outcomes), *notes):
        yield [line]


def _of_sources(store: Store, action: Action) -> Iterator[list[Cell]]:
    """What became of each source of a push."""
    for source in views.sources(store, action.id):
        if source.status == SourceStatus.LANDED and source.outcome.ref:
            tip, new = source.tip[:7] or "deletion", source.outcome.landed_as[:7] or "deleted"
            push = views.action(store, action.carried_by) if action.carried_by is not None else None
            yield [f"{source.agent} {tip} ", state("landed"), f" on {where(push or action)} as {new}"]
        elif source.status == SourceStatus.FAILED:
            failed = f"#{action.id} {source.agent} {source.tip[:7]} "
            yield [failed, state("failed"), ": ", Part(source.outcome.error, Tint.BAD)]


def _of_action(store: Store, action: Action) -> list[Cell]:
    what = f"#{action.id} {action.action_type.value} {where(action)} "
    if action.status != Status.COMPLETED:
        return [what, state(action.status), ": ", Part(action.error, Tint.BAD)]
    sources = views.sources(store, action.id)
    new = next((s.outcome.new[:7] for s in sources if s.outcome.new), "")
    if new:
        refused = [s for s in sources if s.status == SourceStatus.FAILED]
        besides = f"; {len(refused)} of {len(sources)} failed: {action.error}" if refused else ""
        pushed = action.action_type == ActionType.MERGE and action.payload.get("push")
        return [f"{what}is at {new}{'' if pushed else ', not pushed'}", Part(besides, Tint.BAD)]
    return [what, state("completed", "done"), f" (git uam log {action.id})" if is_external(action) else ""]
