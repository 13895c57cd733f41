"""How long things wait: windows from git config, a push that is alone, and those who are in a hurry."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.landscape import environment, write
from tests.support.marks import bulk
from tests.support.queueing import KINDS, ask, change, due_now
from tests.support.scenes import Done, Scene, Worktree, finished, script, until
from tests.support.windows import actions, at_the_door, others, waited, window_facts, window_line
from uam_hooks import DeployBatcher
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.queue.model import URGENT_WINDOWS, iso, seconds_of

# A push that lands at all, with a window that no test lives to see the end of, did not wait for it.
LONG = 600.0


def in_time(scene: Scene, place: Worktree, *args: str, **env: str) -> tuple[Done, list[float]]:
    """A push whose window is not waited for: how it ended, and what the queue had given the pushes to wait."""
    before = len(scene.rows("sources"))
    process = place.start("push", *args, **env)
    until(lambda: len(scene.rows("sources")) > before, "a push in the queue")
    waits = [waited(row) for row in actions(scene)]
    due_now(scene)
    return finished(process), waits


# -- in a hurry ------------------------------------------------------------------------------------------------------


def test_an_urgent_push_waits_shortly_and_its_option_goes_no_further(slow: Scene) -> None:
    # a bare remote refuses every push option, unless it was told to take them
    tip = slow.commit("a")
    done, waits = in_time(slow, slow, "-o", "urgent", "origin", "HEAD:main")
    assert (done.code, done.ours, waits) == (0, [], [1])
    (row,) = actions(slow)
    assert row["payload"] == "{}"
    assert slow.there() == tip


def test_other_push_options_reach_the_remote(slow: Scene) -> None:
    slow.bare.git("config", "receive.advertisePushOptions", "true")
    script(slow.remote / "hooks" / "post-receive",
           'echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" >>pushes.log\n')  # fmt: skip
    slow.commit("a")
    options = ("-o", "ci.variable=A B", "-o", "urgent", "-o", "merge_request.create")
    done, waits = in_time(slow, slow, *options, "origin", "HEAD:main")
    assert done.code == 0, done
    assert waits == [1]
    assert slow.pushes() == ["2 ci.variable=A B merge_request.create"]


def test_an_urgent_push_from_config(slow: Scene) -> None:
    slow.git("config", "push.pushOption", "urgent")
    slow.commit("a")
    done, waits = in_time(slow, slow, "origin", "HEAD:main")
    assert (done.code, waits) == (0, [1])


@pytest.mark.parametrize("way", ["UAM", "config", "environment"])
def test_an_urgent_push_that_goes_straight(slow: Scene, way: str) -> None:
    # the option is for us, whoever it is that pushes in the end
    tip = slow.commit("a")
    before = ("-c", "uam.enabled=false") if way == "config" else ()
    if way == "environment":
        (slow.uam / "env").write_text("/nowhere/python\n/nowhere\n")
    done = slow.run(*before, "push", "-o", "urgent", "origin", "HEAD:main", **({"UAM": "off"} if way == "UAM" else {}))
    assert done.code == 0, done
    assert slow.there() == tip


@pytest.mark.parametrize(("value", "seconds"), [("1", 1), ("on", 1), ("0", LONG), ("", LONG)])
def test_urgency_from_the_environment(slow: Scene, value: str, seconds: float) -> None:
    slow.commit("a")
    assert at_the_door(slow, UAM_URGENT=value) == seconds


def test_a_push_with_urgency_from_the_environment(slow: Scene) -> None:
    tip = slow.commit("a")
    done, waits = in_time(slow, slow, "origin", "HEAD:main", UAM_URGENT="1")
    assert (done.code, waits) == (0, [1])
    assert slow.there() == tip


def test_nonsense_in_the_environment_loses_nothing(slow: Scene) -> None:
    tip = slow.commit("a")
    done = slow.push("origin", "HEAD:main", UAM_URGENT="very")
    assert done.code == 1
    assert "UAM_URGENT is 'very', which is neither true nor false. Set it to 1 or 0." in done.err
    assert (actions(slow), slow.there(), slow.oid("HEAD")) == ([], slow.start_oid, tip)
    assert in_time(slow, slow, "origin", "HEAD:main", UAM_URGENT="yes")[0].code == 0
    assert slow.there() == tip


@pytest.mark.parametrize("how", ["environment", "option"])
def test_urgency_at_the_hook_door(unwired: Scene, how: str) -> None:
    unwired.git("config", "uam.window.push", "10m")
    tip = unwired.commit("a")
    args = ("-o", "urgent") if how == "option" else ()
    done = unwired.push(*args, "origin", "HEAD:main", **({"UAM_URGENT": "1"} if how == "environment" else {}))
    assert done.code == 1
    assert [waited(row) for row in actions(unwired)] == [1]
    due_now(unwired)
    unwired.idle()
    assert unwired.there() == tip


def test_urgency_makes_no_window_longer(scene: Scene) -> None:
    scene.git("config", "uam.window.push", "200ms")
    scene.commit("a")
    assert scene.push("-o", "urgent", "origin", "HEAD:main").code == 0
    assert [waited(row) for row in actions(scene)] == [0.2]


def test_an_urgent_push_makes_the_whole_group_earlier(slow: Scene) -> None:
    other = slow.worktree("other")
    slow.commit("a")
    other.commit("b")
    process = slow.start("push", "origin", "HEAD:main")
    until(lambda: slow.pushed() == ["pending"] and slow.flushers(), "a push that waits")
    assert [waited(row) for row in actions(slow)] == [LONG]
    done, waits = in_time(slow, other, "-o", "urgent", "origin", "HEAD:main")
    assert done.code == 0
    assert waits[0] < 30  # a second after the urgent one came
    assert finished(process).code == 0
    assert len(actions(slow)) == len(slow.pushes()) == 1
    assert slow.files() == ["README", "a", "b"]


def test_a_normal_push_does_not_slow_an_urgent_one_down(slow: Scene) -> None:
    slow.commit("a")
    first = ask(slow, "push", agent="agent-1", options={"urgent": True})
    assert ask(slow, "push", agent="agent-2") == first
    assert [waited(row) for row in actions(slow)] == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_urgent_action_by_name(scene: Scene, kind: str) -> None:
    scene.git("config", f"uam.window.{kind}", "1h")
    one_of_each(scene, kind, urgent=True)
    assert [waited(row) for row in actions(scene, kind)] == [URGENT_WINDOWS[kind]]


# -- everybody in a hurry --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_urgent_mode(lone: Scene) -> None:
    other = lone.worktree("other")
    other.commit("b")
    lone.commit("a")
    shown = other.git("uam", "urgent", "on")
    assert shown == ("urgent mode is on; windows: commit 2 s, push 1 s, merge 2 s, workflow 1 s, deploy 5 s")
    assert window_line(lone) == "a push waits 1 s (urgent) for company: other"
    facts = window_facts(lone)
    assert (facts["seconds"], facts["urgent"], facts["urgent_until"]) == (1, True, None)
    assert lone.push("origin", "HEAD:main").code == 0  # it waits its second, and lands by itself
    assert [waited(row) for row in actions(lone)] == [1]
    assert lone.git("uam", "urgent", "off") == (
        "urgent mode is off; windows: commit 30 s, push 600 s, merge 10 s, workflow 5 s, deploy 60 s"
    )
    assert lone.git("uam", "urgent").startswith("urgent mode is off; ")
    lone.commit("c")
    assert others(lone) == ["other"]


def test_urgent_mode_ends(slow: Scene) -> None:
    began = time.time()
    shown = slow.git("uam", "urgent", "on", "--for", "10m")
    end = slow.rows("urgent")[0]["until"]
    assert abs(seconds_of(end) - began - 600) < 60
    assert shown.startswith(f"urgent mode is on until {end}; windows: ")
    assert window_line(slow) == f"a push waits 1 s (urgent until {end})"
    assert window_facts(slow)["urgent_until"] == end
    slow.commit("a")
    assert ask(slow, "push", agent="agent-1")
    change(slow, "UPDATE urgent SET until = ?", iso(time.time() - 1))
    assert window_line(slow) == "a push waits 600 s"
    slow.git("branch", "topic")
    ask(slow, "push", "topic", agent="agent-1")
    assert [waited(row) for row in actions(slow)] == [1, LONG]


def test_urgent_mode_of_a_program_is_everybodys(slow: Scene) -> None:
    other = slow.worktree("other")
    with environment(slow.env):
        here = DeployBatcher(repository=slow.top)
        here.set_urgent_mode(True)
        there = DeployBatcher(repository=other.top)
        assert there.get_window_config() == {kind: 1000 * URGENT_WINDOWS[kind] for kind in KINDS}
        there.set_urgent_mode(False)
        assert here.get_batch_window("push") == 600_000


# -- windows from git config -----------------------------------------------------------------------------------------


def one_of_each(scene: Scene, kind: str, **options: Any) -> int:
    """Queue something of this type."""
    scene.git("config", "uam.gh.repo", "owner/shop")
    scene.git("config", "uam.deploy.prod.command", "true")
    scene.git("config", "uam.gh.repo", "github.localhost/o/r")
    write(scene, "new", "new\n")
    scene.git("branch", "--force", "topic")
    target = {"workflow": "test.yml", "deploy": "prod"}.get(kind, "main")
    payloads: dict[str, dict[str, Any]] = {"commit": {"message": "new", "files": ["new"]}, "merge": {"source": "topic"}}
    return ask(scene, kind, target, agent="agent-1", options=options, **payloads.get(kind, {}))


@pytest.mark.parametrize(
    ("kind", "value", "seconds"),
    [("commit", "5s", 5), ("push", "500ms", 0.5), ("merge", "0", 0), ("workflow", "2m", 120), ("deploy", "7", 7)],
)
def test_windows(scene: Scene, kind: str, value: str, seconds: float) -> None:
    scene.git("config", f"uam.window.{kind}", value)
    one_of_each(scene, kind)
    (row,) = actions(scene, kind)
    assert waited(row) == seconds


def test_the_spellings_of_a_window(scene: Scene) -> None:
    for value, seconds in (("5s", 5), ("500ms", 0.5), ("0", 0), ("7", 7), ("2m", 120), ("1.5h", 5400), ("1d", 86400)):
        for kind in KINDS:
            scene.git("config", f"uam.window.{kind}", value)
        with environment(scene.env):
            found = DeployBatcher(repository=scene.top).get_window_config()
        assert found == dict.fromkeys(KINDS, 1000 * seconds), value


# the last one is read, and is a moment that no calendar has
BAD = ("soon", "-5", "NaN", "inf", "1e3", "5 parsecs", "", "0x10", "99999999999d")


@pytest.mark.parametrize("kind", bulk(KINDS))
def test_a_window_that_cannot_be_read_is_an_error_and_not_the_default(scene: Scene, kind: str) -> None:
    one_of_each(scene, "commit")
    before = scene.queue()
    for value in BAD:
        scene.git("config", f"uam.window.{kind}", value)
        with pytest.raises(UsageError, match=rf"^The setting uam\.window\.{kind} is '{value}', which ") as error:
            one_of_each(scene, kind)
        assert error.value.do == f"Set it with `git config uam.window.{kind} ...`."
        assert scene.queue() == before
    scene.git("config", "--unset", f"uam.window.{kind}")
    if kind != "commit":  # the same files once more are nothing to commit
        one_of_each(scene, kind)
        assert len(actions(scene, kind)) == 1


@pytest.mark.parametrize("key", ["uam.window.push", "uam.window.company"])
def test_a_push_with_a_window_that_cannot_be_read_is_not_queued(scene: Scene, key: str) -> None:
    scene.commit("a")
    for value in BAD:
        scene.git("config", key, value)
        with pytest.raises(UsageError, match=rf"^The setting {key} is '{value}', which "):
            at_the_door(scene)
        assert actions(scene) == []


@pytest.mark.parametrize("key", bulk(["uam.window.push", "uam.window.company", "uam.window.commit"]))
def test_after_a_bad_window_the_push_lands(scene: Scene, key: str) -> None:
    tip = scene.commit("a")
    scene.git("config", key, "soon")
    done = scene.push("origin", "HEAD:main")
    assert f"The setting {key} is 'soon', which is not a duration" in done.err
    assert scene.oid("HEAD") == tip
    # either it says that it failed, or the work is there
    assert (done.code == 0) == (scene.there() != scene.start_oid)
    status = scene.run("uam", "status")
    assert (status.code, len(status.ours)) == (2, 1)
    assert f"The setting {key} is 'soon'" in status.err
    scene.git("config", key, "100ms")
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["Add a"]


def test_a_bad_window_of_another_type_stops_no_push(scene: Scene) -> None:
    for kind in ("merge", "workflow", "deploy"):
        scene.git("config", f"uam.window.{kind}", "soon")
    tip = scene.commit("a")
    assert scene.push("origin", "HEAD:main").code == 0
    assert scene.there() == tip
    assert scene.run("uam", "status").code == 0


def test_urgent_mode_is_not_turned_on_where_a_window_cannot_be_read(scene: Scene) -> None:
    # it ends with the exit status that promises that nothing was changed
    scene.git("config", "uam.window.deploy", "soon")
    done = scene.run("uam", "urgent", "on")
    assert done.code == 2
    assert "uam.window.deploy is 'soon'" in done.err
    assert scene.rows("urgent") == []
