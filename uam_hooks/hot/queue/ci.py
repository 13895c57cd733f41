"""What is known of CI of a branch: the last answer, which the flusher writes down and everybody reads."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import seconds_of


class CiState(StrEnum):
    """`unknown` is what an answer that failed leaves, and counts as idle; `off` means that nobody watches CI."""

    IDLE = "idle"
    BUSY = "busy"
    UNKNOWN = "unknown"
    OFF = "off"


class Sight(NamedTuple):
    """An answer about CI of a branch. Times are in seconds since 1970.

    `since` is from when it is busy and `until` to when, None where that is not known. `run` is what gh calls the run,
    `said` is what was wrong with the asking. Without `has_runs`, a landing is known to start nothing.
    """

    state: CiState
    asked: float
    how: str = ""
    since: float | None = None
    until: float | None = None
    run: str = ""
    said: str = ""
    has_runs: bool = True


class Moments(NamedTuple):
    """When a push in the queue is due, until when it may be held ("": not at all), and whether it is."""

    due: str
    hold_until: str
    held: bool = False

    def joined_by(self, other: Moments) -> Moments:
        """The moments of an action that `other` joins: it waits no longer than either would.

        One that is held stays held, and one that may not be held lets go of it.
        """
        until = min(self.hold_until, other.hold_until) if self.hold_until and other.hold_until else ""
        if until and self.held:
            return Moments(until, until, held=True)
        return Moments(min(self.due, other.due), until)


def last_seen(store: Store, remote: str, ref: str) -> Sight | None:
    """The last answer about the branch `ref` (a full name); None where nobody has asked."""
    with store.reading() as db:
        row = db.execute("SELECT * FROM ci_states WHERE remote = ? AND ref = ?", (remote, ref)).fetchone()
    return None if row is None else _sight(row)


def all_seen(store: Store) -> list[tuple[str, str, Sight]]:
    """The last answer about each branch that somebody has asked about: its remote, its full name, the answer."""
    with store.reading() as db:
        rows = db.execute("SELECT * FROM ci_states ORDER BY remote, ref").fetchall()
    found = [(row["remote"], row["ref"], _sight(row)) for row in rows]
    return [(remote, ref, sight) for remote, ref, sight in found if sight is not None]


def _sight(row: sqlite3.Row) -> Sight | None:
    """What a row says; None where it cannot be read, so that it is asked again."""
    try:
        asked = seconds_of(row["asked_at"])
        since = seconds_of(row["since"]) if row["since"] else None
        return Sight(CiState(row["state"]), asked, row["how"], since, None, row["run"], row["said"])
    except ValueError:
        return None


def hold_until(store: Store, action_id: int) -> str | None:
    """Until when CI may hold a pending action, as a moment; None for one that it cannot hold."""
    with store.reading() as db:
        row = db.execute(
            "SELECT hold_until FROM deploy_queue WHERE id = ? AND status = 'pending' AND hold_until <> ''",
            (action_id,),
        ).fetchone()
    return None if row is None else str(row["hold_until"])
