"""What `git uam status` does. It loads neither click nor rich: both take longer than all that it asks."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from uam_hooks.cli.opened import only_looks, opened
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Cell, Part, Screen, Tint, state
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import from_remotes
from uam_hooks.hot.queue.reasons import is_queue, place
from uam_hooks.report.next_step import of_queue
from uam_hooks.report.status import state as state_of
from uam_hooks.session import Session
from uam_hooks.store import views
from uam_hooks.store.views import Waiting

NEWEST = 20


def show_status(*, everything: bool, as_json: bool, starting: bool) -> int:
    """Print the queue: all that waits as JSON or with `everything`, else the newest actions.

    With `starting`, flushers are started for what waits, unless the command only looks.
    """
    with opened(shows=True) as session:
        if starting and not only_looks():
            ensure_flush(session)
        if views.commits(session.store):
            from uam_hooks.flush.noted_commits import refresh

            refresh(session.repo, session.store)
        found = state_of(session, None if everything or as_json else NEWEST)
        waiting = views.waiting(session.store, session.identity.id)
        found["hooks"] = hooks_gone(session)
        step = of_queue(session, found, waiting)
        if as_json:
            tell(found, step.do)
            return ExitCode.OK
        screen = Screen(session.settings)
        with screen.paged(session.repo) if everything else nullcontext():
            show(screen, found, waiting, step.said)
    return ExitCode.OK


def hooks_gone(session: Session) -> list[dict[str, Any]]:
    """The hooks of ours that do not run; see displaced."""
    from uam_hooks.install.displaced import displaced

    return [one._asdict() for one in displaced(session.repo)]


def show(screen: Screen, found: dict[str, Any], waiting: Waiting, step: str) -> None:
    """Print the queue, as `state` and `hooks_gone` describe it, and the next step."""
    if left_out := waiting.total - len(found["waiting"]):
        screen.line(f"{left_out} more of what waits came before; `git uam status --all` lists all of it")
    rows = [_line(row) for row in found["running"] + found["waiting"]]
    if rows:
        screen.table(_HEADS, rows)
    for row in found["waiting"]:
        if row["apart"] is not None:
            screen.line(f"apart:   {_apart(row)}")
    for row in found["running"] + found["waiting"]:
        if row["held"] is not None:
            screen.line(f"held:    #{row['action']} is ", Part(row["held"], Tint.WAITS))
    for line in _elsewhere(found):
        screen.line(*line)
    for seen_of in found["ci"]:
        if seen_of["state"] == "unknown":
            screen.line(f"CI:      {seen_of['where']}: ", state("unknown", "cannot be told"),
                        f", which counts as idle: {seen_of['said']}")  # fmt: skip
    pushes = waiting.sources.get("push", 0), waiting.actions.get("push", 0)
    first = f"{count(pushes[0], 'push', 'pushes')} in {count(pushes[1], 'action')}"
    parts = [first, *_others(waiting.actions), count(waiting.commits, "commit")]
    screen.line(f"waiting: {', '.join(parts)}")
    screen.line("running: ", Part(count(len(found["running"]), "action"), Tint.BUSY if found["running"] else Tint.NONE))
    _show_failed(screen, found["failed"])
    if found["hooks"]:
        screen.line(f"hooks:   {_hooks(found['hooks'])}; run `git uam install`")
    if found["straight"]:
        screen.line(f"straight: pushes to {', '.join(found['straight'])} are made by a remote helper of its own")
    screen.line(f"window:  {_window(found['window'], found['mode'])}")
    screen.line(f"next:    {step}")


def _show_failed(screen: Screen, failed: list[dict[str, Any]]) -> None:
    screen.line("failed:  ", Part(str(len(failed)), Tint.BAD if failed else Tint.NONE))
    for failure in failed[:5]:
        screen.line("  ", *failed_cells(failure))
        for line in from_remotes([tuple(failure["remote_said"])]):
            screen.line(f"    {line}")


def failed_cells(failure: dict[str, Any]) -> list[Cell]:
    """Who failed with what, why, and the id that `git uam retry` wants."""
    of = f" {failure['tip'][:7]} to" if failure["type"] == "push" else ""
    what = f"{failure['agent']} {failure['type']} #{failure['action']}{of} {failure['where']}: "
    return [what, Part(failure["error"], Tint.BAD)]


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


def _elsewhere(found: dict[str, Any]) -> list[list[Cell]]:
    """What a fleet lands, and why others cannot be asked."""
    hands = {row["handed_to"]: row for row in found["waiting"] if row["handed_to"] and not is_queue(row["handed_to"])}
    lines: list[list[Cell]] = []
    for one in hands:
        numbers = [row["action"] for row in found["waiting"] if row["handed_to"] == one]
        names = ", ".join(f"#{number}" for number in numbers)
        lines.append(["fleet:   ", f"{names} {'is' if len(numbers) == 1 else 'are'} in the hands of {place(one)}"])
    whys = dict.fromkeys(row["error"] for row in found["waiting"] if row["error"] and not row["attempts"])
    return lines + [["waits:   ", Part(why, Tint.WAITS)] for why in whys]


def _others(many: dict[str, int]) -> list[str]:
    """How many actions of the other types wait, leaving out types with none."""
    kinds = {"commit": "commit by name", "merge": "merge", "workflow": "workflow", "deploy": "deploy"}
    return [count(many[k], one, "commits by name" if k == "commit" else "") for k, one in kinds.items() if many.get(k)]


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


def _line(row: dict[str, Any]) -> list[Cell]:
    when = row["status"] if row["status"] != "pending" else "handed over" if row["handed_to"] else (
        "ready" if row["state"] == "ready" else f"in {row['seconds_left']:.0f} s"
    )  # fmt: skip
    if row["depends_on"]:
        when += f", after {', '.join(f'#{number}' for number in row['depends_on'])}"
    if row["attempts"]:
        when += f", tried {count(row['attempts'], 'time')}: {row['error']}"
    return [
        f"#{row['action']}",
        row["type"],
        row["where"],
        ", ".join(row["agents"]),
        what_of(row),
        state(row["status"], when),
    ]


def what_of(row: dict[str, Any]) -> str:
    """What an action brings, or asks for."""
    return "; ".join(_member(member) for member in row["members"][:5]) + (" ..." if len(row["members"]) > 5 else "")


def _member(member: dict[str, Any]) -> str:
    """What one source of an action brings, or asks for."""
    if "commit" in member:
        return f"{member['commit'][:7]} {member['subject']}"
    return str(member["what"]) if "what" in member else f"{member['tip'][:7] or 'delete'} {member['branch']}"


_HEADS = ("id", "type", "where", "agents", "what", "when")


def count(number: int, one: str, many: str = "") -> str:
    """So many of these, in words."""
    return f"{number} {one if number == 1 else many or one + 's'}"
