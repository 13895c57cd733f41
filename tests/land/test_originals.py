"""uam.originals = push: what a landing squashed or moved can be fetched from the remote, and harms no landing."""

from __future__ import annotations

import pytest

from tests.support.landscape import by_hand, environment, sound
from tests.support.scenes import Scene, Worktree, script
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

THERE = "refs/uam/originals/main"
UPDATE = 'case $1 in refs/uam/*) echo "no refs of others" >&2; exit 1;; esac\n'
PRE_RECEIVE = (
    'while read -r old new ref; do case $ref in refs/uam/*) echo "no refs of others" >&2; exit 1;; esac; done\n'
)


@pytest.fixture
def sending(scene: Scene) -> Scene:
    scene.git("config", "uam.originals", "push")
    scene.git("config", "uam.squash.branches", "*")
    return scene


def two(place: Worktree, name: str) -> list[str]:
    """Two commits, which land as one."""
    return [place.commit(f"{name}/{number}", message=f"Add {name} {number}") for number in (1, 2)]


def fetched(scene: Scene) -> Worktree:
    """A fresh clone with the originals of main."""
    scene.outside.git("clone", "-q", scene.remote.as_uri(), "fresh")
    fresh = Worktree(scene.root / "fresh", scene.env)
    fresh.git("fetch", "-q", "origin", THERE)
    return fresh


def refs_of_pushes(scene: Scene) -> list[list[str]]:
    return [sorted(one.rpartition(":")[2] for one in line.split()) for line in scene.pushes()]


@pytest.mark.slow
def test_f7_a_fresh_clone_fetches_what_every_squash_names_whichever_clone_sent_it(scene: Scene) -> None:
    first = two(scene, "before")
    assert scene.push("origin", "HEAD:main").code == 0
    assert not scene.bare.git("for-each-ref", "refs/uam/")  # nothing is sent that was not asked for
    scene.git("config", "uam.originals", "push")
    originals = two(scene, "a")
    assert scene.push("origin", "HEAD:main").ours[:1][0].startswith("landed on origin/main as ")

    scene.outside.git("clone", "-q", scene.remote.as_uri(), "other")
    other = Worktree(scene.root / "other", scene.env)
    for key, value in (("uam.originals", "push"), ("uam.window.push", "0")):
        other.git("config", key, value)
    with environment(other.env), Repository.at(other.top) as repo:
        install(repo)
    originals += two(other, "b")
    assert other.push("origin", "HEAD:main").code == 0
    originals.append(scene.commit("moved"))
    assert scene.push("origin", "HEAD:main").code == 0

    assert refs_of_pushes(scene) == [["refs/heads/main"], *[["refs/heads/main", THERE]] * 3]
    fresh = fetched(scene)
    named = fresh.git("log", "--format=%(trailers:key=Uam-Original,valueonly)", "main").split()
    assert set(named) == {*first, *originals} - {originals[-1]}
    there = set(fresh.git("rev-list", "FETCH_HEAD").split())
    assert set(originals) <= there
    assert not set(first) & there
    assert len(fresh.git("rev-list", "--first-parent", "--grep=^uam: originals of", "FETCH_HEAD").split()) == 3
    assert fresh.oid("FETCH_HEAD^{tree}") == fresh.oid("main^{tree}")
    sound(scene.bare)


@pytest.mark.parametrize(("hook", "text"), [("update", UPDATE), ("pre-receive", PRE_RECEIVE)])
def test_f7_a_remote_that_does_not_take_them_takes_the_landing(sending: Scene, hook: str, text: str) -> None:
    script(sending.remote / "hooks" / hook, text)
    two(sending, "a")
    done = sending.push("origin", "HEAD:main")
    assert done.code == 0, done
    assert sending.landed() == ["Squashed 2 commits:"]
    assert not sending.bare.git("for-each-ref", "refs/uam/")
    assert [line for line in done.ours if "originals (" in line] == [
        line
        for line in done.ours
        if line.startswith("origin did not take the originals (") and "git uam show 1" in line
    ]
    assert "hook declined" in done.err


def test_f7_what_was_squashed_here_before_it_was_pushed_is_sent(sending: Scene) -> None:
    """Also when a flush by hand lands it; a remote that does not take it is named there."""
    by_hand(sending)
    originals = two(sending, "a")
    sending.git("uam", "flush")
    sending.push("origin", "HEAD:main")
    sending.git("uam", "flush")
    named = sending.bare.git("log", "-1", "--format=%(trailers:key=Uam-Original,valueonly)", "main").split()
    assert named == originals
    assert set(originals) <= set(sending.bare.git("rev-list", THERE).split())
    script(sending.remote / "hooks" / "update", UPDATE)
    two(sending, "b")
    sending.push("origin", "HEAD:main")
    assert "\nbatch 3: origin did not take the originals (hook declined); " in sending.git("uam", "flush")


def test_f7_who_moved_them_in_between_loses_nothing(sending: Scene) -> None:
    """The remote moves its ref while it takes the branch."""
    theirs = sending.bare.git("commit-tree", "-m", "Theirs", f"{sending.start_oid}^{{tree}}")
    move = f"[ $1 = refs/heads/main ] || exit 0\nunset GIT_QUARANTINE_PATH\ngit update-ref {THERE} {theirs}\n"
    script(sending.remote / "hooks" / "update", move)
    originals = two(sending, "a")
    done = sending.push("origin", "HEAD:main")
    assert (done.code, "originals (" in done.err.replace("(originals:", "")) == (0, False), done
    assert {theirs, *originals} <= set(sending.bare.git("rev-list", THERE).split())


def test_f7_those_of_an_atomic_push_follow_it(sending: Scene) -> None:
    originals = two(sending, "a")
    done = sending.push("--atomic", "origin", "HEAD:main", "HEAD:topic")
    assert done.code == 0, done
    found = sending.bare.git("rev-list", THERE, "refs/uam/originals/topic").split()
    assert set(originals) <= set(found)
    assert refs_of_pushes(sending)[0] == ["refs/heads/main", "refs/heads/topic"]


def test_f7_a_landing_that_was_refused_sends_them_once(sending: Scene) -> None:
    """Somebody who pushes without us is quicker once."""
    other = sending.stranger()
    two(other, "theirs")
    other.git("push", "-q", "origin", "HEAD:refs/heads/theirs")
    theirs = sending.bare.oid("theirs")
    move = (
        f"[ $1 = refs/heads/main ] && [ ! -e once ] || exit 0\ntouch once\nunset GIT_QUARANTINE_PATH\n"
        f"git update-ref refs/heads/main {theirs}\n"
    )
    script(sending.remote / "hooks" / "update", move)
    originals = two(sending, "a")
    assert sending.push("origin", "HEAD:main").code == 0
    assert sending.bare.git("log", "-1", "--format=%s", "main") == "Squashed 2 commits:"
    assert sending.bare.oid("main^") == theirs
    assert set(originals) <= set(sending.bare.git("rev-list", THERE).split())
    assert len(sending.bare.git("rev-list", "--first-parent", "--grep=^uam: originals of", THERE).split()) == 1
