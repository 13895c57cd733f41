"""Folding what has ended: its rows go, and what the ledger adds up of them stays (see folded).

A batch goes as a whole, with all that landed in it. What something still needs stays, whatever its age:

- the newest batch, action and source: their numbers go on from there
- what a landing on its way, or a worktree, may still be about: journal rows that are open, the last landing on a ref
  that has a shadow, the last one of a branch that a worktree here may be on, local squashes that were not pushed
- of other actions that have ended, no more than what is named here: sources that did not land, which can be tried
  again, sources whose agent has not heard of them, actions that others wait for or that were imported

Whoever folds does so in bites, each a transaction of its own, so nobody waits long for a turn to write.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from uam_hooks.hot.core.errors import Advice, Refused, UamError, UsageError
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.store import folded, gate_days, ledger

# How many actions a transaction folds, and rows of other tables: some ten milliseconds.
BITE = 50


class Living(NamedTuple):
    """What there is in git: the directories of worktrees, full names of branches, and each (remote, ref) that has a
    shadow.
    """

    worktrees: frozenset[str] = frozenset()
    branches: frozenset[str] = frozenset()
    shadows: frozenset[tuple[str, str]] = frozenset()


def allow(store: Store, before: str) -> None:
    """Let be folded what ended before this moment: nothing in git rests on it any more. What was left for a reason is
    looked at again.
    """
    with store.transaction() as db:
        db.execute(
            "INSERT INTO folding (id, before) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET before = excluded.before",
            (before,),
        )
    again = True
    while again:
        with store.transaction() as db:
            again = bool(db.execute(
                "UPDATE deploy_queue SET folded = 0 WHERE id IN (SELECT id FROM deploy_queue WHERE folded = 1 LIMIT ?)",
                (50 * BITE,),
            ).rowcount)  # fmt: skip


def missing_action(db: sqlite3.Connection, action_id: int) -> UamError:
    """Why there is no action with this id: it is folded, or has never been."""
    newest = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deploy_queue'").fetchone()
    if newest is None or not 0 < action_id <= newest["seq"]:
        return UsageError(
            f"There is no action #{action_id}.", Advice.of("{} lists what is queued.", "git", "uam", "status")
        )
    return _folded(f"#{action_id}")


def missing_batch(store: Store, name: str, words: str, *command: str) -> UamError:
    """Why there is no batch of this name: it is folded, or has never been, or nobody can tell any more.

    `words` and `command` say what to do about it, as in Advice.
    """
    with store.reading() as db:
        newest = db.execute("SELECT coalesce(max(number), 0) FROM deploy_batches").fetchone()[0]
        until = _before(db)
    if name.isascii() and name.isdecimal() and len(name) < 10 and 0 < int(name) < newest:
        return _folded(f"Batch {int(name)}")
    if until and name:
        words = f"What ended before {until[:10]} is folded into its day (uam.retention). {words}"
    return UsageError(f"There is no batch '{name}' here.", Advice.of(words, *command))


def _folded(what: str) -> Refused:
    return Refused(
        f"{what} is no longer available: its retention has ended, and it is folded into its day.",
        Advice.of("{} adds it up; see uam.retention.", "git", "uam", "stats"),
    )


def is_due(store: Store, ended: str) -> bool:
    """Whether there is anything to fold of what ended before the moment `ended`."""
    with store.reading() as db:
        before = min(_before(db), ended)
        return bool(_candidates(db, before, 1) or _empty_batches(db, before, 1) or gate_days.aged(db, before, 1))


def fold(store: Store, living: Living, ended: str, most: int = BITE) -> int:
    """Fold about `most` actions in one transaction, or else as many of other rows; returns how many were looked at, 0
    when nothing is left.

    Of what is allowed, only what ended before the moment `ended`: the clock may have been wrong when it was allowed.
    """
    if not is_due(store, ended):
        return 0
    with store.reading() as db:  # what takes longest is read before: nothing of it changes any more
        before = min(_before(db), ended)
        chosen = _candidates(db, before, most)
        runs, took = ledger.runs_of(db, list(chosen))
    with store.transaction() as db:
        if not chosen:
            return _other_rows(db, before, most)
        with _lists(db, "going", "living_worktrees", "living_branches", "living_shadows", "staying", "bare"):
            _list(db, "going", chosen)
            if _passed(db, len(chosen)):
                return len(chosen)
            _list(db, "living_worktrees", living.worktrees)
            _list(db, "living_branches", living.branches)
            _list(db, "living_shadows", map("\n".join, living.shadows))
            db.execute("UPDATE deploy_queue SET folded = 1 WHERE id IN going")
            _keep_whole(db)
            gone = {row["id"] for row in db.execute("SELECT id FROM landings WHERE action_id IN going")}
            folded.add_runs(db, [run for run in runs if run.landing in gone], took)
            _let_go(db)
    return len(chosen)


def _passed(db: sqlite3.Connection, chosen: int) -> bool:
    """Whether somebody else has looked at the actions `going` since they were chosen: some are gone, or all marked."""
    left = db.execute(
        "SELECT count(*), coalesce(min(folded), 1) FROM deploy_queue WHERE id IN going"
        " AND status IN ('completed', 'failed', 'cancelled')"
    ).fetchone()
    return (left[0], left[1]) != (chosen, 0)


def _other_rows(db: sqlite3.Connection, before: str, most: int) -> int:
    """Fold the runs of gates, and delete batches of which nothing came."""
    empty = _empty_batches(db, before, most)
    db.executemany("DELETE FROM deploy_batches WHERE id = ?", [(one,) for one in empty])
    return len(empty) + gate_days.fold(db, before, most)


def _empty_batches(db: sqlite3.Connection, before: str, most: int) -> list[str]:
    """Batches that gave back all that they had claimed."""
    found = db.execute(
        "SELECT id FROM deploy_batches b WHERE created_at < ? AND status IN ('completed', 'failed', 'cancelled')"
        " AND number < (SELECT max(number) FROM deploy_batches)"
        " AND NOT EXISTS (SELECT 1 FROM deploy_queue WHERE batch_id = b.id)"
        " AND NOT EXISTS (SELECT 1 FROM landings WHERE batch_id = b.id) LIMIT ?",
        (before, most),
    ).fetchall()
    return [row["id"] for row in found]


def _before(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT before FROM folding").fetchone()
    return "" if row is None else str(row["before"])


def _candidates(db: sqlite3.Connection, before: str, most: int) -> set[int]:
    """Actions that nobody has looked at yet, the oldest first, of batches all of which had ended before this moment."""
    found = db.execute(
        "SELECT id, batch_id FROM deploy_queue q INDEXED BY queue_to_fold"
        " WHERE folded = 0 AND status IN ('completed', 'failed', 'cancelled') AND finished_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM deploy_queue o WHERE o.batch_id = q.batch_id"
        "  AND (o.finished_at IS NULL OR o.finished_at >= :before OR o.status IN ('pending', 'batched', 'executing')))"
        " ORDER BY finished_at LIMIT :most",
        {"before": before, "most": most},
    ).fetchall()
    mates = db.execute(
        "SELECT id FROM deploy_queue WHERE batch_id IN (SELECT value FROM json_each(?))",
        (json.dumps([row["batch_id"] for row in found if row["batch_id"]]),),
    )
    return {row["id"] for row in found} | {row["id"] for row in mates}


@contextmanager
def _lists(db: sqlite3.Connection, *names: str) -> Iterator[None]:
    """Tables of this connection alone, with one column `id`, for as long as the block lasts."""
    for name in names:
        db.execute(f"CREATE TEMP TABLE {name} (id PRIMARY KEY)")
    yield
    for name in names:
        db.execute(f"DROP TABLE temp.{name}")


def _list(db: sqlite3.Connection, name: str, values: Iterable[int | str]) -> None:
    for value in values:
        db.execute(f"INSERT OR IGNORE INTO temp.{name} VALUES (?)", (value,))  # noqa: S608 - a constant


def _keep_whole(db: sqlite3.Connection) -> None:
    """Take from `going` what stays as it is, with all others of its batch."""
    db.execute(
        "INSERT OR IGNORE INTO bare SELECT max(id) FROM deploy_queue"
        " UNION SELECT action_id FROM sources WHERE id = (SELECT max(id) FROM sources)"
        " UNION SELECT id FROM deploy_queue WHERE batch_id ="
        "  (SELECT id FROM deploy_batches ORDER BY number DESC LIMIT 1)"
        " UNION SELECT l.action_id FROM landings l WHERE l.action_id IN going AND (l.status = 'planned'"
        "  OR (l.remote = '' AND EXISTS (SELECT 1 FROM queued_commits WHERE oid = l.new AND status = 'pending'))"
        "  OR (l.status = 'landed' AND l.remote || char(10) || l.ref IN living_shadows"
        "   AND (NOT EXISTS (SELECT 1 FROM landings n WHERE n.remote = l.remote AND n.ref = l.ref"
        "     AND n.status = 'landed' AND n.id > l.id)"
        "    OR (l.keep <> l.new AND NOT EXISTS (SELECT 1 FROM landings n WHERE n.remote = l.remote AND n.ref = l.ref"
        "     AND n.status = 'landed' AND n.keep <> n.new AND n.id > l.id)))))"
        " UNION SELECT s.action_id FROM sources s WHERE s.action_id IN going AND s.status = 'landed'"
        "  AND s.worktree IN living_worktrees AND (s.branch = '' OR s.branch IN living_branches)"
        "  AND NOT EXISTS (SELECT 1 FROM sources n WHERE n.worktree = s.worktree AND n.branch = s.branch"
        "   AND n.status = 'landed' AND n.id > s.id)"
    )
    db.execute(
        "DELETE FROM going WHERE id IN bare OR id IN (SELECT m.id FROM deploy_queue m WHERE m.batch_id IN"
        " (SELECT batch_id FROM deploy_queue WHERE id IN bare))"
    )
    db.execute("DELETE FROM bare")


def _let_go(db: sqlite3.Connection) -> None:
    """Fold the actions `going`: keep their sums, delete their rows. Those of which something is needed stay bare."""
    _join_replaced(db)
    _choose_what_stays(db)
    failures = db.execute(
        "SELECT s.queued_at FROM sources s JOIN deploy_queue q ON q.id = s.action_id WHERE s.status = 'failed'"
        " AND q.action_type = 'push' AND s.action_id IN going AND s.id NOT IN staying"
    )
    folded.add_failures(db, [row["queued_at"] for row in failures])
    batches = db.execute(
        "SELECT batch_id FROM deploy_queue WHERE id IN going AND batch_id IS NOT NULL"
        " UNION SELECT batch_id FROM landings WHERE action_id IN going"
    ).fetchall()
    _delete_landings(db)
    gone = "(SELECT id FROM sources WHERE action_id IN going AND id NOT IN staying)"
    for statement in (
        f"DELETE FROM source_files WHERE source_id IN {gone}",  # noqa: S608 - a constant
        f"DELETE FROM expected WHERE source_id IN {gone}",  # noqa: S608 - a constant
        f"DELETE FROM sources WHERE id IN {gone}",  # noqa: S608 - a constant
        "UPDATE deploy_queue SET batch_id = NULL, carried_by = NULL WHERE id IN bare",
        "DELETE FROM going WHERE id IN bare",
        "DELETE FROM queued_commits WHERE action_id IN going",
        "UPDATE deploy_queue SET goes_on_as = NULL WHERE goes_on_as IN going",
        "DELETE FROM deploy_queue WHERE id IN going",
    ):
        db.execute(statement)
    db.executemany(
        "DELETE FROM deploy_batches WHERE id = ? AND status IN ('completed', 'failed', 'cancelled')"
        " AND number < (SELECT max(number) FROM deploy_batches)"
        " AND NOT EXISTS (SELECT 1 FROM deploy_queue WHERE batch_id = deploy_batches.id)"
        " AND NOT EXISTS (SELECT 1 FROM landings WHERE batch_id = deploy_batches.id)",
        [(row["batch_id"],) for row in batches],
    )


def _join_replaced(db: sqlite3.Connection) -> None:
    """Let sources that were replaced go with those that took their place: a retry may have parted them."""
    db.execute(
        "UPDATE sources SET action_id = (SELECT r.action_id FROM sources r WHERE r.id = sources.replaced_by)"
        " WHERE replaced_by IN (SELECT id FROM sources WHERE action_id IN going)"
        " OR (action_id IN going AND replaced_by IS NOT NULL)"
    )


def _choose_what_stays(db: sqlite3.Connection) -> None:
    """Fill `staying`: sources that did not land and have a commit, and those of which an agent here has not heard, with
    what they replaced. And `bare`: the actions of those, and what others name, as what they wait for, as what they
    began as, or as what their commits were.
    """
    db.execute(
        "WITH RECURSIVE stay (id) AS (SELECT id FROM sources WHERE action_id IN going AND (status = 'pending'"
        "  OR (status IN ('failed', 'withdrawn') AND tip <> '') OR (untold <> 0 AND worktree IN living_worktrees))"
        " UNION SELECT s.id FROM sources s JOIN stay ON s.replaced_by = stay.id)"
        " INSERT INTO staying SELECT id FROM stay"
    )
    db.execute(
        "INSERT OR IGNORE INTO bare SELECT action_id FROM sources WHERE id IN staying"
        " UNION SELECT d.value FROM deploy_queue q JOIN json_each(CASE WHEN json_valid(q.dependencies)"
        "  THEN q.dependencies ELSE '[]' END) d WHERE q.dependencies <> '[]'"
        "  AND q.status IN ('pending', 'batched', 'executing') AND d.value IN going"
        " UNION SELECT action_id FROM imported WHERE action_id IN going"
        " UNION SELECT carried_by FROM deploy_queue WHERE carried_by IN going AND id NOT IN going"
        " UNION SELECT q.id FROM deploy_queue q JOIN deploy_queue g ON g.id = q.goes_on_as"
        "  WHERE q.id IN going AND g.status IN ('pending', 'batched', 'executing')"
        " UNION SELECT c.action_id FROM queued_commits c WHERE c.action_id IN going AND (c.status = 'pending'"
        "  OR EXISTS (WITH RECURSIVE line (oid) AS (SELECT c.became UNION SELECT n.became FROM queued_commits n"
        "    JOIN line ON n.oid = line.oid WHERE n.became IS NOT NULL)"
        "   SELECT 1 FROM line JOIN queued_commits n ON n.oid = line.oid WHERE n.action_id NOT IN going))"
    )


def _delete_landings(db: sqlite3.Connection) -> None:
    """Delete what the actions `going` landed, and what CI said of that, unless something else has landed as it, too."""
    db.execute(
        "DELETE FROM ci_runs WHERE (remote, ref, sha) IN"
        " (SELECT remote, ref, new FROM landings WHERE action_id IN going)"
        " AND NOT EXISTS (SELECT 1 FROM landings l WHERE l.new = sha AND +l.remote = ci_runs.remote"
        "  AND +l.ref = ci_runs.ref AND l.action_id NOT IN going)"
    )
    db.execute("DELETE FROM landings WHERE action_id IN going")
