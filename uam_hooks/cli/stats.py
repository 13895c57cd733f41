"""`git uam stats`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from uam_hooks.ci import ends
from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Moment, moment_of
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Screen
from uam_hooks.hot.core.errors import ExitCode, StoreError, UsageError
from uam_hooks.hot.core.words import show_line
from uam_hooks.hot.queue.model import iso
from uam_hooks.page.written import STDOUT, write
from uam_hooks.report import lately
from uam_hooks.report.ledger import ledger
from uam_hooks.session import Session
from uam_hooks.store import verdicts
from uam_hooks.store.conflicts import conflicts
from uam_hooks.store.landed import brought
from uam_hooks.store.ledger import failed, measured, runs


@click.command()
@click.option("--since", type=Moment(), default=None, metavar="WHEN",
              help="What landed since then: 12h, 30d, 2026-11-29 (UTC), or as for `git log`.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--html", default=None, metavar="FILE",
              help="Write all of it as a page with charts, which loads nothing; - is stdout.")  # fmt: skip
def stats(since: float | str | None, as_json: bool, html: str | None) -> int:
    """Show how many pushes were asked for and how many CI runs they started, against plain git.

    A CI runs once for each push to each branch. Plain git would have started a run for each push that landed here.
    Where GitHub measures, gh is asked how the newest runs have ended.
    """
    draw = None if html is None else _drawing(html, as_json)
    with opened() as session:
        moment = moment_of(session.repo, since)
        ends.ask(session)
        found = _figures(session, moment, as_json or draw is not None)
        if draw is not None:
            draw(found)
        if as_json:
            tell(found, None)
        elif draw is None:
            screen = Screen(session.settings)
            with screen.paged(session.repo):
                for line in _lines(found):
                    screen.line(line)
    return ExitCode.OK


def _figures(session: Session, moment: float | None, all_: bool) -> dict[str, Any]:
    """What is shown; with `all_` also that for which objects of git are read."""
    store, begin = session.store, moment or 0.0
    landed = runs(store, begin)
    found = ledger(landed, failed(store, begin), measured(store), session.settings["uam.ci.minutes"])
    found["gates"] = [one._asdict() for one in verdicts.usual(store, begin)]
    found["since"] = None if moment is None else iso(moment)
    if all_:
        now = time.time()
        found["conflicts"] = lately.conflicts(conflicts(store, begin))
        shown = brought(store, (run.landing for run in lately.newest(landed, now)))
        found["last_day"] = lately.last_day(session.repo, landed, shown, now)
    return found


def _drawing(file: str, as_json: bool) -> Callable[[dict[str, Any]], None]:
    """Writes the page. What needs no figures for that is looked at now; no other command loads the library."""
    if file == STDOUT and as_json:
        raise UsageError("--html - and --json would both write to stdout.", "Name a file for the page.")
    try:
        from uam_hooks.page.page import page
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("uam_hooks"):
            raise
        raise StoreError(
            f"Drawing needs {error.name}, which is not in the environment of git uam.", "Run install.sh again."
        ) from None

    def draw(found: dict[str, Any]) -> None:
        write(file, page(found))
        if file != STDOUT and not as_json:
            show_line(f"the page is in {file}")

    return draw


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
