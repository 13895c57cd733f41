"""A push that is alone waits for nobody: who counts as company, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.landscape import write
from tests.support.marks import bulk
from tests.support.queueing import ask, change
from tests.support.scenes import Scene, Worktree, finished, until
from tests.support.windows import actions, others, waited, window_facts, window_line
from uam_hooks.hot.queue.model import iso

# A push that lands at all, with a window that no test lives to see the end of, did not wait for it.
LONG = 600.0
AT_ONCE = "a push lands at once: nobody else was at work in the last 10 min"
ME = "ada@example.invalid@work"


def backdate(scene: Scene, minutes: float) -> None:
    """Let everything that is noted so far have happened that long ago."""
    for table in ("sources", "queued_commits"):
        change(scene, f"UPDATE {table} SET queued_at = ?", iso(time.time() - 60 * minutes))  # noqa: S608


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


@pytest.mark.parametrize("named", bulk(["nobody", "config", "environment"]))
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
    ask(lone, "commit", agent=ME, message="b", files=["b"])
    assert others(lone) == []


def commit_elsewhere(_scene: Scene, other: Worktree) -> str:
    other.commit("theirs")
    return "other"


def push_elsewhere(_scene: Scene, other: Worktree) -> str:
    other.commit("theirs")
    assert other.run("-c", "uam.push.mode=manual", "push", "-q", "origin", "HEAD:other").code == 0
    return "other"


def ask_elsewhere(scene: Scene, other: Worktree) -> str:
    ask(Worktree(other.top, scene.env), "push", agent=ME)
    return ME  # the same name in another worktree is somebody else at work


def unnamed_commit_elsewhere(scene: Scene, other: Worktree) -> str:
    Worktree(other.top, scene.env).commit("theirs")
    return "ada@example.invalid@other"


def ask_here(scene: Scene, _other: Worktree) -> str:
    ask(scene, "push", agent="agent-1")
    return "agent-1"


def ask_for_a_deploy(scene: Scene, _other: Worktree) -> str:
    scene.git("config", "uam.deploy.prod.command", "true")
    scene.git("config", "uam.gh.repo", "github.localhost/o/r")
    ask(scene, "deploy", "prod", agent="agent-1")
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


@pytest.mark.slow
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
        ask(lone, "push", agent=f"agent-{number}")
    lone.commit("a")
    names = others(lone)
    assert len(set(names)) == 5
    assert set(names) < {f"agent-{number}" for number in range(7)}


@pytest.mark.parametrize("act", bulk([unnamed_commit_elsewhere, commit_here, push_here]))
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


@pytest.mark.parametrize("act", bulk([push_elsewhere, ask_here, ask_for_a_deploy]))
def test_what_somebody_waits_for_counts_however_old(lone: Scene, act: Callable[[Scene, Worktree], str]) -> None:
    other = lone.worktree("other")
    lone.commit("a")
    who = act(lone, other)
    lone.report()
    backdate(lone, 60 * 24 * 7)
    assert others(lone) == [who]


def test_what_was_taken_back_long_ago_does_not_count(lone: Scene) -> None:
    lone.commit("a")
    number = ask(lone, "push", agent="agent-1")
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


@pytest.mark.slow
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
    ask(lone, "push", agent=ME)
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
