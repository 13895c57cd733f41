"""A fault of ours never stops a commit and never swallows a push."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.marks import bulk
from tests.support.scenes import Scene, finished, unprivileged, writing

SOMEBODY = 65533


def pushed_straight(scene: Scene, *args: str, **env: str) -> list[str]:
    """Two commits and a push that must land as plain git lands it; gives our lines of stderr."""
    scene.commit("a")
    tip = scene.commit("b")
    done = scene.push(*args, **env)
    assert done.code == 0, done
    assert (scene.there(), scene.landed()) == (tip, ["Add a", "Add b"])
    assert scene.oid("refs/remotes/origin/main") == tip
    assert done.err.endswith(f"To uam::origin\n   {scene.start_oid[:7]}..{tip[:7]}  main -> main\n")
    return done.ours


def point_env_at(scene: Scene, python: Path | str, site: Path | str) -> None:
    (scene.uam / "env").write_text(f"{python}\n{site}\n")


def gone(scene: Scene) -> str:
    return (
        f"the environment behind {env_seen(scene)} is gone, so this push goes straight to the remote;"
        " run install.sh again."
    )


def env_seen(scene: Scene) -> str:
    """The environment file as the helper's shim names it."""
    return ".git/uam/env" if scene else ""


def test_environment_deleted(scene: Scene) -> None:
    point_env_at(scene, scene.root / "deleted/bin/python", scene.root / "deleted")
    ours = pushed_straight(scene)
    assert ours == [gone(scene)]


def test_package_deleted(scene: Scene) -> None:
    python = (scene.uam / "env").read_text().splitlines()[0]
    point_env_at(scene, python, scene.root / "deleted")
    assert pushed_straight(scene) == [gone(scene)]


def test_environment_file_deleted(scene: Scene) -> None:
    (scene.uam / "env").unlink()
    assert len(pushed_straight(scene)) == 1


def test_environment_deleted_in_the_hook_door(unwired: Scene) -> None:
    unwired.commit("a")
    tip = unwired.commit("b")
    point_env_at(unwired, unwired.root / "deleted/bin/python", unwired.root / "deleted")
    done = unwired.push()
    assert (done.code, unwired.there()) == (0, tip)
    assert done.ours == [
        "the environment behind .git/uam/env is gone, so this push goes straight to the remote; run install.sh again."
    ]


@pytest.mark.parametrize(
    "crash",
    [
        'exec "$python" -I -S -c "import nothing_of_that_name" 2>/dev/null',
        "exit 127",
        "exit 126",
        "kill -SEGV $$",
    ],
)
def test_an_interpreter_that_crashes_at_its_start(scene: Scene, crash: str) -> None:
    scene.with_interpreter(crash)
    ours = pushed_straight(scene)
    assert len(ours) == 1
    assert ours[0].endswith("goes straight to the remote; run install.sh again.")


def test_an_interpreter_that_crashes_in_the_hook_door(unwired: Scene) -> None:
    unwired.with_interpreter("kill -SEGV $$")
    tip = unwired.commit("a")
    done = unwired.push()
    assert (done.code, unwired.there()) == (0, tip)
    assert done.ours == ["could not queue this push, so it goes straight to the remote."]


def broken_line(scene: Scene, why: str) -> str:
    return f"The queue {scene.paths.database} cannot be used: {why}. This push goes straight to the remote."


@pytest.mark.parametrize("content", [b"this is no database\n" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_corrupt_database(scene: Scene, content: bytes) -> None:
    scene.paths.database.write_bytes(content)
    ours = pushed_straight(scene)
    assert ours == [broken_line(scene, "file is not a database")]


def test_database_corrupted_in_the_middle(scene: Scene) -> None:
    """The header is whole, so it opens; a table's pages are not."""
    scene.commit("first")
    scene.push()
    scene.idle()
    scene.start_oid = scene.there()
    with scene.store() as store:
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with scene.paths.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)
    ours = pushed_straight(scene)
    assert len(ours) == 1
    assert ours[0].startswith(f"The queue {scene.paths.database} cannot be used: ")


def test_no_database_can_be_made(scene: Scene) -> None:
    scene.paths.database.unlink(missing_ok=True)
    scene.paths.database.mkdir()
    assert pushed_straight(scene) == [broken_line(scene, "is no regular file")]


@pytest.mark.slow
def test_database_locked_by_a_writer(scene: Scene) -> None:
    scene.report()
    with writing(scene.paths.database):
        ours = pushed_straight(scene)
    assert ours == [broken_line(scene, "database is locked")]
    # once the writer is gone all is as ever
    scene.commit("c")
    assert scene.push().code == 0
    assert scene.landed() == ["Add a", "Add b", "Add c"]


@pytest.mark.slow
def test_a_short_lock_is_waited_for(scene: Scene) -> None:
    scene.report()
    for name in ("a", "b"):
        scene.commit(name)
    with writing(scene.paths.database):
        process = scene.start("push")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
    done = finished(process)
    assert done.code == 0
    assert scene.landed() == ["Squashed 2 commits:"]


def test_directory_that_cannot_be_written(scene: Scene) -> None:
    """It is somebody else's: of one's own the modes are put right."""
    in_front = unprivileged()
    if not in_front:
        pytest.skip("only root can give a directory to somebody else, and setpriv takes root's rights away")
    scene.report()
    others = [scene.uam, *(path for path in scene.uam.rglob("*") if path.is_dir()), *scene.uam.glob("queue.db*")]
    for path in others:
        path.chmod(path.stat().st_mode | 0o555 if path.is_dir() else 0o444)
        os.chown(path, SOMEBODY, SOMEBODY)
    (scene.top / "a").write_text("a\n")
    scene.git("add", "a")
    commit = scene.execute(*in_front, "git", "commit", "-q", "-m", "Add a")
    tip = scene.oid("HEAD")
    assert (commit.code, len(commit.ours)) == (0, 1), commit
    assert commit.ours[0].startswith(f"could not note commit {tip} in ")
    done = scene.execute(*in_front, "git", "push")
    assert (done.code, scene.there()) == (0, tip), done
    assert len(done.ours) == 1, done


@pytest.mark.parametrize("name", bulk(["sqlite3", "click", "git", "uam_hooks", "site", "sitecustomize", "filelock"]))
def test_files_in_the_worktree_are_not_imported(scene: Scene, name: str) -> None:
    (scene.top / f"{name}.py").write_text(f'open("{scene.root}/was-imported", "w")\nraise SystemExit(0)\n')
    (scene.top / "sub").mkdir()
    shutil.copy(scene.top / f"{name}.py", scene.top / "sub")
    scene.git("config", "uam.push.mode", "queue")
    for file in ("a", "b"):
        scene.commit(file)
    scene.env["PYTHONPATH"] = str(scene.top)
    assert scene.run("-C", "sub", "push").code == 0
    assert scene.run("-C", "sub", "uam", "status").code == 0
    scene.idle()
    assert scene.landed() == ["Squashed 2 commits:"]
    assert not (scene.root / "was-imported").exists()


def test_a_push_from_a_subdirectory_of_a_linked_worktree_and_by_git_dir(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.commit("sub/a")
    assert agent.run("-C", "sub", "push", "origin", "HEAD:main").code == 0
    agent.commit("sub/b")
    done = scene.outside.run(
        "--git-dir", str(scene.top / ".git/worktrees/agent"), "--work-tree", str(agent.top), "push", "origin",
        "HEAD:main",
    )  # fmt: skip
    assert done.code == 0, done
    assert scene.landed() == ["Add sub/a", "Add sub/b"]


@pytest.mark.slow
def test_no_flusher_can_run(scene: Scene) -> None:
    """The package lost what only the flusher needs: the waiting push gives up on it and goes straight."""
    python, site = (scene.uam / "env").read_text().splitlines()
    package = scene.root / "site" / "uam_hooks"
    shutil.copytree(Path(site, "uam_hooks", "hot"), package / "hot")
    shutil.copyfile(Path(site, "uam_hooks", "__init__.py"), package / "__init__.py")
    point_env_at(scene, Path(python), str(package.parent))
    ours = pushed_straight(scene)
    assert ours == [f"no flusher could run, see {scene.paths.log}; this push goes straight to the remote."]
    assert scene.pushed() == ["cancelled"]
