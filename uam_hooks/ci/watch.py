"""What the flusher of a lane knows of CI, and what of the lane is due for it.

Nothing here waits: questions are asked in threads, and until there is an answer the pushes of that branch alone are
held, no longer than their hold.
"""

from __future__ import annotations

import time
from types import TracebackType

from uam_hooks.ci import holding
from uam_hooks.ci.question import Answer, Question
from uam_hooks.command.github import is_githubs
from uam_hooks.command.process import Running
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.queue.ci import CiState, Sight, last_seen
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import iso, seconds_of
from uam_hooks.session import Session
from uam_hooks.store import ci_states
from uam_hooks.store.ci_states import Due, Holdable, Landed, Run

_Place = tuple[str, str]  # a remote, and the full name of a branch there


class Watch:
    """It stops asking at the end of `with`. `holds` tells whether the last look has left something to wait for."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.holds = lane, False
        self._running = Running()
        self._asked: dict[_Place, Question] = {}
        self._seen: dict[_Place, Sight] = {}
        self._landed: dict[_Place, Landed | None] = {}  # the newest landing whose run is written down

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _traceback: TracebackType | None) -> None:
        self._running.end_all()
        for question in self._asked.values():
            question.join()

    def look(self, session: Session) -> None:
        """Let pushes be due as CI is now known to be; ask where it is time to."""
        self.holds = False
        places: dict[_Place, list[Holdable]] = {}
        for push in ci_states.holdable(session.store, self.lane):
            places.setdefault((push.remote, push.ref), []).append(push)
        changed: dict[Holdable, Due] = {}
        for place, pushes in places.items():
            sight = self._sight_or_fault(session, place)
            for push in pushes:
                due = _due(push, sight)
                self.holds = self.holds or due.held
                if due != Due(push.due, push.held):
                    changed[push] = due
        if changed:
            ci_states.set_due(session.store, changed)
        self.holds = self.holds or bool(self._asked)

    def _sight_or_fault(self, session: Session, place: _Place) -> Sight | None:
        """`_sight`; what a setting that is wrong leaves is that nobody knows: it stops no flusher."""
        try:
            return self._sight(session, place)
        except UsageError as error:
            sight = Sight(CiState.UNKNOWN, time.time(), said=error.what)
            last = self._seen.get(place)
            if last is None or last.said != sight.said:
                self._note(session, place, Answer(sight))
            return sight

    def _sight(self, session: Session, place: _Place) -> Sight | None:
        """What is known of CI of a branch now; None before the first answer."""
        how = session.settings["uam.ci"]
        now = time.time()
        if how == "off" or (how == "auto" and not is_githubs(session.settings, place[0])):
            return Sight(CiState.OFF, now)
        landed = ci_states.newest_landing(session.store, *place)
        if isinstance(how, float):
            return self._by_duration(session, place, landed, how)
        poll = session.settings["uam.ci.poll"]
        asked = self._asked.get(place)
        if asked is not None and (answer := asked.answer()) is not None:
            del self._asked[place]
            if landed != asked.landed and answer.sight.state is CiState.IDLE:  # it was asked before that landing
                answer = Answer(answer.sight._replace(state=CiState.BUSY, since=landed and landed.at))
            self._note(session, place, answer)
            asked = None
        now = time.time()  # an answer that has just come is none of the future
        kind = "gh" if how == "auto" else how
        last = self._seen.get(place) or last_seen(session.store, *place)
        if last is not None and last.how != kind:
            last = None
        if asked is None and holding.ask_at(last, poll, now) <= now:
            self._asked[place] = Question(session, self._running, *place, kind, landed, how == "auto")
        return holding.current(last, landed and landed.at, poll, now)

    def _by_duration(self, session: Session, place: _Place, landed: Landed | None, busy_for: float) -> Sight:
        sight = holding.of_landings(landed and landed.at, busy_for, time.time())
        last = self._seen.get(place)
        if last is None or (last.state, last.since) != (sight.state, sight.since) or self._landed.get(place) != landed:
            self._landed[place], busy = landed, sight.state is CiState.BUSY
            # how long it takes is known, also where nobody looked meanwhile
            runs = () if landed is None else (
                Run(landed.sha, started=iso(landed.at), ended=iso(landed.at + busy_for), busy=busy),
            )  # fmt: skip
            self._note(session, place, Answer(sight, runs))
        return sight

    def _note(self, session: Session, place: _Place, answer: Answer) -> None:
        self._seen[place] = answer.sight
        ci_states.record(session.store, *place, answer.sight, answer.runs)


def _due(push: Holdable, sight: Sight | None) -> Due:
    """The moment at which a push is due, and whether it is held until then."""
    window_end, until = seconds_of(push.due), seconds_of(push.hold_until)
    if sight is not None:
        sight = sight._replace(until=None)  # it is looked at again by then
    waiting = holding.Waiting(seconds_of(push.queued), window_end, until, push.held)
    found = holding.due_at(waiting, sight, time.time())
    if found.held:
        return Due(push.hold_until, held=True)
    return Due(push.due if found.at == window_end else iso(found.at), held=False)
