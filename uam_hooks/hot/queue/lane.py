"""Lanes: what has to do with one remote, and is flushed without regard to any other.

A remote that does not answer holds up its own lane. The lane of an action is that of its remote; what names no remote
has a lane of its own, and goes along with the work of a remote that needs it.
"""

from __future__ import annotations

from _blake2 import blake2b

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action
from uam_hooks.hot.queue.rows import NO_MOMENT, is_moment


class Lane(NamedTuple):
    """The actions that one flusher serves: those of a remote, "" for those of none, None for all of them.

    `identity` is whose they are, None for everybody's. What was queued before identities were recorded is in the lane
    of everybody.
    """

    identity: str | None = ""
    remote: str | None = ""

    @property
    def key(self) -> str:
        """A name for files."""
        text = f"{self.identity}\0{self.remote}"
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()

    def has(self, action: Action) -> bool:
        return self.acts_for(action) and (self.remote is None or self.remote == action.remote)

    def acts_for(self, action: Action) -> bool:
        """Whether the action is of this identity, on whatever remote."""
        return self.identity is None or action.identity in ("", self.identity)


EVERYTHING = Lane(None, None)


# What could be claimed once its time has come. Actions that wait for another action, or for what another batch is
# changing, do not count; nor, in a lane, do those that are left to a flush by hand. In step with `choose`.
_CLAIMABLE = (
    " FROM deploy_queue q WHERE status = 'pending' AND entrusted = '' AND (action_type <> 'commit' OR asked = 1)"
    " AND (:remote IS NULL OR (remote = :remote AND by_hand = 0))"
    " AND (:identity IS NULL OR identity IN ('', :identity))"
    " AND NOT EXISTS (SELECT 1 FROM deploy_queue b WHERE b.target = q.target AND b.status IN ('batched', 'executing')"
    "  AND ((b.remote = q.remote AND q.action_type <> 'commit') OR (q.asked = 1"
    "   AND q.action_type IN ('commit', 'merge', 'push') AND b.action_type IN ('commit', 'merge'))))"
    " AND (dependencies = '[]' OR NOT EXISTS (SELECT 1 FROM"
    "  json_each(CASE WHEN json_valid(q.dependencies) THEN q.dependencies ELSE '[]' END) d"
    "  JOIN deploy_queue p ON p.id = d.value WHERE p.status IN ('pending', 'batched', 'executing')))"
)


def due_at(store: Store, lane: Lane = EVERYTHING) -> str | None:
    """When the next action of a lane is due; None when nothing pending could be claimed."""
    with store.reading() as db:
        row = db.execute(
            f"SELECT min(max(execute_after, not_before)) AS due{_CLAIMABLE}",
            lane._asdict(),
        ).fetchone()
    due: str | None = row["due"]
    # an entry whose time cannot be read is ended by whoever claims next: at once
    return due if due is None or is_moment(due) else NO_MOMENT


def at_work(store: Store, identity: str) -> list[Lane]:
    """The lanes of an identity in which something waits for its time."""
    with store.reading() as db:
        found = db.execute(
            f"SELECT DISTINCT remote{_CLAIMABLE} AND by_hand = 0 ORDER BY remote",
            {"remote": None, "identity": identity},
        ).fetchall()
    return [Lane(identity, row["remote"]) for row in found]


def unfinished(store: Store, identity: str) -> list[Lane]:
    """The lanes of an identity in which something waits or is in a batch."""
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT remote FROM deploy_queue WHERE identity IN ('', ?) AND (status IN ('batched', 'executing')"
            " OR (status = 'pending' AND (action_type <> 'commit' OR asked = 1)))",
            (identity,),
        ).fetchall()
    return [Lane(identity, row["remote"]) for row in found]


# Batches `b` of a lane that were claimed and have not ended. One that has to do with no remote belongs to every lane,
# and one of a remote to its lanes of every identity: it holds up all of them.
OPEN = (
    "b.status IN ('pending', 'batched', 'executing') AND (:remote IS NULL"
    " OR NOT EXISTS (SELECT 1 FROM deploy_queue WHERE batch_id = b.id AND remote <> '')"
    " OR EXISTS (SELECT 1 FROM deploy_queue WHERE batch_id = b.id AND remote = :remote AND remote <> ''))"
)


def unsettled(store: Store, lane: Lane = EVERYTHING) -> bool:
    """Whether a batch of the lane was claimed and has not ended. After a crash the remote is to be asked about it."""
    with store.reading() as db:
        row = db.execute(
            f"SELECT 1 FROM deploy_batches b WHERE {OPEN} LIMIT 1",  # noqa: S608 - a constant
            {"remote": lane.remote},
        ).fetchone()
    return row is not None


def waiting_for_others(store: Store, identity: str) -> list[Lane]:
    """The lanes of an identity in which something waits for an action of another one: nobody of this one brings that
    on, and when it has ended nobody else may start a flusher for this one.
    """
    with store.reading() as db:
        found = db.execute(
            "SELECT DISTINCT q.remote FROM deploy_queue q"
            " JOIN json_each(CASE WHEN json_valid(q.dependencies) THEN q.dependencies ELSE '[]' END) d"
            " JOIN deploy_queue p ON p.id = d.value WHERE q.status = 'pending' AND q.identity = ?"
            " AND p.identity <> q.identity AND p.status IN ('pending', 'batched', 'executing')",
            (identity,),
        ).fetchall()
    return [Lane(identity, row["remote"]) for row in found]


class Mark(NamedTuple):
    """The newest source, the newest batch, and how many batches are open: it changes with what can be claimed."""

    source: int
    batch: int
    open: int


def mark(store: Store) -> Mark:
    """Where the queue is now."""
    with store.reading() as db:
        row = db.execute(
            "SELECT (SELECT coalesce(max(id), 0) FROM sources), (SELECT coalesce(max(number), 0) FROM deploy_batches),"
            " (SELECT count(*) FROM deploy_batches WHERE status IN ('pending', 'batched', 'executing'))"
        ).fetchone()
    return Mark(*row)
