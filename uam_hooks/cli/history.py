"""`git uam show`, `git uam restore` and `git uam prune`."""

from __future__ import annotations

from typing import Any

import click

from uam_hooks.cli.completing import batches
from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Cell, Part, Screen, Tint, state
from uam_hooks.flush.flush import prune as delete_expired
from uam_hooks.flush.upkeep import delete_logs, fold_all
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import from_remotes, show_line
from uam_hooks.hot.push.messages import waited
from uam_hooks.hot.queue.outcome import How
from uam_hooks.report.history import describe, find_batch
from uam_hooks.report.history import restore as create_branches
from uam_hooks.report.next_step import of_actions


@click.command()
@click.argument("batch", shell_complete=batches)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(batch: str, as_json: bool) -> int:
    """Show what BATCH landed: its number, its id, or the commit it landed as."""
    with opened(shows=True) as session:
        chosen = find_batch(session, batch)
        found = describe(session, chosen)
        if as_json:
            tell(found, of_actions(session, (action.id for action in chosen.actions)))
            return ExitCode.OK
        screen = Screen(session.settings)
        with screen.paged(session.repo):
            for line in _lines(found):
                screen.line(*([line] if isinstance(line, str) else line))
    return ExitCode.OK


def _lines(found: dict[str, Any]) -> list[str | list[Cell]]:
    lines: list[str | list[Cell]] = [
        [
            Part(f"batch {found['batch']}", Tint.HEAD),
            f" ({found['id']}) ",
            state(found["status"]),
            f", {found['created_at']}",
        ],
        "a batch is what is carried out together, with one push to each remote",
    ]
    for landing in found["landings"]:
        lines += ["", f"{_landing(landing)}:"]
        lines += [f"    {_commit(one)}" for one in landing["commits"]]
        for source in landing["sources"]:
            lines += _source(source, landing)
        proof = landing["proof"]
        if proof:
            files = f"{proof['changed']} file{'s' * (proof['changed'] != 1)}"
            lines.append(f"  checked before the push: it changes {files}, all of them changed by these commits;")
            lines.append(
                f"  {proof['sameContent']} changed by one push alone, and with the very content that was pushed"
            )
        lines += [f"  {line}" for line in from_remotes([tuple(landing["remote_said"])])]
    for failure in found["failed"]:
        of = f"#{failure['action']} {failure['agent']} {failure['tip'][:7]}"
        lines.append([state("failed"), f": {of} to {failure['where']}: ", Part(failure["error"], Tint.BAD)])
        lines += [f"  {line}" for line in from_remotes([tuple(failure["remote_said"])])]
    for action in found["actions"]:
        why: list[Cell] = [": ", Part(action["error"], Tint.BAD)] if action["error"] else []
        what = f"#{action['action']} {action['type']} {action['where']} ({', '.join(action['agents'])}) "
        lines.append([what, state(action["status"]), *why])
    return lines


def _landing(landing: dict[str, Any]) -> str:
    """What happened to a ref, and for how many pushes."""
    old, new = (None if set(landing[name]) == {"0"} else landing[name][:7] for name in ("old", "new"))
    where = landing["where"]
    if landing["status"] != "landed":
        return (
            f"{where} was to be at {new or 'nothing'} instead of {old or 'nothing'}; not landed ({landing['status']})"
        )
    if old and new:
        what = f"{where} went from {old} to {new}"
    else:
        what = f"{where} is new, at {new}" if new else f"{where} was deleted, it was at {old}"
    if landing["pushes"] < 2:
        return what
    more = f" ({waited(landing['pushes'], landing['held'])})" if landing["held"] else ""
    return f"{what}, for {landing['pushes']} pushes{more}"


def _source(source: dict[str, Any], landing: dict[str, Any]) -> list[str]:
    """Who pushed what, and what that is on the remote."""
    after = source["became"]
    did = "asked for" if source["asked"] else "pushed"
    what = f"{source['tip'][:7]} from {_branch(source['branch'])}" if source["tip"] else "a deletion"
    lines = [f"  {source['agent']} {did} {what}{'' if after else _UNCHANGED.get(source['how'], '')}:"]
    lines += [f"    {_commit(one)}" for one in source["commits"]]
    if after:
        shared = len([other for other in landing["sources"] if other["became"] == after]) > 1
        how = " with others' work, in one commit" if shared else _CHANGED.get(source["how"], "")
        verb = "landed" if landing["status"] == "landed" else "was to land"
        lines += [f"  {verb}{how}:", *(f"    {_commit(one)}" for one in after)]
    return lines


def _branch(name: str) -> str:
    return "a detached HEAD" if name == "(detached)" else f"branch {name}"


# What was done to what was pushed.
_UNCHANGED: dict[str | None, str] = {How.NOTHING_NEW: ", of which the remote had all"}
_UNCHANGED |= dict.fromkeys((How.AS_IS, How.EXACT), ", which landed as it is")
_CHANGED: dict[str | None, str] = {
    How.MOVED: " on top of others' work", How.SQUASHED: " as one", How.KEPT: " one by one",
}  # fmt: skip


def _commit(one: dict[str, str]) -> str:
    return f"{one['commit'][:7]} {one['subject']} ({one['author']})"


@click.command()
@click.argument("name", metavar="BATCH|COMMIT", shell_complete=batches)
@click.option("--branch", help="What to call the branch; several get -1, -2 ... appended.")
def restore(name: str, branch: str | None) -> int:
    """Bring the unsquashed commits of a batch, or one original commit, back as branches."""
    with opened() as session:
        for made in create_branches(session, name, branch):
            show_line(f"branch {made.branch} is at {made.tip[:7]} ({made.agent}); undo: git branch -D {made.branch}")
    return ExitCode.OK


@click.command()
def prune() -> int:
    """Expire what landed longer ago than uam.retention, and nothing that has not landed; fold what ended before."""
    with opened() as session:
        done = delete_expired(session, session.settings["uam.flush.lockTimeout"])
        delete_logs(session, session.settings["uam.retention"])
        folded = fold_all(session)
    refs = f"{done.pins} pins, {done.landings} landings and {done.originals} originals"
    show_line(f"deleted {refs}; {done.shadows} shadows cut")
    if folded.rows or folded.freed:
        show_line(f"folded what has ended before; the queue is {folded.freed / 1e6:.1f} MB smaller")
    if folded.stiff:
        show_line("the queue is too large to be written anew beside others, so its file keeps its size")
    return ExitCode.OK
