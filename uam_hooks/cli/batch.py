"""`git uam batch` and `git uam execute`: what a flush does, in two steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from uam_hooks.api.batcher import DeployBatcher
from uam_hooks.cli.results import as_dict, progress, report
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.queue.model import Action, Batch, where
from uam_hooks.session import open_session


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be claimed; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def batch(dry_run: bool, as_json: bool) -> int:
    """Make a batch of what is due, and show it."""
    made = DeployBatcher(dry_run=dry_run).create_batch()
    if as_json:
        click.echo(json.dumps(None if made is None else _as_dict(made), indent=2))
    elif made is None:
        click.echo("nothing is due")
    else:
        click.echo(f"batch {made.number}: {made.id}" if made.number else "would be claimed:")
        for action in made.actions:
            click.echo(f"  #{action.id} {action.action_type.value} {where(action)}{_what(action)}")
        if made.number:
            click.echo(f"`git uam execute --batch-id {made.number}` executes it, and so does any flush")
    return ExitCode.OK


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
    if dry_run:
        plans = DeployBatcher(dry_run=True).plan_of(batch_id)
        lines = "\n".join(f"{plan['where']}: {plan['summary']}" for plan in plans)
        click.echo(json.dumps({"plans": plans}, indent=2) if as_json else lines)
        return ExitCode.OK
    with progress() as tell:
        result = DeployBatcher().execute_batch(batch_id, tell)
    if as_json:
        click.echo(json.dumps(as_dict(result), indent=2))
        return ExitCode.OK if result.success else ExitCode.FAILED
    with Repository.at(Path.cwd()) as repo, open_session(repo) as session:
        return report(session.store, [result], False)
