"""`git uam stats`."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import click

from uam_hooks.ci import ends
from uam_hooks.cli.opened import opened
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.settings import duration
from uam_hooks.hot.core.words import show_json, show_line
from uam_hooks.hot.queue.model import iso
from uam_hooks.report.ledger import ledger
from uam_hooks.store import verdicts
from uam_hooks.store.ledger import failed, measured, runs


class Since(click.ParamType[float]):
    """How long ago, or a day: the moment in seconds since 1970."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A usage error for anything else."""
        text = str(value)
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()
            return time.time() - duration(text)
        except ValueError:
            self.fail(f"'{text}' is neither a duration such as 12h or 30d nor a day such as 2026-11-29", param, ctx)


@click.command()
@click.option("--since", type=Since(), default=None, metavar="WHEN",
              help="What landed since then: 12h, 30d, 2026-11-29 (UTC). Without it: all that is recorded.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def stats(since: float | None, as_json: bool) -> int:
    """Show how many pushes were asked for and how many CI runs they started, against plain git.

    A CI runs once for each push to each branch. Plain git would have started a run for each push that landed here.
    Where GitHub measures, gh is asked how the newest runs have ended.
    """
    begin = since or 0.0
    with opened() as session:
        ends.ask(session)
        minutes = session.settings["uam.ci.minutes"]
        found = ledger(runs(session.store, begin), failed(session.store, begin), measured(session.store), minutes)
        found["gates"] = [one._asdict() for one in verdicts.usual(session.store, begin)]
    found["since"] = None if since is None else iso(since)
    if as_json:
        show_json(found)
    else:
        for line in _lines(found):
            show_line(line)
    return ExitCode.OK


def _lines(found: dict[str, Any]) -> list[str]:
    pushes, started = found["pushes"], found["runs"]
    when = f" since {found['since'][:10]}" if found["since"] else ""
    if not pushes["landed"]:
        return [f"nothing has landed on a branch of a remote{when}"]
    saved = f"{started['saved']} fewer than plain git would have started ({started['saved'] / started['plain']:.0%})"
    lines = [
        f"pushes:  {pushes['landed']} landed{when}, {pushes['failed']} failed",
        f"CI runs: {started['started']}, {saved}",
        *_minutes(found["ci_minutes"], started["started"], pushes["landed"]),
        f"waiting: {_waited(found['waiting'])}",
        *(
            f"gate {one['gate']}: {one['runs']} runs, {one['failed']} failed, both said of {one['flaky']} trees"
            for one in found["gates"]
        ),
        "",
    ]
    lines += [f"{row['day']}  {_row(row)}" for row in found["days"]]
    return [*lines, "", *(f"{row['agent']}: {_row(row)}" for row in found["agents"])]


def _minutes(found: dict[str, Any] | None, runs: int, pushes: int) -> list[str]:
    if found is None:
        return ["minutes: not known; `git config uam.ci.minutes 5` says how long a run takes"]
    known = found["measured_runs"]
    how = "all measured by GitHub"
    if known < runs:
        how = f"{known} of {runs} measured, estimated to be as long as those" if known else "as uam.ci.minutes says"
    lost = f"{found['cancelling_without_verdict']} of {pushes} landings without a verdict"
    plain, cancelling = f"about {found['plain']:g}", f"about {found['cancelling']:g}"
    return [
        f"minutes: {found['started']:g} of CI, at {found['each']:g} for a run ({how})",
        f"         plain git: {plain}; with older runs cancelled: {cancelling}, {lost}",
    ]


def _row(row: dict[str, Any]) -> str:
    pushes, runs = row["pushes"], row["runs"]
    return f"{pushes} push{'es' * (pushes != 1)}, {runs} run{'s' * (runs != 1)}, {_waited(row['waiting'])}"


def _waited(found: dict[str, float] | None) -> str:
    return "" if found is None else f"half landed within {found['p50']:.1f} s, 95 % within {found['p95']:.1f} s"
