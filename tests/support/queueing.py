"""Asking for actions by name, as a program does, and what became of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.support.landscape import environment
from tests.support.scenes import Done, Scene, Worktree, until
from uam_hooks import BatchResult, DeployBatcher

KINDS = ("commit", "push", "merge", "workflow", "deploy")
# A window that does not end while a test looks; `due_now` ends it.
WINDOW = "20s"
# Windows with which everything is due as soon as it is queued.
AT_ONCE = dict.fromkeys(KINDS, 0)

# How often what may pass is tried again, where a test counts.
# How many pauses the tests allow before a failure is final.
COUNT = 2


@contextmanager
def batcher(place: Worktree, **options: Any) -> Iterator[DeployBatcher]:
    """The batcher of a program that runs in `place`."""
    with environment(place.env):
        yield DeployBatcher(**{"repository": place.top, **options})


@contextmanager
def acting(place: Worktree, **options: Any) -> Iterator[DeployBatcher]:
    """The same without windows."""
    with batcher(place, batch_window_ms=0, **options) as found:
        yield found


def ask(
    place: Worktree, kind: str, target: str = "main", *needs: int, agent: str = "ada",
    options: Mapping[str, Any] | None = None, **payload: Any,
) -> int:  # fmt: skip
    """Queue an action that depends on `needs`; gives its id."""
    with batcher(place) as queue:
        return queue.queue(agent, kind, target, payload, **{"dependencies": needs, **(options or {})})


def flow(place: Worktree, target: str = "test.yml", agent: str = "ada", **payload: Any) -> int:
    """Queue a workflow, on main unless `payload` says otherwise."""
    return ask(place, "workflow", target, agent=agent, **{"ref": "main", **payload})


def retry(place: Worktree, number: int) -> int:
    with batcher(place) as queue:
        return queue.retry(number)


def flush_all(place: Worktree) -> list[BatchResult]:
    with batcher(place) as queue:
        return queue.flush_all()


def row(scene: Scene, number: int) -> dict[str, Any]:
    """The action with this id."""
    (found,) = [one for one in scene.rows("deploy_queue") if one["id"] == number]
    return found


def state(scene: Scene, number: int) -> tuple[str, int]:
    """The status of an action, and how often it failed for a reason that may pass."""
    found = row(scene, number)
    return found["status"], found["attempts"]


def statuses(scene: Scene) -> list[str]:
    """What became of each action, in queue order."""
    return [one["status"] for one in scene.rows("deploy_queue")]


def ends(scene: Scene) -> list[str]:
    """The same of those that were asked for by name, or that push."""
    return [r["status"] for r in scene.rows("deploy_queue") if r["asked"] or r["action_type"] != "commit"]


def askers(scene: Scene, number: int) -> list[tuple[str, str]]:
    """Who asked for an action, and what they are told became of it."""
    return [(s["agent_id"], s["status"]) for s in scene.rows("sources") if s["action_id"] == number]


def last_push(scene: Scene) -> int:
    """The id of the newest push."""
    return int(max(found["id"] for found in scene.rows("deploy_queue") if found["action_type"] == "push"))


def change(scene: Scene, sql: str, *values: Any) -> None:
    """Change the queue: what a test cannot wait for, or cannot choose."""
    with closing(sqlite3.connect(scene.paths.database)) as db, db:
        db.execute(sql, values)


def due_now(scene: Scene) -> None:
    """Let all windows have ended. A flusher looks at them every hundredth of a window, at most every 0.1 s."""
    change(scene, "UPDATE deploy_queue SET execute_after = queued_at WHERE status = 'pending'")


def in_one_window(scene: Scene, jobs: Sequence[Callable[[], Done]]) -> list[Done]:
    """Run these pushes at the same time; the window they wait for ends when all of them are in the queue."""
    scene.git("config", "uam.window.push", WINDOW)
    before = len(scene.rows("sources"))
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(job) for job in jobs]
        until(lambda: len(scene.rows("sources")) == before + len(jobs), "all pushes in the queue")
        due_now(scene)
        return [future.result() for future in running]


class Clock:
    """The time of this process, which stands still unless a test moves it on: windows end without anybody waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = time.time()
        monkeypatch.setattr(time, "time", lambda: self._now)

    def pass_by(self, seconds: float) -> None:
        self._now += seconds
