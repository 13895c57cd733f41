"""Pushes through their gates: what of a plan may be pushed, and whose work it is that may not.

A plan that fails is not pushed. Its sources are halved (see gate.search): those that pass land at once, what is left is
planned and judged on top of that in the next round, and who is to blame is told when the others have landed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial

from uam_hooks.command.process import Running
from uam_hooks.gate.config import Gate, gates_of
from uam_hooks.gate.judge import Judge, State, Verdict, waited_for
from uam_hooks.gate.search import Blame, Land, Test, next_step
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import StoreError, UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, Batch, Source
from uam_hooks.integrate.plan import Plan
from uam_hooks.land.ahead import Ahead, Below, RunAhead
from uam_hooks.land.blame import Suspect, failed_by
from uam_hooks.session import Session
from uam_hooks.store import claim, finish
from uam_hooks.store.verdicts import About

# How long pushes gather after a run: a part of the time that it took, and in seconds at most. Runs saved for waiting.
_GATHERING, _GATHERING_SECONDS = 0.25, 0.5

# The plan of some of the sources, over what the remote has (or had).
Replan = Callable[[Sequence[Source], str], Plan]


class HeldByGate(UamError):
    """A gate cannot run, or its branch fails it already: nothing of this push may land now."""


class _Search:
    """What is known of one action so far: where its branch began and is expected to be (`at`), what of it has landed
    there, and who is to blame.
    """

    def __init__(self, base: str) -> None:
        self.suspects: list[Suspect] = []
        self.alone: dict[int, bool | None] = {}  # whether a suspect passes alone; None: it cannot be tried
        self.failed: set[int] = set()  # the last sources of what has been tested, and failed
        self.begin(base)

    def begin(self, base: str) -> None:
        """Begin anew, on what somebody else has pushed."""
        self.base = self.at = base
        self.landed: list[Source] = []
        self.base_is_red: bool | None = None
        self.notes: list[str] = []


class Gating:
    """The gates of one batch's pushes. Leaving the block ends every gate that runs for them; what runs `ahead` for the
    next batch goes on.
    """

    def __init__(self, session: Session, batch: Batch, ahead: Ahead | None) -> None:
        self._session, self._batch, self._ahead = session, batch, ahead
        self._running = Running()
        self._gates: list[Gate] | None = None
        self._ran: dict[tuple[str, str], float] = {}  # until when those who push to a branch gather
        self._searches: dict[int, _Search] = {}

    def __enter__(self) -> Gating:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self._running.end_all()
        for (remote, target), until in self._ran.items() if kind is None else ():
            with suppress(StoreError):  # they go on at once
                claim.gather(self._session.store, remote, target, until)

    def guards(self, action: Action) -> bool:
        """Whether any gate is about the branch of this action. UsageError where the settings make no sense."""
        return bool(self._of(action))

    def _of(self, action: Action) -> list[Gate]:
        if self._gates is None:
            self._gates = gates_of(self._session.settings, os.environ)
        return [gate for gate in self._gates if gate.guards(action.ref)]

    def _judge(self, action: Action) -> Judge:
        tell = partial(self._waited_for, action)
        make_room = self._ahead.drop if self._ahead is not None else lambda: None
        return Judge(self._session, self._of(action), self._running, tell, make_room, About(action.id, self._batch))

    @contextmanager
    def _waited_for(self, action: Action, gate: str) -> Iterator[None]:
        """A run that others wait for; those who come next gather a little after it, unless there are slots for both."""
        began = time.time()
        with waited_for(self._session, action.remote, action.target, gate):
            yield
        if self._session.settings["uam.gate.slots"] == 1:
            ended = time.time()
            until = ended + min(_GATHERING_SECONDS, _GATHERING * (ended - began))
            self._ran[action.remote, action.target] = until

    def part(
        self, action: Action, sources: Sequence[Source], there: str, replan: Replan, *, atomic: bool
    ) -> Plan | None:
        """The plan of what may be pushed of an action: of all its sources, of the first few, of those that are left.

        None where nobody is. Of an `atomic` push all pass, or none. Raises HeldByGate where a gate cannot run, or where
        nobody can be blamed because the branch fails by itself.
        """
        search = self._searches.get(action.id)
        blamed = {suspect.source.id for suspect in search.suspects} if search else set()
        left = [source for source in sources if source.id not in blamed]
        plan = self._passing(action, replan(left, there), left, replan, atomic=atomic) if left else None
        if plan is None and (again := self._second_chance(action, there, replan)):
            plan = self._passing(action, replan(again, there), again, replan, atomic=atomic)
        return plan

    def goes_on(self, action: Action) -> bool:
        """Whether a part of this action has been decided, so that the rest has its turn now."""
        search = self._searches.get(action.id)
        return search is not None and bool(search.landed or search.suspects)

    def note(self, action: Action) -> str:
        """What those whose push lands ungated, or late, should hear."""
        search = self._searches.get(action.id)
        return "; ".join(search.notes) if search else ""

    def _passing(
        self, action: Action, plan: Plan, sources: Sequence[Source], replan: Replan, *, atomic: bool
    ) -> Plan | None:
        """The plan of those who pass, which may be that of the first few; None where nobody is left."""
        there = plan.old
        if plan.new in (there, ZERO) or not self.guards(action):
            return plan
        search = self._searches.setdefault(action.id, _Search(there))
        if there != search.at:
            search.begin(there)
        judge = self._judge(action)
        left = list(sources)
        while True:
            landed = {source.id for source in plan.landed}
            plans = _Prefixes([source for source in left if source.id in landed], plan, replan)
            found = self._first_that_passes(search, judge, plans, there, None if atomic else self._ahead)
            if isinstance(found, Plan):
                search.landed += found.landed
                search.at = found.new
                return found
            if atomic:
                raise HeldByGate(f"the gate {found.verdict.gate} fails")
            search.suspects.append(found)
            left.remove(found.source)
            if not left:
                return None
            plan = replan(left, there)
            if plan.new == there:
                return plan

    def _first_that_passes(
        self, search: _Search, judge: Judge, plans: _Prefixes, there: str, ahead: Ahead | None
    ) -> Plan | Suspect:
        """The longest plan that is known to pass, or whom to blame for that there is none."""
        tested = ahead.tested if ahead is not None else ()
        while True:
            step = next_step(plans.count, lambda size: _known(search, judge, plans, size, tested))
            if isinstance(step, Land):
                return plans.of(step.size)
            size = step.size if isinstance(step, Test) else 1
            on_top: AbstractContextManager[object] = nullcontext()
            if ahead is not None and size == plans.count and isinstance(step, Test):
                going = ahead.going(plans.whole, plans.sources)
                if going is not None and plans.can_be(going[1]):
                    self._wait(ahead, judge, plans, *going)
                    continue
                on_top = ahead.on_top(self._session, self._below(plans.whole, time.monotonic()))
            with on_top:
                verdict = judge.verdict(plans.of(size).new, there, sure=isinstance(step, Blame))
            if ahead is not None and not verdict.green:
                ahead.drop()
            if verdict.state == State.BROKEN:
                return self._without(search, verdict, plans)
            if verdict.green:
                continue
            search.failed.add(plans.sources[size - 1].id)
            if search.base_is_red is None:
                search.base_is_red = _is_red(judge, there, verdict.gate)
            if search.base_is_red:
                return self._on_red(search, verdict, plans)
            if isinstance(step, Blame):
                return Suspect(plans.sources[0], verdict, tuple(search.landed), search.base)

    def _below(self, plan: Plan, since: float, rest: Sequence[Source] = ()) -> Below:
        return Below(plan, self._batch, self._of(plan.action), since, rest)

    def _wait(self, ahead: Ahead, judge: Judge, plans: _Prefixes, run: RunAhead, size: int) -> None:
        """Wait for what was begun ahead, and is the first so many of these; the rest is tested on top of it."""
        plan = plans.of(size)
        action = plan.action
        told = partial(waited_for, self._session, action.remote, action.target)
        with ahead.on_top(self._session, self._below(plan, run.since, plans.sources[size:])):
            run.wait(told)
        if judge.known(plan.new, plan.old) is not True:
            ahead.drop()

    def _without(self, search: _Search, verdict: Verdict, plans: _Prefixes) -> Plan:
        """A gate that cannot run: uam.gate.onError."""
        why = f"the gate {verdict.gate} cannot run: {verdict.said}"
        if self._session.settings["uam.gate.onError"] == "hold":
            raise HeldByGate(why)
        return _noted(search, plans, f"{why}; it landed untested (uam.gate.onError)")

    def _on_red(self, search: _Search, verdict: Verdict, plans: _Prefixes) -> Plan:
        """A branch that was red before: uam.gate.onRedBase."""
        why = f"the gate {verdict.gate} fails on what the remote had before, so nobody here is to blame"
        if self._session.settings["uam.gate.onRedBase"] == "hold":
            raise HeldByGate(why, transient=True)
        return _noted(search, plans, f"{why}; it landed all the same (uam.gate.onRedBase)")

    def _second_chance(self, action: Action, there: str, replan: Replan) -> list[Source]:
        """A suspect that passes alone, and on top of everything that has landed as well, when that is tried again."""
        search = self._searches.get(action.id)
        for suspect in list(search.suspects) if search else ():
            assert search is not None
            if not suspect.before or suspect.source.id in search.alone:
                continue
            alone = search.alone[suspect.source.id] = self._passes(action, suspect, suspect.base, replan)
            if alone and self._passes(action, suspect, there, replan, suspect.verdict.gate):
                search.suspects.remove(suspect)
                return [suspect.source]
        return []

    def _passes(self, action: Action, suspect: Suspect, over: str, replan: Replan, anew: str = "") -> bool | None:
        """Whether a suspect passes over a commit, None where that cannot be tried; `anew` is the gate that is asked
        whatever it has said.
        """
        try:
            plan = replan([suspect.source], over)
        except UamError:
            return None
        if plan.new in (over, ZERO):
            return None
        judge = self._judge(action)
        if anew:
            return judge.second_chance(plan.new, over, anew)
        verdict = judge.verdict(plan.new, over)
        return None if verdict.state == State.BROKEN else verdict.green

    def blame(self, action: Action) -> None:
        """Tell who failed why, once the others have landed: by itself, or together with something that did."""
        search = self._searches.pop(action.id, None)
        if search is None:
            return
        for suspect in search.suspects:
            # what nothing had landed before fails by itself
            alone = search.alone.get(suspect.source.id) if suspect.before else False
            finish.failed(self._session.store, {suspect.source.id: failed_by(action, suspect, alone)})
        self._keep_log(action, search.suspects)

    def _keep_log(self, action: Action, suspects: Sequence[Suspect]) -> None:
        """Let `git uam log` show what the gates said; where that cannot be written, the pushes have heard its end."""
        if not suspects:
            return
        paths = self._session.repo.paths
        with suppress(OSError, UamError), os.fdopen(files.anew(paths.log_of(action.id)), "ab") as log:
            for one in suspects:
                text = f"gate {one.verdict.gate} on {one.source.tip[:7]} of {one.source.agent}:\n{one.verdict.said}\n"
                log.write(text.encode("utf-8", "replace"))


class _Prefixes:
    """The plans of the first so many of some sources, made when they are asked for."""

    def __init__(self, sources: Sequence[Source], whole: Plan, replan: Replan) -> None:
        self.sources, self.whole, self.count = list(sources), whole, len(sources)
        self._replan = replan
        self.made = {self.count: whole}

    def of(self, size: int) -> Plan:
        if size not in self.made:
            self.made[size] = self._replan(self.sources[:size], self.whole.old)
        return self.made[size]

    def can_be(self, size: int) -> bool:
        """Whether there is a plan of the first so many, which may be part of one that fails."""
        with suppress(Exception):
            return self.of(size).new != self.whole.old
        return False


def _known(search: _Search, judge: Judge, plans: _Prefixes, size: int, ahead: Container[int]) -> bool | None:
    """What is known of the first so many. Of others than all a plan is made only where they were tested; one that was
    tested ahead, and cannot be planned now, is not known.
    """
    if size != plans.count and size not in plans.made:
        last = plans.sources[size - 1].id
        if last not in search.failed and (last not in ahead or not plans.can_be(size)):
            return None
    return judge.known(plans.of(size).new, plans.whole.old)


def _is_red(judge: Judge, there: str, gate: str) -> bool:
    """Whether the branch fails this gate by itself, so that nobody's push is to blame."""
    return there != ZERO and judge.verdict(there, there, sure=True, only=gate).state == State.RED


def _noted(search: _Search, plans: _Prefixes, note: str) -> Plan:
    say(note)
    search.notes.append(note)
    return plans.whole
