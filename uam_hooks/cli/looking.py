"""What `git uam status` does. It loads neither click nor, where nobody looks at a terminal, rich: both take longer than
all that it asks.
"""

from __future__ import annotations

import sys
from typing import Any

from uam_hooks.cli.opened import opened
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import from_remotes, show_json, show_line, visible
from uam_hooks.report.status import state
from uam_hooks.session import Session
from uam_hooks.store import views
from uam_hooks.store.views import Waiting

_NEWEST = 20


def show_status(*, everything: bool, as_json: bool, starting: bool) -> int:
    """Print the queue: all that waits as JSON or with `everything`, else the newest actions.

    With `starting`, flushers are started for what waits.
    """
    with opened(brief=True) as session:
        if starting:
            ensure_flush(session)
        if views.commits(session.store):
            from uam_hooks.flush.noted_commits import refresh

            refresh(session.repo, session.store)
        found = state(session, None if everything or as_json else _NEWEST)
        waiting = views.waiting(session.store, session.identity.id)
        found["hooks"] = _hooks_gone(session)
    if as_json:
        show_json(found)
    else:
        _show(found, waiting)
    return ExitCode.OK


def _hooks_gone(session: Session) -> list[dict[str, Any]]:
    from uam_hooks.install.displaced import displaced

    return [one._asdict() for one in displaced(session.repo)]


def _show(found: dict[str, Any], waiting: Waiting) -> None:
    if left_out := waiting.total - len(found["waiting"]):
        show_line(f"{left_out} more of what waits came before; `git uam status --all` lists all of it")
    rows = [_line(row) for row in found["running"] + found["waiting"]]
    if rows:
        _table(rows)
    for row in found["waiting"]:
        if row["apart"] is not None:
            show_line(f"apart:   {_apart(row)}")
    for row in found["running"] + found["waiting"]:
        if row["held"] is not None:
            show_line(f"held:    #{row['action']} is {row['held']}")
    for seen_of in found["ci"]:
        if seen_of["state"] == "unknown":
            show_line(f"CI:      {seen_of['where']}: cannot be told, which counts as idle: {seen_of['said']}")
    pushes = waiting.sources.get("push", 0), waiting.actions.get("push", 0)
    first = f"{_count(pushes[0], 'push', 'pushes')} in {_count(pushes[1], 'action')}"
    parts = [first, *_others(waiting.actions), _count(waiting.commits, "commit")]
    show_line(f"waiting: {', '.join(parts)}")
    show_line(f"running: {_count(len(found['running']), 'action')}")
    failed = found["failed"]
    show_line(f"failed:  {len(failed)}")
    for failure in failed[:5]:
        what = f"{failure['tip'][:7]} to" if failure["type"] == "push" else f"{failure['type']} #{failure['action']}"
        show_line(f"  {failure['agent']} {what} {failure['where']}: {failure['error']}")
        for line in from_remotes([tuple(failure["remote_said"])]):
            show_line(f"    {line}")
    if found["hooks"]:
        show_line(f"hooks:   {_hooks(found['hooks'])}; run `git uam install`")
    if found["straight"]:
        show_line(f"straight: pushes to {', '.join(found['straight'])} are made by a remote helper of its own")
    show_line(f"window:  {_window(found['window'], found['mode'])}")
    show_line(f"next:    {found['next']}")


def _hooks(rows: list[dict[str, Any]]) -> str:
    """Which hooks of ours another tool has put aside, replaced or removed."""
    whats = {row["instead"] for row in rows}
    if len(rows) > 1 and len(whats) == 1 and not any(row["aside"] for row in rows):
        return f"{', '.join(row['hook'] for row in rows)}: {whats.pop().rstrip('.')}"
    asides = {row["hook"]: f", ours lies in {', '.join(row['aside'])}" if row["aside"] else "" for row in rows}
    return "; ".join(f"{row['hook']}: {row['instead'].rstrip('.')}{asides[row['hook']]}" for row in rows)


def _apart(row: dict[str, Any]) -> str:
    """Why an action is not executed from here."""
    names = row["apart"] or ["settings that are not known any more"]
    what = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    differ = "differ" if len(names) > 1 or not row["apart"] else "differs"
    return f"#{row['action']} waits for an agent with the settings it was queued with: {what} {differ} from here"


def _others(many: dict[str, int]) -> list[str]:
    """How many actions of the other types wait, leaving out types with none."""
    kinds = {"commit": "commit by name", "merge": "merge", "workflow": "workflow", "deploy": "deploy"}
    return [_count(many[k], one, "commits by name" if k == "commit" else "") for k, one in kinds.items() if many.get(k)]


def _window(window: dict[str, Any], mode: str) -> str:
    """Whether a push waits for company now, or lands at once."""
    until = f" until {window['urgent_until']}" if window["urgent_until"] else ""
    mark = f" (urgent{until})" if window["urgent"] else ""
    waits = f"a push waits {window['seconds']:g} s{mark}"
    if mode != "wait" or window["company_seconds"] is None:
        return waits
    if window["alone"]:
        return f"a push lands at once: nobody else was at work in the last {window['company_seconds'] / 60:g} min"
    return f"{waits} for company: {', '.join(window['others'])}"


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    what = "; ".join(
        f"{m['commit'][:7]} {m['subject']}" if "commit" in m
        else m["what"] if "what" in m
        else f"{m['tip'][:7] or 'delete'} {m['branch']}"
        for m in row["members"][:5]
    ) + (" ..." if len(row["members"]) > 5 else "")  # fmt: skip
    when = row["status"] if row["status"] != "pending" else (
        "ready" if row["state"] == "ready" else f"in {row['seconds_left']:.0f} s"
    )  # fmt: skip
    if row["depends_on"]:
        when += f", after {', '.join(f'#{number}' for number in row['depends_on'])}"
    if row["attempts"]:
        when += f", tried {_count(row['attempts'], 'time')}: {row['error']}"
    return f"#{row['action']}", row["type"], row["where"], ", ".join(row["agents"]), what, when


_HEADS = ("id", "type", "where", "agents", "what", "when")


def _table(rows: list[tuple[str, ...]]) -> None:
    shown = [tuple(visible(cell) for cell in row) for row in rows]
    if not sys.stdout.isatty():  # a program or an agent reads it: nothing is wrapped, and nothing loaded for colours
        widths = [max(map(len, column)) for column in zip(_HEADS, *shown, strict=True)]
        for row in (_HEADS, *shown):
            show_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*_HEADS, box=None, pad_edge=False)
    for row in shown:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
