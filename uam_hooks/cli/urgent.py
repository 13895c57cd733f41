"""`git uam urgent`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from uam_hooks.api.batcher import DeployBatcher
from uam_hooks.cli.parameters import Duration
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.hot.queue import enqueue
from uam_hooks.session import open_session


@click.command()
@click.argument("switch", type=click.Choice(["on", "off"]), required=False)
@click.option("--for", "seconds", type=Duration(), help="on: until when, such as 10m; without it until `off`.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def urgent(switch: str | None, seconds: float | None, as_json: bool) -> int:
    """Shorten the windows for everybody in this repository, or say whether they are."""
    if seconds is not None and (switch != "on" or not seconds):
        raise UsageError("--for goes with `on`, and a time.", "Write `git uam urgent on --for 10m`.")
    batcher = DeployBatcher()
    if switch:
        batcher.set_urgent_mode(switch == "on", seconds)
    with Repository.at(Path.cwd()) as repo, open_session(repo) as session:
        until = enqueue.urgent_mode(session.store, time.time())
    windows = batcher.get_window_config()
    if as_json:
        click.echo(json.dumps({"urgent": until is not None, "until": until or None, "windows_ms": windows}))
        return ExitCode.OK
    state = "off" if until is None else "on" if not until else f"on until {until}"
    shown = ", ".join(f"{kind} {milliseconds / 1000:g} s" for kind, milliseconds in windows.items())
    click.echo(f"urgent mode is {state}; windows: {shown}")
    return ExitCode.OK
