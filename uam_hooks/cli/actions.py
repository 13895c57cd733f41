"""`git uam cancel`, `git uam retry` and `git uam log`: single actions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from uam_hooks.api.batcher import DeployBatcher
from uam_hooks.cli.parameters import Id
from uam_hooks.flush.flush import keep_going
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.session import open_session
from uam_hooks.store import views
from uam_hooks.store.requests import retry as again


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def cancel(ids: tuple[int, ...], as_json: bool) -> int:
    """Take actions out of the queue."""
    DeployBatcher().cancel(*ids)
    for number in ids if not as_json else ():
        click.echo(f"#{number} is cancelled; what it held stays in refs/uam/pin/")
    if as_json:
        click.echo(json.dumps({"cancelled": list(ids)}))
    return ExitCode.OK


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def retry(ids: tuple[int, ...], as_json: bool) -> int:
    """Queue what failed, or was cancelled, once more."""
    with Repository.at(Path.cwd()) as repo, open_session(repo) as session:
        found = again(session.store, ids)
        keep_going(session)
    for number in ids if not as_json else ():
        click.echo(f"#{number} is queued again as #{found[number]}")
    if as_json:
        click.echo(json.dumps({"retried": found}))
    return ExitCode.OK


@click.command()
@click.argument("number", metavar="ID", type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def log(number: int, as_json: bool) -> int:
    """Show what an action came to, and what its command printed."""
    with Repository.at(Path.cwd()) as repo, open_session(repo) as session:
        action = views.action(session.store, number)
        if action is None:
            raise UsageError(f"There is no action #{number}.", "`git uam status` lists what is queued.")
        path = repo.paths.log_of(number)
        said = path.read_text(errors="replace") if path.exists() else None
        outcomes = [source.outcome for source in views.sources(session.store, number)]
    facts = {
        "id": number, "type": action.action_type.value, "target": action.target, "status": action.status.value,
        "error": action.error, "attempts": action.attempts, "finished_at": action.finished_at, "output": said,
        "exit_code": next((o.exit_code for o in outcomes if o.exit_code is not None), None),
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return ExitCode.OK
    why = f": {action.error}" if action.error else ""
    click.echo(f"#{number} {action.action_type.value} {action.target} is {action.status.value}{why}")
    if said is not None:
        click.echo(said, nl=not said.endswith("\n"))
    return ExitCode.OK
