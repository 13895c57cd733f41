"""A clock that jumps holds no push longer than its window.

The clock of the machine stays as it is: what a queue looks like after a jump is written into it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import commits
from tests.support.landscape import by_hand, environment, flushed, queue, write
from tests.support.queueing import ask, change
from tests.support.scenes import Scene, Worktree, finished, until
from uam_hooks.ci.watch import Watch
from uam_hooks.fleet.abroad import Elsewhere
from uam_hooks.flush import flusher
from uam_hooks.hot.queue.bell import FLUSHERS, Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import iso, seconds_of
from uam_hooks.session import Session, open_session
from uam_hooks.store import claim

HOUR = 3600.0
# A window whose end no test lives to see.
LONG = "10m"


def clock_set_back(scene: Scene, seconds: float) -> None:
    """Let everything that waits have been queued by a clock that was ahead of ours."""
    for row in scene.rows("deploy_queue"):
        if row["status"] == "pending":
            moments = [iso(seconds_of(row[name]) + seconds) for name in ("queued_at", "execute_after")]
            change(scene, "UPDATE deploy_queue SET queued_at = ?, execute_after = ? WHERE id = ?", *moments, row["id"])


@contextmanager
def opened(scene: Scene) -> Iterator[Session]:
    with environment(scene.env), open_session(scene.top) as session:
        yield session


def test_g8_a_push_lands_within_its_window_although_the_clock_is_set_back_meanwhile(scene: Scene) -> None:
    scene.git("config", "uam.window.push", LONG)
    tip = scene.commit("a")
    process = scene.start("push")
    until(lambda: scene.pushed() == ["pending"] and scene.flushers(), "a push that waits")
    clock_set_back(scene, HOUR)
    assert finished(process).code == 0
    assert scene.there() == tip


def test_g8_a_push_that_joins_one_of_a_clock_that_was_ahead(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", "10s")
    agent = scene.worktree("agent")
    scene.commit("a")
    assert scene.push().code == 0
    flusher_of(scene)
    clock_set_back(scene, HOUR)
    agent.commit("b")
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0
    (said,) = done.ours
    seconds = int(said.partition("it lands within ")[2].partition(" s")[0])
    assert seconds <= 10, said
    scene.idle()
    assert scene.files() == ["README", "a", "b"]


def flusher_of(scene: Scene) -> None:
    until(scene.flushers, "a flusher")


def test_g8_a_pause_before_another_try_ends_although_the_clock_is_set_back(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.retry.delay", "5m")
    tip = scene.commit("a")
    away = scene.remote.rename(scene.root / "away.git")
    assert scene.push().code == 0
    until(lambda: scene.rows("deploy_queue")[-1]["attempts"], "a try that failed")
    away.rename(scene.remote)
    # the pause is what counts, not when the push was queued
    row = scene.rows("deploy_queue")[-1]
    later = iso(seconds_of(row["execute_after"]) + HOUR)
    change(scene, "UPDATE deploy_queue SET execute_after = ?, queued_at = '2020-01-01T00:00:00.000Z'", later)
    scene.run("uam", "flush", "--due")
    scene.idle()
    assert scene.there() == tip


def test_g8_a_moment_that_was_asked_for_is_no_window(scene: Scene) -> None:
    moment = iso(time.time() + HOUR)
    scene.commit("a")
    number = ask(scene, "push", options={"execute_after": moment})
    clock_set_back(scene, HOUR)
    scene.git("uam", "flush", "--due")
    with opened(scene) as session:
        claim.put_right(session.store, time.time(), waited_out=moment)
    (row,) = [row for row in scene.rows("deploy_queue") if row["id"] == number]
    assert row["status"] == "pending"
    assert row["not_before"] > iso(time.time())


def test_g8_a_window_that_has_not_ended_is_left_alone(scene: Scene) -> None:
    scene.commit("a")
    ask(scene, "push")
    change(scene, "UPDATE deploy_queue SET execute_after = ?, queued_at = ?", iso(time.time() + 60), iso(time.time()))
    before = scene.queue()
    with opened(scene) as session:
        assert not claim.put_right(session.store, time.time())
    assert scene.queue() == before


def test_g8_a_sleeping_flusher_counts_by_a_clock_that_does_not_jump(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wall clock that is set back again and again: within its window, so that no moment is out of reach."""
    scene.commit("a")
    ask(scene, "push")
    frozen = time.time()
    change(scene, "UPDATE deploy_queue SET execute_after = ?, queued_at = ?", iso(frozen + 0.5), iso(frozen))
    with opened(scene) as session:
        monkeypatch.setattr(time, "time", lambda: frozen)
        with Bell(scene.paths.bells, FLUSHERS) as bell:
            flusher._sleep_until(session, Watch(Lane(None, "origin")), bell, iso(frozen + 0.5), Elsewhere())
        batch = claim.due(session.store, frozen)
    assert batch is not None
    assert [action.target for action in batch.actions if action.explicit] == ["main"]


# -- commits whose dates do not follow each other ---------------------------------------------------------------------


def dated(scene: Scene, moment: str) -> Worktree:
    """The scene with a clock that stands still at another moment."""
    return Worktree(scene.top, {**scene.env, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment})


@pytest.mark.usefixtures("quiet")
def test_a_branch_follows_what_landed_with_a_clock_that_was_set_back(scene: Scene) -> None:
    """git lists commits by their dates: behind a commit of ours that is older than its parents it missed some."""
    scene.git("branch", "release")
    for day, pushed_at in ((7, "2024-05-07T23:00:00Z"), (8, "2024-05-01T00:00:00Z")):
        for hour in range(10, 13):
            place = dated(scene, f"2024-05-0{day}T{hour}:00:00Z")
            names = [f"{day}-{hour}-{n}" for n in range(2)]
            for name in names:
                write(place, name, f"{name}\n")
                commits.change(place, name, target="release")
            assert commits.land(place).success
        commits.push(dated(scene, pushed_at), "release")
        assert commits.land(dated(scene, pushed_at)).success
        assert scene.oid("release") == scene.there("refs/heads/release")


def test_what_git_uam_commits_for_itself_is_never_older_than_what_it_stands_on(scene: Scene) -> None:
    by_hand(scene)
    agents = [scene.worktree(f"agent-{n}") for n in range(2)]
    for number, agent in enumerate(agents):
        agent.commit(f"f{number}", GIT_COMMITTER_DATE=f"2024-05-07T0{9 - number}:00:00+00:00")
        queue(agent, "origin", "HEAD:main")
    flushed(scene)  # at the date of the scene, which is before both
    lines = scene.git("log", "--format=%H %ct %P", "refs/uam/shadow/origin/main").splitlines()
    dates = {oid: int(date) for oid, date, *_ in map(str.split, lines)}
    ours = scene.git("log", "--author=uam@localhost", "--format=%H", "refs/uam/shadow/origin/main").split()
    assert len(ours) > 1
    parents = {oid: parents for oid, _, *parents in map(str.split, lines)}
    assert [oid for oid in ours if any(dates[parent] > dates[oid] for parent in parents[oid])] == []
