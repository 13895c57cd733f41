"""A disk that is full right after a landing: the push says that it has landed, and the next command records it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scenes import TRACKING, Scene, free, script, until

_WORDS = "could not be recorded here (the disk is full)"


@pytest.fixture
def small(scene: Scene) -> Iterator[Scene]:
    """The scene with its repository on a file system of its own, which the remote fills when it has a landing."""
    aside = scene.top.rename(scene.root / "aside")
    scene.top.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(scene.top)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        shutil.copytree(aside, scene.top, symlinks=True, dirs_exist_ok=True)
        hook = scene.remote / "hooks" / "post-receive"
        filling = f'dd if=/dev/zero of="{filler(scene)}" bs=4k 2>/dev/null\nexit 0\n'
        script(hook, hook.read_text().partition("\n")[2] + filling)
        yield scene
        scene.close()
    finally:
        subprocess.run(["umount", "-l", str(scene.top)], check=True)


def filler(scene: Scene) -> Path:
    return scene.top / ".git" / "filler"


def landed_once(scene: Scene, tip: str) -> None:
    """What the remote and the queue have once there is space again, and whoever was at work has ended."""
    until(lambda: scene.run("uam", "status").code == 0 and scene.pushed() == ["completed"], "the landing's record")
    assert [row["status"] for row in scene.rows("landings")] == ["landed"]
    assert [row["status"] for row in scene.rows("sources")] == ["landed"]
    assert (scene.there(), scene.oid(TRACKING), scene.oid("HEAD")) == (tip, tip, tip)
    assert len(scene.pushes()) == 1


@pytest.mark.slow
def test_g10_what_landed_and_could_not_be_recorded_is_said_to_have_landed(small: Scene) -> None:
    tip = small.commit("a")
    done = small.push()
    assert (done.code, small.there()) == (0, tip), done
    assert f"is on origin/main as {tip[:7]}" in done.err, done
    assert _WORDS in done.err, done
    assert small.pushed() != ["completed"]
    filler(small).unlink()
    landed_once(small, tip)


@pytest.mark.slow
def test_g10_what_landed_on_others_work_is_said_to_have_landed(small: Scene) -> None:
    other = small.stranger()
    other.commit("b")
    other.git("push", "-q", "origin", "main")
    filler(small).unlink()
    (small.remote / "pushes.log").unlink()
    small.commit("a")
    done = small.push()
    assert done.code == 0, done
    assert f"landed on origin/main as {small.there()[:7]}" in done.err, done
    assert _WORDS in done.err, done
    filler(small).unlink()
    until(lambda: small.run("uam", "sync").code == 0, "the branch at its landing")
    landed_once(small, small.there())
    assert small.clean()


@pytest.mark.slow
def test_g10_the_flusher_records_what_landed_once_there_is_space(small: Scene) -> None:
    small.git("config", "uam.push.mode", "queue")
    tip = small.commit("a")
    assert small.push().code == 0
    until(lambda: small.there() == tip and os.statvfs(small.top).f_bavail == 0, "a landing, and a full disk")
    until(lambda: all(map(free, (small.uam / "batches").glob("*.lock"))), "an attempt to record it")
    filler(small).unlink()
    until(lambda: small.pushed() == ["completed"], "the landing's record")
    landed_once(small, tip)


@pytest.mark.slow
def test_g10_where_nobody_can_tell_a_push_says_that_it_may_have_landed(small: Scene) -> None:
    small.git("config", "uam.push.waitTimeout", "6s")
    hook = small.remote / "hooks" / "post-receive"
    script(hook, hook.read_text().partition("\n")[2].replace("exit 0", f'mv "{small.remote}" "{small.root}/away"'))
    tip = small.commit("a")
    done = small.push()
    assert done.code == 1, done
    assert "#2 may have landed: nobody could record it" in done.err, done
    (small.root / "away").rename(small.remote)
    filler(small).unlink()
    landed_once(small, tip)


@pytest.fixture
def staying(small: Scene) -> Scene:
    """The same with a flusher that has landed something, and has nothing to do; the disk has room again."""
    small.git("config", "uam.flusher.linger", "10m")
    tip = small.commit("first")
    assert small.push().code == 0
    filler(small).unlink()
    until(lambda: small.pushed() == ["completed"], "the landing's record")
    assert small.there() == tip
    (small.remote / "pushes.log").unlink()
    return small


@pytest.mark.slow
def test_a_flusher_that_stays_records_what_landed_once_there_is_space(staying: Scene) -> None:
    """And serves the next push as if nothing had been."""
    tip = staying.commit("a")
    done = staying.push()
    assert (done.code, staying.there()) == (0, tip), done
    assert _WORDS in done.err, done
    filler(staying).unlink()
    until(lambda: staying.pushed() == ["completed"] * 2, "the landing's record")
    tip = staying.commit("b")
    assert staying.push().code == 0
    filler(staying).unlink()
    until(lambda: staying.pushed() == ["completed"] * 3, "the next landing's record")
    assert (staying.there(), staying.oid(TRACKING)) == (tip, tip)
    assert len(staying.pushes()) == 2


@pytest.mark.slow
def test_a_disk_that_fills_while_a_flusher_stays_holds_no_push_up(staying: Scene) -> None:
    """Without room for the queue a push goes straight to the remote; once there is room it is as before."""
    tip = staying.commit("a")
    full = ["dd", "if=/dev/zero", f"of={filler(staying)}", "bs=4k"]
    subprocess.run(full, capture_output=True, check=False)
    done = staying.push()
    assert (done.code, staying.there()) == (0, tip), done
    assert "straight to the remote" in done.err, done
    filler(staying).unlink()
    tip = staying.commit("b")
    assert staying.push().code == 0
    filler(staying).unlink()
    until(lambda: staying.pushed() == ["completed"] * 2, "the landing's record")
    assert (staying.there(), staying.oid(TRACKING)) == (tip, tip)
    assert len(staying.pushes()) == 2
