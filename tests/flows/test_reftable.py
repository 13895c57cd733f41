"""Repositories whose refs are no files (`git init --ref-format=reftable`): only git can tell what HEAD is."""

from __future__ import annotations

import pytest

from tests.support.gits import REFTABLE, needs_reftable, newer
from tests.support.scenes import Scene, finished, script

pytestmark = needs_reftable


@pytest.fixture
def tables(scene: Scene) -> Scene:
    """The scene, whose repositories both keep their refs in tables."""
    for place in (newer(scene, REFTABLE), scene.bare):
        place.git("refs", "migrate", "--ref-format=reftable")
    assert (scene.top / ".git/HEAD").read_text() == "ref: refs/heads/.invalid\n"
    return scene


def test_two_agents_land_together_and_are_settled(tables: Scene) -> None:
    """Notes and marks name the branch, and so does the queue."""
    log = tables.root / "mark"
    script(tables.top / ".git/hooks/commit-msg", f'cat "{tables.uam}"/inflight/* >"{log}"\n')
    one, two = tables.worktree("one"), tables.worktree("two")
    first, second = one.commit("a"), two.commit("b")
    assert log.read_text().splitlines()[0] == "ref: refs/heads/two"
    tables.git("switch", "-q", "--detach")
    tip = tables.commit("c")
    assert log.read_text().splitlines()[0] == tables.oid("HEAD^")
    pushes = [one.start("push", "origin", "HEAD:main"), two.start("push", "origin", "HEAD:main")]
    ended = [finished(process) for process in pushes]
    assert [done.code for done in ended] == [0, 0], ended
    branches = {row["oid"]: row["branch"] for row in tables.rows("queued_commits")}
    assert branches == {first: "refs/heads/one", second: "refs/heads/two", tip: ""}
    assert tables.files() == ["README", "a", "b"]
    for place in (one, two):
        assert place.run("merge-base", "--is-ancestor", "HEAD", tables.there()).code == 0
        assert place.status() == [place.status()[0]]
    assert tables.push("origin", "HEAD:main").code == 0
    assert tables.oid("HEAD") == tables.there()
    assert tables.files() == ["README", "a", "b", "c"]


def test_what_the_reflog_tells_of_a_branch_that_was_set_back(tables: Scene) -> None:
    """It never pushed what it gives up: that it was there, the reflog alone knows."""
    there = tables.stranger()
    theirs = there.commit("a")
    assert there.push("-q").code == 0
    tables.git("pull", "-q", UAM="off")
    tables.git("reset", "-q", "--hard", "HEAD^")
    done = tables.push()
    assert (done.code, "(non-fast-forward)" in done.err, tables.there()) == (1, True, theirs), done


def test_an_unfinished_cherry_pick_is_left_alone(tables: Scene) -> None:
    agent = tables.worktree("agent")
    agent.commit("README", "theirs\n")
    tip = tables.commit("README", "ours\n")
    there = tables.stranger()
    there.commit("x")
    assert there.push("-q").code == 0
    assert tables.run("cherry-pick", "agent").code == 1
    done = tables.push("origin", "main")
    assert done.code == 0, done
    assert done.ours[-1].startswith(f"branch main stays at {tip[:7]}: a cherry-pick is under way there")
