"""What a remote has said of its default branch is in the name of a ref, for which no object is made."""

from __future__ import annotations

import pytest

from tests.support.landscape import collect, inside, let_go
from tests.support.scenes import TRACKING, Scene
from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.refs import DEFAULTS, default_ref, defaults

OLD = defaults("origin")  # an earlier version had a blob there, with the name in it


def named(scene: Scene) -> dict[str, str]:
    """The refs about default branches, with what they are at."""
    lines = scene.git("for-each-ref", "--format=%(refname) %(objectname)", DEFAULTS).splitlines()
    return dict(line.split() for line in lines)


def ref_of(branch: str) -> str:
    ref = default_ref("origin", branch)
    assert ref is not None
    return ref


def as_before(scene: Scene, lost: bool = True, packed: bool = False) -> None:
    """What an earlier version leaves here; the blob is `lost` when a gc was quicker than its ref."""
    (scene.root / "name").write_text("refs/heads/elsewhere")
    blob = scene.git("hash-object", "-w", str(scene.root / "name"))
    scene.git("update-ref", OLD, blob)
    if packed:
        scene.git("pack-refs", "--all")
    if lost:
        (scene.top / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


def track(scene: Scene, head: str, oid: str) -> None:
    """Let main be seen at an object, on a remote whose default branch is `head`."""
    with inside(scene) as session:
        session.repo.heads["origin"] = head
        Remote(session.repo, session.settings, "origin").memory.track([Seen("refs/heads/main", oid, oid)])


def test_g6_it_is_remembered_by_a_ref_at_what_another_ref_holds(scene: Scene) -> None:
    """What no ref names for a moment, a gc that begins in this moment takes, and every later one fails at the ref."""
    oid = scene.commit("mine")
    before = scene.git("cat-file", "--batch-all-objects", "--batch-check")
    track(scene, "refs/heads/topic", oid)
    assert scene.git("cat-file", "--batch-all-objects", "--batch-check") == before
    assert named(scene) == {ref_of("refs/heads/topic"): scene.oid(TRACKING)}
    track(scene, "refs/heads/topic/more", scene.start_oid)
    assert named(scene) == {ref_of("refs/heads/topic/more"): scene.oid(TRACKING)}
    with inside(scene) as session:  # one that is read
        assert Remote(session.repo, session.settings, "origin").memory.remembered(["refs/heads/main"]) is not None
        assert session.repo.heads["origin"] == "refs/heads/topic/more"
    scene.git("update-ref", ref_of("refs/heads/main"), "HEAD")  # which of the two it is now, only the remote knows
    with inside(scene) as session:
        assert Remote(session.repo, session.settings, "origin").memory.remembered(["refs/heads/main"]) is None
    scene.git("symbolic-ref", "refs/remotes/origin/HEAD", TRACKING)  # git itself says it
    track(scene, "refs/heads/main", oid)
    assert named(scene) == {}


def test_a_name_without_room_is_not_remembered(scene: Scene) -> None:
    oid = scene.commit("mine")
    track(scene, f"refs/heads/{'long' * 40}", oid)
    assert (named(scene), scene.oid(TRACKING)) == ({}, oid)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_g6_what_an_earlier_version_remembered_goes(scene: Scene, lost: bool, packed: bool) -> None:
    as_before(scene, lost, packed)
    scene.commit("first")
    scene.commit("second")
    done = scene.push()
    assert (done.code, len(scene.landed())) == (0, 1), done  # main is the default branch, whatever the blob says
    scene.idle()
    assert named(scene) == {ref_of("refs/heads/main"): scene.there()}
    collect(scene)
    let_go(scene)
    assert named(scene) == {}


def test_g6_what_an_earlier_version_remembered_goes_with_its_retention(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    as_before(scene)
    scene.commit("waits")
    scene.push()
    let_go(scene)
    assert named(scene) == {}
