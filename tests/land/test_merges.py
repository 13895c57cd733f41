"""Merges that are asked for by name: what lands where, what stays untouched, and what a conflict leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.landscape import write
from tests.support.marks import bulk
from tests.support.merges import MERGED, STRATEGIES, Before, body, files, last, merge, on, parents, topic
from tests.support.queueing import acting, row
from tests.support.scenes import TRACKING, Scene
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.land.steps import Step

# -- into a branch of this repository ------------------------------------------------------------------------------


def test_a_merge_has_its_commit_also_where_it_could_go_forward(scene: Scene) -> None:
    tip = topic(scene)
    result = merge(scene)
    assert (result.success, result.executed_actions) == (True, 1), result
    assert parents(scene, "main") == [scene.start_oid, tip]
    assert body(scene, "main") == MERGED
    assert files(scene, "main") == ["README", "t1", "t2"]
    assert scene.clean()
    assert scene.pushes() == []
    assert scene.there() == scene.start_oid


def test_a_merge_of_two_lines(scene: Scene) -> None:
    tip = topic(scene)
    mine = on(scene, "main", "m")
    assert merge(scene, strategy="--no-ff").success
    assert parents(scene, "main") == [mine, tip]
    assert files(scene, "main") == ["README", "m", "t1", "t2"]
    assert scene.git("log", "-1", "--format=%cn <%ce>", "main") == "Ada <ada@example.invalid>"


def test_a_squash_is_one_commit(scene: Scene) -> None:
    topic(scene)
    mine = on(scene, "main", "m")
    assert merge(scene, strategy="squash").success
    assert parents(scene, "main") == [mine]
    lines = body(scene, "main").splitlines()
    assert lines[:4] == ["Squashed 2 commits:", "", "1. Add t1", "2. Add t2"]
    assert lines[-1] == f"Uam-Batch: {scene.rows('deploy_batches')[0]['id']}"
    assert files(scene, "main") == ["README", "m", "t1", "t2"]


def test_a_squash_leaves_out_what_the_target_has(scene: Scene) -> None:
    """... and a merge of the target into the source is no member of it."""
    topic(scene, "t1")
    on(scene, "main", "m")
    scene.git("switch", "-q", "topic")
    scene.git("merge", "-q", "--no-edit", "main")
    scene.commit("t2")
    scene.git("switch", "-q", "elsewhere")
    assert merge(scene, strategy="squash").success
    assert body(scene, "main").splitlines()[:4] == ["Squashed 2 commits:", "", "1. Add t1", "2. Add t2"]
    assert files(scene, "main") == ["README", "m", "t1", "t2"]


def test_forward_only(scene: Scene) -> None:
    tip = topic(scene)
    assert merge(scene, strategy="ff-only").success
    assert scene.oid("main") == tip


@pytest.mark.parametrize("push", [False, True])
def test_forward_only_is_refused_where_the_lines_have_parted(scene: Scene, push: bool) -> None:
    topic(scene)
    on(scene, "main", "m")
    before = Before(scene)
    result = merge(scene, strategy="ff-only", push=push)
    assert not result.success
    assert result.errors == ("topic is not ahead of main: no fast-forward",)
    before.is_how_it_is()


@pytest.mark.parametrize("strategy", ["no-ff", "squash"])
@pytest.mark.parametrize("push", [False, True])
def test_the_message_that_is_given(scene: Scene, strategy: str, push: bool) -> None:
    topic(scene)
    text = "Take topic in\n\nIt is ready: ä"
    assert merge(scene, strategy=strategy, push=push, message=text).success
    assert body(scene.bare if push else scene, "main") == text


@pytest.mark.parametrize("strategy", bulk(STRATEGIES))
@pytest.mark.parametrize("push", bulk([False, True]))
def test_what_is_merged_already(scene: Scene, strategy: str, push: bool) -> None:
    topic(scene)
    scene.git("update-ref", "refs/heads/main", "topic")
    scene.git("push", "-q", "origin", "main", UAM="off")
    before, pushes = Before(scene), len(scene.pushes())
    result = merge(scene, source=scene.oid("topic~1"), strategy=strategy, push=push)
    if strategy == "ff-only":  # git says "Already up to date" as well
        assert last(scene)["status"] in ("completed", "failed")
    else:
        assert (result.success, result.executed_actions) == (True, 1), result
    before.is_how_it_is()
    assert len(scene.pushes()) == pushes


def test_forward_only_of_what_is_merged_already_is_up_to_date(scene: Scene) -> None:
    """As `git merge --ff-only` says it."""
    topic(scene)
    scene.git("update-ref", "refs/heads/main", "topic")
    assert merge(scene, source=scene.oid("topic~1"), strategy="ff-only").success


@pytest.mark.parametrize("push", [False, True])
def test_a_squash_that_is_asked_for_twice_is_made_once(scene: Scene, push: bool) -> None:
    topic(scene)
    assert merge(scene, strategy="squash", push=push).success
    at = scene.oid("main")
    assert merge(scene, strategy="squash", push=push).success
    assert scene.oid("main") == at
    assert len(scene.pushes()) == push


# -- what is merged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("push", [False, True])
def test_a_branch_that_only_the_remote_has(scene: Scene, push: bool) -> None:
    tip = topic(scene)
    scene.git("push", "-q", "origin", "topic", UAM="off")
    scene.git("branch", "-q", "-D", "topic")
    assert merge(scene, push=push).success
    place = scene.bare if push else scene
    assert parents(place, "main") == [scene.start_oid, tip]
    assert body(place, "main") == MERGED


@pytest.mark.parametrize("name", ["origin/topic", "refs/heads/topic", "refs/remotes/origin/topic"])
def test_other_names_of_a_branch(scene: Scene, name: str) -> None:
    tip = topic(scene)
    scene.git("push", "-q", "origin", "topic", UAM="off")
    assert merge(scene, source=name).success
    assert parents(scene, "main") == [scene.start_oid, tip]


@pytest.mark.parametrize("push", [False, True])
def test_a_commit(scene: Scene, push: bool) -> None:
    topic(scene)
    first = scene.oid("topic~1")
    assert merge(scene, source=first, push=push).success
    place = scene.bare if push else scene
    assert parents(place, "main") == [scene.start_oid, first]
    assert files(place, "main") == ["README", "t1"]


def test_an_annotated_tag_stands_for_its_commit(scene: Scene) -> None:
    tip = topic(scene)
    scene.git("tag", "-a", "-m", "one", "v1", "topic")
    assert merge(scene, source="v1").success
    assert parents(scene, "main") == [scene.start_oid, tip]


@pytest.mark.parametrize("source", ["", "nowhere", "-x", "--upload-pack=x", "a..b", "topic:README", "HEAD^{tree}"])
def test_what_cannot_be_merged_is_refused_when_queued(scene: Scene, source: str) -> None:
    topic(scene)
    with acting(scene) as agents, pytest.raises(UsageError):
        agents.queue("ada", "merge", "main", {"source": source})
    assert [one for one in scene.rows("deploy_queue") if one["asked"]] == []


@pytest.mark.parametrize(
    "payload",
    [
        {"strategy": "octopus"}, {"push": "yes"}, {"remote": "nowhere"}, {"remote": "--x"}, {"into": "main"},
        {"source": None}, {"pr": 0}, {"pr": True},
    ],
)  # fmt: skip
def test_a_merge_that_is_not_what_it_should_be_is_refused(scene: Scene, payload: dict[str, Any]) -> None:
    topic(scene)
    with acting(scene) as agents, pytest.raises(UsageError):
        agents.queue("ada", "merge", "main", {"source": "topic", **payload})


def test_a_target_that_does_not_exist_is_refused(scene: Scene) -> None:
    topic(scene)
    with acting(scene) as agents, pytest.raises(UsageError, match="no branch nowhere"):
        agents.queue("ada", "merge", "nowhere", {"source": "topic"})


def test_a_source_that_is_gone_by_then_fails_in_words(scene: Scene) -> None:
    topic(scene)
    before_queue = scene.oid("main")
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic"})
        scene.git("branch", "-q", "-D", "topic")
        (result,) = agents.flush_all(due_only=True)
    assert result.errors == ("There is no branch or commit 'topic' here to merge.",)
    assert scene.oid("main") == before_queue


def test_the_source_is_what_it_is_when_the_merge_is_made(scene: Scene) -> None:
    topic(scene, "t1")
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic"})
        on(scene, "topic", "t2")
        assert agents.flush_all(due_only=True)[0].success
    assert files(scene, "main") == ["README", "t1", "t2"]


# -- what is checked out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_target_that_is_checked_out_stays(scene: Scene, strategy: str) -> None:
    topic(scene, checked_out="main")
    before = Before(scene)
    result = merge(scene, strategy=strategy)
    assert not result.success
    assert result.errors == ("main stays where it is: its files are checked out and would have to change",)
    before.is_how_it_is()


def test_a_target_that_is_checked_out_in_another_worktree_stays(scene: Scene) -> None:
    topic(scene)
    other = scene.worktree("other", "main")
    assert not merge(scene).success
    assert other.oid("HEAD") == scene.start_oid
    assert other.clean()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_merge_that_is_pushed_lands_whatever_is_checked_out(scene: Scene, strategy: str) -> None:
    tip = topic(scene, checked_out="main")
    write(scene, "README", "being edited\n")
    result = merge(scene, strategy=strategy, push=True)
    assert result.success, result
    assert scene.files() == ["README", "t1", "t2"]
    assert scene.bare.git("show", "main:README") == "a project"
    assert len(scene.pushes()) == 1
    if strategy == "ff-only":
        assert scene.there() == tip
    assert scene.oid("main") == scene.start_oid
    assert scene.oid(TRACKING) == scene.there()
    assert scene.git("status", "--porcelain") == " M README"
    assert (scene.top / "README").read_text() == "being edited\n"


# -- conflicts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["no-ff", "squash"])
@pytest.mark.parametrize("push", [False, True])
def test_a_conflict_leaves_nothing(scene: Scene, strategy: str, push: bool) -> None:
    topic(scene)
    on(scene, "topic", "README", "topic\n")
    on(scene, "main", "README", "main\n")
    before, ours = Before(scene), scene.our_refs()
    result = merge(scene, strategy=strategy, push=push)
    assert (result.success, result.failed_actions) == (False, 1)
    assert result.errors == ("conflict in README between topic and main",)
    before.is_how_it_is()
    assert scene.our_refs() == ours
    assert scene.pushes() == []


def test_a_conflict_with_what_the_remote_has_by_now(scene: Scene) -> None:
    topic(scene, "README")
    on(scene, "topic", "README", "topic\n")
    other = scene.stranger()
    other.commit("README", "theirs\n")
    other.push("-q", "origin", "main")
    there = scene.there()
    result = merge(scene, push=True)
    assert result.errors == ("conflict in README between topic and main",)
    assert scene.there() == there
    assert scene.oid("main") == scene.start_oid


def test_a_conflict_names_the_files(scene: Scene) -> None:
    topic(scene, "a")
    for branch in ("topic", "main"):
        for name in ("README", "b", "c d"):
            on(scene, branch, name, f"{branch}\n")
    assert merge(scene).errors == ("conflict in README, b, c d between topic and main",)


def test_a_conflict_fails_what_depends_on_it_and_nothing_else(scene: Scene) -> None:
    topic(scene, "a")
    scene.git("branch", "-q", "good", "topic")
    for branch in ("topic", "main"):
        on(scene, branch, "README", f"{branch}\n")
    with acting(scene) as agents:
        bad = agents.queue("ada", "merge", "main", {"source": "topic", "push": True})
        good = agents.queue("ada", "merge", "main", {"source": "good", "push": True})
        push = agents.queue("ada", "push", "elsewhere", dependencies=[bad])
        (result,) = agents.flush_all(due_only=True)
    assert [row(scene, n)["status"] for n in (bad, good, push)] == ["failed", "completed", "failed"], result
    assert row(scene, push)["error"] == f"dependency #{bad} failed"
    assert (result.success, result.executed_actions, result.failed_actions) == (False, 1, 2)
    assert body(scene.bare, "main") == "Merge branch 'good' into main"


def test_the_attributes_of_the_target_count(scene: Scene) -> None:
    scene.commit(".gitattributes", "log merge=union\n")
    scene.commit("log", "begin\n")
    scene.git("push", "-q", "origin", "main", UAM="off")
    topic(scene, "a")
    on(scene, "topic", "log", "begin\ntopic\n")
    on(scene, "main", "log", "begin\nmain\n")
    assert merge(scene).success
    assert sorted(scene.git("show", "main:log").split()) == ["begin", "main", "topic"]


def test_a_conflict_after_a_crash_still_fails(scene: Scene) -> None:
    """The flush died before the branch moved; by the time of the next one the merge conflicts."""
    topic(scene)
    on(scene, "topic", "README", "topic\n")
    with acting(scene) as agents:
        number = agents.queue("ada", "merge", "main", {"source": "topic"})
        assert scene.run("uam", "flush", UAM_DIE_AT=Step.PINNED).code != 0
        assert [one["status"] for one in scene.rows("landings")] == ["planned"]
        on(scene, "main", "README", "main\n")
        (result,) = agents.flush_all(due_only=True)
        assert (row(scene, number)["status"], row(scene, number)["error"]) == (
            "failed", "conflict in README between topic and main"
        )  # fmt: skip
        assert not result.success
        assert agents.flush_all(due_only=True) == []
