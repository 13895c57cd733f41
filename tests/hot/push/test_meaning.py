"""What a push means, whatever its refspecs are: what plain git finds in them."""

from __future__ import annotations

import pytest

from tests.support.scenes import Scene, finished
from tests.support.twin import Twin


@pytest.fixture
def twin(scene: Scene) -> Twin:
    return Twin(scene)


# -- short destinations --------------------------------------------------------------------------------------------


def test_h7_a_short_destination_is_the_tag_that_the_remote_has(twin: Twin) -> None:
    twin.there("tag", "nightly", "main")
    for place in twin.both:
        place.commit("a")
    assert twin.same("origin", "HEAD:nightly").code == 1
    assert twin.same("-f", "origin", "HEAD:nightly").code == 0
    assert twin.same("origin", "main:fresh").code == 0


def test_h7_a_short_destination_is_a_branch_that_nobody_has_fetched(twin: Twin) -> None:
    twin.there("branch", "rel", "main")
    for place in twin.both:
        place.commit("a")
    assert twin.same("origin", f"{twin.oid('HEAD')}:rel").code == 0
    assert twin.same("origin", f"{twin.oid('HEAD')}:unheard-of").code == 1


def test_h7_an_ambiguous_destination_is_refused(twin: Twin) -> None:
    twin.there("branch", "both", "main")
    twin.there("tag", "both", "main")
    for place in twin.both:
        place.git("fetch", "-q")
        place.commit("a")
    assert twin.same("origin", "HEAD:both").code == 1
    assert twin.same("origin", "HEAD:refs/heads/both").code == 0


def test_h7_a_tag_by_its_name_moves_only_by_force(twin: Twin) -> None:
    twin.there("tag", "v1", "main")
    for place in twin.both:
        place.commit("a")
        place.git("tag", "-f", "v1")
    assert twin.same("origin", "v1").code == 1
    assert twin.same("origin", "v1", "main").code == 1
    assert twin.same("origin", "tag", "v1").code == 1
    assert twin.same("origin", "+v1").code == 0
    assert twin.same("origin", "v1").code == 0


def test_h7_a_branch_that_is_behind_is_integrated_whatever_its_destination_is_called(scene: Scene) -> None:
    other = scene.stranger()
    other.commit("theirs")
    other.git("push", "-q")
    scene.commit("a")
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["Add theirs", "Add a"]


def test_h7_by_an_alias_that_takes_the_place_of_the_command(twin: Twin) -> None:
    twin.there("tag", "nightly", "main")
    twin.do("config", "alias.send", "push")
    for place in twin.both:
        place.commit("a")
    hooked, plain = (finished(place.start("send", "origin", "HEAD:nightly")) for place in twin.both)
    assert (hooked.code, twin.words(hooked)) == (plain.code, twin.words(plain))


def test_h7_what_goes_into_the_queue_needs_no_remote_that_answers(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", "10m")
    scene.commit("a")
    scene.remote.rename(scene.root / "away")
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.pushed() == ["pending"]


# -- matching ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["push.default", "remote.origin.push", ":"])
def test_h6_matching_is_what_the_remote_has_now(twin: Twin, how: str) -> None:
    for place in twin.both:
        place.git("push", "-q", "origin", "main:gone", "main:old")
        place.git("branch", "gone")
        place.git("branch", "old")
        place.git("branch", "unfetched")
        place.git("branch", "mine")
    twin.scene.idle()
    twin.there("branch", "-D", "gone")
    twin.there("branch", "unfetched", "main")
    if how == "push.default":
        twin.do("config", "push.default", "matching")
    elif how == "remote.origin.push":
        twin.do("config", "remote.origin.push", ":")
    args = ("origin", ":") if how == ":" else ("origin",)
    assert twin.same(*args).code == 0
    for place in twin.both:
        for branch in ("old", "unfetched", "gone", "mine"):
            place.git("checkout", "-q", branch)
            place.commit(branch)
    done = twin.same(*args, words=False)
    assert done.code == 0
    assert twin.scene.bare.subjects("unfetched")[0] == "Add unfetched"
    assert twin.scene.there("refs/heads/gone") == ""


# -- mirrors -------------------------------------------------------------------------------------------------------


def test_h5_a_remote_that_is_a_mirror_is_one(twin: Twin) -> None:
    for place in twin.both:
        place.git("push", "-q", "origin", "main:old")
        place.git("branch", "topic")
    twin.scene.idle()
    twin.do("config", "remote.origin.mirror", "true")
    twin.do("config", "--unset-all", "remote.origin.fetch")
    for place in twin.both:
        place.git("for-each-ref", "--format=delete %(refname)", "refs/remotes/")
        for ref in place.git("for-each-ref", "--format=%(refname)", "refs/remotes/").splitlines():
            place.git("update-ref", "--no-deref", "-d", ref)
        place.git("commit", "-q", "--amend", "-m", "Begin anew")
    done = twin.same("origin")
    assert done.code == 0
    assert twin.scene.there("refs/heads/old") == ""


# -- what is there already -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["wired", "straight"])
def test_h18_refs_that_are_up_to_date_are_listed_as_git_does(twin: Twin, way: str) -> None:
    twin.scene.env |= {"UAM": "off"} if way == "straight" else {}
    for place in twin.both:
        place.git("tag", "v1")
        place.git("branch", "side")
        place.push("origin", "side", "v1")
        place.commit("a")
    refs = ("main", "side", "v1", "HEAD:refs/other/one")
    for args in (["--porcelain"], ["--porcelain"], ["-v"], []):
        done = twin.same(*args, "origin", *refs)
        assert done.code == 0
        assert done.ours == []
        assert twin.scene.oid("refs/remotes/origin/main") == twin.scene.oid("main")


def test_h18_a_branch_that_moved_meanwhile_does_not_take_its_tracking_ref_back(scene: Scene) -> None:
    """git looks a branch up before it starts us, and would write that into the tracking ref of what is up to date."""
    scene.commit("a")
    assert scene.push().code == 0
    other = scene.stranger()
    other.commit("theirs")
    other.push("-q", "origin", "main")
    scene.git("fetch", "-q")
    theirs = scene.oid("refs/remotes/origin/main")
    scene.with_interpreter(f'git update-ref refs/heads/main {theirs}\nexec "$python" "$@"')
    done = scene.push("-v", "origin", "main")
    assert done.code == 0, done
    assert "up to date" in done.err
    assert scene.oid("refs/remotes/origin/main") == theirs


@pytest.mark.parametrize("hidden", ["receive", "transfer"])
def test_h7_a_ref_that_is_hidden_from_who_pushes_is_not_up_to_date(twin: Twin, hidden: str) -> None:
    """git's own t5516.88."""
    for place in twin.both:
        place.git("push", "-q", "origin", "main:refs/hidden/one")
    twin.there("config", f"{hidden}.hideRefs", "refs/hidden")
    assert twin.same("origin", "main:refs/hidden/one").code == 1
    assert twin.same("origin", ":refs/hidden/one").code == 1
