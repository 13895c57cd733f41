"""Pushes that another queue is to land, as the queue here has them."""

from __future__ import annotations

from tests.support.landscape import environment
from tests.support.scenes import Scene
from uam_hooks.hot.queue.lane import EVERYTHING
from uam_hooks.session import open_session
from uam_hooks.store import entrusted


def test_what_joins_a_push_before_it_is_named_is_named_with_it(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    ada, bob = scene.worktree("ada"), scene.worktree("bob")
    with environment(scene.env), open_session(scene.top) as session:
        ada.commit("a")
        assert ada.run("push", "origin", "HEAD:main").code == 0
        read = entrusted.candidates(session.store, EVERYTHING)
        bob.commit("b")
        assert bob.run("push", "origin", "HEAD:main").code == 0
        (named,) = entrusted.name(session.store, read)
        names = [source.entry for source in named.pending]
        assert len(names) == len(set(names)) == 2
        assert "" not in names
        (again,) = entrusted.name(session.store, [named])
        assert [source.entry for source in again.pending] == names
        assert entrusted.entrust(session.store, again, "shop")
    assert [row["entrusted"] for row in scene.rows("deploy_queue") if row["action_type"] == "push"] == ["shop"]
