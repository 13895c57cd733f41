"""Merges that are asked for by name and pushed, and merges beside the work of others."""

from __future__ import annotations

import pytest

from tests.support.landscape import by_hand, flushed, kept, queue, record, sound, truthful, write
from tests.support.marks import bulk
from tests.support.merges import MERGED, STRATEGIES, Before, body, files, last, merge, on, parents, topic
from tests.support.queueing import acting, row
from tests.support.scenes import TRACKING, Scene, Worktree, script

# -- pushed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_merge_is_pushed_once_and_the_branch_follows(scene: Scene, strategy: str) -> None:
    tip = topic(scene)
    result = merge(scene, strategy=strategy, push=True)
    assert (result.success, result.executed_actions) == (True, 1), result
    expected = {"no-ff": [scene.start_oid, tip], "squash": [scene.start_oid], "ff-only": [scene.oid("topic~1")]}
    assert parents(scene.bare, "main") == expected[strategy]
    assert scene.files() == ["README", "t1", "t2"]
    assert len(scene.pushes()) == 1
    assert scene.oid("main") == scene.oid(TRACKING) == scene.there()
    assert scene.clean()
    sound(scene)
    truthful(scene)


def test_the_commits_of_a_merge_stay_what_they_are(scene: Scene) -> None:
    """A push would have squashed them; a merge that is asked for keeps them, as `git merge` does."""
    tip = topic(scene)
    assert merge(scene, push=True).success
    assert scene.bare.run("merge-base", "--is-ancestor", tip, "main").code == 0
    assert scene.bare.subjects("--first-parent", "main") == [MERGED, "Begin"]


@pytest.mark.parametrize("strategy", ["no-ff", "squash"])
def test_what_the_local_target_is_ahead_goes_along(scene: Scene, strategy: str) -> None:
    topic(scene)
    mine = on(scene, "main", "m")
    assert merge(scene, strategy=strategy, push=True).success
    assert scene.files() == ["README", "m", "t1", "t2"]
    assert scene.bare.run("merge-base", "--is-ancestor", mine, "main").code == 0
    assert len(scene.pushes()) == 1


@pytest.mark.parametrize("strategy", ["no-ff", "squash"])
def test_the_remote_has_moved_meanwhile(scene: Scene, strategy: str) -> None:
    tip = topic(scene)
    other = scene.stranger()
    theirs = other.commit("theirs")
    other.push("-q", "origin", "main")
    assert merge(scene, strategy=strategy, push=True).success
    assert scene.files() == ["README", "t1", "t2", "theirs"]
    assert parents(scene.bare, "main") == ([theirs, tip] if strategy == "no-ff" else [theirs])
    assert scene.oid("main") == scene.there()


@pytest.mark.parametrize("strategy", ["no-ff", "squash"])
def test_local_and_remote_target_have_parted(scene: Scene, strategy: str) -> None:
    topic(scene)
    on(scene, "main", "m")
    other = scene.stranger()
    theirs = other.commit("theirs")
    other.push("-q", "origin", "main")
    assert merge(scene, strategy=strategy, push=True).success
    assert scene.files() == ["README", "m", "t1", "t2", "theirs"]
    assert scene.bare.run("merge-base", "--is-ancestor", theirs, "main").code == 0


def test_forward_only_is_refused_where_the_remote_has_parted(scene: Scene) -> None:
    topic(scene)
    other = scene.stranger()
    other.commit("theirs")
    other.push("-q", "origin", "main")
    there = scene.there()
    result = merge(scene, strategy="ff-only", push=True)
    assert result.errors == ("topic is not ahead of main: no fast-forward",)
    assert scene.there() == there
    assert scene.oid("main") == scene.start_oid


@pytest.mark.parametrize("strategy", bulk(STRATEGIES))
def test_somebody_is_quicker_during_the_push(scene: Scene, strategy: str) -> None:
    """A stranger's push lands between our look at the remote and our own push."""
    tip = topic(scene)
    other = scene.stranger()
    theirs = other.commit("theirs")
    other.git("push", "-q", "origin", "HEAD:refs/heads/aside")
    # the first push that comes sees main move under its hands
    script(
        scene.remote / "hooks" / "update",
        f"""
[ -e "{scene.root}/moved" ] && exit 0
: >"{scene.root}/moved"
unset GIT_QUARANTINE_PATH
git update-ref refs/heads/main {theirs}
""",
    )
    pushes = len(scene.pushes())
    result = merge(scene, strategy=strategy, push=True)
    assert (scene.root / "moved").exists()
    if strategy == "ff-only":
        assert not result.success
        assert scene.there() == theirs
        assert scene.oid("main") == scene.start_oid
        return
    assert result.success, result
    assert scene.files() == ["README", "t1", "t2", "theirs"]
    assert scene.bare.run("merge-base", "--is-ancestor", theirs, "main").code == 0
    if strategy == "no-ff":
        assert scene.bare.run("merge-base", "--is-ancestor", tip, "main").code == 0
    assert len(scene.pushes()) == pushes + 1
    assert scene.oid("main") == scene.there()


def test_a_remote_that_is_away(scene: Scene) -> None:
    topic(scene)
    away = scene.remote.rename(scene.root / "away")
    result = merge(scene, push=True)
    assert (result.success, result.deferred_actions) == (False, 1)
    assert last(scene)["status"] == "pending"
    away.rename(scene.remote)
    with acting(scene) as agents:
        assert agents.flush_all()[0].success
    assert body(scene.bare, "main") == MERGED
    assert len(scene.pushes()) == 1


def test_a_remote_that_refuses(scene: Scene) -> None:
    topic(scene)
    script(scene.remote / "hooks" / "pre-receive", "echo not today; exit 1\n")
    before = Before(scene)
    result = merge(scene, push=True)
    assert not result.success
    assert result.errors[0] == "pre-receive hook declined"
    before.is_how_it_is()


def test_a_branch_that_the_remote_does_not_have_yet(scene: Scene) -> None:
    tip = topic(scene)
    scene.git("branch", "-q", "release", "main")
    mine = on(scene, "release", "r")
    assert merge(scene, target="release", push=True).success
    assert parents(scene.bare, "release") == [mine, tip]
    assert scene.files("release") == ["README", "r", "t1", "t2"]
    assert scene.there() == scene.start_oid


# -- together with others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("push", [False, True])
def test_a_merge_waits_for_the_commit_on_its_source(scene: Scene, push: bool) -> None:
    topic(scene, "t1")
    write(scene, "t2", "t2\n")
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic", "push": push}, priority=9)
        agents.queue("ada", "commit", "topic", {"message": "Add t2", "files": ["t2"]})
        (result,) = agents.flush_all(due_only=True)
    assert (result.success, result.executed_actions) == (True, 2), result
    assert files(scene.bare if push else scene, "main") == ["README", "t1", "t2"]
    assert len(scene.pushes()) == push


def test_a_merge_waits_for_the_push_of_its_source(scene: Scene) -> None:
    """The push squashes topic, and the branch follows: that is what is merged."""
    topic(scene)
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic", "push": True})
        agents.queue("ada", "push", "topic")
        (result,) = agents.flush_all(due_only=True)
    assert result.success, result
    landing = scene.there("refs/heads/topic")
    assert scene.bare.subjects("topic") == ["Squashed 2 commits:", "Begin"]
    assert parents(scene.bare, "main") == [scene.start_oid, landing]
    assert len(scene.pushes()) == 2


def test_a_merge_and_a_commit_of_its_target(scene: Scene) -> None:
    tip = topic(scene)
    write(scene, "m", "m\n")
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic", "push": True})
        agents.queue("ada", "commit", "main", {"message": "Add m", "files": ["m"]})
        (result,) = agents.flush_all(due_only=True)
    assert result.success, result
    assert parents(scene.bare, "main")[1] == tip
    assert scene.files() == ["README", "m", "t1", "t2"]
    assert len(scene.pushes()) == 1


def test_a_merge_here_and_the_push_that_follows(scene: Scene) -> None:
    tip = topic(scene)
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic"})
        agents.queue("ada", "push", "main")
        (result,) = agents.flush_all(due_only=True)
    assert result.success, result
    assert scene.files() == ["README", "t1", "t2"]
    assert len(scene.pushes()) == 1
    assert scene.oid("main") == scene.there()
    kept(scene, [tip])


def test_two_merges_into_one_branch(scene: Scene) -> None:
    topic(scene)
    scene.git("branch", "-q", "more", "main")
    on(scene, "more", "n")
    with acting(scene) as agents:
        for name in ("topic", "more"):
            agents.queue("ada", "merge", "main", {"source": name, "push": True})
        (result,) = agents.flush_all(due_only=True)
    assert (result.success, result.executed_actions) == (True, 2), result
    assert scene.bare.subjects("--first-parent", "main") == ["Merge branch 'more' into main", MERGED, "Begin"]
    assert scene.files() == ["README", "n", "t1", "t2"]


def test_agents_that_push_beside_a_merge(scene: Scene) -> None:
    """In one batch: an agent's push is older, another's is younger than the merge. All of it lands."""
    by_hand(scene)
    topic(scene)
    first, second = scene.worktree("first", "-b", "first", "main"), scene.worktree("second", "-b", "second", "main")
    for agent, names in ((first, ("a", "b")), (second, ("c", "d"))):
        for name in names:
            agent.commit(name)
    queue(first)
    with acting(scene) as agents:
        number = agents.queue("ada", "merge", "main", {"source": "topic", "push": True})
    queue(second)
    flushed(scene)
    assert row(scene, number)["status"] == "completed"
    assert scene.files() == ["README", "a", "b", "c", "d", "t1", "t2"]
    assert MERGED in scene.landed()
    sound(scene)
    truthful(scene)


# -- work of the same branch that has landed before, and lands after -----------------------------------------------


def line(agent: Worktree, text: str) -> str:
    """A commit that changes the one line of a file."""
    write(agent, "f", f"{text}\n")
    return record(agent, f"Say {text}")


def test_a_merge_of_a_branch_whose_pushes_were_squashed(scene: Scene) -> None:
    """Its agent edits a line, lands it squashed, and edits the same line again: no conflict with its own work."""
    by_hand(scene, settle="off")
    agent = scene.worktree("topic")
    line(agent, "1")
    line(agent, "2")
    queue(agent)
    flushed(scene)
    assert scene.landed() == ["Squashed 2 commits:"]
    line(agent, "3")
    result = merge(scene, push=True)
    assert result.success, result
    assert scene.bare.git("show", "main:f") == "3"
    line(agent, "4")
    queue(agent)
    flushed(scene)
    assert scene.bare.git("show", "main:f") == "4"


@pytest.mark.parametrize("strategy", bulk(["no-ff", "squash"]))
def test_pushes_of_a_branch_after_it_was_merged(scene: Scene, strategy: str) -> None:
    """Its agent goes on where it is, on the same line of the same file."""
    by_hand(scene, settle="off")
    agent = scene.worktree("topic")
    line(agent, "1")
    line(agent, "2")
    assert merge(scene, strategy=strategy, push=True).success
    line(agent, "3")
    queue(agent)
    flushed(scene)
    assert scene.pushed() == ["completed"]
    assert scene.bare.git("show", "main:f") == "3"
    line(agent, "4")
    queue(agent)
    flushed(scene)
    assert scene.bare.git("show", "main:f") == "4"
    sound(scene)


def test_pushes_before_and_after_a_merge_of_another_branch(scene: Scene) -> None:
    """The merge comes in between two rounds of an agent that edits the same line."""
    by_hand(scene, settle="off")
    topic(scene)
    agent = scene.worktree("agent", "-b", "agent", "main")
    line(agent, "1")
    line(agent, "2")
    queue(agent)
    flushed(scene)
    assert merge(scene, push=True).success
    line(agent, "3")
    line(agent, "4")
    queue(agent)
    flushed(scene)
    assert scene.pushed() == ["completed"] * 2
    assert scene.bare.git("show", "main:f") == "4"
    assert scene.files() == ["README", "f", "t1", "t2"]


def test_the_originals_of_a_squashed_merge_are_kept(scene: Scene) -> None:
    tip = topic(scene)
    assert merge(scene, strategy="squash", push=True).success
    scene.git("branch", "-q", "-D", "topic")
    kept(scene, [tip])
