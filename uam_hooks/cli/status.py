"""`git uam status`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from ..opened import opened
from ..repo import Repository
from ..status import state


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> int:
    """Show what waits, what runs, what failed, and what to do next."""
    with Repository.at(Path.cwd()) as repo, opened(repo) as now:
        found = state(now)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    return ExitCode.OK


def _show(found: dict[str, Any]) -> None:
    rows = [_line(row) for row in found["running"] + found["waiting"]]
    if rows:
        _table(rows)
    commits = sum(len(r["members"]) for r in found["waiting"] if r["type"] == "commit")
    pushes = [r for r in found["waiting"] if r["type"] != "commit"]
    sources = sum(len(r["members"]) for r in pushes)
    waiting = f"{_count(sources, 'push', 'pushes')} in {_count(len(pushes), 'action')}, {_count(commits, 'commit')}"
    click.echo(f"waiting: {waiting}")
    click.echo(f"running: {_count(len(found['running']), 'action')}")
    failed = found["failed"]
    click.echo(f"failed:  {_count(len(failed), 'push', 'pushes')}")
    for failure in failed[:5]:
        click.echo(f"  {failure['agent']} {failure['tip'][:7]} to {failure['where']}: {failure['error']}")
    click.echo(f"next:    {found['next']}")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    what = "; ".join(
        f"{m['commit'][:7]} {m['subject']}" if "commit" in m else f"{m['tip'][:7] or 'delete'} {m['branch']}"
        for m in row["members"]
    )
    when = row["status"] if row["status"] != "pending" else (
        "ready" if row["state"] == "ready" else f"in {row['seconds_left']:.0f} s"
    )  # fmt: skip
    return f"#{row['action']}", row["type"], row["where"], ", ".join(row["agents"]), what, when


def _table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "type", "where", "agents", "what", "when", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # piped, a table keeps its rows whole: a program's or an agent's log has no width
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=200)
    console.print(table)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
