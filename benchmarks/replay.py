"""What a policy of landing costs in CI minutes and in waiting, on traces of pushes, by the real scheduler.

    python benchmarks/replay.py [--ci 5] [--agents 3,10,20] [--trace fixtures/traces/recorded.csv]

No time passes: `uam_hooks.ci.holding` decides when a waiting push is due, `uam_hooks.store.schedule` which of them land
together, both with a clock that is moved on from event to event. Everybody pushes to one branch; a run of CI takes
`--ci` minutes, and runs beside each other are allowed. A landing itself takes no time here, as a plain push does.

fixtures/traces/generated.csv says how many seconds each agent works between the answer to a push and the next one
(exponential, mean 10 minutes, `random.Random(11)`). Of --trace a column `at` says when somebody pushes, whatever the
answers are: recorded.csv has the seconds at which the commits of one day of this project were made.

In the mode `queue` a push is answered when it is queued, which is 0 here; `--blocked N` measures N real pushes in that
mode in a repository with a remote.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import math
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from uam_hooks.ci.holding import Waiting as Held
from uam_hooks.ci.holding import ask_at, current, due_at
from uam_hooks.demo.demo import private_environment
from uam_hooks.git.repo import Repository
from uam_hooks.hot.queue.ci import CiState, Moments, Sight
from uam_hooks.hot.queue.model import Action, ActionType, Status, iso, seconds_of
from uam_hooks.install.install import install
from uam_hooks.report.ledger import cancelling, total, waiting
from uam_hooks.store.schedule import Busy, Waiting, choose

TRACES = Path(__file__).parent.parent / "fixtures" / "traces"
START = 1_700_000_000.0
POLL = 10.0
MOST = 20
# A waiting push answers by then (uam.push.waitTimeout), landed or not.
ANSWERS = 80.0


class Policy(NamedTuple):
    """How long a push waits for company (None: it lands at once, as with plain git), and for CI (None: nobody asks)."""

    name: str
    window: float | None
    hold: float | None = None
    waits: bool = False


POLICIES = (
    Policy("plain git", None),
    Policy("window 5 s", 5),
    Policy("window 60 s", 60),
    Policy("held 60 s, mode wait", 5, 60, waits=True),
    Policy("held 60 s, mode queue", 5, 60),
    Policy("held 10 min, mode queue", 5, 600),
    Policy("held until idle, mode queue", 5, math.inf),
)


class Push(NamedTuple):
    """One `git push`: when, and when it was on the remote."""

    at: float
    landed: float


class Result(NamedTuple):
    """What became of a trace: its pushes, when the runs of CI began, and how long each push kept its agent."""

    pushes: list[Push]
    runs: list[float]
    blocked: list[float]


class Replay:
    """One trace under one policy. `works` has for each agent the seconds between an answer and the next push."""

    def __init__(self, policy: Policy, works: Sequence[Sequence[float]], ci: float, at: Sequence[float] = ()) -> None:
        self.policy, self.ci = policy, ci
        self.works = [list(reversed(work)) for work in works]
        self.coming: list[tuple[float, int]] = [(START + moment, -1) for moment in at]
        self.pending: list[Action] = []
        self.members: dict[int, list[tuple[float, int]]] = {}
        self._held: dict[int, Moments] = {}
        self._window: dict[int, float] = {}
        self.sight: Sight | None = None
        self.result = Result([], [], [])
        self.number = 0
        for agent in range(len(works)):
            self._work(agent, START)
        heapq.heapify(self.coming)

    def run(self) -> Result:
        now = START
        while self.coming or self.pending:
            now = max(now, min(self._moments(now)))
            while self.coming and self.coming[0][0] <= now:
                self._push(*heapq.heappop(self.coming))
            self._look(now)
            self._land(now)
        return self.result

    def _work(self, agent: int, begin: float) -> None:
        if agent >= 0 and self.works[agent]:
            heapq.heappush(self.coming, (begin + self.works[agent].pop(), agent))

    def _push(self, at: float, agent: int) -> None:
        """The push joins the pending action, as it would in the queue."""
        if self.policy.window is None:
            self._landed([(at, agent)], at)
            return
        due = at + self.policy.window
        until = at + min(self.policy.hold, 10 * 365 * 86400) if self.policy.hold is not None else None
        moments = Moments(iso(due), iso(until) if until is not None else "")
        if self.pending:
            self.pending[0] = self._at(self.pending[0], self._held[self.pending[0].id].joined_by(moments))
            self.members[self.pending[0].id].append((at, agent))
        else:
            self.number += 1
            action = Action(
                self.number, str(agent), ActionType.PUSH, "main", {}, Status.PENDING, None, iso(at), moments.due, 5, (),
                "origin", None, "",
            )  # fmt: skip
            self._held, self._window = {action.id: moments}, {action.id: due}
            self.pending.append(action)
            self.members[action.id] = [(at, agent)]
        if not self.policy.waits:
            self._answered(at, at, agent)

    def _at(self, action: Action, moments: Moments) -> Action:
        self._held[action.id] = moments
        return action._replace(execute_after=moments.due)

    def _look(self, now: float) -> None:
        """Ask CI where it is time to, and let pushes be due accordingly."""
        landed = self.result.runs[-1] if self.result.runs else None
        for index, action in enumerate(self.pending):
            until = self._held[action.id].hold_until
            if not until:
                continue
            if ask_at(self.sight, POLL, now) <= now:
                busy = landed is not None and landed <= now < landed + self.ci
                self.sight = Sight(CiState.BUSY if busy else CiState.IDLE, now, "command", landed if busy else None)
            held = Held(seconds_of(action.queued_at), self._window[action.id], seconds_of(until))
            due = due_at(held, current(self.sight, landed, POLL, now), now)
            self.pending[index] = self._at(action, Moments(iso(due.at), until))

    def _land(self, now: float) -> None:
        """What the scheduler chooses lands, all of it as one push."""
        chosen = choose([Waiting(action) for action in self.pending], {}, Busy(), iso(now), True, MOST)
        for choice in chosen:
            self.pending = [action for action in self.pending if action.id != choice.id]
            self._landed(self.members.pop(choice.id), now)

    def _landed(self, members: Sequence[tuple[float, int]], now: float) -> None:
        self.result.runs.append(now)
        for at, agent in members:
            self.result.pushes.append(Push(at, now))
            if self.policy.waits or self.policy.window is None:
                self._answered(at, min(now, at + ANSWERS), agent)

    def _answered(self, at: float, now: float, agent: int) -> None:
        self.result.blocked.append(now - at)
        self._work(agent, now)

    def _moments(self, now: float) -> Iterator[float]:
        """When something may happen next."""
        if self.coming:
            yield self.coming[0][0]
        for action in self.pending:
            yield max(seconds_of(action.execute_after), now + 0.001)
            if self._held[action.id].hold_until:
                yield max(ask_at(self.sight, POLL, now), now + 0.001)


def lines(ci: float, works: Sequence[Sequence[float]], at: Sequence[float] = ()) -> Iterator[str]:
    """A row of the table for each policy; `ci` is in seconds."""
    plain = Replay(POLICIES[0], works, ci, at).run()
    cancelled = total(cancelling([("main", push.at) for push in plain.pushes], ci))
    for policy in POLICIES:
        found = Replay(policy, works, ci, at).run()
        assert len(found.pushes) == len(plain.pushes)
        minutes = len(found.runs) * ci / (len(plain.runs) * ci)
        yield _row(policy.name, len(found.runs), minutes, found, 1.0)
    verdicts = 1 - cancelled.without_verdict / len(plain.runs)
    yield _row(
        "plain, older runs cancelled", len(plain.runs), cancelled.seconds / (len(plain.runs) * ci), plain, verdicts
    )


def _row(name: str, runs: int, minutes: float, found: Result, verdicts: float) -> str:
    waited = waiting(push.landed - push.at for push in found.pushes) or {}
    blocked = waiting(found.blocked) or {}
    times = " | ".join(f"{value:>7.0f}" for value in (waited["p50"], waited["p95"], blocked["p50"], blocked["p95"]))
    return f"{name:<28} | {runs:>5} | {minutes:>6.0%} | {times} | {verdicts:>8.0%}"


HEAD = (
    f"{'':<28} |  runs |     CI | landed after, s   | blocked, s        | landings\n"
    f"{'':<28} |       |minutes |     p50 |     p95 |     p50 |     p95 | with verdict"
)


def generated(agents: int) -> list[list[float]]:
    """The work of the first so many agents of the generated trace."""
    with (TRACES / "generated.csv").open() as file:
        rows = [(int(row["agent"]), float(row["work"])) for row in csv.DictReader(file)]
    return [[work for agent, work in rows if agent == number] for number in range(agents)]


def recorded(path: Path) -> list[float]:
    """The moments of a trace of pushes, in seconds from its begin."""
    with path.open() as file:
        return [float(row["at"]) for row in csv.DictReader(file)]


def blocked(pushes: int) -> str:
    """How long real pushes take in the mode `queue`, with what they queue still waiting: nothing lands meanwhile."""
    took = []
    with tempfile.TemporaryDirectory() as name, private_environment(Path(name) / "home"):
        root = Path(name)
        repo = root / "repo"
        for command in (
            ["init", "-q", "--bare", str(root / "remote.git")], ["init", "-q", "-b", "main", str(repo)],
            ["-C", str(repo), "commit", "-q", "--allow-empty", "-m", "Begin"],
            ["-C", str(repo), "remote", "add", "origin", str(root / "remote.git")],
            ["-C", str(repo), "push", "-q", "-u", "origin", "main"],
        ):  # fmt: skip
            subprocess.run(["git", *command], check=True)
        with Repository.at(repo) as opened:
            install(opened)
        for key, value in (("uam.push.mode", "queue"), ("uam.ci", "1h"), ("uam.ci.hold", "1h")):
            subprocess.run(["git", "-C", str(repo), "config", key, value], check=True)
        for number in range(pushes):
            (repo / f"file{number}").write_text("x\n")
            subprocess.run(["git", "-C", str(repo), "add", "."], check=True)
            subprocess.run(["git", "-C", str(repo), "commit", "-q", "-m", f"Add {number}"], check=True)
            begin = time.monotonic()
            subprocess.run(["git", "-C", str(repo), "push", "-q"], check=True, stderr=subprocess.DEVNULL)
            took.append(time.monotonic() - begin)
    found = waiting(took) or {}
    return f"{pushes} real pushes in the mode queue: p50 {found['p50']:.2f} s, p95 {found['p95']:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ci", type=float, default=5.0, help="minutes of a run")
    parser.add_argument("--agents", default="1,3,10,20")
    parser.add_argument("--trace", type=Path, help="a trace with the moments of pushes, instead of agents that work")
    parser.add_argument("--blocked", type=int, metavar="N", help="measure N real pushes in the mode queue")
    given = parser.parse_args()
    if given.blocked:
        print(blocked(given.blocked))
        return
    if given.trace:
        at = recorded(given.trace)
        print(f"{len(at)} pushes of {given.trace.name}, CI of {given.ci:g} minutes\n{HEAD}")
        print(*lines(given.ci * 60, [], at), sep="\n")
        return
    for agents in map(int, given.agents.split(",")):
        print(f"{agents} agents, a push for each 10 minutes of work, CI of {given.ci:g} minutes\n{HEAD}")
        print(*lines(given.ci * 60, generated(agents)), "", sep="\n")


if __name__ == "__main__":
    main()
