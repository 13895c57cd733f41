"""The rows of one push, one commit, one call and one command, with nobody else at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import calls
import push_cost

import hooks
from table.bench import NOT_THERE, Bench, Found, Row, ms

SLOW = 0.4  # seconds that the slow remote takes to connect


def _push(bench: Bench, name: str) -> dict[str, Any]:
    kind = next(kind for kind in push_cost.KINDS if kind.name == name)
    return bench.once(name, lambda: push_cost.measured(bench.place() / "push", kind, bench.rounds(15), SLOW))


def _pushed(name: str, most: float, connections: int | None = None) -> Callable[[Bench], Found]:
    """A row of one kind of push: at most so many times plain git, and at most so many connections."""

    def measure(bench: Bench) -> Found:
        found = _push(bench, name)
        ours, plain = (ms(value) for value in found["ms"])
        if connections is None:
            return Found(ours, f"plain git {plain}", found["ratio"], found["ratio"] <= most, found)
        mine, theirs = (f"{value:g} connection{'s' * (value != 1)}" for value in found["connections"])
        met = found["ratio"] <= most and found["connections"][0] <= connections
        return Found(f"{ours}, {mine}", f"plain git {plain}, {theirs}", found["ratio"], met, found)

    return measure


def _processes(bench: Bench) -> Found:
    found = _push(bench, "one commit")
    ours, plain = found["processes"]
    return Found(f"{ours:g}", f"plain git {plain:g}", ours / plain, ours <= 16, found)


def _manual(bench: Bench) -> Found:
    found = _push(bench, "one commit, manual")
    ours, plain = found["ms"]
    return Found(ms(ours), f"plain git {ms(plain)}", found["ratio"], ours <= 40, found)


def _hooks(bench: Bench) -> Found:
    tools = {one.name: one for one in hooks.measured(bench.place(), bench.rounds(50), bench.peers)}
    added = {name: one.added for name, one in tools.items()}
    held = ", ".join(f"{name} +{ms(added[name])}" for name in hooks.PEERS if name in added) or NOT_THERE
    prek = added.get("prek")
    ratio = added[hooks.OURS] / prek if prek else None
    met = False if added[hooks.OURS] > 5 else ratio <= 0.35 if ratio is not None else None
    raw = {name: {"added": one.added, "with and without": one.took} for name, one in tools.items()}
    return Found(f"+{ms(added[hooks.OURS])}", held, ratio, met, raw)


def _call(rows: Callable[[Bench], list[calls.Row]], number: int, most: float) -> Callable[[Bench], Found]:
    """A row of benchmarks/calls.py."""

    def measure(bench: Bench) -> Found:
        found = rows(bench)[number]
        held = "" if found.other is None else f"{found.against} {ms(found.other)}"
        ratio = found.median / found.other if found.other else None
        return Found(ms(found.median), held, ratio, found.median <= most, found._asdict())

    return measure


def _commits(bench: Bench) -> list[calls.Row]:
    return bench.once("commits", lambda: calls.commits(bench.rounds(30)))


def _workflows(bench: Bench) -> list[calls.Row]:
    return bench.once("workflows", lambda: calls.workflows(bench.rounds(30)))


def _together(bench: Bench) -> Found:
    """Every round has a repository of its own; what is shown is the round with the median p99."""
    rounds = sorted((calls.together() for _ in range(bench.rounds(3))), key=lambda row: row.p99)
    shown = rounds[(len(rounds) - 1) // 2]
    ours = f"p99 {ms(shown.p99)}, median {ms(shown.median)}, worst {ms(shown.worst)}"
    return Found(ours, "", None, shown.p99 <= 20, [row._asdict() for row in rounds])


def _commands(bench: Bench) -> list[calls.Row]:
    return bench.once("commands", lambda: calls.commands(bench.rounds(30)))


_INSERT = "The insert stores 300 bytes in a table of its own."
_START = "The other side is the start of an interpreter that does nothing: the least that a command in Python can take."

ROWS = (
    Row("push-one", "`git push` of one commit", "3 x plain git", _pushed("one commit", 3),
        "The process that lands has stayed since the push before (`uam.flusher.linger`)."),
    Row("push-three", "`git push` of three commits", "3.5 x plain git", _pushed("three commits", 3.5),
        "git uam makes one commit of the three (`uam.squash`), plain git pushes all of them: the same files."),
    Row("push-slow", "`git push` of one commit, remote of 400 ms", "1.25 x plain git, 1 connection",
        _pushed("one commit, slow remote", 1.25, 1)),
    Row("push-behind", "the same, after somebody else has pushed", "3 connections",
        _pushed("the same, behind", float("inf"), 3),
        "Plain git is rejected, fetches, rebases and pushes again: its time is that of all four commands."),
    Row("push-processes", "git processes of a push of one commit", "16", _processes,
        "Those of the remote are counted on both sides, and on ours those of the landing."),
    Row("push-manual", "`git push` that only queues (`manual`)", "40 ms", _manual,
        "Plain git's commit is on the remote then, ours is queued; the flush after it is not counted."),
    Row("hooks", "both commit hooks", "+5 ms, 0.35 x prek", _hooks,
        "Each peer runs one line of sh in pre-commit and in post-commit, which is counted; ours mark and note a commit."
        " The package of lefthook on PyPI starts its program from Python, so that is measured directly, too."),
    Row("queue-commit", "`DeployBatcher.queue()` of a commit with one file", "3 ms", _call(_commits, 0, 3),
        _INSERT + " Ours stores the content of the file, its tree and a commit, and pins it."),
    Row("queue-bulk", "`queue_bulk()` of 100 such commits, each", "0.5 ms", _call(_commits, 1, 0.5)),
    Row("queue-new", "`queue()` of a workflow, a new action", "1.5 ms", _call(_workflows, 0, 1.5), _INSERT),
    Row("queue-merging", "`queue()` of a workflow that merges", "1.5 ms", _call(_workflows, 1, 1.5), _INSERT),
    Row("queue-together", "8 processes that call `queue()` 200 times each", "p99 20 ms", _together),
    Row("status", "`git uam status`, 1,000 actions waiting", "100 ms", _call(_commands, 0, 100), _START),
    Row("deploy-queue", "`uam deploy queue`", "80 ms", _call(_commands, 1, 80), _START),
)  # fmt: skip
