"""`git uam sync`: bringing a branch over, or saying why not with nothing touched."""

from __future__ import annotations

from landscape import record, write
from scenes import Scene


def test_an_unrelated_branch_that_conflicts_is_refused_in_words(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.git("checkout", "-q", "--orphan", "alone")
    write(agent, "README", "alone\n")
    tip = record(agent, "Begin alone")
    done = agent.run("uam", "sync", "origin/main")
    assert (done.code, agent.oid("HEAD")) == (4, tip)
    assert "Traceback" not in done.err
