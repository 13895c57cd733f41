"""`git uam flush`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from uam_hooks.cli.parameters import Duration, under_deploy
from uam_hooks.cli.results import progress, report
from uam_hooks.flush.flush import flush as run_flush
from uam_hooks.flush.flush import keep_going
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.report.preview import preview
from uam_hooks.session import open_session


@click.command()
@click.option("--due", is_flag=True, help="Only what is due: respect the windows.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--timeout", type=Duration(), help="How long to wait for another flush (uam.flush.lockTimeout).")
def flush(due: bool, dry_run: bool, as_json: bool, timeout: float | None) -> int:
    """Execute what is queued, now."""
    with Repository.at(Path.cwd()) as repo, open_session(repo) as session:
        if dry_run:
            plans = preview(session, due)
            click.echo(json.dumps({"plans": plans}, indent=2) if as_json else _plan_lines(plans))
            return ExitCode.OK
        wait = session.settings["uam.flush.lockTimeout"] if timeout is None else timeout
        with progress() as tell:
            results = run_flush(session, due, wait, tell)
        if not under_deploy():
            keep_going(session)
        return report(session.store, results, as_json)


def _plan_lines(plans: list[dict[str, object]]) -> str:
    lines = [f"{p['where']}: {p['summary']}" for p in plans]
    return "\n".join(lines or ["nothing to land"])
