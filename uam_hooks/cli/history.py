"""`git uam show`, `git uam restore` and `git uam prune`."""

from __future__ import annotations

from typing import Any

import click

from uam_hooks.cli.opened import opened
from uam_hooks.flush.flush import prune as delete_expired
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import from_remotes, show_json, show_line
from uam_hooks.report.history import describe, find_batch
from uam_hooks.report.history import restore as create_branches


@click.command()
@click.argument("batch")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(batch: str, as_json: bool) -> int:
    """Show what BATCH landed: its number, its id, or the commit it landed as."""
    with opened() as session:
        found = describe(session, find_batch(session, batch))
    if as_json:
        show_json(found)
        return ExitCode.OK
    for line in _lines(found):
        show_line(line)
    return ExitCode.OK


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"batch {found['batch']} ({found['id']}) {found['status']}, {found['created_at']}"]
    for landing in found["landings"]:
        new, old = landing["new"][:7], landing["old"][:7]
        lines += ["", f"{landing['where']}: {old}..{new} {landing['how']} ({landing['status']})"]
        lines += [f"    {c['commit'][:7]} {c['subject']} ({c['author']})" for c in landing["commits"]]
        for source in landing["sources"]:
            lines.append(f"  {source['agent']}, {source['branch']} at {source['tip'][:7] or 'deleted'}")
            lines += [f"    {c['commit'][:7]} {c['subject']} ({c['author']})" for c in source["commits"]]
        proof = landing["proof"]
        if proof:
            files = f"{proof['changed']} file{'s' * (proof['changed'] != 1)}"
            lines.append(f"  checked before the push: it changes {files}, all of them changed by these commits;")
            lines.append(
                f"  {proof['sameContent']} changed by one push alone, and with the very content that was pushed"
            )
        lines += [f"  {line}" for line in from_remotes([tuple(landing["remote_said"])])]
    for failure in found["failed"]:
        lines.append(f"failed: {failure['agent']} {failure['tip'][:7]} to {failure['where']}: {failure['error']}")
        lines += [f"  {line}" for line in from_remotes([tuple(failure["remote_said"])])]
    for action in found["actions"]:
        why = f": {action['error']}" if action["error"] else ""
        agents = ", ".join(action["agents"])
        lines.append(f"#{action['action']} {action['type']} {action['where']} ({agents}) {action['status']}{why}")
    return lines


@click.command()
@click.argument("name", metavar="BATCH|COMMIT")
@click.option("--branch", help="What to call the branch; several get -1, -2 ... appended.")
def restore(name: str, branch: str | None) -> int:
    """Bring the unsquashed commits of a batch, or one original commit, back as branches."""
    with opened() as session:
        for made in create_branches(session, name, branch):
            show_line(f"branch {made.branch} is at {made.tip[:7]} ({made.agent}); undo: git branch -D {made.branch}")
    return ExitCode.OK


@click.command()
def prune() -> int:
    """Expire what landed longer ago than uam.retention, and nothing that has not landed."""
    with opened() as session:
        done = delete_expired(session, session.settings["uam.flush.lockTimeout"])
    refs = f"{done.pins} pins, {done.landings} landings and {done.originals} originals"
    show_line(f"deleted {refs}; {done.shadows} shadows cut")
    return ExitCode.OK
