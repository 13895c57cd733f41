"""What landed within the last day, and what conflicted with what: as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.gate import is_oid
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue.model import Source, SourceStatus, iso, seconds_of
from uam_hooks.store.conflicts import Met
from uam_hooks.store.folded import Run
from uam_hooks.store.landed import Brought

DAY = 24 * 3600.0
# how many landings, files and pairs are listed: a page has an end
MOST = 200


def last_day(repo: Repository, runs: Sequence[Run], brought: Mapping[int, Brought], now: float) -> dict[str, Any]:
    """Those of `runs` that landed within a day before `now`, newest first, with their sources."""
    shown = newest(runs, now)
    found = [(run, brought[run.landing]) for run in shown if run.landing in brought]
    subjects = _subjects(repo, (oid for _, one in found for oid in (one.new, *(s.tip for s in one.sources))))
    return {
        "since": iso(now - DAY),
        "until": iso(now),
        "landings": [
            {"at": iso(run.at), "where": run.place, "batch": one.batch, "commit": one.new,
             "subject": subjects.get(one.new), "pushes": len(run.asked),
             "sources": [_source(source, run.at, subjects) for source in one.sources
                         if source.status == SourceStatus.LANDED]}
            for run, one in found
        ],
        "left_out": len(_within(runs, now)) - len(found),
    }  # fmt: skip


def newest(runs: Sequence[Run], now: float) -> list[Run]:
    """Those that `last_day` lists."""
    return list(reversed(_within(runs, now)))[:MOST]


def _within(runs: Sequence[Run], now: float) -> list[Run]:
    return [run for run in runs if now - DAY <= run.at <= now]


def _source(source: Source, landed: float, subjects: Mapping[str, str]) -> dict[str, Any]:
    return {
        "agent": source.agent,
        "branch": short_target(source.branch),
        "tip": source.tip,
        "subject": subjects.get(source.tip),
        "waited": round(landed - seconds_of(source.queued_at), 3),
    }


def _subjects(repo: Repository, oids: Iterable[str]) -> dict[str, str]:
    """The subjects of those commits that are still here: originals expire."""
    here = [oid for oid, kind in repo.kinds(oid for oid in oids if is_oid(oid)).items() if kind == "commit"]
    repo.read_ahead(here)
    return {oid: repo.commit(oid).subject for oid in here}


def conflicts(found: Sequence[Met]) -> dict[str, Any]:
    """How many pushes conflicted, in which files, and whose work met whose, most first. Either may be the one that
    failed; where it is not known whose work it met, the other one is None.
    """
    files = Counter(file for one in found for file in dict.fromkeys(one.files))
    pairs = Counter((*sorted((one.agent, one.rival)),) if one.rival else (one.agent, None) for one in found)
    return {
        "pushes": len(found),
        "files": [{"file": file, "conflicts": count} for file, count in _most(files)],
        "pairs": [{"agents": list(pair), "conflicts": count} for pair, count in _most(pairs)],
    }


def _most(counted: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counted.items(), key=lambda one: (-one[1], str(one[0])))[:MOST]
