"""`git uam fleet`: several machines with one queue."""

from __future__ import annotations

from typing import Any

import click

from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Cell, Part, Screen, Tint
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import say, show_line


@click.group()
def fleet() -> None:
    """Land together with the clones of other machines: join a fleet, look at it, leave it."""


@fleet.command()
@click.argument("url")
@click.option("--name", default="", help="What the fleet is called, if not as the repository on the remote.")
@click.option("--remote", default="", help="The remote that is tried, if it is not the one that is pushed to here.")
@click.option("--on-loss", type=click.Choice(["wait", "local"]), default=None,
              help="What becomes of pushes while the database does not answer.")  # fmt: skip
@click.option("--require-agreement", "require", is_flag=True, help="Refuse machines with other gates or squashes.")
def join(url: str, name: str, remote: str, on_loss: str | None, require: bool) -> int:
    """Make this clone a machine of the fleet in the PostgreSQL database at URL, and the fleet where there is none.

    URL is postgresql://HOST/DATABASE or service=NAME, without a password: PostgreSQL's passfile and service file hold
    that. The remote is tried first: it has to take hidden refs and atomic pushes. Exit status 4: it does not, or the
    database or the fleet refuses; 5: psycopg is not there. Nothing was changed here then.
    """
    from uam_hooks.fleet.joining import Wanted
    from uam_hooks.fleet.joining import join as join_fleet

    with opened() as session:
        joined = join_fleet(session, Wanted(url, name, remote, on_loss or "", require))
    if joined.before:
        show_line(f"this clone is in the fleet {joined.name} already, as {joined.machine}")
        return ExitCode.OK
    show_line(f"{joined.remote} takes hidden refs and atomic pushes")
    show_line(f"this clone is in the fleet {joined.name} now, as {joined.machine}")
    show_line("Commit and push as always; git uam fleet status shows who lands what.")
    return ExitCode.OK


@fleet.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> int:
    """Show the machines of the fleet, who lands which branch, and what waits.

    Exit status 1: the database does not answer; 4: it refuses.
    """
    from uam_hooks.report import fleet_view

    with opened() as session:
        there = bool(session.settings["uam.fleet"] or session.settings["uam.fleet.url"])
        found = fleet_view.look(session) if there else fleet_view.nothing()
        if as_json:
            tell(found, None)
        elif there:
            _show(Screen(session.settings), found)
        else:
            show_line("this clone is in no fleet; `git uam fleet join URL` makes it a machine of one")
    return ExitCode.OK


def _show(screen: Screen, found: dict[str, Any]) -> None:
    agreed = "; all machines have to agree on gates and squashes" if found["requires"] else ""
    screen.line(f"fleet:   {found['fleet']}, {_count(len(found['machines']), 'machine')}{agreed}")
    rows: list[list[Cell]] = []
    for one in found["machines"]:
        terms = "as here" if one["agrees"] else Part("others", Tint.WAITS)
        rows.append([f"{one['name']}{' (this clone)' * one['here']}", f"{_age(one['seen'])} ago", terms])
    screen.table(("machine", "seen", "gates and squashes"), rows)
    for branch in found["branches"]:
        holder = f"landed by {branch['holder']}" if branch["holder"] else "landed by nobody now"
        heard = f", heard {_age(branch['heard'])} ago" if branch["holder"] else ""
        screen.line(f"branch:  {branch['where']} is {holder}{heard}")
        for waits in branch["waiting"]:
            pushes = _count(waits["pushes"], "push", "pushes")
            screen.line("waiting: ", f"{branch['where']}: {pushes} of {waits['machine']}, for {_age(waits['seconds'])}")
    if found["handed_over"]:
        numbers = ", ".join(f"#{number}" for number in found["handed_over"])
        screen.line(f"ours:    {numbers}")
    if found["unreadable"]:
        entries = _count(found["unreadable"], "entry", "entries")
        screen.line(Part(f"{entries} cannot be read, and nobody lands them", Tint.BAD))
    if not found["agrees"]:
        screen.line(Part("Machines with other gates or squashes do not land each other's pushes.", Tint.WAITS))


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _age(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


@fleet.command()
@click.option("--force", is_flag=True, help="Take home what nobody has landed, and leave without the database.")
def leave(force: bool) -> int:
    """Take this clone out of its fleet; its pushes land from here again.

    Exit status 4: pushes of this clone are in the hands of the fleet, or the database does not answer. Nothing was
    changed then.
    """
    from uam_hooks.fleet.leaving import leave as leave_fleet

    with opened() as session:
        left = leave_fleet(session, force=force)
        if left.home:
            ensure_flush(session)
    for line in left.said:
        say(line)
    if left.home:
        numbers = ", ".join(f"#{number}" for number in left.home)
        show_line(f"taken home, and landed from here: {numbers}")
    if left.cleared:
        show_line(f"{_count(left.cleared, 'hidden ref')} of this clone removed from the remote")
    if left.name:
        show_line(f"this clone has left the fleet {left.name}; its pushes land from here")
    return ExitCode.OK
