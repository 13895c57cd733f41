"""`git uam demo`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from uam_hooks.demo.demo import Outcome, Scenario, play, shipped
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import say, show_json, show_line, show_lines, visible

_PREFIX = "uam-demo-"


@click.command()
@click.option("--keep", is_flag=True, help="Keep the repositories, and say where they are.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def demo(keep: bool, as_json: bool) -> int:
    """Measure the same work of the same agents with plain git and with git uam.

    Makes remotes and repositories of its own in a temporary directory and touches nothing else. Exit status 1:
    a push failed, or the two remotes do not hold the same files.
    """
    scenario = Scenario.read(shipped("demo.json"))
    with ExitStack() as stack:
        if keep:
            root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        else:
            # a background process of git may still write a file while the directory is being removed
            made = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
            root = Path(stack.enter_context(made))
        if not as_json:
            show_lines(_introduction(scenario))
            show_line("")
        outcome = play(scenario, root.resolve())
    if as_json:
        show_json(_as_dict(scenario, outcome, root if keep else None))
    else:
        _show(scenario, outcome)
    if keep:
        say(f"the repositories of the demo are kept in {root}")
    return ExitCode.OK if outcome.success else ExitCode.FAILED


def _introduction(scenario: Scenario) -> str:
    pushes = sum(len(agent.rounds) for agent in scenario.agents)
    commits = sum(len(commits) for agent in scenario.agents for commits in agent.rounds)
    return (
        f"{len(scenario.agents)} agents, each in a worktree of its own, make {commits} commits and push {pushes} times"
        f" to main, all at once.\nFirst with plain git (rejected: fetch, rebase, push again),"
        f" then with git uam (window {scenario.window})."
    )


def _show(scenario: Scenario, outcome: Outcome) -> None:
    plain, hooked = outcome.plain, outcome.hooked
    minutes = f"CI minutes, at {scenario.ci_minutes:g} a run"
    _table([
        ("CI runs", f"{plain.ci_runs}", f"{hooked.ci_runs}"),
        (minutes, f"{plain.ci_minutes:g}", f"{hooked.ci_minutes:g}"),
        ("rejected pushes", f"{plain.rejected}", f"{hooked.rejected}"),
        ("new commits on main", f"{plain.commits}", f"{hooked.commits}"),
        ("time until everybody's last push returned", f"{plain.seconds:.1f} s", f"{hooked.seconds:.1f} s"),
    ])  # fmt: skip
    for name, lines in hooked.told.items():
        if lines:
            show_line("")
            show_line(f"The last push of {name} told it:")
            for line in lines:
                show_line(f"    {line}")
            break
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


def _as_dict(scenario: Scenario, outcome: Outcome, kept: Path | None) -> dict[str, Any]:
    return {
        "window": scenario.window,
        "ci_minutes_per_run": scenario.ci_minutes,
        "agents": [agent.name for agent in scenario.agents],
        "plain": outcome.plain._asdict(),
        "hooked": outcome.hooked._asdict(),
        "expected_tree": outcome.expected,
        "same_files": outcome.same_files,
        "success": outcome.success,
        "kept": None if kept is None else str(kept),
    }
