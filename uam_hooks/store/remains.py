"""What is asked of all that has landed: by shadows and pins, by retention, and by plans that build on it."""

from __future__ import annotations

from collections.abc import Iterator

from uam_hooks.hot.core.refs import full_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.enqueue import became
from uam_hooks.hot.queue.model import Source

# How many landings are read at a time: it is the newest that counts, as a rule.
_SOME = 50


def landed_tips(store: Store, before: str) -> list[str]:
    """Tips that landed, or whose replacement landed, before this time, and that nothing still needs."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT s.tip FROM sources s JOIN deploy_queue q ON q.id = s.action_id"
            " LEFT JOIN sources r ON r.id = s.replaced_by"
            " WHERE s.tip <> '' AND q.finished_at < ? AND (s.status = 'landed' OR r.status = 'landed')"
            " AND s.tip NOT IN (SELECT tip FROM sources WHERE status IN ('pending', 'failed', 'withdrawn'))",
            (before,),
        ).fetchall()
    return [row["tip"] for row in found]


def has_ended(store: Store, before: str) -> bool:
    """Whether any action ended before this time, besides those that stayed when others were folded."""
    with store.reading() as db:
        found = db.execute(
            "SELECT 1 FROM deploy_queue WHERE status IN ('completed', 'failed', 'cancelled') AND folded = 0"
            " AND finished_at < ? LIMIT 1",
            (before,),
        ).fetchone()
    return found is not None


class Past(NamedTuple):
    """A landing whose action has ended."""

    id: int
    batch_id: str
    remote: str
    ref: str


def landings_before(store: Store, before: str) -> list[Past]:
    """Landings of actions that ended before this time."""
    with store.reading() as db:
        found = db.execute(
            "SELECT l.id, l.batch_id, l.remote, l.ref FROM landings l JOIN deploy_queue q ON q.id = l.action_id"
            " WHERE q.status IN ('completed', 'failed', 'cancelled') AND q.finished_at < ?",
            (before,),
        ).fetchall()
    return [Past(*row) for row in found]


def batches_since(store: Store, since: str) -> set[str]:
    """The batches with a landing whose action had not ended at this time."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT l.batch_id FROM landings l JOIN deploy_queue q ON q.id = l.action_id"
            " WHERE q.finished_at IS NULL OR q.finished_at >= ?"
            " OR q.status NOT IN ('completed', 'failed', 'cancelled')",
            (since,),
        ).fetchall()
    return {row["batch_id"] for row in found}


def refs_since(store: Store, since: str) -> set[tuple[str, str]]:
    """Every (remote, ref) to which something waits, is on its way, or was until this time."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT remote, target FROM deploy_queue"
            " WHERE remote <> '' AND (finished_at IS NULL OR finished_at >= ?)",
            (since,),
        ).fetchall()
    return {(row["remote"], full_target(row["target"])) for row in found}


def landed_refs(store: Store) -> list[tuple[str, str]]:
    """Every (remote, ref) that something has landed on."""
    with store.reading() as db:
        found = db.execute("SELECT DISTINCT remote, ref FROM landings WHERE status = 'landed'").fetchall()
    return [(row["remote"], row["ref"]) for row in found]


def young_tips(store: Store, remote: str, ref: str, since: str) -> list[str]:
    """Tips that landed on a ref since this time."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT s.tip FROM landings l JOIN deploy_queue q ON q.id = l.action_id"
            " JOIN sources s ON s.action_id = q.id WHERE l.remote = ? AND l.ref = ? AND l.status = 'landed'"
            " AND s.status = 'landed' AND q.finished_at >= ? AND s.tip <> ''",
            (remote, ref, since),
        ).fetchall()
    return [row["tip"] for row in found]


def rewritten(store: Store, source: Source, remote: str, target: str) -> list[tuple[str, str, str]]:
    """What landed of the place of `source` and was rewritten there, by an amend or a rebase.

    Each with what it landed as, and what the last rewrite has made of it.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT s.tip, json_extract(s.outcome, '$.new') AS landing FROM sources s"
            " JOIN deploy_queue q ON q.id = s.action_id JOIN queued_commits c ON c.oid = s.tip"
            " WHERE s.status = 'landed' AND c.became IS NOT NULL AND json_valid(s.outcome)"
            " AND s.worktree = ? AND s.branch = ? AND q.remote = ? AND q.target = ?",
            (source.worktree, source.branch, remote, target),
        ).fetchall()
        return [(row["tip"], row["landing"] or "", became(db, row["tip"])[-1]) for row in found]


def tag_tips(store: Store, remote: str) -> list[str]:
    """The objects of the newest tags that were pushed to a remote, or are about to be."""
    with store.reading() as db:
        found = db.execute(
            "SELECT s.tip FROM deploy_queue q INDEXED BY queue_tags CROSS JOIN sources s ON s.action_id = q.id"
            " WHERE q.remote = ? AND q.target >= 'refs/tags/' AND q.target < 'refs/tags0'"
            " AND s.status IN ('pending', 'landed') AND s.tip <> '' ORDER BY q.id DESC LIMIT 500",
            (remote,),
        ).fetchall()
    return [row["tip"] for row in found]


def memories(
    store: Store, remote: str, ref: str, upto: int | None = None, others: bool = True
) -> Iterator[tuple[int, str, str]]:
    """The landings on a ref, newest first: id, landing, and the shadow that keeps its originals. With `upto`, from that
    one on; without `others`, only those that something else keeps than themselves.
    """
    end = 2**63 - 1 if upto is None else upto + 1
    while True:
        with store.reading() as db:
            # named, because SQLite prefers the index of all landings of the ref, and then looks at each
            which, only = ("", "") if others else (" INDEXED BY landings_shadowed", " AND keep <> new")
            found = db.execute(
                f"SELECT id, new, keep FROM landings{which} WHERE remote = ? AND ref = ? AND status = 'landed'"  # noqa: S608 - constants
                f" AND id < ?{only} ORDER BY id DESC LIMIT ?",
                (remote, ref, end, _SOME),
            ).fetchall()
        yield from ((row["id"], row["new"], row["keep"]) for row in found)
        if len(found) < _SOME:
            return
        end = found[-1]["id"]


def newest_as(store: Store, remote: str, ref: str, new: str) -> int | None:
    """The id of the newest landing on a ref that is this commit; None where there is none."""
    with store.reading() as db:
        row = db.execute(
            "SELECT max(id) FROM landings WHERE new = ? AND +remote = ? AND +ref = ? AND +status = 'landed'",
            (new, remote, ref),
        ).fetchone()
    found: int | None = row[0]
    return found
