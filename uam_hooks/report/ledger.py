"""What was asked for, what it cost, and what plain pushes would have cost. Pure: rows in, figures out.

A CI runs once for each push to each branch. Nothing is estimated but how long a run takes where that was not measured:
then it is what `uam.ci.minutes` says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.store.folded import Asked, Run


class Cancelled(NamedTuple):
    """What runs that cancel the one before them on their branch take: seconds, and how many end without a verdict."""

    seconds: float
    without_verdict: int


def ledger(runs: Sequence[Run], failed: int, measured: Mapping[int, float], minutes: float | None) -> dict[str, Any]:
    """The figures of `runs`.

    `measured` is how many seconds the CI run of a landing took, `minutes` how many minutes any other takes.
    """
    pushes = [(one, run) for run in runs for one in run.asked]
    each = _each(runs, measured, minutes)
    cancelled = {} if each is None else _cancelled(runs, each)
    return {
        "pushes": {"landed": len(pushes), "failed": failed},
        "runs": {"started": len(runs), "plain": len(pushes), "saved": len(pushes) - len(runs)},
        "ci_minutes": _minutes(runs, measured, each, cancelled),
        "waiting": waiting(run.at - one.at for one, run in pushes),
        "days": [{**day, "ci_minutes": _minutes(some, measured, each, cancelled)} for day, some in _days(runs)],
        "agents": _agents(pushes),
    }


def _each(runs: Sequence[Run], measured: Mapping[int, float], minutes: float | None) -> float | None:
    """How many seconds a run takes that was not measured; None where that is not known."""
    known = [measured[run.landing] for run in runs if run.landing in measured]
    return sum(known) / len(known) if known else None if minutes is None else minutes * 60


def _minutes(
    runs: Sequence[Run], measured: Mapping[int, float], each: float | None, cancelled: Mapping[int, Cancelled]
) -> dict[str, Any] | None:
    """CI minutes of some runs here, with plain pushes, and with plain pushes that cancel; None where `each` is."""
    if each is None:
        return None
    known = [measured[run.landing] for run in runs if run.landing in measured]
    plain = [cancelled[run.landing] for run in runs]
    return {
        "each": round(each / 60, 2),
        "measured_runs": len(known),
        "started": _as_minutes(sum(known) + each * (len(runs) - len(known))),
        "plain": _as_minutes(each * sum(len(run.asked) for run in runs)),
        "cancelling": _as_minutes(sum(one.seconds for one in plain)),
        "cancelling_without_verdict": sum(one.without_verdict for one in plain),
    }


def _cancelled(runs: Sequence[Run], each: float) -> dict[int, Cancelled]:
    """What the pushes of each landing would have taken, had each ended the run of the one before it at its place."""
    spent = iter(cancelling([(run.place, one.at) for run in runs for one in run.asked], each))
    return {run.landing: total(next(spent) for _ in run.asked) for run in runs}


def cancelling(pushes: Sequence[tuple[str, float]], seconds: float) -> list[Cancelled]:
    """What CI does for each of the pushes (place, moment), a run of `seconds` that ends the one before at its place."""
    places: dict[str, list[tuple[float, int]]] = {}
    for number, (place, at) in enumerate(pushes):
        places.setdefault(place, []).append((at, number))
    found = [Cancelled(seconds, 0)] * len(pushes)
    for moments in places.values():
        moments.sort()
        for (at, number), (following, _) in pairwise(moments):
            found[number] = Cancelled(min(seconds, following - at), int(following - at < seconds))
    return found


def total(some: Iterable[Cancelled]) -> Cancelled:
    """All of it together."""
    each = list(some)
    return Cancelled(sum(one.seconds for one in each), sum(one.without_verdict for one in each))


def waiting(seconds: Iterable[float]) -> dict[str, float] | None:
    """The half and the 95 % of the times: the smallest that as many do not exceed. None where there are none."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return {f"p{part}": round(ordered[math.ceil(len(ordered) * part / 100) - 1], 3) for part in (50, 95)}


def _days(runs: Sequence[Run]) -> list[tuple[dict[str, Any], list[Run]]]:
    """The same by the day, in UTC, on which it landed, with the runs of each."""
    days: dict[str, list[Run]] = {}
    for run in runs:
        days.setdefault(time.strftime("%Y-%m-%d", time.gmtime(run.at)), []).append(run)
    return [
        ({"day": day, "pushes": sum(len(run.asked) for run in some), "runs": len(some),
          "saved": sum(len(run.asked) for run in some) - len(some),
          "waiting": waiting(run.at - one.at for run in some for one in run.asked)}, some)
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
