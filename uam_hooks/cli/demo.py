"""`git uam demo`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click

from uam_hooks.cli.program import tell
from uam_hooks.demo.demo import Outcome, Side, Told, play, silent
from uam_hooks.demo.scenario import Scenario, shipped
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.hot.core.words import say, show_line, show_lines, visible

_PREFIX = "uam-demo-"
# What a gate printed, among the lines that a push was told.
_PRINTED = "uam: | "


@click.command()
@click.option("--keep", is_flag=True, help="Keep the repositories, and say where they are.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
              help="Write the page of `git uam stats` about it to FILE, and open that in a browser.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def demo(keep: bool, html: Path | None, as_json: bool) -> int:
    """Measure the same work of the same agents with plain git and with git uam.

    Makes remotes and repositories of its own in a temporary directory and touches nothing else. Exit status 1:
    a push failed, or the two remotes do not hold the same files.
    """
    scenario = Scenario.read(shipped("demo.json"))
    page = None if html is None else html.resolve()
    if page is not None and not page.parent.is_dir():
        raise UsageError(f"There is no directory {page.parent}.", "Make it, or name another file.")
    with ExitStack() as stack:
        if keep:
            root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        else:
            # a background process of git may still write a file while the directory is being removed
            made = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
            root = Path(stack.enter_context(made))
        if not as_json:
            show_lines(_introduction(scenario))
        outcome = play(scenario, root.resolve(), silent if as_json else _tell, page)
    if as_json:
        tell(_as_dict(scenario, outcome, root if keep else None, page), None)
    else:
        show_line("")
        _show(scenario, outcome)
        if page is not None:
            _open(page)
    if keep:
        say(f"the repositories of the demo are kept in {root}")
    return ExitCode.OK if outcome.success else ExitCode.FAILED


def _introduction(scenario: Scenario) -> str:
    pushes = len(scenario.rounds)
    commits = sum(len(one.commits) for one in scenario.rounds)
    lines = [
        f"{len(scenario.agents)} agents, each in a worktree of its own, make {commits} commits and push {pushes} times"
        " to main, all at once:"
    ]
    lines += [f"  {number}. {act.title}" for number, act in enumerate(scenario.acts, 1)]
    lines.append("With plain git, who is rejected fetches, rebases and pushes again. With git uam, agents just push.")
    if scenario.ci_seconds:
        lines.append(
            f"Each push to main starts a run of CI, which takes {scenario.ci_seconds:g} s here and stands for"
            f" {scenario.ci_minutes:g} minutes. It runs the tests.\nWith git uam, pushes wait while it is busy, and the"
            " same tests run before a push, as a gate."
        )
    return "\n".join([*lines, ""])


def _tell(hooked: bool, act: int, seconds: float) -> None:
    show_line(f"{'git uam' if hooked else 'plain git'}: {act + 1}. done after {seconds:.1f} s")
    sys.stdout.flush()


def _show(scenario: Scenario, outcome: Outcome) -> None:
    plain, hooked = outcome.plain, outcome.hooked
    _table([(name, of(plain), of(hooked)) for name, of in _rows(scenario)])
    for title, lines in (*map(_conflict, hooked.conflicts[:1]), *map(_combination, hooked.combinations[:1])):
        _quote(title, lines)
    # of those whose push has landed, who was told most: a landing that changed nothing of a push is not mentioned
    name, lines = max(hooked.told.items(), key=lambda item: len(item[1]))
    if lines:
        _quote(f"The last push of {name} told it:", lines)
    show_line("")
    for side, measured in (("plain git", plain), ("git uam", hooked)):
        for name, why in measured.failed.items():
            show_line(f"FAILED: {name} with {side}: {why}")
    if outcome.same_files:
        count = len(scenario.files())
        show_line(f"Checked: both remotes hold the same {count} files on main, as the agents wrote them.")
    else:
        trees = f"{plain.tree[:7]} with plain git, {hooked.tree[:7]} with git uam"
        show_line(f"FAILED: the remotes do not hold the same files: {trees}, {outcome.expected[:7]} expected.")


def _rows(scenario: Scenario) -> list[tuple[str, Callable[[Side], str]]]:
    """What the table shows, and how a side has it."""
    rows: list[tuple[str, Callable[[Side], str]]] = [
        ("CI runs", lambda side: f"{side.ci_runs}"),
        (f"CI minutes, at {scenario.ci_minutes:g} a run", lambda side: f"{side.ci_minutes:g}"),
    ]
    if scenario.ci_seconds:
        rows += [
            ("CI runs that began while another one worked", lambda side: f"{side.ci_together}"),
            ("CI runs that failed", lambda side: f"{side.ci_failed}"),
            ("time for which main failed its tests", lambda side: f"{side.broken_seconds:.1f} s"),
        ]
    rows += [
        ("rejected pushes", lambda side: f"{side.rejected}"),
        ("  of these, for being behind", lambda side: f"{side.behind}"),
    ]
    if any(one.resolved for one in scenario.rounds):
        rows.append(("time until the agent knew of the conflict", lambda side: _known(side.conflicts)))
    if any(one.mend for one in scenario.rounds):
        rows.append(("time until the agent knew of the failed tests", lambda side: _known(side.combinations)))
    rows += [
        ("new commits on main", lambda side: f"{side.commits}"),
        ("time until everybody's last push returned", lambda side: f"{side.seconds:.1f} s"),
    ]
    return rows


def _known(told: Sequence[Told]) -> str:
    """After how long an agent knew what is wrong with its push."""
    return ", ".join(f"{one.seconds:.1f} s" for one in told) or "never"


def _conflict(one: Told) -> tuple[str, list[str]]:
    return f"The push of {one.agent} that conflicted told it, before anything was on main:", one.told


def _combination(one: Told) -> tuple[str, list[str]]:
    return f"The push of {one.agent} that the tests failed for told it, before anything was on main:", one.told


def _quote(title: str, lines: Sequence[str]) -> None:
    show_line("")
    show_line(title)
    for line in lines:
        if not line.startswith(_PRINTED):
            show_line(f"    {line}")


def _open(page: Path) -> None:
    """Show the page in a browser, where there is one that can draw it, and say where it is."""
    # without a display a browser of text would take the terminal, and draw nothing
    where = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    opens = False
    if sys.platform == "darwin" or any(os.environ.get(name) for name in where):
        import webbrowser

        with suppress(OSError, webbrowser.Error):
            opens = webbrowser.open(page.as_uri())
    show_line("")
    show_line(f"The page about it {'opens in your browser' if opens else 'is for a browser; here is none'}: {page}")


def _table(rows: list[tuple[str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("plain git", justify="right")
    table.add_column("git uam", justify="right")
    for row in rows:
        table.add_row(*(visible(cell) for cell in row))
    Console(highlight=False, markup=False).print(table)


def _as_dict(scenario: Scenario, outcome: Outcome, kept: Path | None, page: Path | None) -> dict[str, Any]:
    return {
        "window": scenario.window,
        "ci_minutes_per_run": scenario.ci_minutes,
        "ci_seconds_per_run": scenario.ci_seconds,
        "agents": list(scenario.agents),
        "acts": [act.title for act in scenario.acts],
        "plain": _of_side(outcome.plain),
        "hooked": _of_side(outcome.hooked),
        "expected_tree": outcome.expected,
        "same_files": outcome.same_files,
        "success": outcome.success,
        "kept": None if kept is None else str(kept),
        "page": None if page is None else str(page),
    }


def _of_side(side: Side) -> dict[str, Any]:
    found = side._asdict()
    for kind in ("conflicts", "combinations"):
        found[kind] = [told._asdict() for told in found[kind]]
    return found
