"""`git uam sync`."""

from __future__ import annotations

import click

from uam_hooks.cli.opened import opened
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import show_line
from uam_hooks.report.behind import go_behind, words
from uam_hooks.report.sync import sync as sync_branch


@click.command()
@click.option("--queued", is_flag=True, help="On top of what waits there as well.")
@click.argument("target", required=False, metavar="[REMOTE/BRANCH]")
def sync(target: str | None, queued: bool) -> int:
    """Move the branch that is checked out here to what the remote has, with unlanded commits on top.

    Local modifications are kept; where that is impossible, nothing is changed. With --queued it goes behind what waits
    in the queue, so that a push which conflicts with that can land after it: where your commits conflict, a git rebase
    stops there.
    """
    with opened() as session:
        if queued:
            for line in words(go_behind(session, session.repo.git_dir, target)):
                show_line(line)
            return ExitCode.OK
        done = sync_branch(session, session.repo.git_dir, target)
    name = f"branch {done.branch}" if done.branch else "HEAD"
    if done.old == done.new:
        show_line(f"{name} is at {done.new[:7]}, up to date with {done.where}")
        return ExitCode.OK
    left = f", with {done.unlanded} unlanded commit{'s' * (done.unlanded != 1)} on top" if done.unlanded else ""
    show_line(f"{name} and its files are now at {done.new[:7]}, what {done.where} has{left}")
    show_line(f"undo: git reset --keep {done.old[:7]}")
    return ExitCode.OK
