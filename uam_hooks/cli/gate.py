"""`git uam gate`: what has to pass before a landing is pushed."""

from __future__ import annotations

import os
import shlex

import click

from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Screen, state
from uam_hooks.command.process import Running
from uam_hooks.gate.config import Gate, gates_of
from uam_hooks.gate.judge import Judge
from uam_hooks.hot.core.errors import Advice, ExitCode, UsageError
from uam_hooks.hot.core.words import show_line, visible
from uam_hooks.session import Session
from uam_hooks.store import verdicts
from uam_hooks.store.verdicts import Usual


@click.group()
def gate() -> None:
    """Show the gates, run them, or forget their verdicts."""


@gate.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> int:
    """Show the gates in the order in which they run, and how they have done so far."""
    with opened() as session:
        gates = gates_of(session.settings, os.environ)
        usual = {one.gate: one for one in verdicts.usual(session.store)}
    found = [(one, usual.get(one.name, Usual(one.name, 0, 0, 0, None))) for one in gates]
    if as_json:
        tell({"gates": [_facts(one, has) for one, has in found]}, None)
    elif not found:
        show_line("there are no gates here: `git uam config uam.gate.NAME.command 'COMMAND ...'` makes one")
    else:
        for one, has in found:
            show_line(f"{one.name}: {shlex.join(one.words)}{_about(one)}")
            took = f", passes in {has.seconds:.1f} s" if has.seconds is not None else ""
            flaky = f", said both of {has.flaky} tree{'s' * (has.flaky != 1)}" if has.flaky else ""
            show_line(f"  {has.runs} run{'s' * (has.runs != 1)}, {has.failed} failed{flaky}{took}")
    return ExitCode.OK


def _about(one: Gate) -> str:
    parts = [f"{what} {', '.join(of)}" for what, of in
             (("branches", one.branches), ("paths", one.paths), ("after", one.needs)) if of]  # fmt: skip
    return f"  ({'; '.join(parts)})" if parts else ""


def _facts(one: Gate, has: Usual) -> dict[str, object]:
    return {
        "name": one.name, "command": list(one.words), "timeout": one.timeout, "paths": list(one.paths),
        "branches": list(one.branches), "needs": list(one.needs), "retries": one.retries,
        "runs": has.runs, "failed": has.failed, "flaky": has.flaky, "seconds": has.seconds,
    }  # fmt: skip


@gate.command()
@click.argument("commit", default="HEAD", metavar="[COMMIT]")
@click.option("--gate", "names", multiple=True, help="Only this one; may be given again.")
def run(commit: str, names: tuple[str, ...]) -> int:
    """Run the gates on a commit, whatever is known of it, in a worktree of ours; by default on HEAD."""
    with opened() as session:
        gates = _chosen(session, names)
        found = session.repo.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}",
                                 at=session.repo.git_dir, ok=(0, 1, 128)).text  # fmt: skip
        if not found:
            raise UsageError(f"'{commit}' is no commit.", "Name one, or nothing for HEAD.")
        running = Running()
        try:
            ended = Judge(session, gates, running).anew(found)
        finally:
            running.end_all()
        screen = Screen(session.settings)
    for one in ended:
        screen.line(f"{one.gate} ", state("passed" if one.green else "failed", one.state.value), f" on {found[:7]}")
        for line in one.said.splitlines():
            show_line(f"| {visible(line)}")
    return ExitCode.OK if all(one.green for one in ended) else ExitCode.FAILED


@gate.command()
@click.argument("names", nargs=-1, metavar="[GATE]...")
def forget(names: tuple[str, ...]) -> int:
    """Forget what gates have said, so that trees are tested again."""
    with opened() as session:
        count = verdicts.forget(session.store, names)
    show_line(f"{count} verdict{'s' * (count != 1)} forgotten")
    return ExitCode.OK


def _chosen(session: Session, names: tuple[str, ...]) -> list[Gate]:
    gates = gates_of(session.settings, os.environ)
    known = [one.name for one in gates]
    for name in names:
        if name not in known:
            raise UsageError(f"There is no gate '{name}' here.", Advice.of("See {}.", "git", "uam", "gate", "list"))
    if not gates:
        raise UsageError("There are no gates here.", "`git uam config uam.gate.NAME.command 'COMMAND ...'` makes one.")
    return [one for one in gates if not names or one.name in names]
