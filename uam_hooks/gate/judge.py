"""The verdict on one commit over another: all gates that concern the change, each run once for a tree."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from pathlib import Path

from uam_hooks.command.process import Ended, Running
from uam_hooks.gate.config import Gate, environment
from uam_hooks.gate.slots import SetupFailed, slot
from uam_hooks.hot.core import files
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import redact, say
from uam_hooks.session import Session
from uam_hooks.store import verdicts
from uam_hooks.store.verdicts import NOBODY, About, Known

# exit codes that say nothing about a tree: those of env and shells for what cannot be run, and signals from outside
_NOT_RUN = (126, 127, -signal.SIGHUP, -signal.SIGINT, -signal.SIGKILL, -signal.SIGTERM)
# how much of what a failing gate printed is kept
KEPT_BYTES = 60_000


class State(Enum):
    """What gates say."""

    GREEN = "passes"
    RED = "fails"
    BROKEN = "cannot run"


class Verdict(NamedTuple):
    """What the gates say of a tree: the first that is not green, and the end of what it printed."""

    state: State
    gate: str = ""
    said: str = ""

    @property
    def green(self) -> bool:
        return self.state == State.GREEN


GREEN = Verdict(State.GREEN)
# As long as the block lasts, those who wait know which gate they wait for.
Tell = Callable[[str], AbstractContextManager[object]]


@contextmanager
def waited_for(session: Session, remote: str, target: str, gate: str, since: float | None = None) -> Iterator[None]:
    """Let those who wait for a branch know that they wait for this gate, which has run `since` then (now)."""
    verdicts.begin(session.store, remote, target, gate, time.time() if since is None else since)
    try:
        yield
    finally:
        verdicts.end(session.store, remote, target)


class Judge:
    """The gates of one branch. Runs are recorded as soon as they have ended, so nothing is tested twice."""

    def __init__(
        self, session: Session, gates: Sequence[Gate], running: Running, tell: Tell = nullcontext,
        make_room: Callable[[], object] = lambda: None, about: About = NOBODY,
    ) -> None:  # fmt: skip
        """`tell` those who wait, and `make_room` where no slot is free. What they are run for is `about`."""
        self._session, self._gates, self._running = session, gates, running
        self._tell, self._make_room, self._about = tell, make_room, about

    def known(self, commit: str, old: str) -> bool | None:
        """Whether a commit over `old` passes; None where it is not known. What changes nothing does."""
        green: bool | None = True
        if commit == old:
            return green
        for gate in self._concerned(commit, old):
            found = self._found(gate, commit)
            if found is not None and not found.green:
                return False
            if found is None:
                green = None
        return green

    def verdict(self, commit: str, old: str, *, sure: bool = False, only: str = "") -> Verdict:
        """Run what is not known, or `only` one gate of it.

        A `sure` verdict is for blaming somebody: what failed once is run again first.
        """
        for gate in self._concerned(commit, old):
            if only not in ("", gate.name):
                continue
            found = self._found(gate, commit) or self._run(gate, commit, last=not gate.retries)
            left = gate.retries
            while isinstance(found, Known) and sure and not found.green and not found.sure:
                left -= 1
                found = self._run(gate, commit, last=left <= 0)
            if isinstance(found, Verdict):
                return found
            if not found.green:
                return Verdict(State.RED, gate.name, found.said)
        return GREEN

    def foreseen(self, commit: str, old: str) -> dict[str, bool | None]:
        """The gates that a commit over `old` has to pass, and whether it is known to; None: it would be run."""
        found = {gate.name: self._found(gate, commit) for gate in self._concerned(commit, old)}
        return {name: None if one is None else one.green for name, one in found.items()}

    def second_chance(self, commit: str, old: str, name: str) -> bool:
        """Whether a commit over `old` passes a gate of which that is not expected, run whatever is known of it.

        For who passes alone: it may be a mood of the gate, whatever it has said before. A gate that is never run again
        gives none.
        """
        gate = next(one for one in self._gates if one.name == name)
        if not gate.retries:
            return False
        found = self._run(gate, commit, last=True)
        return isinstance(found, Known) and found.green and self.verdict(commit, old).green

    def anew(self, commit: str) -> list[Verdict]:
        """The verdict of each gate on a commit, run whatever is known of it."""
        found = []
        for gate in self._gates:
            one = self._run(gate, commit, last=True)
            if isinstance(one, Known):
                one = Verdict(State.GREEN if one.green else State.RED, gate.name, one.said)
            found.append(one)
        return found

    def _concerned(self, commit: str, old: str) -> list[Gate]:
        repo = self._session.repo
        if commit in (old, ZERO):
            return list(self._gates) if commit != ZERO else []
        return [gate for gate in self._gates if gate.concerns(repo, old, commit)]

    def _found(self, gate: Gate, commit: str) -> Known | None:
        tree = self._session.repo.commit(commit).tree
        return verdicts.known(self._session.store, gate.name, gate.fingerprint, tree)

    def _run(self, gate: Gate, commit: str, *, last: bool) -> Known | Verdict:
        """One run; a Verdict where the gate could not be run, which nobody keeps."""
        session = self._session
        tree = session.repo.commit(commit).tree
        say(f"gate {gate.name}: {commit[:7]}")
        try:
            with self._tell(gate.name), slot(session, self._running, self._make_room) as place:
                place.check_out(commit)
                began = time.monotonic()
                ended = place.run(gate.words, gate.timeout, environment(os.environ, gate.env))
                took = time.monotonic() - began
                said = _said(ended, place.log) if ended.code else ""
        except SetupFailed as error:
            return Verdict(State.BROKEN, gate.name, error.what)
        if (ended.code in _NOT_RUN and not ended.by_us) or (ended.code and self._running.ending):
            return Verdict(State.BROKEN, gate.name, ended.error)
        green = not ended.code and not ended.by_us
        found = Known(green, green or last, "" if green else said)
        verdicts.record(session.store, gate.name, gate.fingerprint, tree, found, took, self._about)
        say(f"gate {gate.name}: {commit[:7]} {'passes' if green else 'fails'} after {took:.1f} s")
        return found


def _said(ended: Ended, log: Path) -> str:
    """What a gate printed, and how it ended."""
    text = redact(files.text_of(log) or ended.tail)[-KEPT_BYTES:]
    return "\n".join([*(line.rstrip() for line in text.splitlines()), ended.error.partition(":")[0]])
