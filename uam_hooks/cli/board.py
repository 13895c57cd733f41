"""What `git uam status --watch` shows on a terminal: a board of one screen, line by line."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from uam_hooks.cli.live import Row, bars, terminal
from uam_hooks.cli.looking import count, failed_cells, what_of
from uam_hooks.cli.screen import Cell, Part, Screen, Tint, fitted, state
from uam_hooks.hot.core.words import visible
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.report.next_step import Step
from uam_hooks.store.views import Waiting

# How many lines there are of what failed, and of what has landed, where there is room for them.
_FAILED, _LANDED = 5, 8
# Of what waits no fewer than that have their place, whatever else there is.
_LEAST = 3
# Where a terminal is narrower than that, no bar stands beside what is at work.
_WITH_BAR = 80
# A line of the board: cells, or something at work with its bar.
Line = Sequence[Cell] | Row


class Look(NamedTuple):
    """The queue at one moment: its `state`, how much waits, the gates that run, why pushes wait, the batches that
    ended last, and the next step.
    """

    found: dict[str, Any]
    waiting: Waiting
    gates: Sequence[Row]
    why: dict[int, str]
    past: Sequence[dict[str, Any]]
    step: Step

    def counts(self) -> bool:
        """Whether something on the board changes as time passes, and not with the queue alone."""
        rows = self.found["waiting"]
        going = any(row["seconds_left"] > 0 for row in rows) or bool(self.why) or bool(self.gates)
        return going or any(one["state"] == "busy" and one["since"] for one in self.found["ci"])


def board(look: Look, width: int, height: int) -> list[Line]:
    """The lines of a screen of that size: what is at work, what waits, CI, what failed, what has landed.

    What has no room is counted, where it waits, or left out.
    """
    found = look.found
    head: list[list[Cell]] = [
        [Part("git uam", Tint.HEAD), f": {_amount(look)} in {found['repository']}"],
        *map(_running, found["running"]),
    ]
    ci = [_ci(one) for one in found["ci"] if one["state"] != "off"]
    if found["hooks"]:
        ci.append([Part("hooks:   ", Tint.BAD), f"{len(found['hooks'])} of ours do not run, see `git uam status`"])
    above: list[Line] = [*_lines(head, width), *look.gates]
    below = _lines(ci, width)
    end = _lines([[f"next:    {look.step.said}"], [Part("Ctrl-C ends this", Tint.PAST)]], width)
    waits = [_waits(row, look.why) for row in reversed(found["waiting"])]
    first = _lines(waits[:_LEAST], width)
    room = height - len(above) - len(below) - len(end) - len(first) - 1
    failed, room = _fitting(_failed(found["failed"]), width, room)
    landed, room = _fitting(_landed(look.past), width, room)
    others, _ = _fitting(waits[_LEAST:], width, room)
    left = look.waiting.total - len(waits[:_LEAST]) - len(others)
    more: list[Line] = [[f"         and {left} more"]] if left > 0 else []
    waiting = [*first, *_joined(others), *more]
    return [*[*above, *waiting, *below, *_joined(failed), *_joined(landed)][: max(height - len(end), 0)], *end][:height]


def _lines(entries: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """Entries as lines that are no wider than that."""
    return [line for cells in entries for line in fitted(cells, width)]


def _fitting(entries: Sequence[Sequence[Cell]], width: int, room: int) -> tuple[list[list[Line]], int]:
    """The lines of each of the first entries, as many as there is room for, and the room that is left."""
    shown: list[list[Line]] = []
    for cells in entries:
        lines = _lines([cells], width)
        if len(lines) > room:
            break
        shown.append(lines)
        room -= len(lines)
    return shown, room


def _joined(entries: Sequence[Sequence[Line]]) -> list[Line]:
    return [line for lines in entries for line in lines]


def _failed(failed: Sequence[dict[str, Any]]) -> list[list[Cell]]:
    return [[Part("failed:  ", Tint.BAD), *failed_cells(one)] for one in failed[:_FAILED]]


def _amount(look: Look) -> str:
    pushes, actions = look.waiting.sources.get("push", 0), sum(look.waiting.actions.values())
    return (
        f"{count(pushes, 'push', 'pushes')} of {count(actions, 'action')} waiting, {len(look.found['running'])} running"
    )


def _running(row: dict[str, Any]) -> list[Cell]:
    return [
        Part("running: ", Tint.BUSY),
        f"#{row['action']} {row['type']} {row['where']} for {', '.join(row['agents'])}",
    ]


def _waits(row: dict[str, Any], why: dict[int, str]) -> list[Cell]:
    """Who waits with what, and for what."""
    when = why.get(row["action"]) or ("ready" if row["state"] == "ready" else f"in {row['seconds_left']:.0f} s")
    after = f", after {', '.join(f'#{number}' for number in row['depends_on'])}" if row["depends_on"] else ""
    who = f"#{row['action']} {row['type']} {row['where']} {', '.join(row['agents'])}: "
    return [Part("waiting: ", Tint.WAITS), who, state("pending", f"{when}{after}"), f"  {what_of(row)}"]


def _ci(one: dict[str, Any]) -> list[Cell]:
    more = f", run {one['run']}" if one["run"] else ""
    if one["state"] == "busy" and one["since"] and is_moment(one["since"]):
        more += f", for {max(time.time() - seconds_of(one['since']), 0):.0f} s"
    return [f"CI:      {one['where']} ", state(one["state"]), f"{more}{': ' + one['said'] if one['said'] else ''}"]


def _landed(past: Sequence[dict[str, Any]]) -> list[list[Cell]]:
    """The last landings, newest first."""
    lines: list[list[Cell]] = []
    for batch in past:
        for entry in batch["entries"]:
            if entry["status"] == "landed" and entry["landed_as"]:
                when = time.strftime("%H:%M:%S", time.localtime(seconds_of(entry["ended_at"] or batch["created_at"])))
                after = f" after {entry['waited']:.1f} s" if entry["waited"] is not None else ""
                lines.append([Part("landed:  ", Tint.GOOD), f"{when} {entry['agent']} {entry['subject']}: ",
                              f"{entry['where']} {entry['landed_as'][:7]}{after}"])  # fmt: skip
    return lines[:_LANDED]


# Tint and style, as rich names the same colours.
_STYLES = {Tint.GOOD: "green", Tint.BAD: "red", Tint.BUSY: "cyan", Tint.WAITS: "yellow", Tint.PAST: "dim"}


class Board:
    """A screen of its own, which goes when it is stopped: what was there before is there again.

    The cursor and the modes of the terminal stay as they are. Where a shell stops the process (Ctrl-Z), its screen is
    there meanwhile.
    """

    def __init__(self, screen: Screen) -> None:
        self._console = terminal(stderr=False, coloured=screen.coloured)
        self._live: Live | None = None
        self._size = self._console.size
        self._to_stop = False
        self._before = {
            number: signal.signal(number, self._noticed)
            for number in (signal.SIGTSTP, signal.SIGWINCH)
            if signal.getsignal(number) is not signal.SIG_IGN
        }

    def _noticed(self, number: int, _frame: object) -> None:
        self._to_stop |= number == signal.SIGTSTP

    def stale(self) -> bool:
        """Whether the terminal has another size now, or the process is to be stopped."""
        return self._to_stop or self._console.size != self._size

    def show(self, look: Look) -> None:
        """Show this instead of what was shown before."""
        if self._to_stop:
            self._to_stop = False
            self._leave()
            os.kill(os.getpid(), signal.SIGSTOP)  # and on from here with SIGCONT
        if self._live is None:
            self._live = Live(
                console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        self._size = self._console.size
        self._live.update(_rendered(board(look, *self._size), self._size.width), refresh=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._leave()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _leave(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _rendered(lines: Sequence[Line], width: int) -> RenderableType:
    """The lines as rich shows them: one that is too long ends with dots."""
    shown: list[RenderableType] = []
    for line in lines:
        if isinstance(line, Row):
            row = line if width >= _WITH_BAR else line._replace(usual=None)
            shown.append(bars([row], Text("running:", "cyan")))
            continue
        text = Text(no_wrap=True, overflow="ellipsis")
        for cell in line:
            part = Part(cell) if isinstance(cell, str) else cell
            text.append(visible(part.text), _STYLES.get(part.tint, ""))
        shown.append(text)
    return Group(*shown)
