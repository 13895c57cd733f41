"""`git uam flush`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import ExitCode
from ..flush import flush as run_flush
from ..model import BatchResult, SourceStatus, short_target
from ..opened import opened
from ..preview import preview
from ..repo import Repository
from ..settings import duration
from ..store import views
from ..store.connection import Store


class Duration(click.ParamType[float]):
    """A duration such as 500ms, 5s or 10m."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for anything else."""
        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(f"'{value}' {error}", param, ctx)


@click.command()
@click.option("--due", is_flag=True, help="Only what is due: respect the windows.")
@click.option("--dry-run", is_flag=True, help="Show what would land; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--timeout", type=Duration(), help="How long to wait for another flush (uam.flush.lockTimeout).")
def flush(due: bool, dry_run: bool, as_json: bool, timeout: float | None) -> int:
    """Land what is queued, now."""
    with Repository.at(Path.cwd()) as repo, opened(repo) as now:
        if dry_run:
            plans = preview(now, due)
            click.echo(json.dumps({"plans": plans}, indent=2) if as_json else _plan_lines(plans))
            return ExitCode.OK
        wait = now.settings["uam.flush.lockTimeout"] if timeout is None else timeout
        results = run_flush(now, due, wait)
        if as_json:
            click.echo(json.dumps({"batches": [_as_dict(result) for result in results]}, indent=2))
        else:
            _print(now.store, results)
    return ExitCode.OK if all(result.success for result in results) else ExitCode.FAILED


def _plan_lines(plans: list[dict[str, object]]) -> str:
    lines = [f"{p['remote']}/{p['target']}: {p['summary']}" for p in plans]
    return "\n".join(lines or ["nothing to land"])


def _as_dict(result: BatchResult) -> dict[str, object]:
    return {
        "batchId": result.batch_id,
        "success": result.success,
        "executedActions": result.executed_actions,
        "failedActions": result.failed_actions,
        "errors": list(result.errors),
        "duration": round(result.duration, 1),
    }


def _print(store: Store, results: list[BatchResult]) -> None:
    """One line for each source: what it landed as, or why it did not."""
    if not results:
        click.echo("nothing to land")
    for result in results:
        batch = views.batch(store, result.batch_id)
        assert batch is not None
        for landing in views.landings(store, batch.id):
            if not landing.remote and landing.status == "landed":
                many, branch = len(landing.detail["commits"]), short_target(landing.ref)
                now = f"{landing.new[:7]}, not pushed"
                click.echo(f"batch {batch.number}: {many} commits on {branch} are one now: {now}")
        for action in batch.actions:
            for source in views.sources(store, action.id):
                where = f"{action.remote}/{short_target(action.ref)}"
                if source.status == SourceStatus.LANDED:
                    tip, new = source.tip[:7] or "deletion", source.outcome["new"][:7] or "deleted"
                    click.echo(f"batch {batch.number}: {source.agent} {tip} landed on {where} as {new}")
                elif source.status == SourceStatus.FAILED:
                    error = source.outcome["error"]
                    click.echo(f"batch {batch.number}: {source.agent} {source.tip[:7]} failed: {error}")
