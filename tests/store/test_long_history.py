"""What a push, its flush and a look at the queue read does not grow with what has ended: counted, not timed."""

from __future__ import annotations

import time

import pytest

from tests.support.histories import DAY, Past
from tests.support.landscape import by_hand, enqueue, flushed, inside
from tests.support.queueing import flow
from tests.support.scenes import Scene
from tests.support.steps import Steps, counted
from uam_hooks.report.status import state
from uam_hooks.store import ci_states, remains

# What the newest few hundred of something take. Each of the rows below would take a multiple of it.
MOST = 10_000


def grown(before: Steps, after: Steps) -> dict[str, tuple[int, int]]:
    """What took more steps than it may."""
    return {sql: (before.of[sql], steps) for sql, steps in after.of.items() if steps > 3 * before.of[sql] + MOST}


def work(scene: Scene, number: int) -> None:
    """Pushes of three kinds, one of which conflicts; a commit that was rewritten; their flush; a look at the queue."""
    one, two = (scene.worktree(f"{name}-{number}") for name in ("one", "two"))
    for agent in (one, two):
        agent.commit("README", f"{agent.top.name}\n")
        assert enqueue(agent)
    one.git("tag", f"v{number}")
    assert enqueue(one, f"v{number}", f"refs/tags/v{number}")
    scene.commit(f"a{number}")
    scene.git("commit", "-q", "--amend", "-m", "again")
    assert enqueue(scene)
    flow(scene)
    flushed(scene)
    with inside(scene) as session:
        state(session)


def test_what_is_read_does_not_grow_with_what_has_ended(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(scene, settle="off")
    scene.git("config", "uam.push.accept", "false")
    scene.git("config", "uam.gh.repo", "owner/shop")
    scene.git("config", "uam.window.workflow", "1h")
    work(scene, 0)
    with counted(monkeypatch) as new:
        work(scene, 1)
    with scene.store() as store:
        Past(store, 7, days=18, now=time.time() - 2 * DAY).fill(1500)
    work(scene, 2)
    with counted(monkeypatch) as old:
        work(scene, 3)
    assert sum(new.of.values()) and not grown(new, old), grown(new, old)
    assert sum(old.of.values()) < 1.5 * sum(new.of.values()) + 2 * MOST, (old.of - new.of).most_common(10)


def test_what_is_asked_of_a_branch_does_not_grow_with_what_others_landed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene.store() as store:
        Past(store, 7, now=time.time()).fill(4000)
    with counted(monkeypatch) as steps, scene.store() as store:
        assert ci_states.newest_landing(store, "origin", "refs/heads/seldom") is None
        assert remains.young_tips(store, "origin", "refs/heads/seldom", "2000-01-01") == []
        row_by_row = "SELECT max(detail) FROM landings"
        store.db.execute(row_by_row).fetchall()
    assert list(grown(Steps(), steps)) == [row_by_row]


def test_what_a_push_reads_does_not_grow_with_what_waits_for_other_branches(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(scene)
    found = []
    for number, others in enumerate((0, 3000)):
        with scene.store() as store, store.transaction() as db:
            db.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 WHERE ? > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO deploy_queue"
                " (agent_id, action_type, target, remote, status, queued_at, execute_after)"
                " SELECT 'a', 'push', 'topic-' || i, 'origin', 'pending', '2026-01-01', '2099-01-01' FROM n",
                (others, others),
            )
            db.execute(
                "INSERT INTO sources (action_id, agent_id, worktree, branch, tip, exact, push_group, atomic, waiter,"
                " queued_at) SELECT id, 'a', 'w', target, '', 0, '', 0, 0, '2026-01-01' FROM deploy_queue"
                " WHERE execute_after = '2099-01-01'"
            )
        agent = scene.worktree(f"agent-{number}")
        agent.commit(f"a{number}")
        with counted(monkeypatch) as steps:
            assert enqueue(agent)
        found.append(steps)
    few, many = found
    assert few.of and not grown(few, many), grown(few, many)
