"""Agents on several machines with one queue, against as many worktrees of one clone; and what a fleet costs.

    python benchmarks/fleet.py --agents 20 --machines 5 --rounds 5 --window 5s

The same work is done twice in one run. The remotes' post-receive hooks count the CI runs; the server's log counts what
it was asked. Then one machine alone pushes with a fleet and without one in turn, and a holder that was killed or
stopped is replaced while a push of another machine waits for it, by the server's clock. A PostgreSQL is started for it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1]))

import psycopg
from agents import alone, scenario
from push_cost import Clone, Cost, Kind
from worktrees import git

from tests.support.postgres import Server
from tests.torture.reaper import kind_of, processes
from uam_hooks.demo import agents as players
from uam_hooks.demo.ci import Ci
from uam_hooks.demo.demo import ci_runs, private_environment, tree_of
from uam_hooks.demo.scenario import Scenario
from uam_hooks.fleet.clone import clone_of, terms_of
from uam_hooks.fleet.database import join
from uam_hooks.fleet.values import Machine
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install
from uam_hooks.session import open_session

PATIENCE = 60.0


class Figures(NamedTuple):
    """What one side took: CI runs, seconds, and what the server was asked and how often it was connected to."""

    runs: int
    seconds: float
    statements: int
    connections: int


def joined(clone: Path, url: str, fleet: str) -> None:
    """Let a clone join the fleet."""
    with open_session(clone) as session:
        own = clone_of(session.repo.paths)
        join(url, fleet, Machine(own.id, own.name), terms_of(session.settings, os.environ))
    git(clone, "config", "uam.fleet", fleet)
    git(clone, "config", "uam.fleet.url", url)


def asked(server: Server) -> tuple[int, int]:
    """How many statements the server was asked so far, and how many connections were made to it."""
    log = (server.root / "log").read_text()
    return len(re.findall(r"LOG:  (?:execute|statement)", log)), log.count("LOG:  connection authorized")


def flushers(clone: Path) -> list[int]:
    """The processes of a clone that land."""
    there = processes(clone)
    return [pid for pid, process in there.items() if kind_of(process, there) == "flusher"]


def on_machines(work: Scenario, root: Path, server: Server, machines: int) -> Figures:
    """The work of agents whose worktrees belong to several clones."""
    remote, first = root / "remote.git", root / "m0"
    remote.mkdir(parents=True)
    git(root, "init", "-q", "--bare", str(remote))
    git(root, "clone", "-q", str(remote), str(first))
    for name, text in work.start.items():
        (first / name).write_text(text)
    git(first, "add", "--all")
    git(first, "commit", "-q", "-m", "Begin")
    git(first, "push", "-q", "origin", "HEAD:main")
    clones = [first]
    for number in range(1, machines):
        clones.append(root / f"m{number}")
        git(root, "clone", "-q", str(remote), str(clones[-1]))
    for number, name in enumerate(work.agents):
        git(clones[number % machines], "worktree", "add", "-q", "-b", name, str(root / "worktrees" / name))
    with Ci(remote, 0.0, ()) as ci:
        for clone in clones:
            git(clone, "config", "uam.window.push", work.window)
            with Repository.at(clone) as repo:
                install(repo)
            joined(clone, server.url(), "agents")
        before = asked(server)
        played = players.run(work, root, hooked=True, verdicts=ci.verdicts, tell=lambda _act, _seconds: None)
        failed = {name: report["failed"] for name, report in played.reports.items() if report["failed"]}
        assert not failed, failed
        expected = tree_of(work.files(), root / "expected")
        assert git(remote, "rev-parse", "main^{tree}") == expected, "the remote does not hold what was written"
        statements, connections = (now - then for now, then in zip(asked(server), before, strict=True))
    for clone in clones:
        gone(clone, signal.SIGTERM)
    return Figures(len(ci_runs(remote)), played.acts[-1], statements, connections)


def gone(clone: Path, number: int) -> None:
    """End what lands for a clone, or let it stand still."""
    for pid in flushers(clone):
        os.kill(pid, number)


def one_push(root: Path, server: Server, rounds: int) -> list[tuple[str, Cost, int]]:
    """What a push of one machine that has nobody beside it costs: the medians without a fleet and with one."""
    root.mkdir()
    history, kind = root / "history", Kind("one commit", 1)
    git(root, "init", "-q", str(history))
    git(history, "commit", "-q", "--allow-empty", "-m", "Begin")
    clones = {name: Clone(root / name, history, kind, 0.0, True) for name in ("alone", "fleet")}
    for one in clones.values():
        git(one.top, "config", "uam.window.push", "0")
    joined(clones["fleet"].top, server.url(), "one")
    found: dict[str, list[Cost]] = {name: [] for name in clones}
    statements = 0
    for number in range(rounds + 1):
        for name in sorted(clones, reverse=bool(number % 2)):
            before = asked(server)[0]
            cost = clones[name].push(number)
            if number:
                found[name].append(cost)
                statements += asked(server)[0] - before
    for one in clones.values():
        gone(one.top, signal.SIGTERM)
    costs = {name: Cost(*(median(values) for values in zip(*rows, strict=True))) for name, rows in found.items()}
    return [("alone", costs["alone"], 0), ("fleet", costs["fleet"], statements // rounds)]


def replaced(root: Path, server: Server, number: int) -> tuple[float, float]:
    """A holder gets a signal while a push of another machine waits for it: after how many seconds there is another one,
    and how long the push has taken.
    """
    root.mkdir()
    fleet = root.name
    git(root, "init", "-q", "--bare", "remote.git")
    git(root, "clone", "-q", "remote.git", "first")
    git(root / "first", "commit", "-q", "--allow-empty", "-m", "Begin")
    git(root / "first", "push", "-q", "origin", "HEAD:main")
    git(root, "clone", "-q", "remote.git", "second")
    first, second = root / "first", root / "second"
    for clone, window in ((first, "1h"), (second, "3s")):
        git(clone, "config", "uam.window.push", window)
        git(clone, "config", "uam.window.company", "off")
        with Repository.at(clone) as repo:
            install(repo)
        joined(clone, server.url(), fleet)
        git(clone, "commit", "-q", "--allow-empty", "-m", f"Work of {clone.name}")
    git(first, "-c", "uam.push.mode=queue", "push", "-q", "origin", "HEAD:main")
    holder = "SELECT h.term FROM uam.holders h JOIN uam.fleets f ON f.id = h.fleet WHERE f.name = %s AND h.pid > 0"
    entered = "SELECT 1 FROM uam.entries e JOIN uam.fleets f ON f.id = e.fleet WHERE f.name = %s AND state = 'waiting'"
    since = f"{holder} AND h.term > %s AND h.machine = %s"
    with psycopg.connect(server.url(), autocommit=True) as db:
        [(term,)] = _until(db, holder, fleet)
        began = time.monotonic()
        with subprocess.Popen(
            ["git", "push", "-q", "origin", "HEAD:main"], cwd=second, stderr=subprocess.DEVNULL
        ) as push:
            _until(db, entered, fleet)
            gone(first, number)
            [(moment,)] = db.execute("SELECT clock_timestamp()").fetchall()
            with open_session(second) as session:
                own = clone_of(session.repo.paths).id
            [(then,)] = _until(db, since.replace("h.term FROM", "h.since FROM"), fleet, term, own)
            code = push.wait(PATIENCE)
        took = time.monotonic() - began
    assert code == 0, code
    gone(first, signal.SIGKILL)
    gone(second, signal.SIGTERM)
    return float((then - moment).total_seconds()), took


def _until(db: psycopg.Connection[tuple[object, ...]], sql: str, *values: object) -> list[tuple[object, ...]]:
    """The rows of a question, once there are any."""
    end = time.monotonic() + PATIENCE
    while not (rows := db.execute(sql.encode(), values).fetchall()):
        assert time.monotonic() < end, sql
        time.sleep(0.02)
    return rows


def main() -> None:
    """Measure once, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--machines", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", default="5s")
    parser.add_argument("--pushes", type=int, default=10, help="of one machine alone")
    given = parser.parse_args()
    print(f"{given.agents} agents, {given.rounds} rounds, a window of {given.window}, load {os.getloadavg()[0]:.1f}")
    work = scenario(given.agents, given.rounds, given.window)
    server = Server()
    server.stop()
    server.start("log_statement=all", "log_connections=on")
    try:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            side = alone(work, root / "alone")
            with private_environment(root / "home"):
                found = on_machines(work, root / "fleet", server, given.machines)
                print(f"one clone: {side.ci_runs} CI runs in {side.seconds:.1f} s")
                print(f"{given.machines} machines: {found.runs} CI runs in {found.seconds:.1f} s"
                      f" ({found.seconds / side.seconds:.2f} times), {found.statements} statements and"
                      f" {found.connections} connections for {given.agents * given.rounds} pushes")  # fmt: skip
                for name, cost, statements in one_push(root / "cost", server, given.pushes):
                    print(f"one push, {name}: {json.dumps(cost._asdict())}, {statements} statements")
                for number in (signal.SIGKILL, signal.SIGSTOP):
                    after, took = replaced(root / number.name.lower(), server, number)
                    print(f"{number.name} of the holder: another one after {after:.1f} s, the push took {took:.1f} s")
        print(f"load {os.getloadavg()[0]:.1f}")
    finally:
        server.close()


if __name__ == "__main__":
    main()
