"""A run of a fleet: agents in worktrees of several machines push to one branch while everything goes wrong.

What has to hold at its end is what has to hold for one machine, on each of them, and the database waits for nothing.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from tests.support.clocks import clock, library
from tests.support.postgres import Server
from tests.support.scenes import Scene
from tests.torture.chaos import KINDS, TERMS, Chaos, schedule
from tests.torture.facts import Facts
from tests.torture.invariants import Seen, violations
from tests.torture.machines import NOTHING, Machine, asked, machine, remote_of, with_files
from tests.torture.run import end, start, wait_for_flushers

# what the clocks of the machines say in comparison, in seconds
_CLOCKS = (0, 3600, -3600, 90, -5)
WAITING = "SELECT machine::text, id::text, agent FROM uam.entries WHERE state = 'waiting'"


class Plan(NamedTuple):
    """What a run is to be: each agent pushes `rounds` times, with 0 until the chaos ends, and something happens every
    `pause` seconds on average. A push brings up to `commits`, or with 0 one or two. With `clocks` the machines do not
    agree about the time.

    The chaos ends when all have pushed, or after `seconds`. `scale` is how long each thing lasts in comparison.
    """

    seed: int
    machines: int = 5
    agents: int = 50
    rounds: int = 20
    pause: float = 0.7
    seconds: float = 3600.0
    kinds: tuple[str, ...] = tuple(KINDS)
    scale: float = 1.0
    clocks: bool = False
    commits: int = 0


class Report(NamedTuple):
    """What a run came to. `runs` is how often the remote's main has moved, `pushes` how long each push has taken."""

    violations: list[str]
    killed: Counter[str]
    acts: Counter[str]
    told: Counter[str]
    landed: int
    runs: int
    terms: int
    pushes: list[float]
    took: float

    @property
    def percentiles(self) -> tuple[float, float]:
        """How long half of the pushes have taken, and 19 of 20."""
        found = quantiles(self.pushes, n=20) if len(self.pushes) > 1 else [0.0] * 19
        return found[9], found[18]


def torture(plan: Plan, root: Path) -> Report:
    """Let the agents work in `root`."""
    began = time.monotonic()
    room = root / "room"
    room.mkdir()
    with ExitStack() as stack:
        server = Server()
        stack.callback(server.close)
        stack.callback(_keep_log, server, root)
        scene, machines = _made(plan, room, server, stack)
        agents = _agents(root, machines)
        stop = root / "stop"
        started = [
            start(agent, plan.seed, stop, ROUNDS_OF_AGENT=str(plan.rounds), COMMITS_OF_AGENT=str(plan.commits))
            for agent in agents
        ]
        chaos = Chaos(scene, server, machines, plan.seed, root / "chaos.jsonl")
        late = time.monotonic() + plan.seconds

        def over() -> bool:
            return (
                time.monotonic() > late
                or stop.exists()
                or all(
                    process.poll() is not None or [*agent.facts.of("rounds")]
                    for process, agent in zip(started, agents, strict=True)
                )
            )

        chaos.until(over, schedule(plan.seed, plan.machines, plan.pause, plan.kinds, plan.scale))
        stop.touch()
        found = [*end(started, agents), *wait_for_flushers(room), *violations(scene, agents)]
        found += [f"the database still has {row} waiting" for row in asked(server, WAITING)]
        return _report(found, chaos, scene, server, agents, time.monotonic() - began)


def _made(plan: Plan, room: Path, server: Server, stack: ExitStack) -> tuple[Scene, list[Machine]]:
    scene = remote_of(room)
    with_files(scene, plan.agents)
    machines = []
    clocks = library(scene.root) if plan.clocks else None
    for number in range(plan.machines):
        names = [f"agent{n}" for n in range(number, plan.agents, plan.machines)]
        time_of_day = clock(clocks, _CLOCKS[number % len(_CLOCKS)]) if clocks else NOTHING
        made = machine(scene, server, f"m{number}", names, time_of_day)
        stack.callback(made.wire.close)
        machines.append(made)
    return scene, machines


def _agents(root: Path, machines: Sequence[Machine]) -> list[Seen]:
    return [
        Seen(place, place.env["UAM_AGENT_ID"], Facts(root / f"{place.env['UAM_AGENT_ID']}.facts"), one.clone)
        for one in machines for place in one.places
    ]  # fmt: skip


def _report(
    found: list[str], chaos: Chaos, scene: Scene, server: Server, agents: Sequence[Seen], took: float
) -> Report:
    told = Counter(
        {kind: sum(len(list(one.facts.of(kind))) for one in agents) for kind in ("commit", "pushed", "refused")}
    )
    pushes = [fact["took"] for one in agents for kind in ("pushed", "refused") for fact in one.facts.of(kind)
              if fact["mode"] == "wait"]  # fmt: skip
    landed = sum(len(scene.bare.run("show", f"main:{one.name}.txt").out.split()) for one in agents)
    runs = len(scene.bare.git("reflog", "refs/heads/main").splitlines()) - 1
    [(terms,)] = asked(server, TERMS)
    return Report(found, chaos.reaper.killed, chaos.done, told, landed, runs, terms, pushes, took)


def _keep_log(server: Server, root: Path) -> None:
    """What the server has said stays with the run; the rest of it does not."""
    shutil.copy(server.root / "log", root / "postgres.log")
