"""What did not pass: gates, and conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uam_hooks.page.charts import Chart, Series, by_name
from uam_hooks.page.markup import Html, Table, joined, short
from uam_hooks.page.section import counted, nothing, numbers

UNKNOWN = "(not known)"


def gates(found: Mapping[str, Any]) -> Html:
    """How each gate has judged, and of how many trees it has said both."""
    some = found["gates"]
    heads = ("Gate", "Runs", "Passed", "Failed", "Trees with both verdicts", "Seconds of one that passes")
    rows = [
        (one["gate"], one["runs"], one["runs"] - one["failed"], one["failed"], one["flaky"],
         None if one["seconds"] is None else round(one["seconds"], 3))
        for one in some
    ]  # fmt: skip
    shown = Table("gates", "Gates", heads, rows)
    if not rows:
        return nothing("No gate has run.")
    flaky = sum(row[4] for row in rows)
    chart = Chart(
        "gates", "Verdicts of gates; a gate that says both of one tree is flaky",
        f"{counted(sum(row[1] for row in rows), 'run')}, {sum(row[3] for row in rows)} failed;"
        f" both were said of {counted(flaky, 'tree')}.",
        [row[0] for row in rows],
        [
            Series("passed", [row[2] for row in rows], 0),
            Series("failed", [row[3] for row in rows], 3),
            Series("trees with both verdicts", [row[4] for row in rows], 2),
        ],
    )  # fmt: skip
    return joined([by_name(chart), numbers(shown)])


def _pair(one: str, other: str) -> str:
    """Both of them, for a label; who conflicts with own work is there once."""
    return f"{short(one, 20)}, own work" if one == other else f"{short(one, 13)} / {short(other, 13)}"


def conflicts(found: Mapping[str, Any]) -> Html:
    """In which files, and between whom."""
    met = found["conflicts"]
    files = [(one["file"], one["conflicts"]) for one in met["files"]]
    pairs = [(one["agents"][0], one["agents"][1] or UNKNOWN, one["conflicts"]) for one in met["pairs"]]
    shown = numbers(
        Table("conflicts.files", "Conflicts by file", ("File", "Conflicts"), files),
        Table("conflicts.pairs", "Conflicts by pair of agents", ("Agent", "And", "Conflicts"), pairs),
    )
    if not files:
        return nothing("No push has conflicted.")
    says = f"{counted(met['pushes'], 'push')} conflicted, in {counted(len(files), 'file')}."
    by_file = Chart(
        "conflicts-files", "Conflicts by file", says, [file for file, _ in files],
        [Series("conflicts", [count for _, count in files], 3)],
    )  # fmt: skip
    by_pair = Chart(
        "conflicts-pairs", "Conflicts by pair of agents", says,
        [_pair(one, other) for one, other, _ in pairs],
        [Series("conflicts", [count for *_, count in pairs], 3)],
    )  # fmt: skip
    return joined([by_name(by_file), by_name(by_pair), shown])
