"""What a flush takes from the queue, and the plan it writes down before it pushes. Nothing is ever deleted."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import rows
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.faults import end_unreadable
from uam_hooks.hot.queue.lane import EVERYTHING, Lane
from uam_hooks.hot.queue.model import Action, ActionType, Batch, Landing, NewSource, Source, Status, iso
from uam_hooks.hot.queue.outcome import Detail
from uam_hooks.store import gathered, happened
from uam_hooks.store.schedule import Busy, Choice, Waiting, choose


class NewLanding(NamedTuple):
    """A landing as it is written down before its push."""

    action_id: int
    remote: str
    ref: str
    old: str
    new: str
    keep: str
    sources: tuple[int, ...]
    detail: Detail


def due(
    store: Store, now: float | None, most: int = 1000, *, by_hand: bool = False,
    without: frozenset[int] = frozenset(), upto: int | None = None, lane: Lane = EVERYTHING,
) -> Batch | None:  # fmt: skip
    """Claim pending actions of a lane for one batch: what is due at `now`, or everything when it is None.

    `most` is about how many actions a batch has, `by_hand` one that its maker will execute, `without` names actions
    to leave alone, as those after `upto` are. One transaction, so an action is claimed once whatever runs beside.
    """
    with store.transaction() as db:
        end_unreadable(db)
        choices = _choices(db, now, most, without, upto, lane)
        if not choices:
            return None
        return _new_batch(db, choices, by_hand)


# A moment further away than its action was to wait when the moment was written down: the clock has been set back since,
# or was wrong then. Milliseconds are lost in rounding.
_OUT_OF_REACH = (
    "status = 'pending' AND execute_after > strftime('%Y-%m-%dT%H:%M:%fZ', :now + 0.01"
    " + coalesce(pause, max(0, (julianday(execute_after) - julianday(queued_at)) * 86400)), 'unixepoch')"
)


def put_right(store: Store, now: float, waited_out: str | None = None) -> bool:
    """Let be due what a jump of the clock would hold longer than its window: this clock says `now`.

    `waited_out` is a due moment of which the caller knows, by a clock that does not jump, that its time is over.
    Returns whether there was anything. Moments that somebody asked for (not_before) are respected as they are.
    """
    values = {"now": now, "moment": iso(now), "waited_out": waited_out}
    where = f"{_OUT_OF_REACH} OR (status = 'pending' AND execute_after = :waited_out)"
    with store.reading() as db:
        if db.execute(f"SELECT 1 FROM deploy_queue WHERE {where} LIMIT 1", values).fetchone() is None:  # noqa: S608
            return False
    with store.transaction() as db:
        db.execute(f"UPDATE deploy_queue SET execute_after = :moment, hold_until = '', held = 0 WHERE {where}", values)  # noqa: S608
    return True


def gather(store: Store, remote: str, target: str, until: float) -> None:
    """Let pushes to a branch that are due before the moment `until` wait for it, and for others."""
    with store.transaction() as db:
        db.execute(
            "UPDATE deploy_queue SET execute_after = :until WHERE status = 'pending' AND action_type = 'push'"
            " AND remote = :remote AND target = :target AND execute_after < :until AND queued_at < :until",
            {"until": iso(until), "remote": remote, "target": target},
        )


def would_be_due(
    store: Store, now: float | None, most: int, lane: Lane = EVERYTHING, after: str | None = None
) -> list[Action]:
    """What `due` would claim, without claiming it; with `after`, once the batch of that id holds nothing up."""
    with store.reading() as db:
        chosen = _chosen(db, _choices(db, now, most, frozenset(), lane=lane, after=after))
    return [action._replace(carried_by=choice.carried_by) for choice, action in chosen]


def following(store: Store, action: Action, lane: Lane, most: int) -> tuple[Action, list[Source]] | None:
    """The push that a lane would claim for the ref of an action once the batch of that has ended, with its sources.

    None where there is none yet, or one whose plan others have a part in: that goes out as it is or together with other
    refs, carries commits by name, or is asked for by name itself.
    """
    with store.reading():
        found = would_be_due(store, time.time(), most, lane, action.batch_id)
        for one in found:
            if one.action_type != ActionType.PUSH or (one.remote, one.ref) != (action.remote, action.ref):
                continue
            brought = gathered.sources(store, one.id)
            apart = one.explicit or any(other.carried_by == one.id for other in found)
            if apart or any(s.verbatim or s.atomic or s.by_name or s.fault for s in brought):
                return None
            return one, brought
    return None


def _choices(
    db: sqlite3.Connection, now: float | None, most: int, without: frozenset[int], upto: int | None = None,
    lane: Lane = EVERYTHING, after: str | None = None,
) -> list[Choice]:  # fmt: skip
    found = db.execute(
        "SELECT * FROM deploy_queue WHERE status = 'pending' AND entrusted = ''"
        " AND (action_type <> 'commit' OR asked = 1) AND (by_hand = 0 OR :remote IS NULL) ORDER BY id",
        {"remote": lane.remote},
    ).fetchall()
    meant = [row for row in found if row["id"] not in without and (upto is None or row["id"] <= upto)]
    actions = [action for action in map(rows.action, meant) if lane.acts_for(action) and not action.fault]
    pending = _waiting(db, actions)
    deps = {dep for one in pending for dep in one.action.dependencies}
    ended = {}
    for dep in deps:
        row = db.execute("SELECT status FROM deploy_queue WHERE id = ?", (dep,)).fetchone()
        ended[dep] = Status(row["status"]) if row else Status.CANCELLED
    moment = iso(time.time() if now is None else now)
    return choose(pending, ended, _busy(db, after), moment, now is not None, most, lane)


def _busy(db: sqlite3.Connection, but: str | None) -> Busy:
    """What batches `but` that one are changing."""
    held = db.execute(
        "SELECT action_type, remote, target FROM deploy_queue WHERE status IN ('batched', 'executing')"
        " AND action_type <> 'workflow' AND batch_id IS NOT ?",
        (but,),
    ).fetchall()
    kinds = [(ActionType(row["action_type"]), row["remote"], row["target"]) for row in held]
    return Busy(
        frozenset((remote, target) for kind, remote, target in kinds if kind in (ActionType.PUSH, ActionType.MERGE)),
        frozenset(target for kind, _, target in kinds if kind in (ActionType.COMMIT, ActionType.MERGE)),
        frozenset(target for kind, _, target in kinds if kind == ActionType.DEPLOY),
    )


def _waiting(db: sqlite3.Connection, actions: Sequence[Action]) -> list[Waiting]:
    brought: dict[int, list[sqlite3.Row]] = {one.id: [] for one in actions if one.action_type == ActionType.PUSH}
    mates: dict[str, set[int]] = {}  # the actions of each atomic push
    for row in db.execute(
        "SELECT action_id, branch, exact, atomic, push_group FROM sources WHERE status = 'pending'"
        " AND action_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(brought)),),
    ):
        brought[row["action_id"]].append(row)
        if row["atomic"]:
            mates[row["push_group"]] = set()
    for group in mates:
        mates[group] = {
            row["action_id"]
            for row in db.execute(
                "SELECT DISTINCT action_id FROM sources WHERE push_group = ? AND status = 'pending'", (group,)
            )
        }
    return [
        _waits_with(action, brought[action.id], mates) if action.id in brought else Waiting(action)
        for action in actions
    ]


def _waits_with(action: Action, found: Sequence[sqlite3.Row], mates: Mapping[str, set[int]]) -> Waiting:
    together = set().union(*(mates[row["push_group"]] for row in found if row["atomic"]))
    return Waiting(
        action,
        found[0]["push_group"] if len(found) == 1 else "",
        frozenset(together - {action.id}),
        frozenset(row["branch"] for row in found),
        any(row["exact"] or row["atomic"] for row in found),
    )


def _chosen(db: sqlite3.Connection, choices: Sequence[Choice]) -> list[tuple[Choice, Action]]:
    listed = db.execute(
        "SELECT * FROM deploy_queue WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps([choice.id for choice in choices]),),
    )
    found = {row["id"]: rows.action(row) for row in listed}
    return [(choice, found[choice.id]) for choice in choices]


def one(store: Store, action: Action) -> Batch | None:
    """Claim just this action; None when it is no longer pending."""
    with store.transaction() as db:
        row = db.execute("SELECT id FROM deploy_queue WHERE id = ? AND status = 'pending'", (action.id,)).fetchone()
        return None if row is None else _new_batch(db, [Choice(row["id"])], False)


def random_uuid() -> str:
    """A UUID of version 4 (RFC 9562). The module of that name loads all that tells one platform from another."""
    bits = int.from_bytes(os.urandom(16), "big") & ~(0xF << 76 | 0x3 << 62) | 4 << 76 | 2 << 62
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _new_batch(db: sqlite3.Connection, choices: Sequence[Choice], by_hand: bool) -> Batch:
    batch_id = random_uuid()
    number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM deploy_batches").fetchone()[0]
    created = iso(time.time())
    db.execute(
        "INSERT INTO deploy_batches (id, number, created_at, status, by_hand) VALUES (?, ?, ?, 'pending', ?)",
        (batch_id, number, created, by_hand),
    )
    claimed = []
    for choice, action in _chosen(db, choices):
        db.execute(
            "UPDATE deploy_queue SET status = 'batched', batch_id = ?, carried_by = ? WHERE id = ?",
            (batch_id, choice.carried_by, choice.id),
        )
        claimed.append(action._replace(status=Status.BATCHED, batch_id=batch_id, carried_by=choice.carried_by))
    batch = Batch(batch_id, number, created, None, Status.PENDING, {}, tuple(claimed), by_hand)
    happened.begun(db, batch)
    return batch


def begin(store: Store, action: Action) -> bool:
    """Say that a command is about to run: after a crash it is not run a second time. False when the claim is lost."""
    with store.transaction() as db:
        _begin_batch(db, action.batch_id)
        return bool(db.execute(
            "UPDATE deploy_queue SET status = 'executing' WHERE id = ? AND batch_id = ? AND status = 'batched'",
            (action.id, action.batch_id),
        ).rowcount)  # fmt: skip


def _begin_batch(db: sqlite3.Connection, batch_id: str | None) -> None:
    db.execute(
        "UPDATE deploy_batches SET status = 'executing', executed_at = coalesce(executed_at, ?)"
        " WHERE id = ? AND status IN ('pending', 'executing')",
        (iso(time.time()), batch_id),
    )


def follow(store: Store, tips: Mapping[int, str]) -> None:
    """Let sources that follow their branch have the tip that it has now."""
    with store.transaction() as db:
        for source_id, tip in tips.items():
            db.execute(
                "UPDATE sources SET tip = ? WHERE id = ? AND follow = 1 AND status = 'pending'", (tip, source_id)
            )


def bring(store: Store, action: Action, source: NewSource) -> None:
    """Give an action the source that executing it has made, once."""
    with store.transaction() as db:
        db.execute("UPDATE sources SET tip = ?, branch = ?, exact = ?, expect = ?, base = ? WHERE action_id = ?"
                   " AND status = 'pending'",
                   (source.tip, source.branch, source.verbatim, source.expect, source.base, action.id))  # fmt: skip


def write_plan(store: Store, batch: Batch, landings: Sequence[NewLanding]) -> list[Landing]:
    """Write down what is about to be pushed; from here on only the remote can say what became of it."""
    written = []
    with store.transaction() as db:
        _begin_batch(db, batch.id)
        for new in landings:
            db.execute(
                "UPDATE landings SET status = 'abandoned' WHERE action_id = ? AND status = 'planned'",
                (new.action_id,),
            )
            db.execute(
                "UPDATE deploy_queue SET status = 'executing' WHERE id = ? AND batch_id = ?",
                (new.action_id, batch.id),
            )
            landing_id = db.execute(
                "INSERT INTO landings (batch_id, action_id, remote, ref, old, new, keep, sources, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (batch.id, new.action_id, new.remote, new.ref, new.old, new.new, new.keep,
                 json.dumps(new.sources), new.detail.text()),
            ).lastrowid  # fmt: skip
            assert landing_id is not None
            written.append(
                Landing(landing_id, batch.id, new.action_id, new.remote, new.ref, new.old, new.new, new.keep,
                        new.sources, "planned", new.detail)
            )  # fmt: skip
    return written
