"""`git uam batch` and `git uam execute`: a flush in two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from uam_hooks.cli.live import progress
from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.cli.results import as_dict, of_results, print_plans, report
from uam_hooks.flush.flush import create_batch, execute_batch
from uam_hooks.hot.core.errors import Advice, ExitCode
from uam_hooks.hot.core.words import show_line
from uam_hooks.hot.queue.model import Action, Batch, where
from uam_hooks.report import batch_view
from uam_hooks.report.next_step import execute as execute_it
from uam_hooks.report.preview import plans
from uam_hooks.report.waited import hear_news
from uam_hooks.session import Session, open_session
from uam_hooks.store import views


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be claimed; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def batch(dry_run: bool, as_json: bool) -> int:
    """Make a batch of what is due, and show it."""
    with open_session(Path.cwd(), brief=True) if dry_run else opened() as session:
        made = batch_view.would_be_created(session) if dry_run else _created(session)
    if as_json:
        tell({"batch": None if made is None else _as_dict(made)}, _next(made))
    elif made is None:
        show_line("nothing is due")
    else:
        show_line(f"batch {made.number}: {made.id}" if made.number else "would be claimed:")
        for action in made.actions:
            show_line(f"  #{action.id} {action.action_type.value} {where(action)}{_what(action)}")
        if made.number:
            show_line(execute_it(made.number))
    return ExitCode.OK


def _created(session: Session) -> Batch | None:
    created = create_batch(session)
    return None if created is None else batch_view.as_shown(session.store, created)


def _next(made: Batch | None) -> Advice | None:
    if made is None:
        return None
    return execute_it(made.number) if made.number else Advice.of("{} makes it", "git", "uam", "batch")


def _what(action: Action) -> str:
    message = str(action.payload.get("message", "")).replace("\n\n", " ").replace("\n", " ")
    return f": {message}" if message else ""


def _as_dict(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.id,
        "number": batch.number,
        "createdAt": batch.created_at,
        "status": batch.status.value,
        "actions": [
            {"id": a.id, "agentId": a.agent_id, "actionType": a.action_type.value, "target": a.target,
             "payload": a.payload, "status": a.status.value, "queuedAt": a.queued_at, "priority": a.priority,
             "executeAfter": a.execute_after, "dependencies": list(a.dependencies), "carriedBy": a.carried_by}
            for a in batch.actions
        ],
    }  # fmt: skip


@click.command()
@click.option("--batch-id", required=True, help="Id or number of the batch.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def execute(batch_id: str, dry_run: bool, as_json: bool) -> int:
    """Execute a batch that `git uam batch` has made."""
    with open_session(Path.cwd(), brief=True) as session:
        if dry_run:
            known = views.existing_batch(session.store, batch_id)
            return print_plans(plans(session, batch_view.as_shown(session.store, known)), as_json,
                               execute_it(known.number))  # fmt: skip
        with progress(session.store.database) as show:
            result = execute_batch(session, batch_id, session.settings["uam.flush.lockTimeout"], show)
        hear_news(session, [result.batch_id])
        if not as_json:
            return report(session, [result], False)
        tell(as_dict(result), of_results(session, [result]))
    return ExitCode.OK if result.success else ExitCode.FAILED
