"""`git uam sync`: bringing a branch over, or saying why not with nothing touched."""

from __future__ import annotations

import pytest

from tests.support.landscape import at_remote, by_hand, record, write
from tests.support.marks import bulk
from tests.support.scenes import Done, Scene, Worktree


def left_behind(scene: Scene, agent: Worktree) -> str:
    """Two commits of `agent` landed squashed, on top of a stranger's, and its branch did not follow; gives its tip."""
    scene.git("config", "uam.settle", "off")
    other = scene.stranger()
    other.commit("theirs")
    other.git("push", "-q")
    agent.commit("one")
    tip = agent.commit("two")
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0, done
    assert agent.oid("HEAD") == tip
    return tip


def untouched(agent: Worktree, before: tuple[str, str], done: Done, code: int = 4) -> None:
    """The command refused in words and changed nothing."""
    assert (done.code, done.out) == (code, ""), done
    assert (agent.oid("HEAD"), agent.git("status", "--porcelain")) == before
    assert len(done.ours) == 1
    assert "Traceback" not in done.err


def state(agent: Worktree) -> tuple[str, str]:
    return agent.oid("HEAD"), agent.git("status", "--porcelain")


def test_a_branch_is_brought_over_and_back_again(scene: Scene) -> None:
    agent = scene.worktree("agent")
    tip = left_behind(scene, agent)
    new = scene.there()
    done = agent.run("uam", "sync")
    assert done == (
        0,
        f"branch agent and its files are now at {new[:7]}, what origin/main has\nundo: git reset --keep {tip[:7]}\n",
        "",
    )
    at_remote(agent, scene)
    assert agent.git("status", "--porcelain") == ""
    assert agent.oid("agent@{1}") == tip
    assert agent.run("uam", "sync") == (0, f"branch agent is at {new[:7]}, up to date with origin/main\n", "")
    # the way back that it named
    agent.git(*done.out.splitlines()[1].split()[2:])
    assert agent.oid("HEAD") == tip
    assert agent.git("status", "--porcelain") == ""
    assert not (agent.top / "theirs").exists()


def test_a_commit_by_name_on_the_branch_here_is_no_landing_to_bring_over(scene: Scene) -> None:
    by_hand(scene)
    write(scene, "a", "a\n")
    scene.git("uam", "queue", "--action-type", "commit", "--target", "main", "--message", "a", "--files", "a")
    scene.git("uam", "flush")
    assert scene.git("uam", "sync") == f"branch main is at {scene.short('main')}, up to date with origin/main"


def test_local_modifications_stay(scene: Scene) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    write(agent, "one", "changed\n")
    write(agent, "two", "staged\n")
    agent.git("add", "two")
    write(agent, "unknown", "unknown\n")
    before = agent.git("status", "--porcelain")
    assert agent.run("uam", "sync").code == 0
    assert agent.oid("HEAD") == scene.there()
    assert agent.git("status", "--porcelain") == before
    texts = [(agent.top / name).read_text() for name in ("one", "two", "theirs")]
    assert texts == ["changed\n", "staged\n", "theirs\n"]


@pytest.mark.parametrize("how", ["modified", "staged", "unknown"])
def test_a_modification_in_the_way_is_refused_before_anything_is_touched(scene: Scene, how: str) -> None:
    agent = scene.worktree("agent")
    name = "theirs" if how == "unknown" else "README"
    other = scene.stranger()
    write(other, "README", "theirs\n")
    record(other, "Say theirs")
    left_behind(scene, agent)
    write(agent, name, "in the way\n")
    if how == "staged":
        agent.git("add", name)
    before = state(agent)
    done = agent.run("uam", "sync")
    untouched(agent, before, done)
    assert f"your changes to {name} conflict with it" in done.err
    assert (agent.top / name).read_text() == "in the way\n"
    assert not (agent.top / "theirs").exists() or how == "unknown"


@pytest.mark.slow
def test_unlanded_commits_are_put_on_top(scene: Scene) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    agent.commit("three", "", "--author=Bob <bob@example.invalid>", "--date=2020-01-02T03:04:05+0000")
    agent.commit("one", "changed\n", message="Change one")
    done = agent.run("uam", "sync")
    assert done.out.splitlines()[0].endswith("what origin/main has, with 2 unlanded commits on top")
    assert agent.oid("HEAD~2") == scene.there()
    assert agent.git("log", "-1", "--format=%an %ad %s", "--date=iso-strict", "HEAD~1") == (
        "Bob 2020-01-02T03:04:05+00:00 Add three"
    )
    assert agent.git("status", "--porcelain") == ""
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["Add theirs", *["Squashed 2 commits:"] * 2]
    assert scene.bare.git("show", "main:one") == "changed"


def test_commits_that_are_queued_stay_as_they_are(scene: Scene) -> None:
    """What they become here would conflict with what they land as."""
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    by_hand(scene, settle="keep")
    agent.commit("three")
    agent.commit("four")
    assert agent.push("origin", "HEAD:main").code == 0
    before = agent.oid("HEAD"), agent.git("status", "--porcelain")
    done = agent.run("uam", "sync", "origin/main")
    untouched(agent, before, done)
    assert done.ours[0].startswith("agent has commits that are queued"), done
    agent.git("uam", "flush")
    agent.git("uam", "sync", "origin/main")
    assert agent.oid("HEAD") == scene.there()
    assert scene.files() == ["README", "four", "one", "theirs", "three", "two"]


def test_a_detached_head(scene: Scene) -> None:
    agent = scene.worktree("agent", "--detach")
    tip = left_behind(scene, agent)
    done = agent.run("uam", "sync")
    assert done.out.splitlines()[0] == f"HEAD and its files are now at {scene.there()[:7]}, what origin/main has"
    at_remote(agent, scene)
    assert agent.run("symbolic-ref", "-q", "HEAD").code == 1
    assert agent.oid("HEAD@{1}") == tip
    assert scene.oid("main") == scene.start_oid


@pytest.mark.slow
def test_a_target_that_is_named(scene: Scene) -> None:
    scene.push("origin", "main:team/topic", UAM="off")
    other = scene.stranger()
    other.git("fetch", "-q")
    other.git("switch", "-q", "team/topic")
    there = other.commit("theirs")
    other.git("push", "-q", "origin", "team/topic")
    agent = scene.worktree("agent")
    mine = agent.commit("mine")
    assert agent.run("uam", "sync", "origin/team/topic").code == 0
    assert agent.oid("HEAD~1") == there
    assert agent.oid("HEAD") != mine
    before = state(agent)
    untouched(agent, before, agent.run("uam", "sync", "origin/never"))
    for name in ("nowhere/main", "main", "origin/"):
        done = agent.run("uam", "sync", name)
        assert done.code != 0
        assert state(agent) == before
        assert "Traceback" not in done.err


def test_a_branch_follows_its_upstream_where_nothing_of_it_landed(scene: Scene) -> None:
    other = scene.stranger()
    other.commit("theirs")
    other.git("push", "-q")
    assert scene.run("uam", "sync").code == 0
    at_remote(scene, scene)
    assert scene.clean()  # the tracking ref follows as well


def test_nothing_landed_and_nothing_tracked(scene: Scene) -> None:
    for name in ("-b", "--detach"):
        agent = scene.worktree(f"agent{name}", *((name, "agent") if name == "-b" else (name,)))
        agent.commit("a")
        before = state(agent)
        done = agent.run("uam", "sync")
        untouched(agent, before, done, code=2)
        assert "git uam sync origin/main" in done.err


@pytest.mark.slow
def test_a_conflict_is_refused_and_what_it_advises_works(scene: Scene) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    tip = agent.commit("theirs", "mine\n", message="Say mine")
    write(agent, "unknown", "unknown\n")
    before = state(agent)
    done = agent.run("uam", "sync")
    untouched(agent, before, done)
    assert f"Your unlanded commits conflict with {scene.there()[:7]}; nothing was touched." in done.err
    advice = done.err.split("`")[1].split()
    assert advice[:3] == ["git", "rebase", "--onto"]
    assert agent.run(*advice[1:]).code == 1
    write(agent, "theirs", "both\n")
    agent.git("add", "theirs")
    agent.git("-c", "core.editor=true", "rebase", "--continue")
    assert agent.oid("HEAD~1") == scene.there()
    assert agent.oid("agent") not in (tip, "")
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.bare.git("show", "main:theirs") == "both"


def test_an_unlanded_merge_is_refused(scene: Scene) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    agent.git("switch", "-q", "-c", "side", scene.start_oid)
    agent.commit("side")
    agent.git("switch", "-q", "agent")
    agent.git("merge", "-q", "--no-edit", "side")
    before = state(agent)
    done = agent.run("uam", "sync")
    untouched(agent, before, done)
    assert "has an unlanded merge" in done.err
    # pushing integrates it, as the words say
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.files() == ["README", "one", "side", "theirs", "two"]


def test_an_unrelated_branch_that_conflicts_is_refused_in_words(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.git("checkout", "-q", "--orphan", "alone")
    write(agent, "README", "alone\n")
    tip = record(agent, "Begin alone")
    done = agent.run("uam", "sync", "origin/main")
    assert (done.code, agent.oid("HEAD")) == (4, tip)
    assert "Traceback" not in done.err


def test_a_rebase_under_way_is_left_alone(scene: Scene) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    agent.run("-c", "sequence.editor=sed -i s/pick/edit/", "rebase", "-q", "-i", "HEAD~2")
    before = state(agent)
    done = agent.run("uam", "sync", "origin/main")
    untouched(agent, before, done)
    assert "a rebase is under way there" in done.err
    agent.git("rebase", "--abort")


def test_a_remote_out_of_reach(scene: Scene) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    before = state(agent)
    away = scene.remote.rename(scene.root / "away")
    untouched(agent, before, agent.run("uam", "sync"), code=1)
    away.rename(scene.remote)
    assert agent.run("uam", "sync").code == 0
    at_remote(agent, scene)


# -- people who do it with git ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", bulk(["--rebase", "--no-rebase"]))
@pytest.mark.parametrize("more", bulk([False, True]), ids=["all landed", "with more work"])
def test_git_pull_after_a_landing_works_as_well(scene: Scene, how: str, more: bool) -> None:
    agent = scene.worktree("agent")
    left_behind(scene, agent)
    if more:
        agent.commit("three")
    pulled = agent.run("pull", "-q", how, "--no-edit", "origin", "main")
    assert pulled.code == 0, pulled
    assert agent.git("status", "--porcelain") == ""
    agent.commit("one", "changed\n", message="Change one")
    before = scene.landed()
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0, done
    assert scene.bare.git("show", "main:one") == "changed"
    assert scene.files() == sorted(["README", "one", "theirs", *(["three"] if more else []), "two"])
    # nothing that had landed comes a second time
    assert len(scene.landed()) == len(before) + 1, scene.landed()
