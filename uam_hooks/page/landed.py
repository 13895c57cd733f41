"""The last day: when what landed, and from whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from uam_hooks.page.charts import Chart, Dot, Series, over_time
from uam_hooks.page.markup import Cell, Html, Table, joined, table, tag
from uam_hooks.page.section import counted, nothing

_LANES = 12
_HEADS = ("Landed", "On", "As", "Batch", "What landed", "Agent", "Branch", "Commit", "Subject", "Waited (s)")


def last_day(found: Mapping[str, Any]) -> Html:
    """A lane for each agent with a dot for each source that landed, and the landings with their sources."""
    day = found["last_day"]
    landings = day["landings"]
    shown = Table("last_day.landings", "Landings, newest first", _HEADS, _rows(landings), kind="cards")
    if not landings:
        return nothing("Nothing has landed within the last day.")
    left = [nothing(f"{counted(day['left_out'], 'earlier landing')} left out.")] if day["left_out"] else []
    pushed = Counter(source["agent"] for landing in landings for source in landing["sources"])
    lanes = [agent for agent, _ in pushed.most_common(_LANES)]
    others = len(pushed) > _LANES
    now = _moment(day["until"])
    dots = [
        Dot(
            (_moment(landing["at"]) - now) / 3600,
            lanes.index(source["agent"]) if source["agent"] in lanes else len(lanes),
            f"{landing['at'][11:16]} {source['agent']}: {source['subject'] or source['tip'][:7]}, on"
            f" {landing['where']} as {landing['commit'][:7]}",
        )
        for landing in landings
        for source in landing["sources"]
    ]
    chart = Chart(
        "last-day", "What landed within the last 24 hours, by agent",
        f"{counted(len(landings), 'landing')} of {counted(len(dots), 'source')}.",
        [*lanes, *(["others"] if others else [])], [Series("landed", [], 0)],
    )  # fmt: skip
    drawn = [over_time(chart, dots)] if dots else []
    return joined([*drawn, tag("p", chart.says), *left, table(shown)])


def _rows(landings: list[dict[str, Any]]) -> list[tuple[Cell, ...]]:
    """A row for each source, with its landing in front of it."""
    rows: list[tuple[Cell, ...]] = []
    for one in landings:
        landing = (one["at"][:19].replace("T", " "), one["where"], one["commit"][:10], one["batch"], one["subject"])
        rows += [
            (*landing, source["agent"], source["branch"] or "(detached)", source["tip"][:10], source["subject"],
             source["waited"])
            for source in one["sources"]
        ] or [(*landing, None, None, None, None, None)]  # fmt: skip
    return rows


def _moment(stored: str) -> float:
    return datetime.fromisoformat(stored).timestamp()
