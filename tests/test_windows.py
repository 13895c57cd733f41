"""How long things wait: windows from git config, a push that is alone, and those who are in a hurry."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from landscape import environment, write
from scenes import Scene, Worktree, finished, script, until

from uam_hooks import DeployBatcher
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.push.intake import Request, Spec, enter, look_at
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import URGENT_WINDOWS, iso, seconds_of
from uam_hooks.hot.queue.spool import take_in

# A push that lands at all, with a window that no test lives to see the end of, did not wait for it.
LONG = 600.0
KINDS = ("commit", "push", "merge", "workflow", "deploy")
AT_ONCE = "a push lands at once: nobody else was at work in the last 10 min"
ME = "ada@example.invalid@work"


@pytest.fixture
def lone(scene: Scene) -> Scene:
    """A scene with the Alone rule, and a window that only that rule can end."""
    scene.git("config", "uam.window.company", "10m")
    scene.git("config", "uam.window.push", "10m")
    return scene


@pytest.fixture
def slow(scene: Scene) -> Scene:
    """A scene in which every push waits for a window that does not end."""
    scene.git("config", "uam.window.push", "10m")
    return scene


def waited(row: dict[str, Any]) -> float:
    """How long the queue gave an action, in seconds."""
    return round(seconds_of(row["execute_after"]) - seconds_of(row["queued_at"]), 1)


def actions(scene: Scene, kind: str = "push") -> list[dict[str, Any]]:
    return [row for row in scene.rows("deploy_queue") if row["action_type"] == kind]


def change(scene: Scene, sql: str, *values: Any) -> None:
    """What only time does otherwise."""
    with closing(sqlite3.connect(scene.paths.database)) as db, db:
        db.execute(sql, values)


def backdate(scene: Scene, minutes: float) -> None:
    """Let everything that is noted so far have happened that long ago."""
    for table in ("sources", "queued_commits"):
        change(scene, f"UPDATE {table} SET queued_at = ?", iso(time.time() - 60 * minutes))  # noqa: S608


def window_line(place: Worktree) -> str:
    """What `git uam status` says of the window, for people."""
    (line,) = [line for line in place.git("uam", "status").splitlines() if line.startswith("window:")]
    return line.removeprefix("window:").strip()


def window_facts(place: Worktree) -> dict[str, Any]:
    """What it says to programs."""
    with environment(place.env):
        found = DeployBatcher(repository=place.top).status()["window"]
    assert sorted(found) == ["alone", "company_seconds", "others", "seconds", "urgent", "urgent_until"]
    return dict(found)


def at_the_door(place: Worktree, **env: str) -> float:
    """How long a push of HEAD that is waited for would wait: queued as the wired door does it, in this process."""
    with environment({**place.env, **env}):
        paths = RepoPaths.of(place.git_dir)
        git = HotGit(paths.git_dir, paths.worktree)
        settings = Settings.read(git)
        with Store(paths.database) as store:
            take_in(store, paths, settings["uam.window.commit"])
            asked = look_at(Request("origin", (Spec("HEAD", "refs/heads/main"),)), {}, git, paths, settings)
            asked = [one._replace(source=one.source._replace(waiter=os.getpid())) for one in asked]
            (ticket,) = enter(asked, git, store, settings, paths, urgent=False, waits=True)
            (queued,) = store.db.execute("SELECT queued_at FROM sources WHERE id = ?", (ticket.source,)).fetchone()
    return max(0.0, round(seconds_of(ticket.due) - seconds_of(queued), 1))


def others(place: Worktree, **env: str) -> list[str]:
    """Who keeps a push of `place` waiting; the status and the door must agree on whether anybody does."""
    with environment({**place.env, **env}):
        facts = DeployBatcher(repository=place.top).status()["window"]
    names = [str(name) for name in facts["others"]]
    assert facts["alone"] == (names == [])
    # a push that joins one which waits already has less than the whole window before it
    assert (at_the_door(place, **env) > 0) == (names != [])
    return names


@contextmanager
def waiting(scene: Scene, place: Worktree, *args: str, **env: str) -> Iterator[dict[str, Any]]:
    """A push that waits; gives its action. Then a flush ends it, and it must have landed."""
    before = len(actions(scene))
    process = place.start("push", *(args or ("origin", "HEAD:main")), **env)
    until(lambda: actions(scene)[before:] or process.poll() is not None, "a push in the queue")
    assert process.poll() is None, finished(process)
    row = actions(scene)[-1]
    assert row["status"] == "pending"
    yield row
    assert scene.run("uam", "flush").code == 0
    done = finished(process)
    assert done.code == 0, done


def ask(place: Worktree, agent: str, kind: str = "push", target: str = "main", **options: Any) -> int:
    with environment(place.env):
        payload = options.pop("payload", None)
        return DeployBatcher(repository=place.top).queue(agent, kind, target, payload, **options)


# -- alone -----------------------------------------------------------------------------------------------------------


def test_nobody_waits_for_nobody(lone: Scene) -> None:
    tip = lone.commit("a")
    assert window_line(lone) == AT_ONCE
    done = lone.push("origin", "HEAD:main")
    assert (done.code, done.ours) == (0, [])
    assert lone.there() == tip
    (row,) = actions(lone)
    assert (row["status"], waited(row)) == ("completed", 0)
    facts = window_facts(lone)
    assert (facts["alone"], facts["others"], facts["company_seconds"]) == (True, [], 600)
    assert (facts["urgent"], facts["urgent_until"]) == (False, None)


@pytest.mark.parametrize("named", ["nobody", "config", "environment"])
def test_ones_own_work_is_no_company(lone: Scene, named: str) -> None:
    if named == "config":
        lone.git("config", "uam.agent", "me")
    env = {"UAM_AGENT_ID": "me"} if named == "environment" else {}
    for name in ("a", "b"):
        lone.commit(name, **env)
        lone.commit(f"{name}2", **env)
        lone.git("uam", "status", **env)  # it looks up what the hooks noted, and gives it names
        assert lone.push("origin", "HEAD:main", **env).code == 0
    assert [waited(row) for row in actions(lone)] == [0, 0]
    assert lone.landed() == ["Squashed 2 commits:"] * 2
    assert len(lone.pushes()) == 2


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("named", ["config", "environment"])
def test_commits_from_before_somebody_took_a_name_are_no_company(lone: Scene, named: str, looked: bool) -> None:
    lone.commit("a")
    if looked:
        lone.report()
    if named == "config":
        lone.git("config", "uam.agent", "me")
    env = {"UAM_AGENT_ID": "me"} if named == "environment" else {}
    assert others(lone, **env) == []


def test_pushes_from_before_somebody_took_a_name_are_no_company(lone: Scene) -> None:
    lone.commit("a")
    assert lone.push("origin", "HEAD:main").code == 0
    lone.commit("b")
    assert others(lone, UAM_AGENT_ID="me") == []


def test_a_committer_from_the_environment_is_no_company(lone: Scene) -> None:
    # the address of an unnamed commit is that of its committer, which need not be user.email
    lone.commit("a", GIT_COMMITTER_EMAIL="bot@example.invalid", GIT_AUTHOR_EMAIL="bot@example.invalid")
    lone.report()
    assert others(lone) == []


def test_a_worktree_whose_name_git_had_to_change_is_no_company_of_itself(lone: Scene) -> None:
    # two worktrees of the same last name: git calls the second one topic1
    lone.git("worktree", "add", "-q", str(lone.root / "a" / "topic"), "-b", "one")
    lone.git("worktree", "add", "-q", str(lone.root / "b" / "topic"), "-b", "two")
    place = Worktree(lone.root / "b" / "topic", lone.env)
    place.commit("a")
    place.git("uam", "status")
    assert others(place) == []


def test_a_symbolic_link_to_the_worktree_is_the_same_worktree(lone: Scene) -> None:
    link = lone.root / "link"
    link.symlink_to(lone.top)
    Worktree(link, {**lone.env, "PWD": str(link)}).commit("a")  # a shell sets PWD to the way it came
    assert others(lone) == []


def test_amends_rebases_and_commits_by_name_are_ones_own_work(lone: Scene) -> None:
    lone.commit("a")
    lone.git("commit", "-q", "--amend", "-m", "again")
    lone.git("rebase", "-q", "--force-rebase", "HEAD~1")
    write(lone, "b", "b\n")
    ask(lone, ME, "commit", payload={"message": "b", "files": ["b"]})
    assert others(lone) == []


def commit_elsewhere(_scene: Scene, other: Worktree) -> str:
    other.commit("theirs")
    return "other"


def push_elsewhere(_scene: Scene, other: Worktree) -> str:
    other.commit("theirs")
    assert other.run("-c", "uam.push.mode=manual", "push", "-q", "origin", "HEAD:other").code == 0
    return "other"


def ask_elsewhere(scene: Scene, other: Worktree) -> str:
    ask(Worktree(other.top, scene.env), ME)
    return ME  # the same name in another worktree is somebody else at work


def unnamed_commit_elsewhere(scene: Scene, other: Worktree) -> str:
    Worktree(other.top, scene.env).commit("theirs")
    return "ada@example.invalid@other"


def ask_here(scene: Scene, _other: Worktree) -> str:
    ask(scene, "agent-1")
    return "agent-1"


def ask_for_a_deploy(scene: Scene, _other: Worktree) -> str:
    scene.git("config", "uam.deploy.prod.command", "true")
    scene.git("config", "uam.gh.repo", "github.localhost/o/r")
    ask(scene, "agent-1", "deploy", "prod")
    return "agent-1"


def commit_here(scene: Scene, _other: Worktree) -> str:
    scene.commit("theirs", UAM_AGENT_ID="agent-2")
    return "agent-2"


def push_here(scene: Scene, _other: Worktree) -> str:
    tip = scene.commit("theirs")
    assert scene.push("-q", "origin", f"{tip}:refs/heads/theirs", UAM_AGENT_ID="agent-2").code == 0
    return "agent-2"


COMPANY = (
    commit_elsewhere, push_elsewhere, ask_elsewhere, unnamed_commit_elsewhere, ask_here, ask_for_a_deploy, commit_here,
    push_here,
)  # fmt: skip


@pytest.mark.parametrize("act", COMPANY)
def test_company(lone: Scene, act: Callable[[Scene, Worktree], str]) -> None:
    other = lone.worktree("other")
    lone.commit("a")
    assert window_facts(lone)["alone"] is True
    who = act(lone, other)
    assert others(lone) == [who]


def test_a_push_waits_for_the_company_of_a_commit(lone: Scene) -> None:
    other = lone.worktree("other")
    tip = lone.commit("a")
    other.commit("b")
    with waiting(lone, lone) as row:
        assert waited(row) == LONG
        assert window_line(lone) == "a push waits 600 s for company: other"
        # and it is itself the company of the other one
        assert window_line(other) == f"a push waits 600 s for company: {ME}"
        assert lone.there() == lone.start_oid
    assert lone.there() == tip


def test_both_who_wait_land_together(lone: Scene) -> None:
    other = lone.worktree("other")
    lone.commit("a")
    other.commit("b")
    with waiting(lone, lone):
        process = other.start("push", "origin", "HEAD:main")
        until(lambda: len(lone.rows("sources")) == 2, "the second push in the queue")
    assert finished(process).code == 0
    assert len(actions(lone)) == len(lone.pushes()) == 1


def test_who_else_is_named_once_each(lone: Scene) -> None:
    # somebody without a name commits, and pushes: one agent
    other = lone.worktree("other")
    unnamed = Worktree(other.top, lone.env)
    unnamed.commit("b")
    assert unnamed.push("-q", "origin", "HEAD:refs/heads/other").code == 0
    # one agent in two worktrees
    third = lone.worktree("third")
    third.commit("c", UAM_AGENT_ID="busy")
    other.commit("d", UAM_AGENT_ID="busy")
    lone.commit("a")
    assert sorted(others(lone)) == ["ada@example.invalid@other", "busy"]


def test_the_first_five_of_many_are_named(lone: Scene) -> None:
    for number in range(7):
        ask(lone, f"agent-{number}")
    lone.commit("a")
    names = others(lone)
    assert len(set(names)) == 5
    assert set(names) < {f"agent-{number}" for number in range(7)}


@pytest.mark.parametrize("act", [unnamed_commit_elsewhere, commit_here, push_here])
def test_company_of_long_ago_does_not_count(lone: Scene, act: Callable[[Scene, Worktree], str]) -> None:
    other = lone.worktree("other")
    lone.commit("a")
    who = act(lone, other)
    lone.report()
    backdate(lone, 9)
    assert window_facts(lone)["others"] == [who]
    backdate(lone, 11)
    assert window_line(lone) == AT_ONCE
    assert others(lone) == []


@pytest.mark.parametrize("act", [push_elsewhere, ask_here, ask_for_a_deploy])
def test_what_somebody_waits_for_counts_however_old(lone: Scene, act: Callable[[Scene, Worktree], str]) -> None:
    other = lone.worktree("other")
    lone.commit("a")
    who = act(lone, other)
    lone.report()
    backdate(lone, 60 * 24 * 7)
    assert others(lone) == [who]


def test_what_was_taken_back_long_ago_does_not_count(lone: Scene) -> None:
    lone.commit("a")
    number = ask(lone, "agent-1")
    lone.git("uam", "cancel", str(number))
    backdate(lone, 11)
    assert others(lone) == []


def test_how_far_back_is_a_setting(lone: Scene) -> None:
    lone.git("config", "uam.window.company", "90s")
    lone.worktree("other").commit("b")
    lone.commit("a")
    lone.report()
    backdate(lone, 1)
    assert window_facts(lone)["others"] == ["other"]
    backdate(lone, 2)
    assert window_line(lone) == "a push lands at once: nobody else was at work in the last 1.5 min"
    assert others(lone) == []


def test_off(lone: Scene) -> None:
    lone.git("config", "uam.window.company", "off")
    lone.commit("a")
    assert window_line(lone) == "a push waits 600 s"
    facts = window_facts(lone)
    assert (facts["alone"], facts["others"], facts["company_seconds"], facts["seconds"]) == (False, [], None, 600)
    with waiting(lone, lone) as row:
        assert waited(row) == LONG


def test_the_mode_queue_keeps_its_window(lone: Scene) -> None:
    lone.git("config", "uam.push.mode", "queue")
    tip = lone.commit("a")
    assert window_line(lone) == "a push waits 600 s"
    done = lone.push("origin", "HEAD:main")
    assert done.code == 0
    assert done.ours[0].startswith("queued as #2 for origin/main; it lands within ")
    (row,) = actions(lone)
    assert (row["status"], waited(row)) == ("pending", LONG)
    lone.git("uam", "flush")
    assert lone.there() == tip


def test_an_action_by_name_keeps_its_window(lone: Scene) -> None:
    lone.commit("a")
    ask(lone, ME)
    assert [waited(row) for row in actions(lone)] == [LONG]


def test_the_hook_door_keeps_its_window(unwired: Scene) -> None:
    unwired.git("config", "uam.window.company", "10m")
    unwired.git("config", "uam.window.push", "10m")
    tip = unwired.commit("a")
    done = unwired.push()
    assert done.code == 1
    assert done.ours[0].startswith("queued as #2 for origin/main; it lands within ")
    (row,) = actions(unwired)
    assert (row["status"], waited(row)) == ("pending", LONG)
    unwired.git("uam", "flush")
    assert unwired.there() == tip


def test_a_lone_push_takes_ones_own_waiting_one_along(lone: Scene) -> None:
    lone.commit("a")
    assert lone.run("-c", "uam.push.mode=queue", "push", "-q", "origin", "HEAD:main").code == 0
    tip = lone.commit("b")
    assert lone.push("origin", "HEAD:main").code == 0
    assert lone.bare.subjects("-1", "main") == ["Squashed 2 commits:"]
    assert lone.oid("HEAD") == lone.there() != tip
    assert len(lone.pushes()) == len(actions(lone)) == 1


# -- in a hurry ------------------------------------------------------------------------------------------------------


def test_an_urgent_push_waits_shortly_and_its_option_goes_no_further(slow: Scene) -> None:
    # a bare remote refuses every push option, unless it was told to take them
    tip = slow.commit("a")
    done = slow.push("-o", "urgent", "origin", "HEAD:main")
    assert (done.code, done.ours) == (0, [])
    (row,) = actions(slow)
    assert (waited(row), row["payload"]) == (1, "{}")
    assert slow.there() == tip


def test_other_push_options_reach_the_remote(slow: Scene) -> None:
    slow.bare.git("config", "receive.advertisePushOptions", "true")
    script(slow.remote / "hooks" / "post-receive",
           'echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1" >>pushes.log\n')  # fmt: skip
    slow.commit("a")
    done = slow.push("-o", "ci.variable=A B", "-o", "urgent", "-o", "merge_request.create", "origin", "HEAD:main")
    assert done.code == 0, done
    assert [waited(row) for row in actions(slow)] == [1]
    assert slow.pushes() == ["2 ci.variable=A B merge_request.create"]


def test_an_urgent_push_from_config(slow: Scene) -> None:
    slow.git("config", "push.pushOption", "urgent")
    slow.commit("a")
    assert slow.push("origin", "HEAD:main").code == 0
    assert [waited(row) for row in actions(slow)] == [1]


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
    assert slow.push("origin", "HEAD:main", UAM_URGENT="1").code == 0
    assert slow.there() == tip
    assert [waited(row) for row in actions(slow)] == [1]


def test_nonsense_in_the_environment_loses_nothing(slow: Scene) -> None:
    tip = slow.commit("a")
    done = slow.push("origin", "HEAD:main", UAM_URGENT="very")
    assert done.code == 1
    assert "UAM_URGENT is 'very', which is neither true nor false. Set it to 1 or 0." in done.err
    assert (actions(slow), slow.there(), slow.oid("HEAD")) == ([], slow.start_oid, tip)
    assert slow.push("origin", "HEAD:main", UAM_URGENT="yes").code == 0
    assert slow.there() == tip


@pytest.mark.parametrize("how", ["environment", "option"])
def test_urgency_at_the_hook_door(unwired: Scene, how: str) -> None:
    unwired.git("config", "uam.window.push", "10m")
    tip = unwired.commit("a")
    args = ("-o", "urgent") if how == "option" else ()
    done = unwired.push(*args, "origin", "HEAD:main", **({"UAM_URGENT": "1"} if how == "environment" else {}))
    assert done.code == 1
    assert [waited(row) for row in actions(unwired)] == [1]
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
    assert other.push("-o", "urgent", "origin", "HEAD:main").code == 0
    assert finished(process).code == 0
    assert len(actions(slow)) == len(slow.pushes()) == 1
    assert slow.files() == ["README", "a", "b"]


def test_a_normal_push_does_not_slow_an_urgent_one_down(slow: Scene) -> None:
    slow.commit("a")
    first = ask(slow, "agent-1", urgent=True)
    assert ask(slow, "agent-2") == first
    assert [waited(row) for row in actions(slow)] == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_urgent_action_by_name(scene: Scene, kind: str) -> None:
    scene.git("config", f"uam.window.{kind}", "1h")
    one_of_each(scene, kind, urgent=True)
    assert [waited(row) for row in actions(scene, kind)] == [URGENT_WINDOWS[kind]]


# -- everybody in a hurry --------------------------------------------------------------------------------------------


def test_urgent_mode(lone: Scene) -> None:
    other = lone.worktree("other")
    other.commit("b")
    lone.commit("a")
    shown = other.git("uam", "urgent", "on")
    assert shown == (
        "urgent mode is on; windows: commit 2 s, push 1 s, merge 2 s, workflow 1 s, deploy 5 s"
    )
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
    assert ask(slow, "agent-1")
    change(slow, "UPDATE urgent SET until = ?", iso(time.time() - 1))
    assert window_line(slow) == "a push waits 600 s"
    slow.git("branch", "topic")
    ask(slow, "agent-1", target="topic")
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
    said = {"commit": {"message": "new", "files": ["new"]}, "merge": {"source": "topic"}}.get(kind)
    return ask(scene, "agent-1", kind, target, payload=said, **options)


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_that_cannot_be_read_is_an_error_and_not_the_default(scene: Scene, kind: str) -> None:
    one_of_each(scene, "commit")
    before = scene.queue()
    for value in ("soon", "-5", "NaN"):
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


@pytest.mark.parametrize("key", ["uam.window.push", "uam.window.company", "uam.window.commit"])
def test_after_a_bad_window_the_push_lands(scene: Scene, key: str) -> None:
    tip = scene.commit("a")
    scene.git("config", key, "soon")
    done = scene.push("origin", "HEAD:main")
    assert f"The setting {key} is 'soon', which is no duration" in done.err
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
