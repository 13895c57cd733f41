"""`git uam urgent`."""

from __future__ import annotations

import time

import click

from uam_hooks.api.windows import set_urgent_mode, window_config
from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Duration
from uam_hooks.cli.program import tell
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.hot.core.words import show_line
from uam_hooks.hot.queue import enqueue


@click.command()
@click.argument("switch", type=click.Choice(["on", "off"]), required=False)
@click.option("--for", "seconds", type=Duration(), help="on: until when, such as 10m; without it until `off`.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def urgent(switch: str | None, seconds: float | None, as_json: bool) -> int:
    """Shorten the windows for everybody in this repository, or show whether they are shortened."""
    if seconds is not None and (switch != "on" or not seconds):
        raise UsageError("--for needs `on` and a duration above zero.", "Write `git uam urgent on --for 10m`.")
    with opened() as session:
        if switch:
            set_urgent_mode(session, switch == "on", seconds)
        until = enqueue.urgent_mode(session.store, time.time())
        windows = window_config(session)
    if as_json:
        tell({"urgent": until is not None, "until": until or None, "windows_ms": windows}, None, indent=None)
        return ExitCode.OK
    state = "off" if until is None else "on" if not until else f"on until {until}"
    shown = ", ".join(f"{kind} {milliseconds / 1000:g} s" for kind, milliseconds in windows.items())
    show_line(f"urgent mode is {state}; windows: {shown}")
    return ExitCode.OK
