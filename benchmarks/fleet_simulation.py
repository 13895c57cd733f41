"""A fleet that is larger than this machine: its order and its locks, by the real SQL on a real PostgreSQL.

    python benchmarks/fleet_simulation.py --machines 1000 --agents 10000 --branches 20

Agents push at the moments of fixtures/traces/recorded.csv, each beginning at another one; they are replayed as fast
as the server takes them. Few processes play many machines, for each method of `Fleet` is a statement that names its
machine: `--handing` of them hand over what agents push (what a machine's agents push within 5 s is one statement, as
its flusher does it) and hear what became of it, `--landing` of them hold branches, take what waits, land it and
report. These die by kill -9, or are stopped for longer than a holder may be silent, at any step, `--deaths` and
`--stops` times in all.

Nothing of git runs. The remote is a file for each branch that a landing is written to, with a lease: only if it is as
long as it was when the landing was planned. At the end it has to have every push that did not fail, once, and those
of an agent in the order in which they were made. `--url` is an empty database; without it a server is started, by the
tests' own means, with its data on this disk and no fsync.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_long
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.postgres import Server
from uam_hooks.fleet import statements, values
from uam_hooks.fleet.database import Fleet, join
from uam_hooks.fleet.values import Branch, Entry, FleetAway, Machine

TRACE = Path(__file__).resolve().parent.parent / "fixtures" / "traces" / "recorded.csv"
TOGETHER = 5.0  # seconds of a trace
HEARING = 0.5  # seconds of now: who plays many machines hears for all of them at once
FAILING = 50  # one push of so many conflicts
STEPS = ("held", "planned", "pushed")
COUNTED = ("statements", "notifications", "entered", "heard", "landings", "refused", "lost", "reported")


class Push(NamedTuple):
    """A push of a trace: when, and the number of its agent and of it among the pushes of that one."""

    at: float
    agent: int
    number: int

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.agent} {self.number}"))

    @property
    def fails(self) -> bool:
        return (self.agent * 7 + self.number) % FAILING == 0


class World(NamedTuple):
    """What all processes know."""

    url: str
    root: Path
    machines: int
    agents: int
    pushes: int
    branches: int
    handing: int

    def machine(self, number: int) -> Machine:
        return Machine(str(uuid.UUID(int=number + 1)), f"machine-{number}")

    def branch(self, agent: int) -> Branch:
        return Branch("origin", f"refs/heads/branch-{agent // 7 % self.branches}")

    def trace(self, worker: int) -> list[Push]:
        """The pushes of all machines that `worker` plays, in order."""
        with TRACE.open() as file:
            moments = [float(row["at"]) for row in csv.DictReader(file)]
        found = []
        for agent in range(self.agents):
            if agent % self.machines % self.handing == worker:
                first = agent % (len(moments) - self.pushes)
                begin = agent * 3600 / self.agents - moments[first]
                found += [Push(begin + moments[first + n], agent, n) for n in range(self.pushes)]
        return sorted(found)

    def connect(self, number: int) -> Fleet:
        return Fleet(self.url, "simulation", self.machine(number))


# -- the remote ----------------------------------------------------------------------------------------------


@contextmanager
def _remote(world: World, branch: Branch) -> Iterator[Any]:
    with (world.root / branch.ref.replace("/", "-")).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _there(world: World, branch: Branch) -> list[str]:
    with _remote(world, branch) as file:
        return list(file.read().split())


def _pushed(world: World, branch: Branch, lease: int, ids: Sequence[str]) -> bool:
    with _remote(world, branch) as file:
        if len(file.read().split()) != lease:
            return False
        file.write("".join(f"{id}\n" for id in ids))
        return True


# -- who hands over ------------------------------------------------------------------------------------------


def hand_over(world: World, worker: int, counts: Any) -> None:
    """Hand over all that the machines of this worker push, and hear of each what became of it."""
    fleet = world.connect(worker)
    for number in range(worker, world.machines, world.handing):
        fleet.link.ask(f'LISTEN "{values.channel(fleet.id, "m", world.machine(number).id)}"')
    before = fleet.link.statements
    outstanding: dict[str, None] = {}
    heard = time.monotonic()
    for machine, batch in _batches(world, worker):
        fleet.machine = machine
        fleet.enter([_entry(world, push) for push in batch])
        outstanding |= dict.fromkeys(push.id for push in batch)
        counts[2] += len(batch)
        if time.monotonic() - heard > HEARING and fleet.wait(0):
            _hear(fleet, outstanding, counts)
            heard = time.monotonic()
    while outstanding:
        fleet.wait(5)
        _hear(fleet, outstanding, counts)
    counts[0] += fleet.link.statements - before
    counts[1] += fleet.link.heard
    fleet.close()


def _batches(world: World, worker: int) -> Iterator[tuple[Machine, list[Push]]]:
    slots: dict[tuple[int, int], list[Push]] = {}
    for push in world.trace(worker):
        slots.setdefault((int(push.at / TOGETHER), push.agent % world.machines), []).append(push)
    for (_, machine), pushes in sorted(slots.items()):
        yield world.machine(machine), pushes


def _entry(world: World, push: Push) -> Entry:
    facts = {"branch": f"agent-{push.agent}", "author": f"Agent {push.agent} <agent@example.org>", "push": push.number}
    hidden = f"refs/uam/fleet/{push.id}"
    return Entry(
        push.id, world.branch(push.agent), f"{push.agent:040x}", hidden, f"{push.agent}", "", False, 5.0, facts
    )


def _hear(fleet: Fleet, outstanding: dict[str, None], counts: Any) -> None:
    ids = list(outstanding)
    for at in range(0, len(ids), 1000):
        for ended in fleet.ended(ids[at : at + 1000]):
            del outstanding[ended.id]
            counts[3] += 1


# -- who lands -----------------------------------------------------------------------------------------------


def land(world: World, worker: int, counts: Any, fate: tuple[str, int, int]) -> None:
    """Hold branches, and land what waits for them; at the step and the landing of `fate`, get this signal."""
    chance = random.Random(worker * 1000 + fate[1])  # noqa: S311 - the same in every run
    branches = [Branch("origin", f"refs/heads/branch-{n}") for n in range(world.branches)]
    landings = 0

    def step(name: str) -> None:
        if (name, landings) == fate[:2]:
            os.kill(os.getpid(), fate[2])

    while True:
        try:
            fleet = world.connect(chance.randrange(world.machines))
        except FleetAway:
            continue
        before = fleet.link.statements
        try:
            while True:
                moved = False
                for branch in chance.sample(branches, len(branches)):
                    if branch not in fleet.held and not fleet.hold(branch):
                        continue
                    step("held")
                    done = _land(world, fleet, branch, step, counts)
                    moved |= done
                    landings += done
                    if done and chance.random() < 0.2:
                        fleet.release(branch)
                if not moved:
                    fleet.wait(5)
                counts[0] += fleet.link.statements - before
                before = fleet.link.statements
                counts[1] += fleet.link.heard
                fleet.link.heard = 0
        except FleetAway:
            counts[6] += 1
            fleet.close()


def _land(world: World, fleet: Fleet, branch: Branch, step: Any, counts: Any) -> bool:
    entries = fleet.waiting(branch, "", 500)
    if not entries:
        return False
    there = _there(world, branch)
    known = set(there)
    failing = {one.id for one in entries if Push(0, int(one.agent), int(one.facts["push"])).fails}
    fresh = [one.id for one in entries if one.id not in known and one.id not in failing]
    step("planned")
    if not _pushed(world, branch, len(there), fresh):
        counts[5] += 1
        return False
    step("pushed")
    landed = json.dumps(
        {"ref": branch.ref, "old": "a" * 40, "new": "b" * 40, "keep": "c" * 40, "commits": 1, "with": []}
    )
    failed = json.dumps({"error": "conflict in a file", "explain": ["it conflicts"]})
    outcomes = {one.id: (False, failed) if one.id in failing else (True, landed) for one in entries}
    counts[7] += len(fleet.report(branch, outcomes))
    counts[4] += 1
    return True


# -- all of it -----------------------------------------------------------------------------------------------


def run(world: World, landing: int, deaths: int, stops: int) -> dict[str, Any]:
    """Replay it all, and give the figures; AssertionError where something is lost, doubled or out of order."""
    join(world.url, "simulation", world.machine(0))
    first = world.connect(0)
    for number in range(1, world.machines):
        machine = world.machine(number)
        first.link.ask(statements.JOIN, fleet=first.id, machine=machine.id, name=machine.name, terms="")
    context = multiprocessing.get_context("fork")
    counts = [context.RawArray(c_long, len(COUNTED)) for _ in range(world.handing + landing)]
    fates = [(STEPS[n % 3], 2 + n // 3, signal.SIGKILL) for n in range(deaths)]
    fates += [(STEPS[n % 3], 3 + n // 3, signal.SIGSTOP) for n in range(stops)]
    random.Random(1).shuffle(fates)  # noqa: S311
    began, killed, stopped = time.monotonic(), 0, 0
    hands = [context.Process(target=hand_over, args=(world, n, counts[n])) for n in range(world.handing)]

    def another(n: int) -> Any:
        fate = fates.pop() if fates else ("", 0, 0)
        process = context.Process(target=land, args=(world, n, counts[world.handing + n], fate))
        process.start()
        return process

    for process in hands:
        process.start()
    lands = [another(n) for n in range(landing)]
    asleep: dict[int, float] = {}
    while any(process.is_alive() for process in hands):
        time.sleep(0.02)
        for n, process in enumerate(lands):
            if not process.is_alive():
                killed += 1
                lands[n] = another(n)
            elif asleep.get(process.pid, 0.0) < time.monotonic() - 8 and _is_stopped(process.pid):
                if process.pid in asleep:
                    os.kill(process.pid, signal.SIGCONT)
                    asleep[process.pid] = float("inf")
                else:
                    asleep[process.pid] = time.monotonic()
                    stopped += 1
    took = time.monotonic() - began
    for process in lands:
        process.kill()
    assert all(process.exitcode == 0 for process in hands), "a process that hands over has failed"
    found: dict[str, Any] = {name: sum(one[at] for one in counts) for at, name in enumerate(COUNTED)}
    found |= {
        "seconds": took,
        "killed": killed,
        "stopped": stopped,
        "terms": first.link.ask("SELECT sum(term) FROM uam.holders")[0][0],
    }
    first.close()
    _check(world)
    return found


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _check(world: World) -> None:
    made = {push.id: push for worker in range(world.handing) for push in world.trace(worker)}
    there = {branch: _there(world, branch) for branch in {world.branch(agent) for agent in range(world.agents)}}
    times = Counter(id for ids in there.values() for id in ids)
    assert max(times.values()) == 1, "a push has landed twice"
    assert times.keys() == {id for id, push in made.items() if not push.fails}, "a push is lost, or landed and failed"
    for branch, ids in there.items():
        last: dict[int, int] = {}
        for push in map(made.__getitem__, ids):
            assert world.branch(push.agent) == branch, "a push has landed elsewhere"
            assert last.get(push.agent, -1) < push.number, "pushes of an agent have changed places"
            last[push.agent] = push.number


def main() -> None:
    """Run it once, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name, value in (("machines", 1000), ("agents", 10_000), ("pushes", 1), ("branches", 20), ("handing", 4),
                        ("landing", 4), ("deaths", 20), ("stops", 4)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--url", help="an empty database; without it a server is started")
    given = parser.parse_args()
    server = None if given.url else Server()
    try:
        url = given.url or (server.url(server.database()) if server else "")
        with tempfile.TemporaryDirectory() as root:
            world = World(url, Path(root), given.machines, given.agents, given.pushes, given.branches, given.handing)
            found = run(world, given.landing, given.deaths, given.stops)
    finally:
        if server:
            server.close()
    pushes = found["entered"]
    print(f"{given.machines:,} machines, {given.agents:,} agents, {given.branches} branches: {pushes:,} pushes in"
          f" {found['seconds']:.1f} s, {pushes / found['seconds']:,.0f} a second")  # fmt: skip
    print(f"{found['landings']:,} landings; for each push {found['statements'] / pushes:.2f} statements and"
          f" {found['notifications'] / pushes:.2f} notifications")  # fmt: skip
    print(f"holders killed {found['killed']}, stopped {found['stopped']}; connections lost {found['lost']},"
          f" leases refused {found['refused']}, holders in all {found['terms']}")  # fmt: skip
    print("every push landed once or failed, those of an agent in their order: True")


if __name__ == "__main__":
    main()
