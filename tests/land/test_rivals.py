"""Whose work a push conflicts with, where many land and many conflict."""

from __future__ import annotations

import json

import pytest

from tests.support.landscape import by_hand, flushed, queue
from tests.support.scenes import Scene, Worktree
from tests.support.traces import traced


def several(scene: Scene, count: int) -> list[Worktree]:
    """Agents that have each queued a file of their own, all but the first of them a second commit, too."""
    agents = [scene.worktree(f"agent-{number}") for number in range(count)]
    for number, agent in enumerate(agents):
        agent.commit(f"file-{number}", "theirs\n")
        if number:
            agent.commit(f"more-{number}")
        queue(agent, "origin", "HEAD:main")
    return agents


def against(scene: Scene, name: str, *files: str) -> Worktree:
    """Somebody who has queued other content of the same files."""
    agent = scene.worktree(name)
    for file in files:
        agent.commit(file, "mine\n")
    queue(agent, "origin", "HEAD:main")
    return agent


def rivals(scene: Scene) -> dict[str, str]:
    """Whose work each of the agents that failed conflicts with."""
    failed = [row for row in scene.rows("sources") if row["status"] == "failed"]
    return {row["agent_id"]: json.loads(row["outcome"])["conflict_with"]["words"] for row in failed}


def test_the_first_that_changed_the_files_is_named(scene: Scene) -> None:
    by_hand(scene).git("config", "uam.push.accept", "false")
    agents = several(scene, 4)
    against(scene, "late", "beside", "file-2", "file-3")
    agents[1].commit("file-1", "again\n")
    queue(agents[1], "origin", "HEAD:main")
    own = scene.worktree("own")
    with_id = {"UAM_AGENT_ID": "agent-3"}
    own.commit("file-3", "mine\n", **with_id)
    own.push("origin", "HEAD:main", **with_id)
    flushed(scene)
    assert rivals(scene) == {
        "late": f"the work of agent-2 in the same batch ({agents[2].short('HEAD^')})",
        "agent-3": f"your own work in the same batch ({agents[3].short('HEAD^')})",
    }


def test_what_has_landed_before_is_named_where_nobody_beside_has_changed_the_files(scene: Scene) -> None:
    by_hand(scene).git("config", "uam.push.accept", "false")
    first = scene.worktree("first")
    first.commit("file", "theirs\n")
    queue(first, "origin", "HEAD:main")
    flushed(scene)
    several(scene, 2)
    against(scene, "late", "file")
    flushed(scene)
    assert rivals(scene) == {"late": f"the work of first in batch 1 ({first.short('HEAD')})"}


@pytest.mark.slow
def test_no_process_for_each_pair_of_one_that_lands_and_one_that_conflicts(scene: Scene) -> None:
    by_hand(scene).git("config", "uam.push.accept", "false")
    several(scene, 6)
    for number in range(3):
        against(scene, f"late-{number}", f"file-{number}")
    with traced(scene) as trace:
        assert scene.run("uam", "flush").code == 1
    assert len(rivals(scene)) == 3
    asked = [line.split()[1:] for line in trace.here]
    merges = [words for words in asked if "merge-tree" in words]
    assert len(merges) <= 6 + 3 + 3, merges  # each once, and each that conflicts with the one that changed its file
    listed = [words for words in asked if words[0] == "rev-list" and "--" in words]
    assert len(listed) == 3, listed
