"""`git uam flush`."""

from __future__ import annotations

from pathlib import Path

import click

from uam_hooks.cli.live import progress
from uam_hooks.cli.parameters import Duration, under_deploy
from uam_hooks.cli.program import fail
from uam_hooks.cli.results import of_flush, print_plans, report
from uam_hooks.flush.acting import left_to_others
from uam_hooks.flush.flush import StillGoing
from uam_hooks.flush.flush import flush as flush_queue
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core.errors import Advice
from uam_hooks.report.preview import preview
from uam_hooks.report.waited import hear_news
from uam_hooks.session import open_session


@click.command()
@click.option("--due", is_flag=True, help="Only what is due: respect the windows, and what waits for CI.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--timeout", type=Duration(), help="How long to wait for another flush (uam.flush.lockTimeout).")
def flush(due: bool, dry_run: bool, as_json: bool, timeout: float | None) -> int:
    """Execute what is queued, now, whether or not CI is busy."""
    with open_session(Path.cwd(), brief=True) as session:
        if dry_run:
            do = Advice.of("{} does it", "git", "uam", "flush", *(["--due"] if due else []))
            return print_plans(preview(session, due), as_json, do)
        wait = session.settings["uam.flush.lockTimeout"] if timeout is None else timeout
        with progress(session.store.database) as tell:
            try:
                results = flush_queue(session, due, wait, tell)
            except StillGoing as still:
                if as_json:
                    return fail(still, **of_flush(still.results))
                report(session, still.results, False)
                raise
        if not under_deploy():
            ensure_flush(session)
        hear_news(session, [result.batch_id for result in results])
        return report(session, results, as_json, left_to_others(session))
