"""What is at work, line by line, on a terminal: of a flush, and of what a command waits for.

Elsewhere nothing of it is printed, and rich is not loaded. The cursor stays as it is, so that whoever is killed leaves
the terminal as it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from uam_hooks.flush.batch_run import Tell
from uam_hooks.hot.core.errors import StoreError
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.words import on_terminal, visible
from uam_hooks.hot.push.voice import Voice
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, where
from uam_hooks.hot.queue.reasons import Waits, in_words, reason
from uam_hooks.store import verdicts

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_LOOK_SECONDS = 0.25
_SHOWN_AFTER_SECONDS = 0.5
_BAR_WIDTH = 20
# how many of those who wait for a gate are named
_NAMED = 3


class Row(NamedTuple):
    """One line: what is at work, since when, and how many seconds that takes as a rule, as far as these are known."""

    what: str
    since: float | None = None
    usual: float | None = None


class Display:
    """Lines at the end of what is on the terminal, from the first of them until `stop`. What is printed meanwhile
    stands above.
    """

    def __init__(self) -> None:
        from rich.spinner import Spinner

        self._rows: Sequence[Row] = ()
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def show(self, rows: Sequence[Row]) -> None:
        """Show these lines instead of those before."""
        from rich.live import Live

        self._rows = rows
        if rows and self._live is None:
            self._live = Live(get_renderable=self._table, console=terminal(), transient=True, refresh_per_second=8)
            self._live.start()

    def stop(self) -> None:
        """Take the lines away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self) -> RenderableType:
        return bars(self._rows, self._spinner)


def bars(rows: Sequence[Row], mark: RenderableType) -> RenderableType:
    """These lines behind a `mark` each, with a bar where it is known how long it takes as a rule."""
    from rich.progress_bar import ProgressBar
    from rich.table import Column, Table
    from rich.text import Text

    grid = Table.grid(Column(no_wrap=True), Column(no_wrap=True, overflow="ellipsis"), Column(), Column(no_wrap=True),
                      padding=(0, 1))  # fmt: skip
    for row in rows:
        seconds = None if row.since is None else max(time.time() - row.since, 0.0)
        bar: RenderableType = ""
        if row.usual and seconds is not None:
            bar = ProgressBar(total=row.usual, completed=min(seconds, row.usual), width=_BAR_WIDTH)
        grid.add_row(mark, Text(visible(row.what)), bar, Text(_so_far(seconds, row.usual)))
    return grid


def terminal(*, stderr: bool = True, coloured: bool | None = None) -> Console:
    """The terminal, with its cursor; where `coloured` is None, rich decides about colours."""
    from rich.console import Console

    class Plain(Console):
        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
            return False

    return Plain(
        stderr=stderr, highlight=False, markup=False, emoji=False, no_color=None if coloured is None else not coloured
    )


def _so_far(seconds: float | None, usual: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if usual is None else f"{seconds:.0f} s so far, usually {usual:.0f} s"


def gate_rows(store: Store, remote: str = "", target: str = "") -> list[Row]:
    """A line for each gate that runs, of one branch or of all; with those whose pushes wait for it."""
    found = []
    for one in verdicts.running(store):
        if remote and (one.remote, one.target) != (remote, target):
            continue
        more = len(one.agents) - _NAMED
        names = [*one.agents[:_NAMED], *([f"{more} more"] if more > 0 else [])]
        found.append(
            Row(f"gate {one.gate} of {short_target(one.target)}, for {', '.join(names)}", one.since, one.usual)
        )
    return found


@contextmanager
def progress(database: Path) -> Iterator[Tell]:
    """On a terminal, show a line for each action and each gate that is running; print nothing into a file or a pipe."""
    if not on_terminal():
        yield lambda _action, _state: None
        return
    display, running, ended = Display(), dict[int, Row](), Event()

    def tell(action: Action, state: str) -> None:
        if state == "running":
            running[action.id] = Row(f"#{action.id} {action.action_type.value} {where(action)}", time.time())
        else:
            running.pop(action.id, None)

    def follow() -> None:
        with suppress(StoreError), Store(database, make=False) as store:
            while not ended.wait(_LOOK_SECONDS):
                display.show([*running.copy().values(), *gate_rows(store)])

    watcher = Thread(target=follow, daemon=True)
    watcher.start()
    try:
        yield tell
    finally:
        ended.set()
        watcher.join()
        display.stop()


class LiveVoice:
    """The voice of a wait for `actions` on a terminal; see Voice, which speaks everywhere else."""

    def __init__(self, store: Store, actions: Sequence[int]) -> None:
        self._store, self._actions, self._next = store, sorted(set(actions)), _SHOWN_AFTER_SECONDS
        self._display = Display()

    @property
    def step(self) -> float:
        """How often there may be something new to show, in seconds."""
        return _LOOK_SECONDS

    def speak(self, passed: float) -> None:
        """Show why it waits, when so many seconds have passed."""
        if passed < self._next:
            return
        self._next = passed + _LOOK_SECONDS
        with suppress(StoreError):  # the next time
            self._display.show(self._rows())

    def _rows(self) -> list[Row]:
        now = time.time()
        why = reason(self._store, self._actions, now)
        if why is None:
            return []
        gates = gate_rows(self._store, why.remote, why.target) if why.waits is Waits.GATE else []
        return gates or [Row(in_words(why, now))]

    def clear(self) -> None:
        """Take the lines away."""
        self._display.stop()


def voice_of(store: Store, actions: Sequence[int]) -> Voice | LiveVoice:
    """The voice of a command that waits."""
    return LiveVoice(store, actions) if on_terminal() else Voice(store, actions, quiet=False)
