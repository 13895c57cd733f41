"""Clones that do not have everything: shallow, partial, sparse. A push lands from them as from any other."""

from __future__ import annotations

import pytest

from tests.support.landscape import environment, sound
from tests.support.scenes import Scene, Worktree
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

CLONES = {
    "shallow": ("--depth=1",),
    "without blobs": ("--filter=blob:none",),
    "without trees": ("--filter=tree:0",),
    "sparse": ("--sparse",),
}


def cloned(scene: Scene, *options: str) -> Worktree:
    """A clone over git's own protocol, because a path would be linked whole, with us installed in it."""
    scene.bare.git("config", "uploadpack.allowFilter", "true")
    scene.outside.git("clone", "-q", *options, scene.remote.as_uri(), "clone")
    clone = Worktree(scene.root / "clone", scene.env)
    clone.git("config", "uam.window.push", "0")
    with environment(clone.env), Repository.at(clone.top) as repo:
        install(repo)
    return clone


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLONES)
def test_a_push_lands_on_its_own_and_on_top_of_others_work(plain: Scene, kind: str) -> None:
    for number in range(3):
        plain.commit(f"folder{number}/file", message=f"Say {number}")
    plain.git("push", "-q", "origin", "main")
    clone = cloned(plain, *CLONES[kind])
    for number in range(2):
        clone.commit("mine", f"{number}\n", message=f"Mine {number}")
    done = clone.push()
    assert done.code == 0, done
    assert clone.oid("HEAD") == plain.there()
    # others' work, of which nothing is here yet
    other = plain.stranger()
    other.commit("folder0/theirs")
    other.git("push", "-q", "origin", "main")
    for number in range(2, 4):
        clone.commit("mine", f"{number}\n", message=f"Mine {number}")
    done = clone.push()
    assert done.code == 0, done
    assert clone.oid("HEAD") == plain.there()
    assert clone.git("status", "--porcelain") == ""
    assert plain.bare.git("show", "main:mine") == "3"
    assert plain.bare.git("log", "--format=%s", "main").splitlines()[:3] == [
        "Squashed 2 commits:", "Add folder0/theirs", "Squashed 2 commits:",
    ]  # fmt: skip
    sound(plain.bare)
    # it is still what it was
    if kind == "shallow":
        assert (clone.git_dir / "shallow").exists()
    elif kind == "sparse":
        assert not (clone.top / "folder1").exists()
    else:
        assert clone.git("config", "remote.origin.promisor") == "true"
