"""One run: a repository with worktrees and a clone beside it, an agent in each, and somebody who kills."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.scenes import Scene, Worktree, script
from tests.torture.facts import Facts
from tests.torture.gates import gate_violations
from tests.torture.invariants import Seen, violations
from tests.torture.reaper import GATE, KINDS, Reaper, is_gate, processes
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

KINDS_OF_FACTS = ("commit", "pushed", "refused", "culprit", "lock")
CHECKOUT = Path(__file__).resolve().parents[2]
# how long agents and flushers may take to end once nobody is killed any more
PATIENCE = 400.0
# A gate that is quick and has no moods, and writes down what it has said of which tree, and which files were not those
# of its commit. What it is about is outside of the repository, and so is its diary.
_GATE = """tree=$(git rev-parse 'HEAD^{{tree}}') || exit 1
wrong=$(git --no-optional-locks status --porcelain) || wrong=
sleep 0.05
set -- broken-*
if test -e "$1"; then said=red; else said=green; fi
echo "$tree $said" $wrong >>{root}/gate.log
test $said = green
"""


class Plan(NamedTuple):
    """What a run is to be: `kills` and `seconds` both end it, `pause` lies between two kills on average, in seconds.

    With `keep` what a small disk holds in the end is copied to where it can be looked at. With `gates` a gate guards
    main, and agents push what it does not let pass now and then.
    """

    seed: int
    kills: int
    seconds: float
    agents: int
    pause: float = 0.08
    disk: bool = False
    keep: bool = False
    gates: bool = False


class Report(NamedTuple):
    """What a run came to."""

    violations: list[str]
    killed: Counter[str]
    full: int
    told: dict[str, int]
    took: float


def torture(plan: Plan, root: Path) -> Report:
    """Let agents work while their processes are killed, then let everything end and look at what is there."""
    began = time.monotonic()
    room = root / "room"
    room.mkdir()
    with _small_disk(room) if plan.disk else nullcontext():
        scene, agents = _made(plan, root, room)
        stop = root / "stop"
        more = {"GATES_OF_AGENT": "1"} if plan.gates else {}
        started = [start(agent, plan.seed, stop, **more) for agent in agents]
        # a push whose git is killed goes straight to the remote, which no gate sees
        seen = (*(kind for kind in KINDS if not kind.endswith("git of helper")), GATE)
        reaper = Reaper(room, plan.seed, seen if plan.gates else KINDS)
        full = _kill_until(plan, reaper, room, started)
        stop.touch()
        late = end(started, agents)
        for repository in {id(one.repository): one.repository for one in agents}.values():
            repository.run("uam", "flush", "--timeout", "60")
        left = wait_for_flushers(room)
        found = [*late, *left, *violations(scene, agents)]
        if plan.gates:
            found += gate_violations(scene, agents, root)
        if plan.disk and plan.keep:
            shutil.copytree(room, root / "kept", symlinks=True)
    told = {kind: sum(len(list(one.facts.of(kind))) for one in agents) for kind in KINDS_OF_FACTS}
    return Report(found, reaper.killed, full, told, time.monotonic() - began)


# -- the scene ---------------------------------------------------------------------------------------------


@contextmanager
def _small_disk(room: Path) -> Iterator[None]:
    """A file system that can be filled: small, and nobody else's."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "torture", str(room)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(room)], check=True)


def can_mount(root: Path) -> bool:
    """Whether a file system can be mounted here, which needs root."""
    at = root / "probe"
    at.mkdir()
    try:
        with _small_disk(at):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        at.rmdir()


def _made(plan: Plan, root: Path, room: Path) -> tuple[Scene, list[Seen]]:
    scene = Scene(room)
    for number in range(plan.agents):
        for kind, text in (("txt", ""), ("draft", "as it was\n")):
            (scene.top / f"agent{number}.{kind}").write_text(text)
    scene.git("add", ".")
    scene.git("commit", "-q", "-m", "Begin with a file for each agent")
    scene.git("push", "-q", "origin", "main")
    scene.outside.git("clone", "-q", str(scene.remote), "clone")
    clone = Worktree(room / "clone", scene.env)
    scene.install(window="200ms")
    clone.git("config", "uam.window.push", "200ms")
    _install(clone)
    scene.bare.git("config", "core.logAllRefUpdates", "true")
    if plan.gates:
        gate = script(root / GATE, _GATE.format(root=root))
        for repository in (scene, clone):
            repository.git("config", "uam.gate.sound.command", str(gate))
            repository.git("config", "uam.gate.slots", "2")  # what comes is tested ahead
    for top in (scene, clone):
        top.git("config", "uam.flusher.linger", "1s")  # those that stay are killed, too, and those that begin
    places = [scene, *(scene.worktree(f"agent{n}") for n in range(1, plan.agents - 1)), clone]
    repositories = [*([scene] * (plan.agents - 1)), clone]
    return scene, [
        Seen(place, f"agent{n}", Facts(root / f"agent{n}.facts"), repository)
        for n, (place, repository) in enumerate(zip(places, repositories, strict=True))
    ]


def _install(clone: Worktree) -> None:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(clone.env)
    try:
        with Repository.at(clone.top) as repo:
            install(repo)
    finally:
        os.environ.clear()
        os.environ.update(before)


def start(agent: Seen, seed: int, stop: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start the agent's process. It stands outside of the room: what stands in it may be killed."""
    place = agent.place
    theirs = {**place.env, "GIT_DIR_OF_AGENT": str(place.git_dir), "REMOTE_OF_AGENT": str(agent.repository.git(
        "config", "remote.origin.url"))}  # fmt: skip
    theirs |= more
    command = [sys.executable, "-m", "tests.torture.agent", str(place.top), agent.name, str(seed), str(stop)]
    env = {"PATH": os.environ["PATH"], "AGENT_ENV": json.dumps(theirs)}
    with agent.facts.path.with_suffix(".out").open("wb") as out:
        return subprocess.Popen(command, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


# -- killing, and the end ------------------------------------------------------------------------------------


def _kill_until(plan: Plan, reaper: Reaper, room: Path, agents: list[subprocess.Popen[bytes]]) -> int:
    """Kill until enough were killed or the time is up; returns how often the disk was full."""
    chance = random.Random(f"{plan.seed} pauses")  # noqa: S311
    end, full = time.monotonic() + plan.seconds, 0
    while reaper.killed.total() < plan.kills and time.monotonic() < end:
        time.sleep(chance.expovariate(1 / plan.pause))
        if plan.disk and chance.random() < 0.02:
            _fill(room / "fill", chance.uniform(0.1, 1.5))
            full += 1
        reaper.strike()
        if all(agent.poll() is not None for agent in agents):
            break
    return full


def _fill(path: Path, seconds: float) -> None:
    """Leave no room on the disk for some time."""
    end = time.monotonic() + seconds
    with path.open("wb", buffering=0) as out:
        while time.monotonic() < end:
            try:
                out.write(b"\0" * 65536)
            except OSError:
                time.sleep(0.01)  # what others free meanwhile is taken, too
    path.unlink()


def end(started: list[subprocess.Popen[bytes]], agents: list[Seen]) -> list[str]:
    """Wait for the agents, which push what they have left."""
    late, found = time.monotonic() + PATIENCE, []
    for process, agent in zip(started, agents, strict=True):
        try:
            code = process.wait(max(1.0, late - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            found.append(f"{agent.name}: it did not end within {PATIENCE:g} s")
            continue
        if code:
            found.append(f"{agent.name}: {agent.facts.path.with_suffix('.out').read_text()[-2000:]}")
    return found


def wait_for_flushers(room: Path) -> list[str]:
    """Until nothing of the run is left; what is after that is told by the queue, but for gates, which nobody is."""
    end = time.monotonic() + PATIENCE
    while (there := processes(room)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in there.values():
        with suppress(ProcessLookupError):
            os.kill(process.pid, 9)
    return [f"a gate still runs: {' '.join(one.line[-2:])}" for one in there.values() if is_gate(one)]
