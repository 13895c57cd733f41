"""What has ended is folded once its retention is over: by `git uam prune`, and by a flusher that has nothing to do."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from tests.support.queueing import change
from tests.support.scenes import Scene, until
from uam_hooks.hot.queue.model import iso

LONG_AGO = 40 * 86400.0


def landed(scene: Scene, *names: str) -> None:
    for name in names:
        scene.commit(name)
        assert scene.push().code == 0


def aged(scene: Scene, upto: int) -> None:
    """Let the actions up to this id have ended long ago."""
    past = iso(time.time() - LONG_AGO)
    change(scene, "UPDATE deploy_queue SET queued_at = ?, finished_at = ? WHERE id <= ?", past, past, upto)
    change(scene, "UPDATE sources SET queued_at = ? WHERE action_id <= ?", past, upto)
    change(
        scene,
        "UPDATE deploy_batches SET created_at = ? WHERE NOT EXISTS"
        " (SELECT 1 FROM deploy_queue q WHERE q.batch_id = deploy_batches.id AND q.id > ?)",
        past,
        upto,
    )


def ids(scene: Scene) -> list[int]:
    return [row["id"] for row in scene.rows("deploy_queue")]


def stats(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(scene.git("uam", "stats", "--json"))
    return {name: figures for name, figures in found.items() if name != "last_day"}  # a day that goes on


def test_prune_folds_what_ended_before_and_says_so_when_asked_for_it(scene: Scene) -> None:
    landed(scene, "a", "b", "c")
    scene.idle()
    aged(scene, 3)
    log = scene.paths.log_of(1)
    log.parent.mkdir(exist_ok=True)
    log.write_text("long ago\n")
    os.utime(log, (time.time() - LONG_AGO,) * 2)
    (log.parent / "7.log").write_text("now\n")
    before = stats(scene)
    assert "folded what has ended before" in scene.git("uam", "prune")
    assert stats(scene) == before and before["pushes"]["landed"] == 3
    assert 1 not in ids(scene) and len(ids(scene)) < 5
    assert [path.name for path in log.parent.glob("*.log")] == ["7.log"]
    for command, what in (("show", "Batch 1"), ("log", "#1"), ("retry", "#1")):
        done = scene.run("uam", command, "1")
        assert done.code == 4, done
        assert f"{what} is no longer available: its retention has ended, and it is folded" in done.err
    newest = max(ids(scene))
    landed(scene, "e")
    assert min(set(ids(scene)) - {*range(newest + 1)}) == newest + 1
    assert scene.files() == ["README", "a", "b", "c", "e"]


def test_a_flusher_folds_between_two_pushes_and_lands_the_next(scene: Scene) -> None:
    landed(scene, "a", "b")
    scene.idle()
    aged(scene, 3)
    before = stats(scene)["pushes"]["landed"]
    scene.git("config", "uam.flusher.linger", "1h")
    landed(scene, "c")
    until(lambda: 1 not in ids(scene), "the fold")
    landed(scene, "d")
    assert stats(scene)["pushes"]["landed"] == before + 2
    assert "folded" not in scene.paths.log.read_text()
