"""A flusher that stays after its landing, and goes where it would be in the way: FAULTS H15 pays for its start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import uam_hooks
from tests.hot.test_files import asleep
from tests.support.scenes import Scene, another_git, finished, free, until
from uam_hooks.flush import staying as staying_module
from uam_hooks.flush.staying import Ground
from uam_hooks.hot.queue.bell import FLUSHERS, Bell
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.leader import begun, try_lock


@pytest.fixture
def staying(scene: Scene) -> Scene:
    """The scene, whose flushers stay as long as any test takes."""
    scene.git("config", "uam.flusher.linger", "10m")
    return scene


def landed(scene: Scene, name: str, **env: str) -> int:
    """Push a new commit, which has to land; the process that has landed it."""
    tip = scene.commit(name)
    done = scene.push(**env)
    assert done.code == 0, done
    assert scene.there() == tip
    until(lambda: idle(scene), "a flusher that has nothing to do")
    return scene.flusher()


def idle(scene: Scene) -> bool:
    """Whether the flusher says that it has nothing to do."""
    return any(path.read_text().endswith(" idle\n") for path in scene.uam.glob("flusher-*.lock"))


def gone(scene: Scene, pid: int) -> None:
    until(lambda: pid not in scene.flushers(), "the flusher's end")


def test_it_begins_with_what_a_landing_needs_and_nothing_else() -> None:
    """A push that finds no flusher waits for all that one imports."""
    code = "import sys; sys.path.append(sys.argv[1]); import uam_hooks.flush.flusher; print(*sys.modules)"
    package = Path(uam_hooks.__file__).resolve().parents[1]
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, package], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "uam_hooks.land.pushes" in told
    seldom = {"concurrent.futures", "hashlib", "logging", "shutil", "tempfile", "traceback", "typing", "uuid"}
    assert seldom & {*told} == set()
    assert {name.partition(".")[0] for name in told} - sys.stdlib_module_names == {"uam_hooks", "__main__"}


def test_a_dry_run_starts_none(staying: Scene) -> None:
    staying.commit("a")
    for how in ("--dry-run", "-n"):
        done = staying.push(how)
        assert done.code == 0 and "main -> main" in done.err
    assert list(staying.uam.glob("flusher*")) == []


def test_one_flusher_lands_one_push_after_the_other(staying: Scene) -> None:
    pids = {landed(staying, name) for name in "abc"}
    assert len(pids) == 1
    assert [path.name.split("-")[0] for path in (staying.uam / "bells").iterdir()] == ["flusher"]


def test_one_that_has_stayed_long_enough_goes(scene: Scene) -> None:
    scene.git("config", "uam.flusher.linger", "100ms")
    tip = scene.commit("a")
    assert scene.push().code == 0
    scene.idle()
    assert scene.there() == tip
    assert list((scene.uam / "bells").iterdir()) == []


def test_another_environment_has_another_flusher(staying: Scene) -> None:
    """What a flusher runs (gates, hooks of git, gh) sees what the push that it is for would show it."""
    first = landed(staying, "a")
    assert landed(staying, "b", TERM="dumb") == first
    tip = staying.commit("c")
    assert staying.push(LANGUAGE="tlh").code == 0
    assert staying.there() == tip
    gone(staying, first)
    second = staying.flusher()
    assert b"LANGUAGE=tlh" in Path(f"/proc/{second}/environ").read_bytes().split(b"\0")


def test_one_that_is_killed_while_it_stays_is_replaced(staying: Scene) -> None:
    first = landed(staying, "a")
    os.kill(first, signal.SIGKILL)
    gone(staying, first)
    assert landed(staying, "b") != first
    # the bell of the one that was killed has been taken down by whoever rang it
    assert len(list((staying.uam / "bells").iterdir())) == 1


def test_one_that_is_killed_while_pushes_wait_for_it_is_replaced(staying: Scene) -> None:
    first = landed(staying, "a")
    os.kill(first, signal.SIGSTOP)
    tip = staying.commit("b")
    push = staying.start("push")
    until(lambda: staying.pushed() == ["completed", "pending"], "a push that waits")
    os.kill(first, signal.SIGKILL)
    assert finished(push).code == 0
    assert staying.there() == tip


def test_one_that_is_stopped_holds_pushes_up_and_loses_none(staying: Scene) -> None:
    staying.git("config", "uam.push.waitTimeout", "1s")
    first = landed(staying, "a")
    os.kill(first, signal.SIGSTOP)
    tip = staying.commit("b")
    done = staying.push()
    assert done.code == 1
    assert "not landed yet" in done.err
    os.kill(first, signal.SIGCONT)
    until(lambda: staying.there() == tip, "the landing")


def test_a_push_in_queue_mode_wakes_it(staying: Scene) -> None:
    first = landed(staying, "a")
    staying.git("config", "uam.push.mode", "queue")
    tip = staying.commit("b")
    assert staying.push().code == 0
    until(lambda: staying.there() == tip and idle(staying), "the landing")
    assert staying.flushers() == [first]


def _installed_elsewhere(scene: Scene) -> Path:
    """Let another program be the interpreter of git uam; it notes what it starts."""
    started = scene.root / "started"
    scene.with_interpreter(f'echo "$@" >>"{started}"; exec "$python" "$@"')
    return started


def test_another_version_takes_its_place(staying: Scene) -> None:
    first = landed(staying, "a")
    _installed_elsewhere(staying)
    gone(staying, first)
    assert landed(staying, "b") != first


def test_one_whose_git_was_replaced_goes(staying: Scene) -> None:
    env = another_git(staying, f'exec "{shutil.which("git")}" "$@"\n')  # of the environment it has only what it needs
    first = landed(staying, "a", **env)
    os.utime(staying.root / "programs" / "git", (0, 0))
    gone(staying, first)
    assert landed(staying, "b", **env) != first


def test_another_version_takes_over_what_waits(staying: Scene) -> None:
    """With the lock in its hands: nobody who relied on the flusher is left without one."""
    staying.git("config", "uam.push.mode", "queue")
    staying.commit("a")
    assert staying.push().code == 0
    until(lambda: staying.pushed() == ["completed"] and idle(staying), "the landing")
    first = staying.flusher()
    until(lambda: asleep(first), "a flusher that waits for its bell")  # or it has looked what it stands on already
    os.kill(first, signal.SIGSTOP)
    tip = staying.commit("b")
    assert staying.push().code == 0
    started = _installed_elsewhere(staying)
    (lock,) = staying.uam.glob("flusher-*.lock")
    assert not free(lock)
    os.kill(first, signal.SIGCONT)
    until(lambda: staying.there() == tip and idle(staying), "the landing")
    assert "flusher import main" in started.read_text()
    assert staying.flushers() == [first]  # the same process, in which another program runs


def test_g9_a_repository_that_was_removed_stays_removed(staying: Scene) -> None:
    first = landed(staying, "a")
    shutil.rmtree(staying.top)
    gone(staying, first)
    assert not staying.top.exists()


def test_a_repository_that_was_moved_goes_on_where_it_is(staying: Scene) -> None:
    first = landed(staying, "a")
    away = staying.root / "elsewhere"
    staying.top.rename(away)
    gone(staying, first)
    assert not staying.top.exists()
    away.rename(staying.top)
    landed(staying, "b")


def test_a_queue_that_was_set_aside_is_not_served_on(staying: Scene) -> None:
    """As the advice for a damaged one says. Who relied on the flusher that has the old one open is served by it all the
    same, even if that comes to look only once the push has ended."""
    first = landed(staying, "a")
    staying.git("config", "uam.push.mode", "queue")
    until(lambda: asleep(first), "a flusher that waits for its bell")
    os.kill(first, signal.SIGSTOP)
    for path in staying.uam.glob("queue.db*"):
        path.rename(path.with_name(f"old-{path.name}"))
    tip = staying.commit("b")
    assert staying.push().code == 0
    os.kill(first, signal.SIGCONT)
    until(lambda: staying.there() == tip and idle(staying), "the landing")


def test_an_uninstall_ends_it(staying: Scene) -> None:
    first = landed(staying, "a")
    assert staying.run("uam", "uninstall").code == 0
    gone(staying, first)
    assert not staying.uam.exists()


def test_settings_of_the_moment_count(staying: Scene) -> None:
    """It serves with what the configuration says when it is woken, never with what it was when it began."""
    first = landed(staying, "a")
    other = staying.root / "other.git"
    staying.outside.git("clone", "-q", "--bare", str(staying.remote), str(other))
    before = staying.there()
    staying.git("remote", "set-url", "origin", str(other))
    tip = staying.commit("b")
    assert staying.push().code == 0
    until(lambda: idle(staying), "the end of its work")
    assert staying.flushers() == [first]
    assert staying.there() == before
    assert staying.outside.git("-C", str(other), "rev-parse", "main") == tip


def test_a_bell_that_cannot_be_hung_is_done_without(staying: Scene) -> None:
    shutil.rmtree(staying.uam / "bells")
    (staying.uam / "bells").write_text("in the way")
    landed(staying, "a")
    landed(staying, "b")


def test_what_lies_among_the_bells_is_not_written_to(staying: Scene) -> None:
    victim = staying.root / "victim"
    victim.write_text("mine" * 8)
    (staying.uam / "bells" / "flusher-1.0").symlink_to(victim)
    landed(staying, "a")
    assert victim.read_text() == "mine" * 8
    assert (staying.uam / "bells" / "flusher-1.0").is_symlink()


def test_a_bell_that_nobody_hears_is_taken_down(staying: Scene) -> None:
    (staying.uam / "bells" / "flusher-1.0").write_text("0" * 32)
    landed(staying, "a")
    assert not (staying.uam / "bells" / "flusher-1.0").exists()


def test_a_pipe_among_the_bells_holds_nobody_up(staying: Scene) -> None:
    os.mkfifo(staying.uam / "bells" / "flusher-1.0")
    landed(staying, "a")


def test_a_repository_can_be_copied_while_it_stays(staying: Scene) -> None:
    landed(staying, "a")
    copy = staying.root / "copy"
    shutil.copytree(staying.top, copy)  # which no named pipe may be in the way of
    assert staying.outside.git("-C", str(copy), "rev-parse", "HEAD") == staying.there()


def test_hooks_of_the_user_see_no_more_of_it_than_before(staying: Scene) -> None:
    """A push that is dry, or brings nothing, lands nothing and answers as without one that stays."""
    first = landed(staying, "a")
    assert staying.push("--dry-run").code == 0
    done = staying.push()
    assert (done.code, "Everything up-to-date" in done.err) == (0, True)
    assert staying.flushers() == [first]


def test_a_full_disk_keeps_no_flusher_from_its_work() -> None:
    lock = os.open("/dev/full", os.O_RDWR)
    try:
        begun(lock, idle=True)
    finally:
        os.close(lock)


@pytest.mark.parametrize("most", [1, 1 << 40])
def test_one_that_has_grown_too_big_does_not_stay(scene: Scene, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(staying_module, "MOST_BYTES", most)
    monkeypatch.setattr(staying_module, "MOST_BYTES_IN_FLEET", most)
    looks: list[int] = []

    def meanwhile() -> bool:
        looks.append(1)
        (scene.paths.database).rename(scene.root / "aside")  # what it stays for has gone
        return False

    lane = Lane("somebody", "origin")
    lock = try_lock(scene.paths.lane_lock(lane.key))
    assert lock is not None
    with scene.store() as store, Bell(scene.paths.bells, FLUSHERS) as bell:
        ground = Ground(scene.paths, lane, lock)
        assert not staying_module.stay(store, lane, bell, ground, 600.0, meanwhile)
    os.close(lock)
    assert len(looks) == (most > 1)
