"""What lies in .git/uam: who may read it, how it is opened, and that it does not come back."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.scenes import Scene, Worktree, finished, script, until
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import Refused


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def deploy(scene: Scene) -> None:
    scene.git("config", "uam.deploy.x.command", str(script(scene.root / "deploy", "echo done\n")))
    scene.git("config", "uam.window.deploy", "0")
    assert scene.execute("git", "uam", "queue", "--action-type", "deploy", "--target", "x").code == 0
    scene.idle()


def everything(uam: Path) -> list[Path]:
    return [path for path in uam.rglob("*") if not path.is_symlink()]


def test_e1_nobody_else_reads_or_locks_what_lies_in_git_uam(plain: Scene) -> None:
    before = os.umask(0o022)
    try:
        plain.install()
        deploy(plain)
        plain.commit("a")
        assert plain.push().code == 0
        plain.commit("b")
    finally:
        os.umask(before)
    assert mode(plain.uam) == 0o700
    made = ["queue.db", "log/1.log", "flush.log", "flush.lock", "env", "install.json", "config.before"]
    assert {name: mode(plain.uam / name) for name in made} == dict.fromkeys(made, 0o600)
    assert [path for path in plain.uam.glob("*.lock") if mode(path) & 0o077] == []


def test_e1_what_an_earlier_version_has_left_is_tightened(scene: Scene) -> None:
    scene.commit("a")
    assert scene.push().code == 0
    scene.idle()  # what a flusher takes away last is not to be looked at
    for path in [scene.uam, *everything(scene.uam)]:
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    assert scene.execute("git", "uam", "status").code == 0
    scene.idle()
    assert [path for path in [scene.uam, *everything(scene.uam)] if mode(path) & 0o077] == []
    assert os.access(scene.uam / "bin" / "git-uam", os.X_OK)


@pytest.mark.parametrize(
    ("shared", "directory"),
    [("", 0o700), ("group", 0o2770), ("true", 0o2770), ("1", 0o2770), ("all", 0o2775), ("world", 0o2775),
     ("0640", 0o2750), ("0660", 0o2770), ("umask", None), ("false", None)],
)  # fmt: skip
def test_e1_a_shared_repository_is_shared(tmp_path: Path, shared: str, directory: int | None) -> None:
    uam = tmp_path / "uam"
    uam.mkdir()
    uam.chmod(0o755)
    files.secure(uam, shared)
    assert mode(uam) == (0o755 if directory is None else directory)
    os.close(files.opened(uam / "made", os.O_WRONLY | os.O_CREAT))
    assert mode(uam / "made") == mode(uam) & 0o666
    files.make_directory(uam / "log")
    assert mode(uam / "log") == mode(uam)


def test_e1_whom_a_repository_is_shared_with_has_the_same_identity_key(scene: Scene) -> None:
    scene.git("config", "core.sharedRepository", "group")
    scene.commit("a")
    assert scene.push().code == 0
    assert mode(scene.paths.identity_key) == 0o660


@pytest.mark.parametrize("what", ["link", "pipe", "directory"])
def test_b7_what_is_no_file_is_not_opened(tmp_path: Path, what: str) -> None:
    path, target = tmp_path / "there", tmp_path / "target"
    target.write_text("untouched")
    if what == "link":
        path.symlink_to(target)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    for flags in (os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_APPEND):
        with pytest.raises(OSError, match=str(path)):
            files.opened(path, flags)
    assert target.read_text() == "untouched"


def test_b7_log_is_not_written_through_a_link(scene: Scene) -> None:
    target = scene.root / "target"
    target.write_text("untouched")
    (scene.uam / "log" / "1.log").symlink_to(target)
    deploy(scene)
    assert target.read_text() == "untouched"
    assert scene.git("uam", "log", "1").splitlines()[-1] == "done"


def test_b7_log_directory_that_is_a_link_is_refused(scene: Scene) -> None:
    elsewhere = scene.root / "elsewhere"
    elsewhere.mkdir()
    (scene.uam / "log").rmdir()
    (scene.uam / "log").symlink_to(elsewhere)
    deploy(scene)
    assert list(elsewhere.iterdir()) == []
    assert "is no directory of its own" in scene.git("uam", "log", "1")


def test_b7_log_that_is_a_link_is_not_shown(scene: Scene) -> None:
    deploy(scene)
    log = scene.uam / "log" / "1.log"
    log.unlink()
    log.symlink_to("/etc/hostname")
    done = scene.execute("git", "uam", "log", "1")
    assert (done.code, done.out) == (4, "")
    assert "is no file of ours" in done.err


def test_a_place_of_ours_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(Refused):
        files.secure(tmp_path / "link", "")


def test_g9_a_repository_that_is_gone_does_not_come_back(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", "4s")
    scene.commit("a")
    assert scene.push().code == 0
    until(lambda: asleep(scene.flusher()), "the sleep until the window ends")
    scene.execute("rm", "-rf", str(scene.top / ".git"))
    scene.idle()
    assert not (scene.top / ".git").exists()


@pytest.mark.parametrize(("shared", "wanted"), [("", 0o600), ("group", 0o664)])
def test_e1_what_the_hooks_note_is_as_private_as_the_rest(plain: Scene, shared: str, wanted: int) -> None:
    plain.git("config", "core.sharedRepository", shared or "umask")
    if not shared:
        plain.git("config", "--unset", "core.sharedRepository")
    plain.install()
    before = os.umask(0o002)
    try:
        plain.commit("a")
        plain.git("commit", "-q", "--amend", "-m", "Reworded")
    finally:
        os.umask(before)
    notes = {path.name: mode(path) for path in (plain.uam / "spool").iterdir()}
    assert len(notes) > 1
    assert notes == dict.fromkeys(notes, wanted)


@pytest.mark.parametrize("mode", ["queue", "wait"])
def test_g9_moved_while_the_flusher_sleeps(scene: Scene, mode: str) -> None:
    scene.git("config", "uam.push.mode", mode)
    scene.git("config", "uam.window.push", "4s")
    tip = scene.commit("a")
    push = scene.start("push")
    until(lambda: asleep(scene.flusher()), "the sleep until the window ends")
    new = scene.root / "new"
    scene.top.rename(new)
    finished(push)
    scene.idle()
    assert not scene.top.exists()
    there = Worktree(new, scene.env)
    assert there.run("uam", "flush").code == 0
    assert scene.there() == tip
    assert len(scene.pushes()) == 1
    assert not scene.top.exists()


def asleep(pid: int) -> bool:
    """Whether a process waits for its bell, in several looks: it has done what it does before that."""
    return all("poll" in Path(f"/proc/{pid}/wchan").read_text() for _ in range(50))
