"""Remote-tracking refs move only when those of plain git would: by a fetch, or by a push of one's own that landed."""

from __future__ import annotations

import pytest

from tests.support.landscape import collect, flushed, inside, let_go
from tests.support.scenes import TRACKING, Scene, Worktree, script
from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.refs import OBSERVED, observed_ref
from uam_hooks.land.steps import Step


def seen(scene: Scene) -> str:
    """What a flush last saw on the remote's main."""
    return scene.oid(observed_ref("origin", "refs/heads/main"))


def theirs(scene: Scene, name: str, text: str = "theirs\n") -> str:
    """A colleague's commit that is on the remote, and that this repository has not fetched."""
    other: Worktree = scene.stranger()
    other.git("pull", "-q", "--rebase")
    oid = other.commit(name, text)
    other.push("-q", "origin", "main")
    return oid


def test_h1_after_a_push_that_conflicts_a_lease_still_protects_the_colleague(scene: Scene) -> None:
    oid = theirs(scene, "f")
    mine = scene.commit("f", "mine\n")
    assert scene.push().code == 1
    assert scene.oid(TRACKING) == scene.start_oid
    done = scene.push("--force-with-lease", "origin", "main")
    assert done.code == 1, done
    assert "stale info" in done.err
    assert scene.there() == oid
    scene.git("fetch", "-q")
    assert scene.push("--force-with-lease", "origin", "main").code == 0
    assert (scene.there(), scene.oid(TRACKING)) == (mine, mine)


def test_h1_a_push_that_the_remote_declines_shows_nobody_what_others_did(scene: Scene) -> None:
    oid = theirs(scene, "theirs")
    script(scene.remote / "hooks" / "pre-receive", "exit 1\n")
    scene.commit("mine")
    assert scene.push().code == 1
    assert (scene.oid(TRACKING), scene.there()) == (scene.start_oid, oid)


def test_h1_a_landing_is_tracked_as_a_push_of_ones_own(scene: Scene) -> None:
    theirs(scene, "theirs")
    scene.commit("mine")
    assert scene.push().code == 0
    assert scene.oid(TRACKING) == scene.there()
    assert scene.clean()


def test_h1_what_is_there_already_is_tracked_too(scene: Scene) -> None:
    theirs(scene, "same", "same\n")
    scene.commit("same", "same\n", message="The same in other words")
    assert scene.push().code == 0
    assert scene.oid(TRACKING) == scene.there()
    assert scene.clean()


def test_h1_a_sync_sees_what_a_fetch_would_see(scene: Scene) -> None:
    oid = theirs(scene, "theirs")
    scene.git("uam", "sync", "origin/main")
    assert (scene.oid(TRACKING), scene.oid("main")) == (oid, oid)


@pytest.mark.parametrize("fetched", [False, True])
def test_h1_recovery_tracks_the_landing_and_not_what_came_after_it(scene: Scene, fetched: bool) -> None:
    scene.git("config", "uam.push.mode", "manual")
    landing = scene.commit("mine")
    scene.push()
    scene.run("uam", "flush", UAM_DIE_AT=Step.PUSHED)
    assert scene.there() == landing
    oid = theirs(scene, "theirs")
    if fetched:
        scene.git("fetch", "-q")
    flushed(scene)
    assert scene.pushed() == ["completed"]
    assert scene.oid(TRACKING) == (oid if fetched else landing)


@pytest.mark.slow
def test_h1_what_was_seen_is_held_until_the_retention_of_what_went_there_ends(scene: Scene) -> None:
    oid = theirs(scene, "f")
    scene.commit("f", "mine\n")
    assert scene.push().code == 1
    scene.idle()
    assert seen(scene) == oid
    collect(scene)
    assert scene.oid(f"{oid}^{{commit}}") == oid
    let_go(scene)
    assert [line for line in scene.our_refs() if OBSERVED in line] == []


def test_h1_what_was_seen_goes_with_the_branch_there(scene: Scene) -> None:
    scene.push("origin", "main:topic", UAM="off")
    with inside(scene) as session:
        remote = Remote(session.repo, session.settings, "origin")
        other = scene.stranger()
        other.git("fetch", "-q")
        other.git("checkout", "-q", "topic")
        tip = other.commit("topic")
        other.push("-q", "origin", "topic")
        assert remote.observe(["refs/heads/topic"]) == {"refs/heads/topic": tip}
        assert scene.oid(observed_ref("origin", "refs/heads/topic")) == tip
        other.push("-q", "origin", ":topic")
        remote.observe(["refs/heads/topic"])
    assert scene.oid(observed_ref("origin", "refs/heads/topic")) == ""


def test_a_tracking_ref_that_cannot_be_judged_holds_up_no_landing(scene: Scene) -> None:
    """It has landed, and an object behind the tracking ref is damaged: the ref stays where it is."""
    landed, gone, there = (scene.commit(name) for name in "abc")
    scene.git("update-ref", "refs/remotes/origin/main", there)
    (scene.top / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    with inside(scene) as session:
        Remote(session.repo, session.settings, "origin").memory.track([Seen("refs/heads/main", landed, there)])
    assert scene.oid("origin/main") == there
