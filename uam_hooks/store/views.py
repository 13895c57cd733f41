"""What people and commands ask of the queue. It only reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, Batch, Landing, Source, Status, iso
from uam_hooks.store import history


class QueuedCommit(NamedTuple):
    """A commit that the hooks noted and that has not reached a remote; `subject` is None until it was looked up."""

    action_id: int
    agent: str
    worktree: str
    branch: str
    oid: str
    subject: str | None
    files: int


def noted(store: Store, oids: Sequence[str]) -> bool:
    """Whether every one of these commits was made here: noted by the commit hooks, or made by name."""
    seen = "SELECT 1 FROM queued_commits WHERE oid = ? UNION ALL SELECT 1 FROM sources WHERE tip = ? AND base <> ''"
    with store.reading() as db:
        return all(db.execute(f"{seen} LIMIT 1", (oid, oid)).fetchone() is not None for oid in oids)


def landed_as(store: Store, oid: str) -> tuple[int, list[str]] | None:
    """The batch that the commit landed in, and the agents whose work it is; None when it is no landing, nor what one of
    its sources became.
    """
    with store.reading() as db:
        row = db.execute(
            "SELECT l.sources, b.number FROM landings l JOIN deploy_batches b ON b.id = l.batch_id"
            " WHERE l.new = ? AND l.status = 'landed'",
            (oid,),
        ).fetchone()
        if row is None:
            return _own_of(db, oid)
        known = [
            db.execute("SELECT agent_id FROM sources WHERE id = ?", (source,)).fetchone()
            for source in rows.ids(row["sources"])
        ]
        agents = [one["agent_id"] for one in known if one is not None]
    return row["number"], list(dict.fromkeys(agents))


def _own_of(db: sqlite3.Connection, oid: str) -> tuple[int, list[str]] | None:
    """`landed_as` of a commit that others' landed behind."""
    found = db.execute(
        "SELECT s.agent_id, b.number FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
        " JOIN deploy_batches b ON b.id = q.batch_id WHERE s.status = 'landed'"
        " AND CASE WHEN json_valid(s.outcome) THEN json_extract(s.outcome, '$.own') END = ? ORDER BY s.id",
        (oid,),
    ).fetchall()
    return (found[0]["number"], list(dict.fromkeys(row["agent_id"] for row in found))) if found else None


def facts(store: Store, identity: str) -> dict[str, str]:
    """The facts that make an identity, by name; none for one that is not known."""
    with store.reading() as db:
        row = db.execute("SELECT facts FROM identities WHERE id = ?", (identity,)).fetchone()
    found: dict[str, str] = {} if row is None else json.loads(row["facts"])
    return found


def newest_action(store: Store) -> int:
    """The highest id of an action; 0 where there is none."""
    with store.reading() as db:
        return int(db.execute("SELECT coalesce(max(id), 0) FROM deploy_queue").fetchone()[0])


def action(store: Store, action_id: int) -> Action | None:
    """The action with this id."""
    with store.reading() as db:
        row = db.execute("SELECT * FROM deploy_queue WHERE id = ?", (action_id,)).fetchone()
    return None if row is None else rows.action(row)


def standing(store: Store, action_ids: Iterable[int]) -> dict[int, tuple[Status, str]]:
    """Where each of these actions stands, with its error; one that is not there is left out."""
    with store.reading() as db:
        found = db.execute(
            "SELECT id, status, error FROM deploy_queue WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(action_ids)),),
        ).fetchall()
    return {row["id"]: (rows.status(row), str(row["error"])) for row in found}


def current(store: Store, action_id: int) -> Action | None:
    """The action with this id, or the one that has taken its work."""
    with store.reading() as db:
        row = db.execute(
            "WITH RECURSIVE line (id, next) AS (SELECT id, goes_on_as FROM deploy_queue WHERE id = ?"
            " UNION SELECT q.id, q.goes_on_as FROM deploy_queue q JOIN line ON q.id = line.next)"
            " SELECT * FROM deploy_queue WHERE id = (SELECT id FROM line WHERE next IS NULL)",
            (action_id,),
        ).fetchone()
    return None if row is None else rows.action(row)


def actions(store: Store, *states: str, most: int = 1000) -> list[Action]:
    """Actions in any of these states, oldest first."""
    marks = ",".join("?" * len(states))
    with store.reading() as db:
        found = db.execute(
            f"SELECT * FROM deploy_queue WHERE status IN ({marks}) ORDER BY id LIMIT ?",  # noqa: S608 - marks only
            (*states, most),
        ).fetchall()
    return [rows.action(row) for row in found]


class Waiting(NamedTuple):
    """How much waits: actions by type, those asked for by name, their sources by type, and noted commits.

    `due` is when the last of them may be executed that this identity may execute, None where there is none such, and
    `by_hand` whether some of these are left to a flush by hand; what was handed over to others is in neither, and
    counted as `elsewhere`.
    """

    actions: dict[str, int]
    sources: dict[str, int]
    commits: int
    total: int
    due: str | None
    by_hand: bool = False
    elsewhere: int = 0


def waiting(store: Store, identity: str) -> Waiting:
    """What waits, counted by the database; see actions for what it is."""
    going = "q.status = 'pending' AND (q.asked = 1 OR q.action_type <> 'commit')"
    with store.reading() as db:
        counted = db.execute(
            "SELECT action_type, count(*) AS actions, sum((SELECT count(*) FROM sources s WHERE s.action_id = q.id"  # noqa: S608 - a constant
            f" AND s.status = 'pending')) AS sources FROM deploy_queue q WHERE {going} GROUP BY action_type"
        ).fetchall()
        seen = db.execute(
            "SELECT count(*) FROM deploy_queue q JOIN queued_commits c ON c.action_id = q.id"
            " WHERE q.status = 'pending' AND c.status = 'pending'"
        ).fetchone()
        total = db.execute("SELECT count(*) FROM deploy_queue WHERE status = 'pending'").fetchone()
        due = db.execute(
            "SELECT max(max(execute_after, not_before)) FILTER (WHERE entrusted = ''),"  # noqa: S608 - a constant
            " max(by_hand) FILTER (WHERE entrusted = ''), count(*) FILTER (WHERE entrusted <> '')"
            f" FROM deploy_queue q WHERE {going} AND identity IN ('', ?)",
            (identity,),
        ).fetchone()
    actions = {row["action_type"]: row["actions"] for row in counted}
    return Waiting(actions, {row["action_type"]: row["sources"] for row in counted}, seen[0], total[0], *due)


def newest_waiting(store: Store, most: int) -> list[Action]:
    """The actions that were queued last of those that wait, oldest first."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM (SELECT * FROM deploy_queue WHERE status = 'pending' ORDER BY id DESC LIMIT ?) ORDER BY id",
            (most,),
        ).fetchall()
    return [rows.action(row) for row in found]


def sources(store: Store, action_id: int) -> list[Source]:
    """All sources of an action, including replaced and withdrawn ones."""
    with store.reading() as db:
        found = db.execute("SELECT * FROM sources WHERE action_id = ? ORDER BY id", (action_id,)).fetchall()
    return [rows.source(row) for row in found]


def files(store: Store, source_id: int) -> list[str]:
    """The files of a commit by name."""
    with store.reading() as db:
        found = db.execute("SELECT path FROM source_files WHERE source_id = ? ORDER BY path", (source_id,)).fetchall()
    return [row["path"] for row in found]


def failed_of(store: Store, action_ids: Iterable[int]) -> dict[int, list[Source]]:
    """The sources that failed of each of these actions; one without such a source is left out."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM sources WHERE status = 'failed'"
            " AND action_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(list(action_ids)),),
        ).fetchall()
    failed: dict[int, list[Source]] = {}
    for row in found:
        failed.setdefault(row["action_id"], []).append(rows.source(row))
    return failed


# Nothing of the branch of `s` has landed since from the same worktree, on the target of its action `q`.
_STILL_FAILED = (
    "s.status = 'failed' AND NOT EXISTS"
    " (SELECT 1 FROM sources n INDEXED BY sources_landed CROSS JOIN deploy_queue m ON m.id = n.action_id"
    "  WHERE n.id > s.id AND n.worktree = s.worktree AND n.branch = s.branch AND n.status = 'landed'"
    "  AND m.remote = q.remote AND m.target = q.target)"
)


def failed_sources(store: Store, since: float) -> list[tuple[Action, Source]]:
    """Sources that failed after `since` (seconds since 1970), newest first, with their action.

    A source whose branch has landed since from the same worktree is left out.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT s.id AS source_id, q.* FROM sources s INDEXED BY sources_failed_by_time"  # noqa: S608 - a constant
            f" JOIN deploy_queue q ON q.id = s.action_id WHERE s.queued_at >= ? AND {_STILL_FAILED}"
            " ORDER BY s.id DESC LIMIT 50",
            (iso(since),),
        ).fetchall()
        return [_with_source(db, row) for row in found]


def failed_in(store: Store, action_ids: Iterable[int]) -> list[tuple[Action, Source]]:
    """Those sources of the actions that failed, oldest first, with their action; what has landed since is left out."""
    with store.reading() as db:
        found = db.execute(
            "SELECT s.id AS source_id, q.* FROM deploy_queue q CROSS JOIN sources s ON s.action_id = q.id"  # noqa: S608 - a constant
            f" WHERE q.id IN (SELECT value FROM json_each(?)) AND {_STILL_FAILED} ORDER BY s.id",
            (json.dumps(list(action_ids)),),
        ).fetchall()
        return [_with_source(db, row) for row in found]


def _with_source(db: sqlite3.Connection, row: sqlite3.Row) -> tuple[Action, Source]:
    source = db.execute("SELECT * FROM sources WHERE id = ?", (row["source_id"],)).fetchone()
    return rows.action(row), rows.source(source)


def failed_tips(store: Store) -> set[str]:
    """Those of the commits that wait for a push whose own push has failed."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT s.tip FROM deploy_queue w CROSS JOIN queued_commits c ON c.action_id = w.id"  # noqa: S608 - a constant
            " CROSS JOIN sources s INDEXED BY sources_failed_by_tip ON s.tip = c.oid"
            f" JOIN deploy_queue q ON q.id = s.action_id WHERE w.status = 'pending' AND c.status = 'pending'"
            f" AND {_STILL_FAILED}"
        ).fetchall()
    return {row["tip"] for row in found}


def commits(store: Store) -> list[QueuedCommit]:
    """Commits that wait for a push, oldest first."""
    with store.reading() as db:
        found = db.execute(
            "SELECT c.* FROM queued_commits c JOIN deploy_queue q ON q.id = c.action_id"
            " WHERE c.status = 'pending' AND q.status = 'pending' ORDER BY c.id"
        ).fetchall()
    return [
        QueuedCommit(
            r["action_id"], r["agent_id"], r["worktree"], r["branch"], r["oid"], r["subject"], r["files"]
        )
        for r in found
    ]  # fmt: skip


def waiting_commits(store: Store, now: float | None) -> list[Action]:
    """Pending commit actions whose window has ended at `now`, or all of them when it is None."""
    with store.reading() as db:
        found = db.execute(
            "SELECT * FROM deploy_queue WHERE action_type = 'commit' AND asked = 0 AND status = 'pending'"
            " AND (:now IS NULL OR execute_after <= :now) ORDER BY id",
            {"now": None if now is None else iso(now)},
        ).fetchall()
    return [rows.action(row) for row in found]


def batch(store: Store, name: str) -> Batch | None:
    """The batch with this number, id, or unambiguous prefix of an id of at least four characters, as in git."""
    with store.reading() as db:
        found = []
        if name.isascii() and name.isdecimal() and len(name) < 10:
            found = db.execute("SELECT * FROM deploy_batches WHERE number = ?", (int(name),)).fetchall()
        if not found and len(name) >= 4:  # an id may begin with digits only
            found = db.execute("SELECT * FROM deploy_batches WHERE id >= ? AND id < ?", (name, f"{name}~")).fetchall()
        if len(found) != 1:
            return None
        members = db.execute("SELECT * FROM deploy_queue WHERE batch_id = ? ORDER BY id", (found[0]["id"],)).fetchall()
    return rows.batch(found[0], tuple(rows.action(row) for row in members))


def existing_batch(store: Store, name: str) -> Batch:
    """`batch`, where there has to be one; raises UsageError where there is none, Refused where it is folded."""
    found = batch(store, name) if name else None
    if found is None:
        raise history.missing_batch(store, name, "{} makes one.", "git", "uam", "batch")
    return found


def landings(store: Store, batch_id: str) -> list[Landing]:
    """The landings of a batch, also those that did not succeed."""
    with store.reading() as db:
        found = db.execute("SELECT * FROM landings WHERE batch_id = ? ORDER BY id", (batch_id,)).fetchall()
    return [rows.landing(row) for row in found]


def batch_of_commit(store: Store, oid: str) -> int | None:
    """The number of the batch whose landing is this commit."""
    known = landed_as(store, oid)
    return known[0] if known is not None else None


def last_landed(store: Store, worktree: str, branch: str) -> tuple[str, str] | None:
    """Where this worktree's branch last landed on a remote: remote and full ref."""
    with store.reading() as db:
        row = db.execute(
            "SELECT q.* FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.worktree = ?"
            " AND s.branch = ? AND s.status = 'landed' AND s.exact = 0 AND q.remote <> '' ORDER BY s.id DESC LIMIT 1",
            (worktree, branch),
        ).fetchone()
    if row is None:
        return None
    found = rows.action(row)
    return found.remote, found.ref


def pending_tips(store: Store, without: Collection[int] = ()) -> list[str]:
    """Tips that wait for their landing, other than those of the sources with these ids."""
    with store.reading() as db:
        found = db.execute("SELECT id, tip FROM sources WHERE status = 'pending'").fetchall()
    return list({row["tip"] for row in found if row["id"] not in without})


def pending_branches(store: Store) -> set[str]:
    """Local branches whose push waits, or whose outcome is unknown."""
    with store.reading() as db:
        return {row["branch"] for row in db.execute("SELECT DISTINCT branch FROM sources WHERE status = 'pending'")}


def unended(store: Store) -> list[int]:
    """The ids of the actions that wait or run."""
    with store.reading() as db:
        found = db.execute("SELECT id FROM deploy_queue WHERE status IN ('pending', 'batched', 'executing')").fetchall()
    return [row["id"] for row in found]
