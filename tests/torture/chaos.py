"""What happens to a fleet: processes of it are killed and stopped, its database and its remote go away and come back.

What is done, when, to which machine and for how long is drawn from the seed alone; which process that hits depends on
what runs then. Both stand in the record.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.postgres import Server
from tests.support.scenes import Scene
from tests.torture.machines import Machine, asked
from tests.torture.reaper import Reaper

HOLDER = "SELECT h.machine::text FROM uam.holders h JOIN pg_stat_activity a ON a.pid = h.pid"
TERMS = "SELECT coalesce(sum(term), 0)::integer FROM uam.holders"


class Act(NamedTuple):
    """One thing that happens: after a pause of so many seconds, to the machine of this number, for so long."""

    pause: float
    kind: str
    machine: int
    seconds: float


class Kind(NamedTuple):
    """How often something happens in comparison, for how long at least and at most, and what may not happen twice."""

    weight: int
    least: float
    most: float
    what: str = ""


# The lease of a holder ends after some seconds, so some stops are shorter than that, and some longer.
KINDS = {
    "kill": Kind(40, 0, 0),
    "kill holder": Kind(10, 0, 0),
    "stop holder": Kind(10, 3, 15),
    "kill server": Kind(3, 0, 0, "server"),
    "restart server": Kind(2, 0, 0, "server"),
    "stop server": Kind(2, 1, 6, "server"),
    "freeze server": Kind(1, 1, 12, "server"),
    "cut wire": Kind(5, 1, 8, "wire"),
    "freeze wire": Kind(5, 2, 15, "wire"),
    "refuse remote": Kind(4, 1, 5, "remote"),
    "hold remote": Kind(4, 1, 8, "remote"),
    "lose refs": Kind(3, 0, 0),
}


def schedule(seed: int, machines: int, pause: float, kinds: Sequence[str], scale: float = 1.0) -> Iterator[Act]:
    """What happens in a run, without end: each kind once, then by their weights. `scale` shortens what lasts."""
    chance = random.Random(f"{seed} chaos")  # noqa: S311
    first = list(kinds)
    chance.shuffle(first)
    weights = [KINDS[kind].weight for kind in kinds]
    while True:
        kind = first.pop() if first else chance.choices(kinds, weights)[0]
        seconds = scale * chance.uniform(KINDS[kind].least, KINDS[kind].most)
        yield Act(chance.expovariate(1 / pause), kind, chance.randrange(machines), seconds)


class Chaos:
    """Does what a schedule says, and counts and records it."""

    def __init__(self, scene: Scene, server: Server, machines: Sequence[Machine], seed: int, record: Path) -> None:
        self.scene, self.server, self.machines = scene, server, machines
        self.reaper = Reaper(scene.root, seed)
        self.chance = random.Random(f"{seed} choices")  # noqa: S311
        self.done: Counter[str] = Counter()
        self._record = record
        self._acts: dict[str, Callable[[Machine], AbstractContextManager[object]]] = {
            "kill": self._kill, "kill holder": self._kill_holder, "stop holder": self._stop_holder,
            "kill server": lambda _: self._server_gone(self.server.kill),
            "restart server": lambda _: self._server_gone(self.server.stop),
            "stop server": lambda _: self._server_gone(self.server.stop),
            "freeze server": self._server_frozen,
            "cut wire": lambda one: self._wire(one, "cut"), "freeze wire": lambda one: self._wire(one, "freeze"),
            "refuse remote": lambda one: one.without_remote("refused"),
            "hold remote": lambda one: one.without_remote("held"), "lose refs": self._lose_refs,
        }  # fmt: skip

    def until(self, over: Callable[[], bool], acts: Iterator[Act]) -> None:
        """Go on until `over`; at the end everything is as it was."""
        began = time.monotonic()
        with ExitStack() as everything:
            lasting: list[tuple[float, tuple[str, str], ExitStack]] = []
            act = next(acts)
            due = began + act.pause
            while not over():
                now = time.monotonic()
                for one in [one for one in lasting if one[0] <= now]:
                    lasting.remove(one)
                    one[2].close()
                if now >= due:
                    machine = self.machines[act.machine]
                    what = KINDS[act.kind].what
                    key = what, "" if what == "server" else machine.name
                    hit: object = "too much at once"
                    if not what or key not in [one[1] for one in lasting]:
                        stack = everything.enter_context(ExitStack())
                        hit = stack.enter_context(self._acts[act.kind](machine))
                        lasting.append((now + act.seconds, key, stack))
                        self.done[act.kind] += hit is not False
                    self._note(round(now - began, 2), act, hit)
                    act = next(acts)
                    due = time.monotonic() + act.pause
                time.sleep(0.05)

    def _note(self, at: float, act: Act, hit: object) -> None:
        with self._record.open("a") as out:
            line = {"at": at, "kind": act.kind, "machine": act.machine, "seconds": round(act.seconds, 2), "hit": hit}
            out.write(json.dumps(line) + "\n")

    # -- what is done: False where there was nothing to do it to -----------------------------------------------

    @contextmanager
    def _kill(self, _: Machine) -> Iterator[object]:
        yield self.reaper.strike()

    def holder(self) -> Machine | None:
        """The machine that lands main at this moment."""
        rows = asked(self.server, HOLDER)
        found = [one for one in self.machines if rows and one.id == rows[0][0]]
        return found[0] if found else None

    @contextmanager
    def _kill_holder(self, _: Machine) -> Iterator[object]:
        holder = self.holder()
        hit = [pid for pid in holder.flushers() if _signalled(pid, signal.SIGKILL)] if holder is not None else []
        yield [holder.name, *hit] if holder is not None and hit else False

    @contextmanager
    def _stop_holder(self, _: Machine) -> Iterator[object]:
        """Let it stand still, with or without what it has started; it goes on as if nothing had been."""
        holder = self.holder()
        pids = holder.flushers() if holder is not None else []
        if holder is not None and self.chance.random() < 0.5:
            pids += holder.gits()
        stopped = [pid for pid in pids if _signalled(pid, signal.SIGSTOP)]
        try:
            yield [holder.name, *stopped] if holder is not None and stopped else False
        finally:
            for pid in stopped:
                _signalled(pid, signal.SIGCONT)

    @contextmanager
    def _server_gone(self, end: Callable[[], None]) -> Iterator[object]:
        end()
        try:
            yield True
        finally:
            self.server.start()

    @contextmanager
    def _server_frozen(self, _: Machine) -> Iterator[object]:
        self.server.freeze()
        try:
            yield True
        finally:
            self.server.thaw()

    @contextmanager
    def _wire(self, machine: Machine, how: str) -> Iterator[object]:
        (machine.wire.cut if how == "cut" else machine.wire.freeze)()
        try:
            yield True
        finally:
            machine.wire.open()

    @contextmanager
    def _lose_refs(self, _: Machine) -> Iterator[object]:
        """As if somebody had cleaned up: the remote has none of the refs that only we know of."""
        refs = self.scene.bare.run("for-each-ref", "--format=%(refname) %(objectname)", "refs/uam/").out.splitlines()
        lost = [ref for ref in refs if self.scene.bare.run("update-ref", "-d", *ref.split()).code == 0]
        yield len(lost) or False


def _signalled(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
