"""`git uam install` and `git uam uninstall`: parse, call, print."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click

import uam_hooks.install.install as stage
from uam_hooks.command.github import is_githubs
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.words import say, show_line

if TYPE_CHECKING:
    from uam_hooks.session import Session

_WHERE = click.Path(exists=True, file_okay=False, path_type=Path)

# True in every worktree, and where git uam is not installed
_CALL = 'uam=$(git rev-parse --git-common-dir)/uam/hooks/pre-commit; [ ! -x "$uam" ] || "$uam" "$@"'


@click.command()
@click.argument("path", type=_WHERE, default=".")
@click.option("--hooks-only", is_flag=True, help="Wire no remote; the pre-push hook queues pushes instead.")
@click.option("--door-only", is_flag=True, help="Put no hook in; pushes go through the queue all the same.")
@click.option("--queue", type=_WHERE, help="Put pushes into the queue of another clone on this machine.")
@click.option("--no-queue", is_flag=True, help="Land pushes from here again.")
def install(path: Path, hooks_only: bool, door_only: bool, queue: Path | None, no_queue: bool) -> None:
    """Enable git uam in the repository at PATH, for all its worktrees.

    Existing hooks are kept and run first; a git that has hooks from its config (2.54) runs our commit hooks from
    there. Running it again updates our hooks and wires remotes that were added since. Where git runs hooks from among
    the tracked files (husky), nothing is put there. Exit status 4: the repository cannot be enabled, and nothing was
    changed.
    """
    if hooks_only and door_only:
        raise click.UsageError("--hooks-only and --door-only do not go together.")
    if queue and no_queue:
        raise click.UsageError("--queue and --no-queue do not go together.")
    with Repository.at(path) as repo:
        other = _other(repo, queue) if queue else "" if no_queue else None
        report = stage.install(repo, hooks_only=hooks_only, door_only=door_only, queue=other)
        settings = Settings.read(repo)
    if report.hooks:
        show_line(f"hooks: {', '.join(report.hooks)} in {report.hooks_dir}")
    if report.configured:
        show_line(f"hooks in git's config, whatever is in a hooks directory: {', '.join(report.configured)}")
    elif report.door_only:
        show_line("no hooks: pushes go through the queue, but commits are not noted before they are pushed.")
        show_line(f"to run ours, let each hook of yours end with ours of its name, as {_CALL}")
    if report.kept:
        show_line(f"kept, and run before ours: {', '.join(report.kept)}")
    if report.left:
        show_line(f"left alone, because somebody edited them: {', '.join(report.left)}")
    if report.wired:
        show_line(f"pushes go through the queue: {', '.join(report.wired)}")
    if other:
        show_line(f"pushes land from the queue of {other}, with those of its worktrees.")
    for name, why in report.skipped:
        show_line(f"not wired: {name}, because {why}")
    if settings.remotes():
        show_line(_of_ci(settings))
    show_line("Commit and push as always; git uam status shows the queue.")


def _other(repo: Repository, path: Path) -> str:
    """The clone at `path` as the setting names it; Refused where it cannot take the pushes of this one."""
    from uam_hooks.fleet.neighbour import Clone, refuse, shown

    return shown(refuse(Clone(repo, Settings.read(repo)), path))


def _of_ci(settings: Settings) -> str:
    """Who is asked whether CI is busy, and what setting would save runs where nobody is."""
    how, text = settings["uam.ci"], settings.text("uam.ci")
    if how not in ("auto", "off"):
        return f"CI: pushes wait while it works on their branch, and land together (uam.ci = {text})."
    saves = "pushes that come while CI works would land together, in one run"
    if how == "auto" and any(is_githubs(settings, remote) for remote in settings.remotes()):
        if which("gh") is not None:
            return "CI: pushes wait while GitHub works on their branch, as gh tells where it is logged in."
        return f"CI: gh is not here, so GitHub is not asked; with it {saves}."
    return f"CI: nobody asks whether it is busy; with `git config uam.ci 5m`, its usual time, {saves}."


@click.command()
@click.argument("path", type=_WHERE, default=".")
@click.option("--force", is_flag=True, help="Drop what is queued; the commits stay on their branches.")
def uninstall(path: Path, force: bool) -> None:
    """Take git uam out of the repository at PATH.

    It restores the config file and the hooks to what they would be without it. Exit status 4: something is queued, or
    its fleet keeps it, and nothing was changed; 3: something was still on its way to a remote after 30 s, and nothing
    was changed.
    """
    with Repository.at(path, brief=True) as repo, ExitStack() as opened:
        queue = cache(lambda: _opened(repo, opened))
        report = stage.uninstall(
            repo, pending=lambda: _queued(queue(), force), closing=lambda: _closing(queue()), force=force
        )
    if not report.installed:
        show_line("git uam was not enabled here.")
        return
    for line in report.dropped:
        show_line(f"dropped: {line}")
    if report.hooks:
        show_line(f"removed hooks: {', '.join(report.hooks)}")
    if report.restored:
        show_line(f"back in place: {', '.join(report.restored)}")
    for line in report.left:
        show_line(f"left {line}")
    if report.refs:
        show_line(f"{report.refs} refs below refs/uam keep original commits; to drop them: {stage.DROP_REFS}")
    show_line("git uam is out of this repository; pushes go straight to the remote.")


def _opened(repo: Repository, opened: ExitStack) -> Session:
    # imported here: nothing of the queue is needed where nothing is installed
    from uam_hooks.session import open_queue

    return opened.enter_context(open_queue(repo))


def _queued(session: Session, force: bool) -> list[str]:
    """What is queued. Where nothing is, or it is to be dropped, the clone leaves its fleet first."""
    from uam_hooks.report.status import queued_lines

    queued = queued_lines(session.store)
    settings = Settings.read(session.repo)  # as they are now: this may be the second look
    if (settings["uam.fleet"] or settings["uam.fleet.url"]) and (force or not queued):
        from uam_hooks.fleet.leaving import leave

        left = leave(session._replace(settings=settings), force=force, dropping=force)
        for line in left.said:
            say(line)
        show_line(f"this clone has left the fleet {left.name or 'that it was half in'}")
    return queued


def _closing(session: Session) -> AbstractContextManager[Callable[[Path], list[str]]]:
    from uam_hooks.report.status import queued_lines
    from uam_hooks.store.removal import closing

    return closing(session.repo.paths, session.store, queued_lines)
