"""`git uam status`, as click knows it; see looking."""

from __future__ import annotations

import click

from uam_hooks.cli.looking import show_status
from uam_hooks.cli.parameters import under_deploy
from uam_hooks.hot.core.errors import ExitCode


@click.command()
@click.option("--all", "everything", is_flag=True, help="List all that waits, not the newest 20 actions.")
@click.option("--json", "as_json", is_flag=True, help="For programs: all of it.")
@click.option("--watch", "watched", is_flag=True, help="Go on showing it, as it is now, until Ctrl-C.")
def status(everything: bool, as_json: bool, watched: bool) -> int:
    """Show what waits, what runs, what failed, and what to do next."""
    if watched:
        from uam_hooks.cli.watch import watch

        watch(everything=everything, as_json=as_json, starting=not under_deploy())
        return ExitCode.OK
    return show_status(everything=everything, as_json=as_json, starting=not under_deploy())
