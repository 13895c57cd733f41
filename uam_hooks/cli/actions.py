"""`git uam cancel` and `git uam retry`: single actions."""

from __future__ import annotations

import click

from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Id
from uam_hooks.cli.program import tell
from uam_hooks.fleet.recall import recall
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import show_line
from uam_hooks.report.next_step import wait_for
from uam_hooks.store import requests


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def cancel(ids: tuple[int, ...], as_json: bool) -> int:
    """Take actions out of the queue."""
    with opened() as session:
        requests.cancel(session.store, recall(session, ids))
    for number in ids if not as_json else ():
        show_line(f"#{number} is cancelled; commits in it stay in refs/uam/pin/")
    if as_json:
        tell({"cancelled": list(ids)}, None, indent=None)
    return ExitCode.OK


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def retry(ids: tuple[int, ...], as_json: bool) -> int:
    """Queue what failed, or was cancelled, once more."""
    with opened() as session:
        found = requests.retry(session.store, ids)
        ensure_flush(session)
        do = wait_for(session, found.values())
    for number in ids if not as_json else ():
        show_line(f"#{number} is queued again as #{found[number]}")
    if as_json:
        tell({"retried": found}, do, indent=None)
    return ExitCode.OK
