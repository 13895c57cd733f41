"""The rules for refs: tags, deletions, forced, leased and atomic pushes, push options, and what never leaves."""

from __future__ import annotations

import pytest

from tests.support.landscape import by_hand, flushed, queue, states, unresolved, updates
from tests.support.marks import bulk
from tests.support.scenes import Scene, script

ZERO = "0" * 40


def rejected(scene: Scene) -> list[str]:
    """Why sources failed, in queue order."""
    found = [row["outcome"] for row in scene.rows("sources") if row["status"] == "failed"]
    return [outcome.split('"error": "', 1)[1].split('"', 1)[0] for outcome in found]


# -- tags and deletions --------------------------------------------------------------------------------------


def test_tags_keep_their_identity_and_are_not_moved_without_force(scene: Scene) -> None:
    by_hand(scene, settle="off")
    scene.git("tag", "light")
    scene.git("tag", "-a", "-m", "one", "annotated")
    queue(scene, "origin", "light", "annotated")
    flushed(scene)
    assert scene.there("refs/tags/light") == scene.start_oid
    assert scene.there("refs/tags/annotated") == scene.oid("annotated") != scene.start_oid

    moved = scene.commit("a")
    scene.git("tag", "-f", "light")
    done = scene.push("origin", "light")
    assert done.code == 1
    assert " ! [rejected]        light -> light (already exists)" in done.err
    assert scene.there("refs/tags/light") == scene.start_oid
    # one that somebody else was quicker with
    scene.git("tag", "late")
    queue(scene, "origin", "late")
    scene.bare.git("tag", "late", scene.start_oid)
    flushed(scene)
    assert rejected(scene) == ["already exists"]
    assert scene.there("refs/tags/late") == scene.start_oid
    queue(scene, "--force", "origin", "light")
    flushed(scene)
    assert scene.there("refs/tags/light") == moved
    # what is there already is up to date
    scene.git("config", "uam.push.mode", "wait")
    assert scene.push("origin", "light").code == 0


@pytest.mark.parametrize("moved", bulk([False, True]), ids=["in place", "on a moved tip"])
@pytest.mark.parametrize("way", bulk(["named", "follow"]))
def test_a_tag_pushed_along_keeps_its_commits(scene: Scene, way: str, moved: bool) -> None:
    """A tag inside a source names a commit that has to be on the branch: the source lands unsquashed."""
    by_hand(scene)
    if moved:
        other = scene.stranger()
        other.commit("theirs")
        other.git("push", "-q")
    scene.commit("a")
    tagged = scene.commit("b")
    scene.git("tag", "-a", "-m", "one", "v1")
    tip = scene.commit("c")
    queue(scene, "origin", "main", "v1") if way == "named" else queue(scene, "--follow-tags", "origin", "main")
    flushed(scene)
    assert states(scene) == ["landed", "landed"]
    assert scene.bare.oid("v1^{commit}") == tagged
    assert scene.bare.run("merge-base", "--is-ancestor", tagged, "main").code == 0
    assert (scene.there() == tip) is not moved
    assert scene.bare.git("log", "--format=%s", "--grep=^Add ", "--no-merges", "main").count("Add c") == 1
    assert len(updates(scene)[-1]) == 2  # both refs in one push


def test_deletions(scene: Scene) -> None:
    by_hand(scene)
    scene.push("origin", "main:topic", "main:other", UAM="off")
    scene.git("fetch", "-q")
    queue(scene, "--delete", "origin", "topic")
    queue(scene, "origin", ":other")
    flushed(scene)
    assert [scene.there(f"refs/heads/{name}") for name in ("topic", "other")] == ["", ""]
    assert scene.oid("refs/remotes/origin/topic") == scene.oid("refs/remotes/origin/other") == ""
    # what is not there
    scene.git("config", "uam.push.mode", "wait")
    for arguments in (["--delete", "origin", "topic"], ["origin", ":never"]):
        done = scene.push(*arguments)
        assert done.code == 1
        assert "remote ref does not exist" in done.err
    assert scene.there() == scene.start_oid


def test_a_deletion_that_somebody_was_quicker_with(scene: Scene) -> None:
    by_hand(scene)
    scene.push("origin", "main:topic", UAM="off")
    queue(scene, "origin", ":topic")
    scene.bare.git("update-ref", "-d", "refs/heads/topic")
    flushed(scene)
    assert rejected(scene) == ["remote ref does not exist"]
    assert scene.oid("refs/remotes/origin/topic") == scene.start_oid  # until `git fetch --prune`


# -- force and lease -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["--force", "+main:main"])
def test_a_forced_push_takes_the_place_of_what_is_there(scene: Scene, how: str) -> None:
    other = scene.stranger()
    other.commit("theirs")
    other.git("push", "-q")
    scene.commit("a")
    tip = scene.commit("b")
    done = scene.push(*(("--force", "origin", "main") if how == "--force" else ("origin", how)))
    assert done.code == 0
    assert "(forced update)" in done.err
    assert scene.there() == tip  # as it is: nothing is squashed
    assert scene.oid("refs/remotes/origin/main") == tip
    assert scene.landed() == ["Add a", "Add b"]


def test_a_named_lease(scene: Scene) -> None:
    scene.commit("a")
    good = scene.push(f"--force-with-lease=main:{scene.start_oid}", "origin", "main")
    assert good.code == 0
    first = scene.there()
    scene.commit("b")
    stale = scene.push(f"--force-with-lease=main:{scene.start_oid}", "origin", "main")
    assert stale.code == 1
    assert "(stale info)" in stale.err
    assert scene.there() == first
    # the empty lease: the ref must not be there
    assert scene.push("--force-with-lease=topic:", "origin", "main:topic").code == 0
    assert scene.push("--force-with-lease=main:", "origin", "main").code == 1
    assert scene.there() == first


def test_a_lease_holds_until_the_landing(scene: Scene) -> None:
    """Somebody pushes after the push was queued: the lease is checked when it lands, not only at the door."""
    by_hand(scene, settle="off")
    scene.commit("a")
    queue(scene, "--force-with-lease", "origin", "main")
    other = scene.stranger()
    theirs = other.commit("theirs")
    other.git("push", "-q")
    flushed(scene)
    assert rejected(scene) == ["stale info"]
    assert scene.there() == theirs
    assert scene.oid("refs/remotes/origin/main") == scene.start_oid  # or the next lease would not protect them


# -- atomic --------------------------------------------------------------------------------------------------


def test_an_atomic_push_with_a_conflict_lands_nothing(scene: Scene) -> None:
    other = scene.stranger()
    theirs = other.commit("README", "theirs\n")
    other.git("push", "-q")
    tip = scene.commit("README", "mine\n")
    done = scene.push("--atomic", "origin", "main", "main:topic")
    assert done.code == 1
    assert sorted(unresolved(done)) == ["main", "topic"]
    assert (scene.there(), scene.there("refs/heads/topic")) == (theirs, "")
    assert scene.oid("refs/remotes/origin/topic") == ""
    assert scene.oid("main") == tip
    # the queue goes on
    scene.git("fetch", "-q")
    scene.git("reset", "-q", "--hard", "origin/main")
    scene.commit("more")
    assert scene.push("--atomic", "origin", "main", "main:topic").code == 0
    assert scene.there() == scene.there("refs/heads/topic") == scene.oid("main")


def test_an_atomic_push_that_a_hook_declines_in_part(scene: Scene) -> None:
    hook = script(scene.remote / "hooks" / "update", '[ "$1" != refs/heads/closed ]\n')
    scene.commit("a")
    scene.commit("b")
    done = scene.push("--atomic", "origin", "main", "main:closed")
    assert done.code == 1
    assert sorted(unresolved(done)) == ["closed", "main"]
    assert (scene.there(), scene.there("refs/heads/closed")) == (scene.start_oid, "")
    assert scene.oid("refs/remotes/origin/main") == scene.start_oid
    hook.unlink()
    assert scene.push("--atomic", "origin", "main", "main:closed").code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.bare.oid("closed^{tree}") == scene.bare.oid("main^{tree}")


# -- several refs in one push --------------------------------------------------------------------------------


def test_branches_of_one_window_are_one_push_and_one_that_is_declined_fails_alone(scene: Scene) -> None:
    script(scene.remote / "hooks" / "update", '[ "$1" != refs/heads/closed ] || { echo frozen >&2; exit 1; }\n')
    by_hand(scene)
    for name, ref in (("one", "main"), ("two", "closed"), ("three", "topic")):
        agent = scene.worktree(name)
        agent.commit(f"{name}-1")
        agent.commit(f"{name}-2")
        queue(agent, "origin", f"HEAD:refs/heads/{ref}")
    results = flushed(scene)
    assert (results[0].executed_actions, results[0].failed_actions) == (2, 1)
    assert states(scene) == ["landed", "failed", "landed"]
    assert rejected(scene) == ["hook declined"]
    assert [sorted(ref for ref, _, _ in push) for push in updates(scene)] == [["refs/heads/main", "refs/heads/topic"]]
    assert scene.there("refs/heads/closed") == ""
    assert scene.oid("refs/remotes/origin/closed") == ""


def test_push_options_stay_with_their_push(scene: Scene) -> None:
    """Pushes with other options are pushes of their own; with the same ones they merge."""
    scene.bare.git("config", "receive.advertisePushOptions", "true")
    script(
        scene.remote / "hooks" / "pre-receive",
        'echo "$GIT_PUSH_OPTION_COUNT ${GIT_PUSH_OPTION_0-} ${GIT_PUSH_OPTION_1-}" >>options\n',
    )
    by_hand(scene)
    for name, options in (("a", ["-o", "x", "-o", "y z"]), ("b", []), ("c", ["-o", "x", "-o", "y z"])):
        agent = scene.worktree(name)
        agent.commit(name)
        queue(agent, *options, "origin", "HEAD:main")
    flushed(scene)
    assert states(scene) == ["landed"] * 3
    assert sorted((scene.remote / "options").read_text().splitlines()) == ["0  ", "2 x y z"]
    assert len(scene.pushes()) == 2
    assert scene.files() == ["README", "a", "b", "c"]


# -- what never leaves ---------------------------------------------------------------------------------------


def with_refs_of_ours(scene: Scene) -> None:
    """Land a squash, so that there are a shadow and a landing to give away."""
    scene.commit("a")
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.our_refs() != []


def taken(scene: Scene) -> list[str]:
    """Refs of ours that the remote has."""
    return scene.bare.git("for-each-ref", "--format=%(refname)", "refs/uam/").splitlines()


@pytest.mark.parametrize("uam", bulk(["on", "off"]))
@pytest.mark.parametrize("how", bulk([["--all"], ["--mirror"], ["origin", "refs/*:refs/*"]]), ids=" ".join)
def test_everything_never_means_what_is_ours(scene: Scene, how: list[str], uam: str) -> None:
    with_refs_of_ours(scene)
    scene.git("branch", "more")
    tip = scene.commit("c")
    done = scene.push(*how, UAM=uam)
    assert (done.code, taken(scene)) == (0, []), done
    assert scene.there() == tip
    assert scene.oid("refs/remotes/origin/main") == tip
    assert scene.there("refs/heads/more") == scene.oid("more")


@pytest.mark.parametrize("how", bulk([["--mirror"], ["origin", "refs/*:refs/*"]]), ids=" ".join)
def test_nor_by_the_hook_door(unwired: Scene, how: list[str]) -> None:
    unwired.commit("a")
    unwired.commit("b")
    unwired.push()
    unwired.idle()
    assert unwired.our_refs() != []
    tip = unwired.commit("c")
    done = unwired.push(*how)
    unwired.idle()
    assert (done.code, taken(unwired)) == (1, [])
    assert "refs/uam/" in " ".join(done.ours)
    assert unwired.push("--all").code == 1  # queued
    unwired.idle()
    assert (unwired.there(), taken(unwired)) == (tip, [])


@pytest.mark.parametrize("kind", ["scene", "unwired"])
def test_a_ref_of_ours_that_is_named_is_refused_in_words(kind: str, request: pytest.FixtureRequest) -> None:
    scene: Scene = request.getfixturevalue(kind)
    tip = scene.commit("a")
    done = scene.push("origin", "HEAD:refs/uam/x")
    assert done.code == 1
    assert "refs/uam/ belongs to this repository and is never pushed" in done.err
    scene.idle()
    assert taken(scene) == []
    if kind == "scene":  # what is pushed beside it lands
        done = scene.push("origin", "HEAD:refs/uam/x", "HEAD:main")
        assert (done.code, scene.there(), taken(scene)) == (1, tip, [])


@pytest.mark.parametrize("kind", ["on", "off", "hook door"])
def test_what_the_remote_has_of_ours_is_deleted_by_name_and_by_no_mirror(
    kind: str, request: pytest.FixtureRequest
) -> None:
    scene: Scene = request.getfixturevalue("unwired" if kind == "hook door" else "scene")
    scene.git("update-ref", "refs/uam/original/1/x", "HEAD")
    there = "refs/uam/originals/main"
    uam = "off" if kind == "off" else ""
    for name in (there, "refs/uam/other"):
        scene.bare.git("update-ref", name, "main")
    scene.push("--mirror", "origin", UAM=uam)
    assert taken(scene) == [there, "refs/uam/other"]
    done = scene.push("origin", f":{there}", UAM=uam)
    assert (done.code, taken(scene)) == (0, ["refs/uam/other"]), done
    assert f" - [deleted]         {there}" in done.err
    tip = scene.commit("beside")
    done = scene.push("origin", ":refs/uam/other", "main", UAM=uam)
    assert (done.code, taken(scene), scene.there()) == (0, [], tip), done
