"""`git uam cancel` and `git uam retry`: single actions."""

from __future__ import annotations

from collections.abc import Sequence

import click

from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Id
from uam_hooks.cli.program import tell
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import say, show_line
from uam_hooks.hot.queue.reasons import is_queue, place
from uam_hooks.report.next_step import wait_for
from uam_hooks.session import Session
from uam_hooks.store import requests, views


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def cancel(ids: tuple[int, ...], as_json: bool) -> int:
    """Take actions out of the queue."""
    with opened() as session:
        home, left = _taken_back(session, ids)
        requests.cancel(session.store, left)
    for number in ids if not as_json else ():
        show_line(f"#{number} is cancelled; commits in it stay in refs/uam/pin/")
    for number, hands in home.items():
        say(f"#{number} was taken home from {place(hands)}; what that one has begun to land before lands all the same")
    if as_json:
        tell({"cancelled": list(ids)}, None, indent=None)
    return ExitCode.OK


def _taken_back(session: Session, ids: Sequence[int]) -> tuple[dict[int, str], Sequence[int]]:
    """Take back what was handed over: what came home from a fleet, by its number, and what is left to be cancelled."""
    hands = {number: action.entrusted for number in ids if (action := views.action(session.store, number)) is not None}
    home = {number: one for number, one in hands.items() if one and not is_queue(one)}
    if home:
        from uam_hooks.fleet import homeward

        homeward.bring_home(session, home)
    if any(map(is_queue, hands.values())):
        from uam_hooks.fleet.recall import recall

        return home, recall(session, ids)
    return home, ids


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def retry(ids: tuple[int, ...], as_json: bool) -> int:
    """Queue what failed, or was cancelled, once more."""
    with opened() as session:
        found = requests.retry(session.store, ids)
        ensure_flush(session)
        do = wait_for(session, found.values())
    for number in ids if not as_json else ():
        show_line(f"#{number} is queued again as #{found[number]}")
    if as_json:
        tell({"retried": found}, do, indent=None)
    return ExitCode.OK
