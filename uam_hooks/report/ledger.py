"""What was asked for, what it cost, and what plain pushes would have cost. Pure: rows in, figures out.

A CI runs once for each push to each branch. Nothing is estimated but how long a run takes where that was not measured:
then it is what `uam.ci.minutes` says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from uam_hooks.store.ledger import Asked, Run


class Cancelled(NamedTuple):
    """What runs that cancel the one before them on their branch take: seconds, and how many end without a verdict."""

    seconds: float
    without_verdict: int


def ledger(runs: Sequence[Run], failed: int, measured: Mapping[int, float], minutes: float | None) -> dict[str, Any]:
    """The figures of `runs`.

    `measured` is how many seconds the CI run of a landing took, `minutes` how many minutes any other takes.
    """
    pushes = [(one, run) for run in runs for one in run.asked]
    return {
        "pushes": {"landed": len(pushes), "failed": failed},
        "runs": {"started": len(runs), "plain": len(pushes), "saved": len(pushes) - len(runs)},
        "ci_minutes": _minutes(runs, measured, minutes),
        "waiting": waiting(run.at - one.at for one, run in pushes),
        "days": _days(runs),
        "agents": _agents(pushes),
    }


def _minutes(runs: Sequence[Run], measured: Mapping[int, float], minutes: float | None) -> dict[str, Any] | None:
    """CI minutes here, with plain pushes, and with plain pushes that cancel; None where no run's length is known."""
    known = [measured[run.landing] for run in runs if run.landing in measured]
    each = sum(known) / len(known) if known else None if minutes is None else minutes * 60
    if each is None:
        return None
    asked = [(run.place, one.at) for run in runs for one in run.asked]
    cancelled = cancelling(asked, each)
    return {
        "each": round(each / 60, 2),
        "measured_runs": len(known),
        "started": _as_minutes(sum(known) + each * (len(runs) - len(known))),
        "plain": _as_minutes(each * len(asked)),
        "cancelling": _as_minutes(cancelled.seconds),
        "cancelling_without_verdict": cancelled.without_verdict,
    }


def cancelling(pushes: Iterable[tuple[str, float]], seconds: float) -> Cancelled:
    """What CI does for pushes (place, moment), each a run of `seconds` that ends the one before it at its place."""
    places: dict[str, list[float]] = {}
    for place, at in pushes:
        places.setdefault(place, []).append(at)
    spent, lost = 0.0, 0
    for moments in places.values():
        moments.sort()
        for at, following in zip(moments, [*moments[1:], math.inf], strict=True):
            spent += min(seconds, following - at)
            lost += following - at < seconds
    return Cancelled(spent, lost)


def waiting(seconds: Iterable[float]) -> dict[str, float] | None:
    """The half and the 95 % of the times: the smallest that as many do not exceed. None where there are none."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return {f"p{part}": round(ordered[math.ceil(len(ordered) * part / 100) - 1], 3) for part in (50, 95)}


def _days(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The same by the day, in UTC, on which it landed."""
    days: dict[str, list[Run]] = {}
    for run in runs:
        days.setdefault(time.strftime("%Y-%m-%d", time.gmtime(run.at)), []).append(run)
    return [
        {"day": day, "pushes": sum(len(run.asked) for run in some), "runs": len(some),
         "saved": sum(len(run.asked) for run in some) - len(some),
         "waiting": waiting(run.at - one.at for run in some for one in run.asked)}
        for day, some in sorted(days.items())
    ]  # fmt: skip


def _agents(pushes: Sequence[tuple[Asked, Run]]) -> list[dict[str, Any]]:
    """The same by who pushed. A run is one of each who was in it."""
    agents: dict[str, list[tuple[Asked, Run]]] = {}
    for one, run in pushes:
        agents.setdefault(one.agent, []).append((one, run))
    return [
        {"agent": agent, "pushes": len(some), "runs": len({run.landing for _, run in some}),
         "waiting": waiting(run.at - one.at for one, run in some)}
        for agent, some in sorted(agents.items())
    ]  # fmt: skip


def _as_minutes(seconds: float) -> float:
    return round(seconds / 60, 1)
