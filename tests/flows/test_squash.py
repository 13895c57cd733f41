"""What the commits of a push become: one commit for each push, on the branches where that is wanted (FAULTS F1)."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import by_hand, flushed, outsiders, queue, sound, states
from tests.support.scenes import Scene, Worktree

THREE = ("ann", "bob", "eve")


def three(scene: Scene, *push: str, commits: int = 2) -> list[Worktree]:
    """Three agents with two commits each push in one window."""
    by_hand(scene)
    agents = [scene.worktree(name) for name in THREE]
    for agent, name in zip(agents, THREE, strict=True):
        for number in range(commits):
            agent.commit(f"{name}-{number}")
        queue(agent, "origin", *(push or ("HEAD:main",)))
    flushed(scene)
    return agents


def members(scene: Scene, revision: str) -> list[str]:
    """The numbered lines in the message of a squash."""
    lines = scene.bare.git("log", "-1", "--format=%B", revision).splitlines()
    return [line for line in lines if line[:1].isdigit()]


@pytest.mark.slow
def test_f1_three_pushes_are_three_commits_and_one_run(scene: Scene) -> None:
    agents = three(scene)
    assert states(scene) == ["landed"] * 3
    assert len(scene.pushes()) == 1
    line = scene.bare.git("rev-list", "--reverse", f"{scene.start_oid}..main").split()
    assert [members(scene, oid) for oid in line] == [[f"1. Add {n}-0", f"2. Add {n}-1"] for n in THREE]
    for oid, name in zip(line, THREE, strict=True):
        assert scene.bare.git("show", "--format=", "--name-only", oid).splitlines() == [f"{name}-0", f"{name}-1"]
    for oid in line:  # each alone, on top of all
        scene.git("checkout", "-q", "--detach", line[-1])
        scene.git("revert", "--no-edit", oid)
        assert len(scene.git("ls-files").splitlines()) == 5
    # everybody's tracking ref and queue tell the same, and each source its own commit
    own = [json.loads(row["outcome"])["own"] for row in scene.rows("sources")]
    assert own == line
    assert {json.loads(row["outcome"])["new"] for row in scene.rows("sources")} == {line[-1]}
    for oid in line:
        assert json.loads(scene.git("uam", "show", oid, "--json"))["batch"] == 1
    # the same lines edited again, by who landed in the middle: no conflict with what they landed as
    agents[1].commit("bob-0", "again\n")
    queue(agents[1], "origin", "HEAD:main")
    flushed(scene)
    assert scene.bare.git("show", "main:bob-0") == "again"
    sound(scene)


@pytest.mark.slow
def test_f1_who_pushed_what_others_built_on_has_a_commit_of_its_own(scene: Scene) -> None:
    by_hand(scene)
    below = scene.worktree("below")
    below.commit("below-0")
    below.commit("below-1")
    above = scene.worktree("above", "-b", "above", "below")
    above.commit("above-0")
    above.commit("above-1")
    queue(above, "origin", "HEAD:main")
    queue(below, "origin", "HEAD:main")
    flushed(scene)
    assert states(scene) == ["landed", "landed"]
    assert [members(scene, f"main~{n}") for n in (1, 0)] == [
        ["1. Add below-0", "2. Add below-1"], ["1. Add above-0", "2. Add above-1"],
    ]  # fmt: skip
    sound(scene)


@pytest.mark.slow
def test_f1_a_feature_branch_keeps_its_commits(scene: Scene) -> None:
    """With their ids where nothing had to move; the branches of uam.squash.branches are squashed instead."""
    by_hand(scene)
    agent = scene.worktree("agent")
    tips = [agent.commit(f"f{n}") for n in range(3)]
    queue(agent, "origin", "HEAD:feature")
    flushed(scene)
    assert scene.bare.git("rev-list", "--reverse", "main..feature").split() == tips
    scene.git("config", "--add", "uam.squash.branches", "release")
    scene.git("config", "--add", "uam.squash.branches", "feat*")
    agent.commit("f3")
    agent.commit("f4")
    queue(agent, "origin", "HEAD:feature")
    scene.commit("m0")
    scene.commit("m1")
    queue(scene)  # main is none of them now
    flushed(scene)
    assert members(scene, "feature") == ["1. Add f3", "2. Add f4"]
    assert scene.landed() == ["Add m0", "Add m1"]
    sound(scene)


@pytest.mark.slow
def test_f1_the_default_branch_is_what_the_clone_or_the_remote_says(scene: Scene) -> None:
    by_hand(scene)
    scene.bare.git("branch", "trunk", "main")
    scene.bare.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    for known in (False, True):  # by what the remote says when it is asked, and by refs/remotes/origin/HEAD
        if known:
            scene.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
        agent = scene.worktree(f"agent-{known}")
        agent.commit(f"{known}-0")
        agent.commit(f"{known}-1")
        queue(agent, "origin", "HEAD:main", "HEAD:trunk")
        flushed(scene)
        squashed, kept = ("main", "trunk") if known else ("trunk", "main")
        assert members(scene, squashed) == [f"1. Add {known}-0", f"2. Add {known}-1"]
        assert scene.bare.subjects("-2", kept) == [f"Add {known}-1", f"Add {known}-0"]


@pytest.mark.slow
def test_f1_a_push_says_by_itself_what_becomes_of_it(scene: Scene) -> None:
    """Pushes with different wishes share a window and a run; the remote, which knows no push options, sees none."""
    by_hand(scene)
    for name, wish in (("ann", "keep"), ("bob", ""), ("eve", "squash")):
        agent = scene.worktree(name)
        agent.commit(f"{name}-0")
        agent.commit(f"{name}-1")
        for target in ("main", "topic"):
            queue(agent, *(["-o", wish] if wish else []), "origin", f"HEAD:{target}")
    flushed(scene)
    assert states(scene) == ["landed"] * 6
    assert len(scene.pushes()) == 1
    assert [members(scene, oid) or scene.bare.git("log", "-1", "--format=%s", oid) for oid in
            scene.bare.git("rev-list", "--reverse", f"{scene.start_oid}..main").split()] == [
        "Add ann-0", "Add ann-1", ["1. Add bob-0", "2. Add bob-1"], ["1. Add eve-0", "2. Add eve-1"],
    ]  # fmt: skip
    assert scene.bare.oid("main~2") == scene.oid("ann")
    assert len(scene.bare.subjects(f"{scene.start_oid}..topic")) == 5
    assert members(scene, "topic") == ["1. Add eve-0", "2. Add eve-1"]
    # straight to the remote, without us: still ours
    scene.commit("straight")
    done = scene.push("-o", "keep", "origin", "main:straight", UAM="off")
    assert done.code == 0, done
    sound(scene)


@pytest.mark.slow
def test_f1_one_commit_for_all_is_one_setting_away(scene: Scene) -> None:
    scene.git("config", "uam.squash", "batch")
    three(scene)
    assert scene.landed() == ["Squashed 6 commits:"]
    assert members(scene, "main") == [f"{n}. Add {THREE[(n - 1) // 2]}-{(n - 1) % 2}" for n in range(1, 7)]
    sound(scene)


@pytest.mark.slow
def test_f1_what_is_pushed_meanwhile_goes_below_every_commit_of_a_landing(scene: Scene) -> None:
    """Somebody is quicker between the plan and the push, several times: three commits all the same, and one push."""
    outsiders(scene, 3)
    three(scene)
    assert states(scene) == ["landed"] * 3
    line = scene.bare.git("rev-list", "--reverse", f"{scene.start_oid}..main").split()
    assert [members(scene, oid) for oid in line[-3:]] == [[f"1. Add {n}-0", f"2. Add {n}-1"] for n in THREE]
    assert [json.loads(row["outcome"])["own"] for row in scene.rows("sources")] == line[-3:]
    sound(scene)


def test_f1_a_squash_has_the_words_of_who_pushed_and_names_its_originals(scene: Scene) -> None:
    """Commits by name, and one commit for a whole batch, keep the original's form."""
    scene.env["GIT_CONFIG_GLOBAL"] = str(scene.home / "own")
    (scene.home / "own").write_text("[user]\n\tname = Ada\n\temail = ada@example.invalid\n[core]\n\tfsync = none\n")
    originals = [scene.commit("a", message="chore: tidy"), scene.commit("b", message="fix: subtotal multiplies")]
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["fix: subtotal multiplies (+1 more)"]
    body = scene.bare.git("log", "-1", "--format=%b", "main")
    assert body.startswith("Squashed 2 commits:\n\n1. chore: tidy\n2. fix: subtotal multiplies\n")
    shown = scene.bare.git("log", "-1", "--format=%(trailers:key=Uam-Original,valueonly)", "main")
    assert shown.split() == originals
    scene.git("config", "uam.squash", "batch")
    scene.commit("c")
    scene.commit("d")
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.landed()[-1] == "Squashed 2 commits:"
