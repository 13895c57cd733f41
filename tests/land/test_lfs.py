"""git-lfs: what a landing names is with its server before, whichever way the push took."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.commits import change, land, push
from tests.support.landscape import by_hand, flushed, queue
from tests.support.scenes import Scene, Worktree

pytestmark = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed here")


def large(place: Worktree, name: str) -> bytes:
    """Write a file that git-lfs keeps; gives what is in it."""
    data = os.urandom(2000)
    (place.top / name).write_bytes(data)
    return data


def commit(place: Worktree, name: str) -> bytes:
    data = large(place, name)
    place.git("add", "--", name)
    place.git("commit", "-q", "-m", f"Add {name}")
    return data


@pytest.fixture
def tracked(plain: Scene) -> Scene:
    """A repository that uses git-lfs, with its hooks, which we come on top of."""
    plain.git("lfs", "install", "--local")
    plain.git("lfs", "track", "*.bin")
    plain.git("add", ".gitattributes")
    plain.git("commit", "-q", "-m", "Track")
    plain.git("push", "-q", "origin", "main")
    plain.install()
    return plain


def cloned(scene: Scene, files: dict[str, bytes]) -> None:
    """A clone has these files, and not what stands for them."""
    scene.outside.git("clone", "-q", str(scene.remote), "clone")
    clone = Worktree(scene.root / "clone", scene.env)
    clone.git("lfs", "install", "--local")
    clone.git("lfs", "pull")
    assert {name: (clone.top / name).read_bytes() == data for name, data in files.items()} == dict.fromkeys(files, True)


def test_c8_d2_a_push_brings_its_objects(tracked: Scene) -> None:
    files = {"a.bin": commit(tracked, "a.bin"), "b.bin": commit(tracked, "b.bin")}
    done = tracked.push()
    assert done.code == 0, done
    assert tracked.landed()[-1] == "Squashed 2 commits:"
    cloned(tracked, files)


def test_d2_a_push_that_goes_straight_brings_its_objects(tracked: Scene) -> None:
    files = {"a.bin": commit(tracked, "a.bin")}
    assert tracked.push(UAM="off").code == 0
    cloned(tracked, files)


@pytest.mark.parametrize("hooks", ["installed after ours", "none"])
def test_d2_whatever_hooks_are_there(scene: Scene, hooks: str) -> None:
    # ours are there already: git-lfs leaves them, and says so
    scene.run("lfs", "install", "--local", *(["--skip-repo"] if hooks == "none" else []))
    scene.git("lfs", "track", "*.bin")
    scene.git("add", ".gitattributes")
    scene.git("commit", "-q", "-m", "Track")
    files = {"a.bin": commit(scene, "a.bin")}
    done = scene.push()
    assert done.code == 0, done
    cloned(scene, files)


def test_d2_each_agent_of_a_landing(tracked: Scene) -> None:
    by_hand(tracked)
    files = {}
    for number in range(2):
        agent = tracked.worktree(f"agent-{number}")
        files[f"{number}.bin"] = commit(agent, f"{number}.bin")
        queue(agent, "origin", "HEAD:main")
    assert flushed(tracked)[0].errors == ()
    cloned(tracked, files)


def test_d3_what_is_asked_for_by_name(tracked: Scene) -> None:
    by_hand(tracked)
    files = {"a.bin": large(tracked, "a.bin")}
    change(tracked, "a.bin", message="Add a")
    push(tracked)
    assert land(tracked).success
    assert tracked.bare.git("show", "main:a.bin").startswith("version https://git-lfs.github.com/spec/")
    cloned(tracked, files)


def test_d3_nothing_lands_whose_objects_cannot_be_sent(tracked: Scene) -> None:
    by_hand(tracked)
    large(tracked, "a.bin")
    change(tracked, "a.bin", message="Add a")
    push(tracked)
    before = tracked.there()
    tracked.git("config", "lfs.pushurl", f"file://{tracked.root}/nowhere.git")
    assert not land(tracked).success
    assert tracked.there() == before
    (why,) = (row["error"] for row in tracked.rows("deploy_queue") if row["action_type"] == "push")
    assert why.startswith("git lfs: "), why
