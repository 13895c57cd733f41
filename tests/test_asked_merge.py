"""Merges that are asked for by name: what lands where, what stays untouched, and what a conflict leaves behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from landscape import by_hand, environment, flushed, kept, queue, record, sound, truthful, write
from scenes import TRACKING, Scene, Worktree, script

from uam_hooks import BatchResult, DeployBatcher
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.land.steps import Step

STRATEGIES = ("no-ff", "squash", "ff-only")
MERGED = "Merge branch 'topic' into main"


@contextmanager
def acting(scene: Scene, **more: Any) -> Iterator[DeployBatcher]:
    """The queue of the scene, in this process and without windows."""
    with environment(scene.env):
        yield DeployBatcher(repository=scene.top, batch_window_ms=0, **more)


def merge(scene: Scene, target: str = "main", source: str = "topic", **payload: Any) -> BatchResult:
    """One merge, executed; `due_only`, since a flush by hand would also squash the commits that nobody pushes."""
    with acting(scene) as agents:
        agents.queue("ada", "merge", target, {"source": source, **payload})
        (result,) = agents.flush_all(due_only=True)
    return result


def topic(scene: Scene, *names: str, checked_out: str = "elsewhere") -> str:
    """A branch topic with commits of its own, main with none since; HEAD is on the branch `checked_out`."""
    scene.git("branch", "-q", "topic", "main")
    for name in names or ("t1", "t2"):
        on(scene, "topic", name)
    if checked_out != "main":
        scene.git("switch", "-q", *([checked_out] if scene.oid(checked_out) else ["-c", checked_out, "main"]))
    return scene.oid("topic")


def on(scene: Scene, branch: str, name: str, text: str = "") -> str:
    """A commit on a branch that is not checked out. No hook sees it, so no flush makes it one with others."""
    content = text or f"{name}\n"
    stream = "\n".join([
        f"commit refs/heads/{branch}", "committer Ada <ada@example.invalid> 1714979289 +0000",
        f"data {len(f'Add {name}'.encode())}", f"Add {name}", f"from refs/heads/{branch}^0",
        f'M 100644 inline "{name}"', f"data {len(content.encode())}", content, "",
    ])  # fmt: skip
    subprocess.run(
        ["git", "fast-import", "--quiet"], input=stream.encode(), cwd=scene.top, env=scene.env, check=True
    )
    return scene.oid(branch)


def files(place: Worktree, ref: str) -> list[str]:
    return place.git("ls-tree", "-r", "--name-only", ref).splitlines()


def parents(place: Worktree, ref: str) -> list[str]:
    return place.git("log", "-1", "--format=%P", ref).split()


def body(place: Worktree, ref: str) -> str:
    return place.git("log", "-1", "--format=%B", ref).strip()


def row(scene: Scene, number: int = -1) -> dict[str, Any]:
    """An action: the one with this id, or the last."""
    found = [one for one in scene.rows("deploy_queue") if one["asked"] and number in (-1, one["id"])]
    return found[-1]


class Before:
    """Everything that a refused merge must leave as it is."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.seen = self.look()

    def look(self) -> tuple[Any, ...]:
        scene = self.scene
        refs = scene.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/remotes", "refs/tags")
        index = scene.git("ls-files", "-s")
        there = sorted(p.name for p in scene.top.iterdir())
        return refs, index, there, scene.git("status", "--porcelain"), scene.there(), scene.oid("HEAD")

    def is_how_it_is(self) -> None:
        assert self.look() == self.seen
        for name in ("MERGE_HEAD", "MERGE_MSG", "AUTO_MERGE", "index.lock"):
            assert not (self.scene.top / ".git" / name).exists()


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


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("push", [False, True])
def test_what_is_merged_already(scene: Scene, strategy: str, push: bool) -> None:
    topic(scene)
    scene.git("update-ref", "refs/heads/main", "topic")
    scene.git("push", "-q", "origin", "main", UAM="off")
    before, pushes = Before(scene), len(scene.pushes())
    result = merge(scene, source=scene.oid("topic~1"), strategy=strategy, push=push)
    if strategy == "ff-only":  # git says "Already up to date" as well
        assert row(scene)["status"] in ("completed", "failed")
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


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_somebody_is_quicker_during_the_push(scene: Scene, strategy: str) -> None:
    """A stranger's push lands between our look at the remote and our own push."""
    tip = topic(scene)
    other = scene.stranger()
    theirs = other.commit("theirs")
    other.git("push", "-q", "origin", "HEAD:refs/heads/aside")
    # the first push that comes sees main move under its hands
    script(scene.remote / "hooks" / "update", f"""
[ -e "{scene.root}/moved" ] && exit 0
: >"{scene.root}/moved"
unset GIT_QUARANTINE_PATH
git update-ref refs/heads/main {theirs}
""")
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
    assert row(scene)["status"] == "pending"
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
    assert "not today" in result.errors[0]
    before.is_how_it_is()


def test_a_branch_that_the_remote_does_not_have_yet(scene: Scene) -> None:
    tip = topic(scene)
    scene.git("branch", "-q", "release", "main")
    mine = on(scene, "release", "r")
    assert merge(scene, target="release", push=True).success
    assert parents(scene.bare, "release") == [mine, tip]
    assert scene.files("release") == ["README", "r", "t1", "t2"]
    assert scene.there() == scene.start_oid


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


# -- together with others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("push", [False, True])
def test_a_merge_waits_for_the_commit_on_its_source(scene: Scene, push: bool) -> None:
    topic(scene, "t1")
    write(scene, "t2", "t2\n")
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic", "push": push})
        agents.queue("ada", "commit", "topic", {"message": "Add t2", "files": ["t2"]})
        (result,) = agents.flush_all(due_only=True)
    assert (result.success, result.executed_actions) == (True, 2), result
    assert files(scene.bare if push else scene, "main") == ["README", "t1", "t2"]


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


@pytest.mark.parametrize("strategy", ["no-ff", "squash"])
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
