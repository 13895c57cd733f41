"""Taking git uam out of a repository in which pushes wait: what is said to be dropped never lands."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.queueing import WINDOW, change, due_now
from tests.support.scenes import Done, Scene, finished, gate, until
from uam_hooks.hot.core.errors import Locked
from uam_hooks.store.removal import closing

DROPPED = "uam was uninstalled while this push waited; nothing of it landed: push again"


def waiting(scene: Scene, name: str) -> subprocess.Popen[str]:
    """A push of a branch of its own that waits in the queue."""
    scene.git("checkout", "-q", "-b", name, "main")
    scene.commit(name)
    before = len(scene.rows("sources"))
    process = scene.start("push", "origin", name)
    until(lambda: len(scene.rows("sources")) > before, "a push in the queue")
    return process


def said(done: Done) -> list[str]:
    """Where what was dropped would have gone."""
    return re.findall(r"^dropped: #[0-9]+ push to (\S+) by ", done.out, re.MULTILINE)


def out_of(scene: Scene) -> None:
    """No process of ours is left, and nothing of ours comes back."""
    scene.idle()
    assert [path.name for path in (scene.top / ".git").iterdir() if path.name.startswith("uam")] == []


def test_g3_pushes_that_wait_in_their_window_are_told_and_never_land(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    pushes = [waiting(scene, name) for name in ("one", "two")]
    scene.flusher()
    removed = scene.run("uam", "uninstall", "--force")
    ended = [finished(process) for process in pushes]
    assert removed.code == 0, removed
    assert said(removed) == ["origin/one", "origin/two"]
    for done, name in zip(ended, ("one", "two"), strict=True):
        assert done.code == 1, done
        assert f"! [remote rejected] {name} -> {name} ({DROPPED})" in done.err
        assert done.ours == []
    out_of(scene)
    assert scene.pushes() == []
    assert scene.push("origin", "one").code == 0
    assert scene.there("refs/heads/one") == scene.oid("one")


def test_g3_what_is_on_its_way_lands_first_and_what_waits_behind_it_is_dropped(scene: Scene) -> None:
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        landing = waiting(scene, "one")
        until(open_gate.reached, "a push that has come to the remote")
        scene.git("config", "uam.window.push", WINDOW)
        behind = waiting(scene, "two")
        uninstall = scene.start("uam", "uninstall", "--force")
        until(lambda: held(scene), "an uninstall that waits")
        assert (scene.uam / "env").exists()
        due_now(scene)  # nobody claims it any more
        open_gate()
        removed, first, second = finished(uninstall), finished(landing), finished(behind)
    assert removed.code == 0, removed
    assert said(removed) == ["origin/two"]
    assert first.code == 0, first
    assert scene.there("refs/heads/one") == scene.oid("one")
    assert (second.code, DROPPED in second.err) == (1, True), second
    out_of(scene)
    assert scene.there("refs/heads/two") == ""
    assert len(scene.pushes()) == 1


def held(scene: Scene) -> bool:
    """Whether an uninstall holds the flush lock (proc_locks(5))."""
    inode = scene.paths.flush_lock.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[-3].endswith(f":{inode}"):
            with suppress(OSError):
                return b"uninstall" in Path(f"/proc/{words[4]}/cmdline").read_bytes()
    return False


def test_g3_a_queue_that_does_not_come_to_rest_is_left_as_it_is(scene: Scene) -> None:
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        landing = waiting(scene, "one")
        until(open_gate.reached, "a push that has come to the remote")
        with (
            scene.store() as store,
            pytest.raises(Locked, match="push origin/one"),
            closing(scene.paths, store, lambda _: [], 0.1),
        ):
            pass
        open_gate()
        assert finished(landing).code == 0
    assert scene.pushed() == ["completed"]


def test_g3_a_push_that_had_the_queue_open_goes_straight(scene: Scene) -> None:
    """What the last transaction leaves lets nobody queue: the push says so, and goes to the remote itself."""
    scene.git("config", "uam.window.push", WINDOW)
    with scene.store() as store, closing(scene.paths, store, lambda _: []) as close:
        close(scene.uam)
    tip = scene.commit("late")
    done = scene.push("origin", "main")
    assert done.code == 0, done
    assert any("git uam was uninstalled" in line and "goes straight" in line for line in done.ours), done
    assert scene.there() == tip
    assert scene.rows("sources") == []


def test_g3_nobody_is_told_that_nothing_landed_where_that_is_not_known(scene: Scene) -> None:
    """A process died with the push on its way, and the uninstall does not ask the remote."""
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    scene.push("origin", "main")
    change(scene, "UPDATE deploy_queue SET status = 'executing' WHERE action_type = 'push'")
    with scene.store() as store, closing(scene.paths, store, lambda _: []) as close:
        close(scene.uam)
    (source,) = scene.rows("sources")
    assert source["status"] == "withdrawn"
    assert "see with `git fetch` whether it landed" in source["outcome"]


def test_g3_the_answer_comes_also_where_the_directory_was_removed_by_hand(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    process = waiting(scene, "one")
    scene.flusher()
    scene.uam.rename(scene.root / "away")
    done = finished(process)
    assert (done.code, DROPPED in done.err) == (1, True), done
    scene.idle()
    assert not scene.uam.exists()
    assert scene.pushes() == []
