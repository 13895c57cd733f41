"""`git uam cancel`, `git uam retry` and `git uam log`: single actions."""

from __future__ import annotations

import click

from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Id
from uam_hooks.cli.results import of_sources
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.hot.core.words import show_json, show_line, show_lines
from uam_hooks.hot.queue.model import ActionType
from uam_hooks.store import requests, views


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def cancel(ids: tuple[int, ...], as_json: bool) -> int:
    """Take actions out of the queue."""
    with opened() as session:
        requests.cancel(session.store, ids)
    for number in ids if not as_json else ():
        show_line(f"#{number} is cancelled; commits in it stay in refs/uam/pin/")
    if as_json:
        show_json({"cancelled": list(ids)}, indent=None)
    return ExitCode.OK


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def retry(ids: tuple[int, ...], as_json: bool) -> int:
    """Queue what failed, or was cancelled, once more."""
    with opened() as session:
        found = requests.retry(session.store, ids)
        ensure_flush(session)
    for number in ids if not as_json else ():
        show_line(f"#{number} is queued again as #{found[number]}")
    if as_json:
        show_json({"retried": found}, indent=None)
    return ExitCode.OK


@click.command()
@click.argument("number", metavar="ID", type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def log(number: int, as_json: bool) -> int:
    """Show the result of an action, and what its command printed."""
    with opened() as session:
        action = views.action(session.store, number)
        if action is None:
            raise UsageError(f"There is no action #{number}.", "`git uam status` lists what is queued.")
        path = session.repo.paths.log_of(number)
        output = files.text_of(path)
        outcomes = [source.outcome for source in views.sources(session.store, number)]
        batch = None if action.batch_id is None else views.batch(session.store, action.batch_id)
        became = list(of_sources(session.store, action)) if action.action_type == ActionType.PUSH else []
    facts = {
        "id": number, "type": action.action_type.value, "target": action.target, "status": action.status.value,
        "error": action.error, "attempts": action.attempts, "finished_at": action.finished_at, "output": output,
        "exit_code": next((o.exit_code for o in outcomes if o.exit_code is not None), None),
        "batch": None if batch is None else batch.number,
    }  # fmt: skip
    if as_json:
        show_json(facts)
        return ExitCode.OK
    why = f": {action.error}" if action.error else ""
    show_line(f"#{number} {action.action_type.value} {action.target} is {action.status.value}{why}")
    if batch is not None:
        show_line(f"it is in batch {batch.number}, which is what was carried out together: git uam show {batch.number}")
    for line in became:
        show_line(line)
    if output is not None:
        show_lines(output)
    return ExitCode.OK
