"""A clone that is removed right after its push stays removed: `git push; rm -rf clone`."""

from __future__ import annotations

import pytest

from tests.support.scenes import Scene, finished, gate, locked, until


@pytest.mark.parametrize("left", [(), ("env", "flush.lock")], ids=["nothing", "some"])
def test_h14_nothing_comes_back_of_a_clone_that_is_being_removed(scene: Scene, left: tuple[str, ...]) -> None:
    """The flusher stands where the push has its answer, and goes on in the middle of `rm -rf`, which takes files
    in any order and directories last.
    """
    scene.commit("a")
    with gate(scene, scene.remote / "hooks" / "pre-receive") as push:
        waiting = scene.start("push")
        until(push.reached, "the landing")
        with locked(scene.uam / "flush.lock"):
            push()
            assert finished(waiting).code == 0
            # what there was to do besides is done
            assert [line.split()[1].split("/")[2] for line in scene.our_refs()] == ["default", "landing"]
            assert scene.flushers() != []
            for path in sorted(scene.uam.rglob("*"), reverse=True):
                if path.name not in left:
                    path.rmdir() if path.is_dir() else path.unlink()
    scene.idle()
    assert sorted(path.name for path in scene.uam.iterdir()) == sorted(left)
    assert scene.there() == scene.oid("HEAD")
