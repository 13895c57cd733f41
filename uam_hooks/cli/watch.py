"""`git uam status --watch`: the queue as it is now, until somebody has seen enough.

Whoever changes the queue rings; a look each second is for what nobody rings for. A look that finds nothing new reads
one number of the database and lists the notes of the commit hooks.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from uam_hooks.cli.board import Board, Look
from uam_hooks.cli.live import gate_rows
from uam_hooks.cli.looking import NEWEST, hooks_gone, show
from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.cli.screen import Screen
from uam_hooks.flush.noted_commits import refresh
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.git.stamps import stamp, which
from uam_hooks.hot.queue.bell import WATCHERS, Bell
from uam_hooks.hot.queue.reasons import in_words, reason
from uam_hooks.hot.queue.spool import take_in
from uam_hooks.report import log
from uam_hooks.report.next_step import of_queue
from uam_hooks.report.status import lasting, state
from uam_hooks.session import Session
from uam_hooks.store import views

LOOK_SECONDS = 1.0
# A queue that changes all the time is shown no more often than that.
_SHOW_SECONDS = 0.25
# After that long the session is opened anew: a person's settings may have changed, or a flusher died in its work.
_SESSION_SECONDS = 60.0
# How many batches are looked through for what has landed last.
_PAST = 8


class Shows(Protocol):
    """Where a look is shown; `stale` tells whether that has to be done again although the queue is as it was."""

    def show(self, look: Look) -> None: ...
    def stale(self) -> bool: ...


class _Ended(BaseException):
    """A signal that ends this."""


def watch(*, everything: bool, as_json: bool, starting: bool) -> None:
    """Show the queue until a signal ends this process, or nobody is there to read what it prints."""
    caught: list[int] = []
    try:
        with _ended_by_signals(caught):
            _watch(None if everything or as_json else NEWEST, as_json, starting)
    except BrokenPipeError:  # its reader went while it was printing; what is left of that goes nowhere
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except _Ended:
        signal.signal(caught[0], signal.SIG_DFL)
        os.kill(os.getpid(), caught[0])


@contextmanager
def _ended_by_signals(caught: list[int]) -> Iterator[None]:
    """Let the first signal that ends a process end the block instead; those after it change nothing."""

    def end(number: int, _frame: object) -> None:
        if not caught:
            caught.append(number)
            raise _Ended

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # whom a shell tells to go on goes on
                before[number] = signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(newest: int | None, as_json: bool, starting: bool) -> None:
    shows: Shows | None = None
    try:
        while True:
            with opened(news=False) as session:
                if shows is None:
                    screen = Screen(session.settings)
                    shows = Board(screen) if screen.moves and not as_json else Pages(screen, as_json)
                with Bell(session.repo.paths.bells, WATCHERS) as bell, bell.rung_by_signals():
                    if not follow(session, shows, bell, newest, starting):
                        return
    finally:
        if isinstance(shows, Board):
            shows.stop()


def follow(session: Session, shows: Shows, bell: Bell, newest: int | None, starting: bool) -> bool:
    """Show the queue each time that it changes, until the session has to be opened anew; false when nobody reads it."""
    paths, store = session.repo.paths, session.store
    eyes, settings = _Eyes(session, newest), str(paths.common_dir / "config")
    rests_on = stamp(settings), which(str(store.database))
    until, shown = time.monotonic() + _SESSION_SECONDS, 0.0
    look: Look | None = None
    while (now := time.monotonic()) < until and rests_on == (stamp(settings), which(str(store.database))):
        if not _is_read():
            return False
        take_in(store, paths, session.settings["uam.window.commit"])
        changed = eyes.see_a_change()
        if look is None or changed or look.counts() or shows.stale():
            time.sleep(max(0.0, shown + _SHOW_SECONDS - now))
            if starting:
                ensure_flush(session)
            look = eyes.look(anew=look is None or changed)
            shows.show(look)
            shown = time.monotonic()
        bell.wait(LOOK_SECONDS)
    return True


def _is_read() -> bool:
    """Whether somebody still reads what is printed: a pipe tells when its reader has gone."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return True
    return not any(event & select.POLLERR for _, event in poll.poll(0))


class _Eyes:
    """What looks at the queue, and keeps of it what only a change of the queue changes."""

    def __init__(self, session: Session, newest: int | None) -> None:
        self._session, self._newest = session, newest
        self._hooks = hooks_gone(session)
        self._past: list[dict[str, Any]] = []
        self._mark = (-1, -1)

    def see_a_change(self) -> bool:
        """Whether the queue has changed since this was asked last."""
        before, self._mark = self._mark, self._session.store.mark()
        return self._mark != before

    def look(self, *, anew: bool) -> Look:
        """The queue as it is now; `anew` if it has changed."""
        session, store = self._session, self._session.store
        if anew:
            if views.commits(store):
                refresh(session.repo, store)
            self._past = list(log.entries(session, most=_PAST))
            self._mark = (self._mark[0], store.mark()[1])  # what was refreshed is no news
        found, now = state(session, self._newest), time.time()
        found["hooks"] = self._hooks
        pushes = [row["action"] for row in found["waiting"] if row["type"] == "push"]
        reasons = {number: why for number in pushes if (why := reason(store, [number], now)) is not None}
        waiting = views.waiting(store, session.identity.id)
        return Look(
            found,
            waiting,
            gate_rows(store),
            {number: in_words(why, now) for number, why in reasons.items()},
            self._past,
            of_queue(session, found, waiting),
        )


class Pages:
    """Where no terminal is: the whole status each time that it has changed, as lines or as a line of JSON."""

    def __init__(self, screen: Screen, as_json: bool) -> None:
        self._screen, self._as_json = screen, as_json
        self._last: Any = None

    def show(self, look: Look) -> None:
        """Print it, unless only time has passed."""
        found = lasting(look.found)
        if found == self._last:
            return
        if self._as_json:
            tell(look.found, look.step.do, indent=None)
        else:
            if self._last is not None:
                self._screen.line()
            show(self._screen, look.found, look.waiting, look.step.said)
        sys.stdout.flush()
        self._last = found

    def stale(self) -> bool:
        """Never: what is printed stays."""
        return False
