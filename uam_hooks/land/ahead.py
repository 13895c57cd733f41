"""Testing ahead: while a gate runs on a plan, what would come on top of that plan is tested in a second slot.

Nothing is decided here. A verdict belongs to a tree, and whoever lands what was tested ahead finds it known, or waits
for it. So a run ahead that breaks off, for whatever reason, is as if it had not been; only its time is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Event, Lock, Thread

from uam_hooks.command.process import Running
from uam_hooks.gate.config import Gate
from uam_hooks.gate.judge import Judge
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import Action, Batch, Source
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.push_plans import plan_push
from uam_hooks.session import Session
from uam_hooks.store import claim, verdicts
from uam_hooks.store.verdicts import About

NAP_SECONDS = 0.1
# For as long as the block lasts, those who wait know of a gate that has run since then.
Told = Callable[[str, float], AbstractContextManager[object]]


class Below(NamedTuple):
    """What is being tested, on top of which something may come: a plan of a batch, its gates, and since when they run
    (by the monotonic clock).

    `rest` are sources of its own action that are not in it: they come next. Without any it is what the next batch will
    have.
    """

    plan: Plan
    batch: Batch
    gates: Sequence[Gate]
    since: float
    rest: Sequence[Source] = ()


class RunAhead:
    """A thread that looks for what comes on top of a plan, and tests it. It works with a session of its own."""

    def __init__(self, session: Session, below: Below, tested: set[int]) -> None:
        self.below = below
        self.now: tuple[str, float] | None = None  # the gate that runs, and since when
        self.since = 0.0  # when it began, by the monotonic clock
        self._session, self._tested = session, tested
        self._plan: Plan | None = None  # what is tested now
        self._running = Running()
        self._lock = Lock()
        self._closed, self._done = Event(), Event()
        self._thread = Thread(target=self._work, name="ahead", daemon=True)
        self._thread.start()

    # -- for who has started it ----------------------------------------------------------------------------

    @property
    def plan(self) -> Plan | None:
        """What is being tested; None where that has ended, or has not begun."""
        with self._lock:
            return None if self.is_over or self._running.ending else self._plan

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return self._done.is_set()

    def close(self) -> None:
        """Begin nothing more; what is being tested goes on to its end."""
        self._closed.set()

    def end(self) -> None:
        """End what is being tested, with all that it has started."""
        self._closed.set()
        self._running.end_all()

    def join(self) -> None:
        """Wait until nothing of it is left."""
        self._thread.join()

    def wait(self, told: Told) -> None:
        """Wait for the verdict, and let others know for which gate."""
        while not self._done.is_set():
            if (now := self.now) is None:
                self._done.wait(NAP_SECONDS)
                continue
            with told(*now):
                while self.now == now and not self._done.wait(NAP_SECONDS):
                    pass

    # -- its own thread ------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            with (
                suppress(Exception),  # whoever lands it finds out what is wrong
                self._session.repo.apart() as repo,
                Store(self._session.store.database, make=False) as store,
            ):
                self._look(self._session._replace(repo=repo, store=store))
        finally:
            self._done.set()

    def _look(self, session: Session) -> None:
        """Test what comes, and once more when that is more by then, until nothing more is to begin.

        The first run begins when the one below is halfway through: what comes until then is tested together, and the
        runs of two slots end in turn.
        """
        usual = {one.gate: one.seconds or 0.0 for one in verdicts.usual(session.store)}
        half = sum(usual.get(gate.name, 0.0) for gate in self.below.gates) / 2
        self._closed.wait(max(0.0, self.below.since + half - time.monotonic()))
        known: tuple[Action, list[Source]] | None = None
        while not self._closed.is_set():
            found = self._next(session)
            if found is None or found == known:
                self._closed.wait(NAP_SECONDS)
                continue
            known = found
            plan = self._planned(session, *found)
            if plan.new not in (plan.old, ZERO) and self._begins(plan):
                judge = Judge(session, self.below.gates, self._running, self._tell, about=About(found[0].id))
                judge.verdict(plan.new, plan.old)
                self._ended()

    def _next(self, session: Session) -> tuple[Action, list[Source]] | None:
        action = self.below.plan.action
        if self.below.rest:
            return action, list(self.below.rest)
        lane = Lane(session.identity.id, action.remote)
        return claim.following(session.store, action, lane, session.settings["uam.batch.size"])

    def _planned(self, session: Session, action: Action, sources: Sequence[Source]) -> Plan:
        """Their plan, made as it will be when what is below has landed."""
        below = self.below.plan
        tips = Tips(session.repo).landed(below.remote, below.ref, below.new, below.keep)
        tracking = session.settings.tracking_ref(below.remote, below.ref)
        if tracking is not None:
            tips = tips.moved(tracking, below.new)
        return plan_push(session, self.below.batch, action, sources, below.new, tips)

    def _begins(self, plan: Plan) -> bool:
        with self._lock:
            if self._closed.is_set() or not plan.landed:
                return False
            self._plan, self.since = plan, time.monotonic()
            self._tested.add(_last(plan))
            return True

    def _ended(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._plan = None

    @contextmanager
    def _tell(self, gate: str) -> Iterator[None]:
        self.now = gate, time.time()
        try:
            yield
        finally:
            self.now = None


def _last(plan: Plan) -> int:
    return max(source.id for source in plan.landed)


class Ahead:
    """The runs ahead of one process. They outlive the batch in which they began; leaving the block ends them.

    `tested` has the last source of each plan that was tested, or is.
    """

    def __init__(self) -> None:
        self.tested: set[int] = set()
        self._runs: list[RunAhead] = []

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_error: object) -> None:
        self.drop()
        for run in self._runs:
            run.join()

    def on_top(self, session: Session, below: Below) -> AbstractContextManager[object]:
        """As long as the block lasts, which is to be that of a gate's run, look for what may be tested on top.

        What is being tested at its end goes on. A block that breaks off ends it.
        """
        return self._on_top(session, below) if session.settings["uam.gate.slots"] > 1 else nullcontext()

    @contextmanager
    def _on_top(self, session: Session, below: Below) -> Iterator[None]:
        run = None
        with suppress(RuntimeError):  # no thread can be started
            run = RunAhead(session, below, self.tested)
            self._runs.append(run)
        try:
            yield
        except BaseException:
            self.drop()
            raise
        if run is not None:
            run.close()

    def drop(self) -> None:
        """End all that runs ahead: what it stands on does not land, or somebody needs its slot."""
        for run in self._runs:
            run.end()

    def going(self, over: Plan, sources: Sequence[Source]) -> tuple[RunAhead, int] | None:
        """The run that tests the first few of the sources of a plan, over the same commit; and how many these are.

        What runs for the same ref and tests anything else is ended.
        """
        self._runs = [run for run in self._runs if not run.is_over]
        for run in self._runs:
            below = run.below.plan
            if (below.remote, below.ref) != (over.remote, over.ref):
                continue
            plan = run.plan
            if plan is not None and below.new == over.old:
                size = len(plan.landed)
                if sorted((one.id, one.tip) for one in plan.landed) == [(one.id, one.tip) for one in sources[:size]]:
                    return run, size
            run.end()
        return None
