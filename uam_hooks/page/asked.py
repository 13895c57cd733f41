"""What was asked for and what it cost, by day and by agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uam_hooks.page.charts import Chart, Series, by_day, by_name
from uam_hooks.page.markup import Html, Table, joined, tag
from uam_hooks.page.section import counted, nothing, numbers, seconds, waits

_NONE = "Nothing has landed on a branch of a remote."


def summary(found: Mapping[str, Any]) -> Html:
    """The figures that matter most, large."""
    pushes, runs, minutes, wait = found["pushes"], found["runs"], found["ci_minutes"], found["waiting"]
    share = f" ({runs['saved'] / runs['plain']:.0%})" if runs["plain"] else ""
    tiles = [
        ("Pushes landed", str(pushes["landed"]), f"{pushes['failed']} failed"),
        ("CI runs", str(runs["started"]), f"{runs['saved']} fewer than plain git{share}"),
    ]
    if minutes is not None:
        plain = f"plain git {minutes['plain']:g}, with older runs cancelled {minutes['cancelling']:g}"
        tiles.append(("CI minutes", f"{minutes['started']:g}", plain))
    if wait is not None:
        tiles.append(("Half landed within", seconds(wait["p50"]), f"95 % within {seconds(wait['p95'])}"))
    made = [
        tag("div", tag("dt", name), tag("dd", tag("strong", value), " ", tag("span", more)))
        for name, value, more in tiles
    ]
    return tag("dl", *made, class_="tiles")


def runs(found: Mapping[str, Any]) -> Html:
    """Runs made and saved by day: together those that plain git would have started."""
    days, all_ = found["days"], found["runs"]
    rows = [(day["day"], day["pushes"], day["runs"], day["saved"]) for day in days]
    shown = Table(
        "days", "CI runs by day", ("Day", "Asked for (plain git)", "Made", "Saved"), rows,
        ("All", all_["plain"], all_["started"], all_["saved"]),
    )  # fmt: skip
    if not days:
        return nothing(_NONE)
    chart = Chart(
        "runs", "CI runs by day: the whole bar is what plain git would have started",
        f"{all_['plain']} runs asked for, {all_['started']} made, {all_['saved']} saved.",
        [day["day"] for day in days],
        [
            Series("made", [day["runs"] for day in days], 0),
            Series("saved", [max(day["saved"], 0) for day in days], 1),
        ],
    )  # fmt: skip
    return joined([by_day(chart, stacked=True), numbers(shown)])


def minutes(found: Mapping[str, Any]) -> Html:
    """CI minutes by day against both baselines, where it is known how long a run takes."""
    all_ = found["ci_minutes"]
    if all_ is None:
        return nothing("Not known: ", tag("code", "git config uam.ci.minutes 5"), " says how long a run takes.")
    heads = ("Day", "Here", "Plain git", "Older runs cancelled", "Without a verdict")
    keys = ("started", "plain", "cancelling", "cancelling_without_verdict")
    rows = [(day["day"], *(day["ci_minutes"][key] for key in keys)) for day in found["days"]]
    shown = Table("days.ci_minutes", "CI minutes by day", heads, rows, ("All", *(all_[key] for key in keys)))
    lost = all_["cancelling_without_verdict"]
    says = (
        f"{all_['started']:g} minutes here, {all_['plain']:g} with plain git, {all_['cancelling']:g} with plain git and"
        f" older runs cancelled; then {counted(lost, 'push')} would have had no verdict."
    )
    runs = counted(found["runs"]["started"], "run")
    known = f"{all_['measured_runs']} of {runs} measured, {all_['each']:g} minutes for any other."
    if not rows:
        return nothing(_NONE)
    names = ("here", "plain git, older runs cancelled", "plain git")
    chart = Chart(
        "minutes", "CI minutes by day, against both baselines", says, [row[0] for row in rows],
        [Series(name, [day["ci_minutes"][key] for day in found["days"]], colour)
         for name, key, colour in zip(names, ("started", "cancelling", "plain"), (0, 2, 1), strict=True)],
        " min",
    )  # fmt: skip
    return joined([by_day(chart), tag("p", f"{says} {known}"), numbers(shown)])


def waiting(found: Mapping[str, Any]) -> Html:
    """From `git push` to the landing, by day."""
    days = found["days"]
    rows = [(day["day"], *waits(day["waiting"])) for day in days]
    heads = ("Day", "Half within (s)", "95 % within (s)")
    shown = Table("days.waiting", "Waiting by day", heads, rows, ("All", *waits(found["waiting"])))
    half, most = waits(found["waiting"])
    if half is None or most is None:
        return nothing(_NONE)
    chart = Chart(
        "waiting", "From git push to the landing, by day",
        f"Half of the pushes landed within {seconds(half)}, 95 % within {seconds(most)}.",
        [row[0] for row in rows],
        [Series("half within", [row[1] for row in rows], 0), Series("95 % within", [row[2] for row in rows], 1)],
        " s",
    )  # fmt: skip
    return joined([by_day(chart), numbers(shown)])


def agents(found: Mapping[str, Any]) -> Html:
    """Who pushed how much, most first."""
    some = sorted(found["agents"], key=lambda one: (-one["pushes"], one["agent"]))
    rows = [(one["agent"], one["pushes"], one["runs"], *waits(one["waiting"])) for one in some]
    heads = ("Agent", "Pushes", "Part of runs", "Half within (s)", "95 % within (s)")
    shown = Table("agents", "Agents", heads, rows)
    if not rows:
        return nothing(_NONE)
    chart = Chart(
        "agents", "Pushes that landed, and the CI runs that they were part of", f"{counted(len(rows), 'agent')}.",
        [row[0] for row in rows],
        [Series("pushes", [row[1] for row in rows], 1), Series("runs", [row[2] for row in rows], 0)],
    )  # fmt: skip
    return joined([by_name(chart), numbers(shown)])
