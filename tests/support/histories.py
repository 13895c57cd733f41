"""Queues with a past: rows as a flush leaves them, of many days, without the flushes."""

from __future__ import annotations

import json
import random
import sqlite3

from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import iso
from uam_hooks.hot.queue.outcome import Detail, How, Outcome

DAY = 86400.0
# some days before NOW the rows begin
NOW = 1_700_000_000.0
ZERO = "0" * 40


class Past:
    """Fills a queue with batches that ended at random times within `days` before `now`, the same for the same seed."""

    def __init__(self, store: Store, seed: int, days: float = 60.0, now: float = NOW) -> None:
        self.store, self.days, self.now = store, days, now
        self.chance = random.Random(seed)  # noqa: S311 - no secrets

    def fill(self, batches: int) -> None:
        begin = self.now - self.days * DAY
        moments = sorted(begin + self.chance.random() * self.days * DAY for _ in range(batches))
        with self.store.transaction() as db:
            first = db.execute("SELECT coalesce(max(number), 0) + 1 FROM deploy_batches").fetchone()[0]
            for number, moment in enumerate(moments, first):
                self._batch(db, number, round(moment, 3))
            self._gates(db, moments)

    def _oid(self) -> str:
        return f"{self.chance.getrandbits(160):040x}"

    def _batch(self, db: sqlite3.Connection, number: int, at: float) -> None:
        batch, chance = f"b-{number:06d}", self.chance
        db.execute(
            "INSERT INTO deploy_batches (id, number, created_at, executed_at, status) VALUES (?, ?, ?, ?, ?)",
            (batch, number, iso(at), iso(at), "completed"),
        )
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            kind = chance.choice(("push", "push", "push", "push", "deploy", "commit"))
            action = self._action(db, batch, kind, at, chance.choice(("completed", "completed", "failed")))
            if kind == "commit":
                self._commits(db, action, at)
            else:
                self._push(db, batch, action, at, kind)
        if chance.random() < 0.1:  # an action that no batch has claimed
            action = self._action(db, None, "push", at, "cancelled")
            self._source(db, action, at, "withdrawn", Outcome().text())

    def _action(self, db: sqlite3.Connection, batch: str | None, kind: str, at: float, status: str) -> int:
        target = (
            self.chance.choice(("main", "main", "main", "topic", "topic", "refs/tags/v1")) if kind == "push" else "prod"
        )
        found = db.execute(
            "INSERT INTO deploy_queue (agent_id, action_type, target, remote, status, batch_id, queued_at,"
            " execute_after, finished_at) VALUES ('a', ?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, target, "origin" if kind == "push" else "", status, batch, iso(at - 60), iso(at - 50), iso(at)),
        ).lastrowid
        assert found is not None
        return found

    def _source(
        self, db: sqlite3.Connection, action: int, at: float, status: str, outcome: str, untold: bool = False,
        replaced_by: int | None = None, tip: str | None = None,
    ) -> int:  # fmt: skip
        chance = self.chance
        found = db.execute(
            "INSERT INTO sources (action_id, agent_id, worktree, branch, tip, exact, push_group, atomic, waiter,"
            " queued_at, status, outcome, untold, replaced_by) VALUES (?, ?, ?, 'refs/heads/b', ?, 0, ?, 0, 0, ?, ?, ?,"
            " ?, ?)",
            (action, f"agent-{chance.randrange(4)}", f"/w/{chance.randrange(4)}", self._oid() if tip is None else tip,
             self._oid()[:8], iso(round(at - chance.choice((0.25, 3, 61.5, 4000)), 3)), status, outcome, untold,
             replaced_by),
        ).lastrowid  # fmt: skip
        assert found is not None
        db.execute("INSERT INTO source_files VALUES (?, 'f')", (found,))
        return found

    def _push(self, db: sqlite3.Connection, batch: str, action: int, at: float, kind: str) -> None:
        chance = self.chance
        row = db.execute("SELECT status, target FROM deploy_queue WHERE id = ?", (action,)).fetchone()
        landed = []
        for _ in range(chance.choice((1, 1, 2, 5))):
            if row["status"] == "completed":
                how = chance.choice((How.AS_IS, How.SQUASHED, How.SQUASHED, How.NOTHING_NEW))
                new = self._source(db, action, at, "landed", Outcome(how=how).text(), chance.random() < 0.1)
                landed.append(new)
                if chance.random() < 0.2:
                    self._source(db, action, at, "replaced", "{}", replaced_by=new)
            if row["status"] == "failed" or chance.random() < 0.2:
                tip = "" if chance.random() < 0.3 or kind == "deploy" else None
                self._source(db, action, at, "failed", '{"error": "no"}', tip=tip)
        if kind == "push":
            self._landing(db, batch, action, row["target"], landed)

    def _landing(self, db: sqlite3.Connection, batch: str, action: int, target: str, landed: list[int]) -> None:
        chance, new = self.chance, self._oid()
        ref = target if target.startswith("refs/") else f"refs/heads/{target}"
        status = "landed" if landed else "abandoned"
        db.execute(
            "INSERT INTO landings (batch_id, action_id, remote, ref, old, new, keep, sources, status, detail)"
            " VALUES (?, ?, 'origin', ?, ?, ?, ?, ?, ?, ?)",
            (batch, action, ref, self._oid(), new, chance.choice((new, self._oid())), json.dumps(landed), status,
             Detail(How.AS_IS).text()),
        )  # fmt: skip
        if landed and chance.random() < 0.3:
            begin = self.now - chance.random() * DAY
            db.execute(
                "INSERT INTO ci_runs VALUES ('origin', ?, ?, '1', 'gh', ?, ?, '', '', '')",
                (ref, new, iso(begin), iso(begin + chance.choice((60, 90.5)))),
            )

    def _commits(self, db: sqlite3.Connection, action: int, at: float) -> None:
        became = None
        for _ in range(self.chance.choice((1, 2, 3))):
            oid = self._oid()
            db.execute(
                "INSERT INTO queued_commits (action_id, agent_id, worktree, branch, oid, became, status, queued_at)"
                " VALUES (?, 'a', '/w/1', 'refs/heads/b', ?, ?, ?, ?)",
                (action, oid, became, "replaced" if became else "landed", iso(at)),
            )
            became = oid

    def _gates(self, db: sqlite3.Connection, moments: list[float]) -> None:
        trees = [self._oid() for _ in moments[::3]]
        for at in moments:
            tree, green = self.chance.choice(trees or [ZERO]), self.chance.random() < 0.7
            values = ("unit", tree, green, iso(at), round(self.chance.random() * 60, 2))
            db.execute("INSERT INTO gate_runs (gate, tree, green, ended_at, seconds) VALUES (?, ?, ?, ?, ?)", values)
            db.execute("INSERT OR REPLACE INTO gate_verdicts VALUES ('unit', 'f', ?, ?, 1, '')", (tree, green))


def deploys(db: sqlite3.Connection, number: int) -> None:
    """Inside a transaction, add so many deploys that have ended, with no source."""
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO deploy_queue"
        " (agent_id, action_type, target, status, queued_at, execute_after)"
        " SELECT 'a', 'deploy', 'prod', 'completed', '2026-01-01', '2026-01-01' FROM n",
        (number,),
    )
