"""What is left of landings after their retention: what the ledger has to know of each, in one row a day and branch.

Where that gets long, the next row begins: whoever adds to one writes it anew. A row is JSON: the names of `agents`, and
`runs`, each a list of the landing's id, when it landed, for how many seconds CI worked for it (null: not measured), and
then for each push the place of its agent among the names and how long it waited. Times are in milliseconds, and the
day's begin is 0.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping

from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.model import iso, seconds_of

# So many characters are a few hundred landings.
LONG = 20_000


class Asked(NamedTuple):
    """A push of a branch, by whom, and when: in seconds since 1970. One that a newer push replaced is one, too."""

    agent: str
    at: float


class Run(NamedTuple):
    """A push of ours to one branch of a remote, for which a CI starts a run; `asked` are the pushes that it was for."""

    landing: int
    place: str
    at: float
    asked: tuple[Asked, ...]


def day_of(seconds: float) -> str:
    """The day of a moment, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def runs(db: sqlite3.Connection, since: float) -> tuple[list[Run], dict[int, float]]:
    """What has landed since that moment and is folded, and what CI took for each where that was measured."""
    found: list[Run] = []
    took: dict[int, float] = {}
    for row in db.execute("SELECT * FROM folded_runs WHERE day >= ?", (iso(since)[:10],)):
        begin = _micros(seconds_of(f"{row['day']}T00:00:00Z"))
        facts = json.loads(row["runs"])
        agents = facts["agents"]
        for landing, at, seconds, *pushes in facts["runs"]:
            landed = begin + round(at * 1000)
            if landed / 1e6 < since:
                continue
            pairs = zip(pushes[::2], pushes[1::2], strict=True)
            asked = tuple(Asked(agents[who], (landed - round(waited * 1000)) / 1e6) for who, waited in pairs)
            found.append(Run(landing, row["place"], landed / 1e6, asked))
            if seconds is not None:
                took[landing] = seconds
    return found, took


def failures(db: sqlite3.Connection, since: float) -> int:
    """How many pushes that are folded were queued in the day of that moment or after it, and failed."""
    row = db.execute("SELECT coalesce(sum(pushes), 0) FROM folded_failures WHERE day >= ?", (iso(since)[:10],))
    return int(row.fetchone()[0])


def add_runs(db: sqlite3.Connection, landed: Iterable[Run], took: Mapping[int, float]) -> None:
    """Inside a transaction, fold landings."""
    days: dict[tuple[str, str], list[Run]] = {}
    for run in landed:
        days.setdefault((day_of(run.at), run.place), []).append(run)
    for key, some in days.items():
        row = db.execute(
            "SELECT part, runs FROM folded_runs WHERE day = ? AND place = ? ORDER BY part DESC LIMIT 1", key
        ).fetchone()
        part = 0 if row is None else row["part"]
        facts: dict[str, Any] = {"agents": [], "runs": []}
        if row is not None and len(row["runs"]) < LONG:
            facts = json.loads(row["runs"])
        elif row is not None:
            part += 1
        names = {name: number for number, name in enumerate(facts["agents"])}
        begin = _micros(seconds_of(f"{key[0]}T00:00:00Z"))
        facts["runs"] += [list(_entry(run, begin, took.get(run.landing), names)) for run in some]
        facts["agents"] = list(names)
        db.execute(
            "INSERT OR REPLACE INTO folded_runs (day, place, part, runs) VALUES (?, ?, ?, ?)",
            (*key, part, json.dumps(facts, separators=(",", ":"))),
        )


def _entry(run: Run, begin: int, took: float | None, names: dict[str, int]) -> Iterator[int | float | None]:
    landed = _micros(run.at)
    yield from (run.landing, _millis(landed - begin), took)
    for one in run.asked:
        yield from (names.setdefault(one.agent, len(names)), _millis(landed - _micros(one.at)))


def add_failures(db: sqlite3.Connection, queued: Iterable[str]) -> None:
    """Inside a transaction, fold pushes that have failed, queued at these moments."""
    for moment in queued:
        db.execute(
            "INSERT INTO folded_failures (day, pushes) VALUES (?, 1) ON CONFLICT (day) DO UPDATE SET"
            " pushes = pushes + 1",
            (moment[:10],),
        )


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _millis(micros: int) -> int | float:
    """Whole where it is, as nearly always."""
    return micros / 1000 if micros % 1000 else micros // 1000
