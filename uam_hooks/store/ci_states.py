"""The rows of CI: which pushes it may hold, what was seen of it, and which of its runs belong to which landing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import full_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.ci import CiState, Sight
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import iso, seconds_of
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.store import happened

# How many runs gh is asked to list.
LISTED = 20


class Holdable(NamedTuple):
    """A pending push that CI may hold; times are moments, and `due` is the end of its window, or of its hold while it
    is `held`.
    """

    action: int
    remote: str
    ref: str
    queued: str
    due: str
    hold_until: str
    held: bool


class Due(NamedTuple):
    """When a push is due, as a moment, and whether it is held until then."""

    at: str
    held: bool


class Landed(NamedTuple):
    """The newest landing of a branch, and when it ended, in seconds since 1970."""

    sha: str
    at: float


class Run(NamedTuple):
    """A run of CI: its number, or "" where CI is told apart by its landings alone. Times are moments, or empty."""

    sha: str
    number: str = ""
    started: str = ""
    ended: str = ""
    busy: bool = False


def holdable(store: Store, lane: Lane) -> list[Holdable]:
    """The pending pushes of a lane that CI may hold. One that is tried again waits for that alone."""
    with store.reading() as db:
        found = db.execute(
            "SELECT id, remote, target, queued_at, execute_after, hold_until, held FROM deploy_queue"
            " WHERE status = 'pending' AND hold_until <> '' AND pause IS NULL AND (:remote IS NULL OR remote = :remote)"
            " AND (:identity IS NULL OR identity IN ('', :identity)) ORDER BY id",
            lane._asdict(),
        ).fetchall()
    return [
        Holdable(row["id"], row["remote"], full_target(row["target"]), row["queued_at"], row["execute_after"],
                 row["hold_until"], bool(row["held"]))
        for row in found
        # an entry whose times cannot be read is ended by whoever claims next
        if all(map(is_moment, (row["queued_at"], row["execute_after"], row["hold_until"])))
    ]  # fmt: skip


def newest_landing(store: Store, remote: str, ref: str) -> Landed | None:
    """The newest landing on a branch of a remote; None where there is none, it deleted the branch, or nobody knows when
    it was.
    """
    with store.reading() as db:
        row = db.execute(
            "SELECT l.new, q.finished_at FROM landings l JOIN deploy_queue q ON q.id = l.action_id"
            " WHERE l.remote = ? AND l.ref = ? AND l.status = 'landed' AND l.new <> l.old ORDER BY l.id DESC LIMIT 1",
            (remote, ref),
        ).fetchone()
    if row is None or row["new"] == ZERO or not is_moment(row["finished_at"]):
        return None
    return Landed(row["new"], seconds_of(row["finished_at"]))


def left_open(store: Store) -> list[tuple[str, str]]:
    """The branches (remote and full name) of which gh may know more: one of the newest runs has no end yet, one worked
    when gh was asked last, or something has landed since.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT remote, ref FROM (SELECT remote, ref, how, ended, row_number() OVER"
            " (PARTITION BY remote, ref ORDER BY started DESC) AS place FROM ci_runs)"
            " WHERE how = 'gh' AND ended = '' AND place <= ?"
            " UNION SELECT remote, ref FROM ci_states s WHERE how = 'gh' AND (state = 'busy' OR (state = 'idle'"
            " AND EXISTS (SELECT 1 FROM landings l JOIN deploy_queue q ON q.id = l.action_id WHERE l.remote = s.remote"
            " AND l.ref = s.ref AND l.status = 'landed' AND q.finished_at > s.asked_at))) ORDER BY remote, ref",
            (LISTED,),
        ).fetchall()
    return [(row["remote"], row["ref"]) for row in found]


def set_due(store: Store, moments: Mapping[Holdable, Due]) -> None:
    """Let pushes be due at other moments, unless theirs were changed meanwhile. Who is held has waited for CI."""
    with store.transaction() as db:
        for push, due in moments.items():
            moved = db.execute(
                "UPDATE deploy_queue SET execute_after = ?, held = ? WHERE id = ? AND status = 'pending'"
                " AND pause IS NULL AND execute_after = ? AND hold_until = ?",
                (*due, push.action, push.due, push.hold_until),
            ).rowcount
            if moved and due.held != push.held:
                happened.held(db, push.action, due.at, due.held)
            if moved and due.held:
                db.execute("UPDATE sources SET held = 1 WHERE action_id = ? AND status = 'pending'", (push.action,))


def record(store: Store, remote: str, ref: str, sight: Sight, runs: Sequence[Run]) -> None:
    """Write down an answer about a branch, and what it says of the runs for landings that were made here."""
    now = iso(time.time())
    with store.transaction() as db:
        db.execute(
            "INSERT INTO ci_states (remote, ref, state, how, asked_at, since, run, said)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (remote, ref) DO UPDATE SET state = excluded.state, how = excluded.how,"
            " asked_at = excluded.asked_at, since = excluded.since, run = excluded.run, said = excluded.said",
            (remote, ref, sight.state.value, sight.how, iso(sight.asked),
             "" if sight.since is None else iso(sight.since), sight.run, sight.said),
        )  # fmt: skip
        for run in runs if sight.state in (CiState.IDLE, CiState.BUSY) else ():
            db.execute(
                "INSERT INTO ci_runs (remote, ref, sha, run, how, started, ended, first_busy, last_busy, first_idle)"
                " SELECT :remote, :ref, :sha, :run, :how, :started, :ended, :busy, :busy, :idle WHERE EXISTS"
                " (SELECT 1 FROM landings WHERE remote = :remote AND ref = :ref AND status = 'landed' AND new = :sha)"
                " ON CONFLICT (remote, ref, sha, run) DO UPDATE SET started = excluded.started, ended = excluded.ended,"
                " first_busy = CASE first_busy WHEN '' THEN excluded.first_busy ELSE first_busy END,"
                " last_busy = max(last_busy, excluded.last_busy),"
                " first_idle = CASE WHEN excluded.last_busy <> '' THEN ''"
                " WHEN first_idle = '' THEN excluded.first_idle ELSE first_idle END",
                {"remote": remote, "ref": ref, "sha": run.sha, "run": run.number, "how": sight.how,
                 "started": run.started, "ended": run.ended, "busy": now if run.busy else "",
                 "idle": "" if run.busy else now},
            )  # fmt: skip
