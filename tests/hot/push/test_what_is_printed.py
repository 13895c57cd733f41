"""What a push prints, and what it does not."""

from __future__ import annotations

import pytest

from tests.support.landscape import flushed
from tests.support.scenes import Scene, script


@pytest.mark.parametrize("mode", ["wait", "queue", "manual"])
def test_h18_a_quiet_push_that_is_taken_prints_nothing(scene: Scene, mode: str) -> None:
    scene.git("config", "uam.push.mode", mode)
    scene.commit("a")
    scene.commit("b")
    assert scene.push("-q") == (0, "", "")
    if mode == "manual":
        flushed(scene)
    scene.idle()
    assert scene.landed() == ["Squashed 2 commits:"]


def test_h18_a_quiet_push_that_fails_says_why(scene: Scene) -> None:
    script(scene.remote / "hooks" / "update", "echo not today >&2\nexit 1\n")
    scene.commit("a")
    done = scene.push("-q")
    assert done.code == 1
    assert " ! [remote rejected] main -> main (hook declined)" in done.err
    assert "remote: not today" in done.err


@pytest.mark.parametrize("declined", [True, False])
def test_h18_a_quiet_push_leaves_good_news_of_an_earlier_one_to_the_next(scene: Scene, declined: bool) -> None:
    hook = script(scene.remote / "hooks" / "update", f"exit {int(declined)}\n")
    scene.git("config", "uam.window.push", "10m")
    scene.git("config", "uam.push.waitTimeout", "1ms")
    scene.commit("a")
    assert "not landed yet" in scene.push().err
    flushed(scene)
    hook.unlink()
    scene.git("config", "uam.window.push", "0")
    scene.git("config", "uam.push.waitTimeout", "80s")
    quiet, loud = scene.push("-q", "origin", "main:other"), scene.push("origin", "main:another")
    assert (quiet.code, loud.code) == (0, 0)
    assert ["from before did not land" in line for line in quiet.ours] == [True, False] * declined  # and what to do
    assert any("from before has landed on origin/main" in line for line in loud.ours) is not declined


@pytest.mark.parametrize("way", ["off", "disabled"])
def test_h18_progress_of_a_straight_push_is_shown_where_it_is_asked_for(scene: Scene, way: str) -> None:
    if way == "disabled":
        scene.git("config", "uam.enabled", "false")
    for args, shown in (([], False), (["--progress"], True), (["-q"], False)):
        scene.commit(f"a{len(args)}{shown}")
        done = scene.push(*args, UAM="off" if way == "off" else "")
        assert done.code == 0
        assert ("Writing objects" in done.err) is shown


def test_h18_progress_of_a_landing_is_shown_where_it_is_asked_for(scene: Scene) -> None:
    """git's own t5523.13; as with git, it wins over -q."""
    for args, shown in ((["--progress"], True), ([], False), (["--progress", "-q"], True)):
        scene.commit(f"a{len(args)}{shown}")
        done = scene.push(*args)
        assert (done.code, done.ours) == (0, [])
        assert ("Writing objects: 100% (3/3), " in done.err) is shown, done
        assert "remote: " not in done.err


def test_h18_progress_of_what_goes_straight_beside_the_queue(scene: Scene) -> None:
    scene.commit("a")
    assert "Writing objects" in scene.push("--progress", "--signed=if-asked").err
