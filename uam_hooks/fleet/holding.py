"""Who lands a branch of a fleet: the one session that has its lock, for as long as it says that it is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from uam_hooks.fleet import statements
from uam_hooks.fleet.link import Link
from uam_hooks.fleet.values import Branch, Machine, channel, key_of
from uam_hooks.hot.core.typed import Any

BEAT_SECONDS = 2.0
STALE_SECONDS = 6.0
_ATTEMPTS = 3


class Holding:
    """The branches that a connection to the fleet with this id holds. A thread of its own beats for all of them.

    `ask` gives the rows of a statement about the fleet. Errors: FleetAway, FleetRefused.
    """

    def __init__(self, link: Link, fleet: int, ask: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._link = link
        self._fleet = fleet
        self._ask = ask
        self._machine = ""
        self._held: dict[int, Branch] = {}  # made anew for each change: another thread may be reading it
        self._again: dict[int, float] = {}  # when a holder who refused us may be stale, by the clock of this process
        self._listening: set[str] = set()
        self._turn = threading.Lock()  # what is held and what is known of it change together
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def now(self) -> frozenset[Branch]:
        """What is held, as far as what has arrived over the connection says."""
        held = self._held
        return frozenset(held.values()) if held and self._link.alive() else frozenset()

    def take(self, branch: Branch, machine: Machine) -> bool:
        """Hold a branch for a machine; False where another one does, and is there."""
        key = key_of(self._fleet, branch)
        with self._turn:
            if branch in self.now:
                return True
            self._machine = machine.id
            self._listen(channel(self._fleet, "f", key))
            for _ in range(_ATTEMPTS):
                if self._took(branch, key):
                    return True
                if not self._ended_holder(key):
                    break
        return False

    def _took(self, branch: Branch, key: int) -> bool:
        try:
            rows = self._ask(statements.HOLD, branch, key=key, started=self._link.started, machine=self._machine)
            if rows:
                self._held = self._held | {key: branch}
                self._again.pop(key, None)
                self._listen(channel(self._fleet, "e", key))
                if self._keeper is None:
                    self._keeper = threading.Thread(target=self._beat, name="uam-fleet", daemon=True)
                    self._keeper.start()
        except BaseException:
            # the lock outlives a statement that has failed, and nobody knows whether that had taken it
            self._lose()
            raise
        return bool(rows)

    def _ended_holder(self, key: int) -> bool:
        """Whether the lock can be free now: its owner was silent, and its session was ended, or is gone."""
        rows = self._ask(statements.TAKE_OVER, key=key, stale=STALE_SECONDS)
        if not rows:
            return True
        silent, ended = rows[0]
        if not ended:
            # who cannot be seen has another role, and tells by its end
            left = STALE_SECONDS if silent is None else max(1.0, STALE_SECONDS - float(silent))
            self._again[key] = time.monotonic() + left
        return bool(ended)

    def release(self, branch: Branch) -> None:
        """Let go of a branch, and wake who waits for it; nothing where it is not held."""
        key = key_of(self._fleet, branch)
        entered, free = channel(self._fleet, "e", key), channel(self._fleet, "f", key)
        with self._turn:
            self._again.pop(key, None)
            if key in self._held:
                self._held = {other: held for other, held in self._held.items() if other != key}
                try:
                    self._ask(statements.RELEASE, key=key, started=self._link.started, channel=free)
                except BaseException:
                    self._lose()  # the lock goes with the session
                    raise
            gone = self._listening & {entered, free}
            self._listening -= gone
            if gone:
                self._link.ask("; ".join(f'UNLISTEN "{name}"' for name in sorted(gone)))

    def patience(self) -> float:
        """In how many seconds the first of those who refused us may be stale."""
        return min(self._again.values(), default=float("inf")) - time.monotonic()

    def is_due(self) -> bool:
        """Whether one of them may be stale now; each is told once."""
        now = time.monotonic()
        due = [key for key, moment in self._again.items() if moment <= now]
        for key in due:
            del self._again[key]
        return bool(due)

    def end_beats(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join()

    def _beat(self) -> None:
        """Say again and again that we are there. Whatever fails, nothing is held any more."""
        while not self._stop.wait(BEAT_SECONDS):
            with self._turn:
                if not self._held:
                    continue
                try:
                    rows = self._ask(statements.BEAT, started=self._link.started, machine=self._machine)
                    kept = {int(key) for (key,) in rows}
                except Exception:
                    kept = set()
                if kept != self._held.keys():
                    self._lose()
                    return

    def _lose(self) -> None:
        self._held = {}
        self._link.lose()

    def _listen(self, name: str) -> None:
        if name not in self._listening:
            self._link.ask(f'LISTEN "{name}"')
            self._listening.add(name)
