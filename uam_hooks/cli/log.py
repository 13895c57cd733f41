"""`git uam log`: the batches, or all that is known of one action."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Id, Moment, moment_of
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Cell, Part, Screen, Tint, state
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.report import log as past
from uam_hooks.report.next_step import of_action
from uam_hooks.session import Session
from uam_hooks.store import history, views


@click.command()
@click.argument("number", metavar="[ID]", type=Id(), required=False)
@click.option("--oneline", is_flag=True, help="One line for each batch.")
@click.option("-n", "most", type=click.IntRange(min=0), metavar="NUMBER", help="At most so many batches.")
@click.option("--since", type=Moment(), metavar="WHEN",
              help="Batches since then: 12h, 30d, 2026-11-29 (UTC), or as for `git log`: yesterday.")  # fmt: skip
@click.option("--agent", default="", metavar="NAME", help="Batches with work of this agent.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def log(
    number: int | None, oneline: bool, most: int | None, since: float | str | None, agent: str, as_json: bool
) -> int:  # fmt: skip
    """List the batches, newest first; with an ID, show all that is known of that action."""
    if number is not None and (oneline or most is not None or since is not None or agent):
        raise UsageError("An ID names one action, and the other options choose batches.", "Leave out one of them.")
    with opened(shows=True) as session:
        if number is not None:
            return _one(session, number, as_json)
        found = past.entries(session, moment_of(session.repo, since) or 0.0, agent, most)
        if as_json:
            tell({"batches": list(found)}, None)
            return ExitCode.OK
        screen = Screen(session.settings)
        with screen.paged(session.repo):
            _list(screen, found, oneline)
    return ExitCode.OK


def _list(screen: Screen, found: Iterator[dict[str, Any]], oneline: bool) -> None:
    first = True
    for batch in found:
        if oneline:
            screen.line(*_in_one_line(batch))
            continue
        if not first:
            screen.line()
        first = False
        _batch(screen, batch)


def _batch(screen: Screen, batch: dict[str, Any]) -> None:
    failed = sum(entry["status"] == "failed" for entry in batch["entries"])
    more: list[Cell] = [", ", state("failed", f"{failed} failed")] if failed and batch["status"] != "failed" else []
    screen.line(Part(f"batch {batch['batch']}", Tint.HEAD), " ", state(batch["status"]), *more)
    screen.line(f"Date:   {_date(batch['created_at'])}")
    for landing in batch["landings"]:
        screen.line(f"Landed: {_range(landing)}")
    screen.line()
    for entry in batch["entries"]:
        screen.line("    ", *_entry(entry))


def _in_one_line(batch: dict[str, Any]) -> Iterator[Cell]:
    yield Part(str(batch["batch"]), Tint.HEAD)
    for landing in batch["landings"]:
        yield f" {landing['where']} {landing['new'][:7] or 'deleted'}"
    for entry in batch["entries"]:
        yield f"; {_work(entry)} " if entry is not batch["entries"][0] else f" {_work(entry)} "
        yield state(entry["status"])
        yield f" (#{entry['action']})" if entry["retry"] else ""
    waits = [entry["waited"] for entry in batch["entries"] if entry["waited"] is not None]
    yield f" after {_seconds(max(waits))}" if waits else ""


def _entry(entry: dict[str, Any]) -> Iterator[Cell]:
    """Who, what, how it went, and how long it waited; the id that `git uam retry` wants where it failed."""
    yield f"{_work(entry)}: "
    yield state(entry["status"])
    if entry["landed_as"]:
        yield f" as {entry['landed_as'][:7]}"
    if entry["waited"] is not None:
        yield f" after {_seconds(entry['waited'])}"
    if entry["error"]:
        yield ": "
        yield Part(entry["error"], Tint.BAD)
    if entry["retry"]:
        yield f" (`git uam retry {entry['retry']}` tries again)"


def _work(entry: dict[str, Any]) -> str:
    what = entry["tip"][:7] if entry["type"] in ("push", "commit") else f"{entry['type']} {entry['where']}"
    many = f"(with {entry['commits'] - 1} more)" if entry["commits"] > 1 else ""
    return " ".join(part for part in (entry["agent"], what, entry["subject"], many) if part)


def _range(landing: dict[str, Any]) -> str:
    old, new = landing["old"][:7], landing["new"][:7]
    if old and new:
        return f"{landing['where']} {old}..{new}"
    return f"{landing['where']} {f'is new, at {new}' if new else f'deleted, it was at {old}'}"


def _one(session: Session, number: int, as_json: bool) -> int:
    action = views.action(session.store, number)
    if action is None:
        with session.store.reading() as db:
            raise history.missing_action(db, number)
    facts = past.of_id(session, action)
    if as_json:
        tell(facts, of_action(session, action))
        return ExitCode.OK
    screen = Screen(session.settings)
    with screen.paged(session.repo):
        _show(screen, facts)
    return ExitCode.OK


def _show(screen: Screen, facts: dict[str, Any]) -> None:
    why: list[Cell] = [": ", Part(facts["error"], Tint.BAD)] if facts["error"] else []
    screen.line(f"#{facts['id']} {facts['type']} {facts['target']} is ", state(facts["status"]), *why)
    batch = facts["batch"]
    if batch is not None:
        screen.line(f"it is in batch {batch}, which is what was carried out together: git uam show {batch}")
    for entry in facts["entries"]:
        screen.line(*_entry(entry))
    for one in facts["commits"]:
        screen.line(f"{one['agent']} {one['commit'][:7]} {one['subject']}: ", state(one["status"]))
    for landing in facts["landings"]:
        what = "landed:" if landing["status"] == "landed" else f"{landing['status']}:"
        screen.line(f"{what} {_range(landing)}")
    for run in facts["gates"]:
        verdict = state("passed" if run["green"] else "failed")
        screen.line(f"gate:   {run['gate']} ", verdict, f" after {_seconds(run['seconds'])}, on tree {run['tree'][:7]}")
    for name, moment in _times(facts):
        screen.line(f"{name:<8}{_date(moment)}")
    if facts["depends_on"]:
        screen.line(f"after:  {', '.join(f'#{one}' for one in facts['depends_on'])}")
    if facts["attempts"]:
        screen.line(f"tried:  {facts['attempts']} time{'s' * (facts['attempts'] != 1)}")
    if facts["output"] is not None:
        screen.lines(facts["output"])


def _times(facts: dict[str, Any]) -> list[tuple[str, str]]:
    named = (("queued:", "queued_at"), ("due:", "due_at"), ("began:", "executed_at"), ("ended:", "finished_at"))
    return [(name, facts[key]) for name, key in named if facts[key]]


def _date(moment: str) -> str:
    """A moment as git writes dates, here."""
    if not is_moment(moment):
        return moment
    return time.strftime("%a %b %e %H:%M:%S %Y %z", time.localtime(seconds_of(moment))).replace("  ", " ")


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
