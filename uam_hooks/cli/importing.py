"""`git uam import`."""

from __future__ import annotations

from pathlib import Path

import click

from uam_hooks.api.legacy_import import take_over
from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.hot.core.errors import Advice, ExitCode
from uam_hooks.hot.core.words import show_line


@click.command("import")
@click.argument("database", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def import_(database: Path, as_json: bool) -> int:
    """Import what waits in a coordination.db of the tool that this one replaces, and list what was skipped."""
    with opened() as session:
        report = take_over(session, database, Path.cwd())
    taken = [one for one in report if one.here is not None]
    if as_json:
        facts = {
            "imported": {one.there: one.here for one in taken},
            "skipped": {one.there: one.words for one in report if one.here is None},
            "notes": {one.there: one.words for one in taken if one.words},
        }  # fmt: skip
        tell(facts, Advice.of("{} shows what waits", "git", "uam", "status") if taken else None)
        return ExitCode.OK
    for one in report:
        fate = f"skipped: {one.words}" if one.here is None else f"queued as #{one.here} {one.words}".rstrip()
        show_line(f"{one.there}: {fate}")
    show_line(f"{len(taken)} of {len(report)} actions imported; `git uam status` shows them")
    return ExitCode.OK
