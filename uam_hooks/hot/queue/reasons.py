"""Why a push that waits has not landed yet: what the queue knows of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from enum import Enum, auto

from uam_hooks.hot.core.refs import full_target, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.ci import Sight, last_seen
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.hot.queue.rows import is_moment


class Waits(Enum):
    """What a push waits for."""

    CI = auto()  # CI works on its branch
    COMPANY = auto()  # others may push to it until its window ends
    GATE = auto()  # a gate runs on what is to land
    OTHERS = auto()  # a landing on its remote that has not ended
    LANDING = auto()  # its own
    ELSEWHERE = auto()  # whoever it was handed over to
    ASKING = auto()  # whoever it is to be handed over to can be asked again


class Reason(NamedTuple):
    """Why the action `id` waits, for at most `left` seconds more, as far as that is known. `sight` is what CI said.

    `together` is how many pushes are expected to land with it, itself included. `entrusted` is whose hands it is in,
    and `error` why those who are to land it cannot be asked.
    """

    id: int
    waits: Waits
    remote: str
    target: str
    left: float | None = None
    sight: Sight | None = None
    together: int = 1
    gate: Gate | None = None
    entrusted: str = ""
    error: str = ""


class Gate(NamedTuple):
    """A gate that runs, since when, and how many seconds it takes when it passes, as far as that is known; `later` if
    it runs for others first, and for who waits on top of them, or after them.
    """

    name: str
    since: float
    usual: float | None
    later: bool = False


def reason(store: Store, actions: Collection[int], now: float) -> Reason | None:
    """Why the actions wait that have not ended: of the one that is due last. None where all have."""
    marks = ",".join("?" * len(actions))
    with store.reading() as db:
        row = db.execute(
            "SELECT id, status, execute_after, held, remote, target, entrusted, error, attempts,"  # noqa: S608 - marks only
            " (SELECT count(*) FROM sources s WHERE s.action_id = q.id AND s.status = 'pending') AS together,"
            " EXISTS (SELECT 1 FROM deploy_queue b WHERE b.remote = q.remote AND b.status IN ('batched', 'executing'))"
            " AS others, EXISTS (SELECT 1 FROM deploy_queue b WHERE b.remote = q.remote AND b.target = q.target"
            " AND b.status IN ('batched', 'executing'))"
            f" AS first FROM deploy_queue q WHERE id IN ({marks}) AND status IN ('pending', 'batched', 'executing')"
            " ORDER BY execute_after DESC LIMIT 1",
            tuple(actions),
        ).fetchone()
        if row is None:
            return None
        found = Reason(row["id"], Waits.LANDING, row["remote"], row["target"], together=row["together"],
                       entrusted=str(row["entrusted"]))  # fmt: skip
        if row["status"] != "pending":
            gate = _gate(db, row["remote"], row["target"])
            return found if gate is None else found._replace(waits=Waits.GATE, gate=gate)
        if row["error"] and not row["attempts"]:
            return found._replace(waits=Waits.ASKING, error=str(row["error"]))
        if row["entrusted"]:
            return found._replace(waits=Waits.ELSEWHERE)
        if is_moment(row["execute_after"]) and (left := seconds_of(row["execute_after"]) - now) > 0:
            if not row["held"]:
                return found._replace(waits=Waits.COMPANY, left=left)
            sight = last_seen(store, row["remote"], full_target(row["target"]))
            return found._replace(waits=Waits.CI, left=left, sight=sight)
        if row["first"] and (gate := _gate(db, row["remote"], row["target"])) is not None:
            return found._replace(waits=Waits.GATE, gate=gate._replace(later=True))
        return found._replace(waits=Waits.OTHERS) if row["others"] else found


def _gate(db: sqlite3.Connection, remote: str, target: str) -> Gate | None:
    row = db.execute(
        "SELECT gate, began_at, (SELECT avg(seconds) FROM gate_runs r WHERE r.gate = g.gate AND r.green) AS usual"
        " FROM gate_running g WHERE remote = ? AND target = ?",
        (remote, target),
    ).fetchone()
    if row is None or not is_moment(row["began_at"]):
        return None
    return Gate(row["gate"], seconds_of(row["began_at"]), row["usual"])


def is_queue(entrusted: str) -> bool:
    """Whether something was handed over to the queue of another clone, and not to a fleet: those have no slash."""
    return "/" in entrusted


def place(entrusted: str) -> str:
    """Whose hands something is in that was handed over."""
    return f"the queue of {entrusted.removesuffix('/.git')}" if is_queue(entrusted) else f"the fleet {entrusted}"


def handed_over(entrusted: str) -> str:
    """That something was handed over, and who lands it."""
    who = "that one lands it" if is_queue(entrusted) else "another machine lands it"
    return f"handed over to {place(entrusted)}; {who}"


def in_words(why: Reason, now: float) -> str:
    """A reason as a person or an agent reads it."""
    # never within 0 s: what is over now takes its moment
    name, left = short_target(why.target), max(why.left or 0.0, 1.0)
    more = f", with {_others(why.together - 1)}" if why.together > 1 else ""
    if why.waits is Waits.CI:
        return f"waiting for CI of {name}{_so_far(why.sight, now)}; lands within {left:.0f} s{more}"
    if why.waits is Waits.COMPANY:
        return f"waiting for others who push to {name}; lands within {left:.0f} s{more}"
    if why.waits is Waits.GATE and why.gate is not None:
        usually = "" if why.gate.usual is None else f", usually {why.gate.usual:.0f} s"
        first = "; others are first" if why.gate.later else ""
        took = max(now - why.gate.since, 0)
        return f"waiting for the gate {why.gate.name} of {name} ({took:.0f} s so far{usually}{first})"
    if why.waits is Waits.ASKING:
        return f"waiting: {why.error[:1].lower()}{why.error[1:].rstrip('.')}"
    if why.waits is Waits.ELSEWHERE:
        if is_queue(why.entrusted):
            return f"waiting for its landing in {place(why.entrusted)}"
        return handed_over(why.entrusted)
    if why.waits is Waits.OTHERS:
        return f"waiting for a landing on {why.remote} that is under way"
    return f"landing on {why.remote}/{name} ..."


def _others(count: int) -> str:
    return "1 other push" if count == 1 else f"{count} other pushes"


def _so_far(sight: Sight | None, now: float) -> str:
    """Which run it is, and for how long it has worked; empty where nothing of that is known."""
    if sight is None:
        return ""
    run = [f"run {sight.run}"] if sight.run else []
    if sight.since is not None and now > sight.since:
        seconds = now - sight.since
        run.append(f"{seconds / 60:.0f} min so far" if seconds >= 60 else f"{seconds:.0f} s so far")
    return f" ({', '.join(run)})" if run else ""
