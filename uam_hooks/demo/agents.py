"""Starting the agents of the demo, all at once, and what they report when they have ended."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from uam_hooks.demo.scenario import Scenario
from uam_hooks.hot.core.errors import UamError, last_line

# Time limit for the agents of one side; more means that something is broken.
PATIENCE_SECONDS = 300.0

_PACKAGE = Path(__file__).resolve().parent.parent
_AGENT = "import sys; sys.path.append(sys.argv.pop(1)); from uam_hooks.demo.agent import main; main()"


class Played(NamedTuple):
    """What each agent reports, and after how many seconds each act had ended."""

    reports: dict[str, dict[str, Any]]
    acts: tuple[float, ...]


def run(scenario: Scenario, root: Path, *, hooked: bool, verdicts: Path, tell: Callable[[int, float], None]) -> Played:
    """Start the agents together, in the worktrees below `root`; `tell` is called when an act has ended, with its
    number and the seconds since the begin. Raises UamError where they could not start, or do not end.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    read_end, write_end = os.pipe()
    # between two acts everybody waits for the end of a pipe, which ends when the last agent has closed it
    meetings = [os.pipe() for _ in scenario.acts[1:]]
    running: dict[str, subprocess.Popen[str]] = {}
    # all agents wait for the end of the same pipe, so closing it once starts them all
    with os.fdopen(read_end, "rb") as gate, os.fdopen(write_end, "wb") as opener, ExitStack() as stack:
        for end, _ in meetings:
            stack.callback(os.close, end)
        try:
            for name in scenario.agents:
                orders = _orders(scenario, root, name, hooked=hooked, verdicts=verdicts, meetings=meetings)
                running[name] = process = stack.enter_context(_started(name, orders, gate, meetings))
                stack.callback(process.kill)
        finally:
            for _, end in meetings:
                os.close(end)
        for name, process in running.items():
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise UamError(f"{name} could not start: {last_line(process.communicate()[1])}.")
        began, ended = time.monotonic(), []
        opener.close()
        for end, _ in meetings:
            select.select([end], [], [], max(0.0, deadline - time.monotonic()))
            ended.append(time.monotonic() - began)
            tell(len(ended) - 1, ended[-1])
        reports = {name: _report(name, process, deadline) for name, process in running.items()}
        ended.append(time.monotonic() - began)
        tell(len(ended) - 1, ended[-1])
        return Played(reports, tuple(ended))


def _orders(
    scenario: Scenario, root: Path, name: str, *, hooked: bool, verdicts: Path, meetings: list[tuple[int, int]]
) -> Path:
    """The file that tells one agent what to do."""
    acts = [[_plain(one._asdict()) for one in act.rounds.get(name, ())] for act in scenario.acts]
    what = {
        "worktree": str(root / "worktrees" / name), "hooked": hooked, "verdicts": str(verdicts), "acts": acts,
        "meetings": [(mine, everybodys) for everybodys, mine in meetings],
    }  # fmt: skip
    orders = root / f"{name}.json"
    orders.write_text(json.dumps(what, indent=1))
    return orders


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """A round as JSON has it, with names where it has tuples."""
    mend = found["mend"]
    return {
        "commits": [commit._asdict() for commit in found["commits"]], "resolved": found["resolved"],
        "mend": None if mend is None else mend._asdict(),
    }  # fmt: skip


def _started(name: str, orders: Path, gate: IO[bytes], meetings: list[tuple[int, int]]) -> subprocess.Popen[str]:
    mail = f"{name}@example.invalid"
    identity = {
        "UAM_AGENT_ID": name,
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), name),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), mail),
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _AGENT, str(_PACKAGE.parent), str(orders)], text=True,
        stdin=gate, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **identity},
        pass_fds=[end for meeting in meetings for end in meeting],
    )  # fmt: skip


def _report(name: str, process: subprocess.Popen[str], deadline: float) -> dict[str, Any]:
    """The report of an agent, which it prints when it ends."""
    try:
        out, err = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise UamError(f"{name} did not finish within {PATIENCE_SECONDS:g} s.") from None
    if process.returncode:
        nothing = {"rejected": 0, "behind": 0, "told": [], "pushes": [], "conflicts": [], "combinations": []}
        return {**nothing, "failed": last_line(err) or f"it ended with {process.returncode}"}
    report: dict[str, Any] = json.loads(out)
    return report
