"""Others move the remote while we land: integrated anew, bounded, and everything lands once."""

from __future__ import annotations

from landscape import by_hand, flushed, queue, record, states, write
from scenes import Scene


def test_what_landed_before_a_landing_that_was_forced_away_still_counts(scene: Scene) -> None:
    """Two landings, the second is forced away: the first is still there, and its originals are still known."""
    by_hand(scene, settle="off")
    agent, other = scene.worktree("agent"), scene.worktree("other")
    for text in ("1\n", "2\n"):
        write(agent, "file", text)
        record(agent, f"Say {text}")
    queue(agent)
    flushed(scene)
    first = scene.there()
    for name in ("other-1", "other-2"):
        other.commit(name)
    queue(other)
    flushed(scene)
    scene.bare.git("update-ref", "refs/heads/main", first)
    write(agent, "file", "3\n")
    record(agent, "Say 3")
    queue(agent)
    queue(other)
    flushed(scene)
    assert states(scene)[-2:] == ["landed", "landed"]
    assert scene.bare.git("show", "main:file") == "3"
    assert scene.files() == ["README", "file", "other-1", "other-2"]
