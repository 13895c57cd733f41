"""Whole batches: what waits for what, what runs beside what, and how commands of others are run and ended."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from landscape import by_hand, environment, flushed, kept, queue, sound, stranger, truthful, write
from scenes import Scene, Worktree, alive, finished, free, script, until

import uam_hooks
from uam_hooks import BatchResult, DeployBatcher
from uam_hooks.hot.core.errors import Refused, UsageError
from uam_hooks.land.steps import Step

FAR = "2999-01-01T00:00:00Z"


@contextmanager
def acting(scene: Scene, **more: Any) -> Iterator[DeployBatcher]:
    """The queue of the scene, in this process and without windows."""
    with environment(scene.env):
        yield DeployBatcher(repository=scene.top, batch_window_ms=0, **more)


def command(scene: Scene, target: str, text: str = "") -> Path:
    """Let sh run `text` for the deploy `target`, in the directory that is returned."""
    at = scene.root / "deploys"
    at.mkdir(exist_ok=True)
    words = script(scene.root / "commands" / target, f'cd "{at}"\n{text}\n')
    scene.git("config", f"uam.deploy.{target}.command", shlex.quote(str(words)))
    return at


def logging(scene: Scene, *targets: str) -> Path:
    """Deploys that write their action's number into the file that is returned."""
    for target in targets:
        at = command(scene, target, 'echo "$UAM_ACTION" >>log')
    return at / "log"


def ran(log: Path) -> list[int]:
    """The actions whose deploys have run, in their order."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def row(scene: Scene, number: int) -> dict[str, Any]:
    return next(one for one in scene.rows("deploy_queue") if one["id"] == number)


def ends(scene: Scene, *numbers: int) -> list[tuple[str, str]]:
    """Status and words of each of these actions."""
    return [(row(scene, n)["status"], row(scene, n)["error"]) for n in numbers]


DONE = ("completed", "")


def clash(scene: Scene) -> None:
    """A commit on main that cannot land: a stranger has changed the same line."""
    other = scene.stranger()
    other.commit("README", "theirs\n")
    other.push("-q", "origin", "main")
    scene.commit("README", "ours\n")


# -- what waits for what -----------------------------------------------------------------------------------------


def test_a_deploy_waits_for_the_push_of_its_ref_and_gets_what_landed(scene: Scene) -> None:
    at = command(scene, "prod", f'echo "$UAM_SHA" >sha; git --git-dir="{scene.remote}" rev-parse main >there')
    for name in ("a", "b"):
        scene.commit(name)
    mine = scene.oid("main")
    with acting(scene) as agents:
        deploy = agents.queue("ada", "deploy", "prod", {"ref": "main"})
        push = agents.queue("ada", "push", "main")
        (result,) = agents.flush_all()
    assert ends(scene, deploy, push) == [DONE, DONE]
    assert (result.success, result.executed_actions, result.failed_actions, result.errors) == (True, 2, 0, ())
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.there() != mine
    assert (at / "sha").read_text() == (at / "there").read_text() == scene.there() + "\n"
    assert len(scene.pushes()) == 1


def test_a_deploy_of_a_commit_by_name(scene: Scene) -> None:
    at = command(scene, "prod", 'echo "$UAM_SHA" >sha')
    write(scene, "a", "a\n")
    with acting(scene) as agents:
        agents.queue_bulk("ada", [
            {"action_type": "deploy", "target": "prod"},
            {"action_type": "push", "target": "main"},
            {"action_type": "commit", "target": "main", "payload": {"message": "Add a", "files": ["a"]}},
        ])  # fmt: skip
        assert [r.success for r in agents.flush_all()] == [True]
    assert scene.landed() == ["Add a"]
    assert (at / "sha").read_text().strip() == scene.there()


def test_a_deploy_does_not_run_when_its_push_conflicts(scene: Scene) -> None:
    log = logging(scene, "prod", "test")
    clash(scene)
    with acting(scene) as agents:
        push = agents.queue("ada", "push", "main")
        deploy = agents.queue("ada", "deploy", "prod", {"ref": "main"})
        after = agents.queue("ada", "deploy", "test", {"ref": "x"}, dependencies=[deploy])
        (result,) = agents.flush_all()
    assert ran(log) == []
    assert row(scene, push)["status"] == "failed"
    assert ends(scene, deploy, after) == [
        ("failed", f"dependency #{push} failed"), ("failed", f"dependency #{deploy} failed")
    ]  # fmt: skip
    assert (result.success, result.executed_actions, result.failed_actions) == (False, 0, 3)
    assert any("conflict in README" in words for words in result.errors)
    assert scene.landed() == ["Add README"]


def test_what_does_not_depend_on_a_failure_runs(scene: Scene) -> None:
    log = logging(scene, "prod")
    command(scene, "bad", "exit 1")
    with acting(scene) as agents:
        bad = agents.queue("ada", "deploy", "bad")
        good = agents.queue("ada", "deploy", "prod")
        after = agents.queue("ada", "deploy", "prod", dependencies=[bad, good])
        (result,) = agents.flush_all()
    assert ran(log) == [good]
    assert ends(scene, good, after) == [DONE, ("failed", f"dependency #{bad} failed")]
    assert (result.success, result.executed_actions, result.failed_actions) == (False, 1, 2)


def test_dependencies_are_an_order(scene: Scene) -> None:
    log = logging(scene, "a", "b", "c", "d")
    with acting(scene) as agents:
        ids = agents.queue_bulk("ada", [
            {"name": "last", "action_type": "deploy", "target": "a", "dependencies": ["third"], "priority": 9},
            {"name": "third", "action_type": "deploy", "target": "b", "dependencies": ["second", "first"]},
            {"name": "second", "action_type": "deploy", "target": "c", "dependencies": ["first"]},
            {"name": "first", "action_type": "deploy", "target": "d", "priority": 0},
        ])  # fmt: skip
        (result,) = agents.flush_all()
    assert result.success
    assert ran(log) == ids[::-1]


def test_a_circle_and_unknown_actions_are_refused_when_queued(scene: Scene) -> None:
    logging(scene, "a")
    with acting(scene) as agents:
        with pytest.raises(UsageError, match="wait for each other"):
            agents.queue_bulk("ada", [
                {"name": "one", "action_type": "deploy", "target": "a", "dependencies": ["two"]},
                {"name": "two", "action_type": "deploy", "target": "a", "dependencies": ["one"]},
            ])  # fmt: skip
        with pytest.raises(UsageError, match="no action #7"):
            agents.queue("ada", "deploy", "a", dependencies=[7])
        with pytest.raises(UsageError, match="no action 'x'"):
            agents.queue("ada", "deploy", "a", dependencies=["x"])
    assert scene.rows("deploy_queue") == []


def test_a_dependency_in_an_earlier_batch(scene: Scene) -> None:
    log = logging(scene, "good")
    command(scene, "bad", "exit 1")
    with acting(scene) as agents:
        good, bad = agents.queue("ada", "deploy", "good"), agents.queue("ada", "deploy", "bad")
        agents.flush_all()
        after_good = agents.queue("ada", "deploy", "good", dependencies=[good])
        after_bad = agents.queue("ada", "deploy", "good", dependencies=[bad, good])
        agents.flush_all()
    assert ran(log) == [good, after_good]
    assert ends(scene, after_good, after_bad) == [DONE, ("failed", f"dependency #{bad} failed")]


def test_a_dependency_in_a_batch_that_was_made_and_not_executed(scene: Scene) -> None:
    log = logging(scene, "a", "b")
    with acting(scene) as agents:
        first = agents.queue("ada", "deploy", "a")
        made = agents.create_batch()
        assert made is not None and [a.id for a in made.actions] == [first]
        second = agents.queue("ada", "deploy", "b", dependencies=[first], priority=9)
        assert agents.create_batch() is None
        assert [r.executed_actions for r in agents.flush_all()] == [1, 1]
    assert ran(log) == [first, second]


def test_a_dependency_that_was_cancelled(scene: Scene) -> None:
    log = logging(scene, "a")
    with acting(scene) as agents:
        first = agents.queue("ada", "deploy", "a")
        second = agents.queue("ada", "deploy", "a", dependencies=[first])
        agents.cancel(first)
        (result,) = agents.flush_all()
    assert ran(log) == []
    assert ends(scene, second) == [("failed", f"dependency #{first} was cancelled")]
    assert not result.success


def test_a_dependency_that_may_not_begin_yet(scene: Scene) -> None:
    log = logging(scene, "a", "b")
    with acting(scene) as agents:
        first = agents.queue("ada", "deploy", "a", execute_after=FAR)
        second = agents.queue("ada", "deploy", "b", dependencies=[first])
        assert agents.flush_all() == []
        assert ends(scene, first, second) == [("pending", "")] * 2
        agents.cancel(first)
        agents.flush_all()
    assert ran(log) == []
    assert row(scene, second)["error"] == f"dependency #{first} was cancelled"


def test_what_waits_for_something_that_is_given_back_goes_back_with_it(scene: Scene) -> None:
    log = logging(scene, "a", "b", "c")
    scene.commit("a")
    away = scene.remote.rename(scene.root / "away")
    with acting(scene) as agents:
        push = agents.queue("ada", "push", "main")
        deploy = agents.queue("ada", "deploy", "a", {"ref": "main"})
        after = agents.queue("ada", "deploy", "b", {"ref": "x"}, dependencies=[deploy])
        free_one = agents.queue("ada", "deploy", "c", {"ref": "x"})
        (result,) = agents.flush_all()
        assert [row(scene, n)["status"] for n in (push, deploy, after)] == ["pending"] * 3
        assert (result.success, result.executed_actions, result.deferred_actions) == (False, 1, 3)
        assert ran(log) == [free_one]
        away.rename(scene.remote)
        (result,) = agents.flush_all()
    assert (result.success, result.executed_actions) == (True, 3)
    assert [state for state, _ in ends(scene, push, deploy, after)] == ["completed"] * 3
    assert ran(log) == [free_one, deploy, after]
    assert scene.landed() == ["Add a"]
    assert len(scene.pushes()) == 1


def test_a_deploy_that_depends_on_a_commit_waits_for_the_push_that_takes_it_along(scene: Scene) -> None:
    """... also where the deploy is about another branch."""
    log = logging(scene, "prod")
    write(scene, "a", "a\n")
    with acting(scene) as agents:
        commit = agents.queue("ada", "commit", "main", {"message": "Add a", "files": ["a"]})
        deploy = agents.queue("ada", "deploy", "prod", {"ref": "other"}, dependencies=[commit], priority=9)
        push = agents.queue("ada", "push", "main")
        (result,) = agents.flush_all()
    assert ends(scene, commit, push, deploy) == [DONE, DONE, DONE]
    assert result.success
    assert ran(log) == [deploy]


def test_what_stands_between_a_commit_and_its_push_runs_between_them(scene: Scene) -> None:
    at = command(scene, "check", f'git -C "{scene.top}" log -1 --format=%s main >here\n'
                 f'git --git-dir="{scene.remote}" log -1 --format=%s main >there')  # fmt: skip
    write(scene, "a", "a\n")
    with acting(scene) as agents:
        commit = agents.queue("ada", "commit", "main", {"message": "Add a", "files": ["a"]})
        check = agents.queue("ada", "deploy", "check", {"ref": "x"}, dependencies=[commit])
        push = agents.queue("ada", "push", "main", dependencies=[check])
        agents.flush_all()
    assert ends(scene, commit, check, push) == [DONE, DONE, DONE]
    assert (at / "here").read_text() == "Add a\n"
    assert (at / "there").read_text() == "Begin\n"
    assert scene.landed() == ["Add a"]


def test_a_push_that_joins_an_older_one_still_counts_for_who_depends_on_it(scene: Scene) -> None:
    """The remote goes away, so the first push is given back; the second, queued meanwhile, becomes part of it."""
    log = logging(scene, "prod")
    scene.commit("a")
    later: list[int] = []
    with acting(scene) as agents:
        first = agents.queue("ada", "push", "main")

        def meanwhile(_action: object, state: str) -> None:
            if state == "running" and not later:
                scene.remote.rename(scene.root / "away")
                later.append(agents.queue("bob", "push", "main"))
                later.append(agents.queue("bob", "deploy", "prod", {"ref": "x"}, dependencies=[later[0]]))

        agents.flush_all(tell=meanwhile)
        assert row(scene, first)["status"] == "pending"
        (scene.root / "away").rename(scene.remote)
        agents.flush_all()
        agents.flush_all()
    assert scene.landed() == ["Add a"]
    assert ends(scene, later[1]) == [DONE]
    assert ran(log) == [later[1]]


def test_a_commit_of_somebody_that_fails_does_not_stop_anothers_push(scene: Scene) -> None:
    by_hand(scene)
    command(scene, "bad", "exit 1")
    agent = scene.worktree("agent")
    agent.commit("theirs")
    write(scene, "mine", "mine\n")
    with acting(scene) as agents:
        bad = agents.queue("ada", "deploy", "bad", {"ref": "x"})
        commit = agents.queue("ada", "commit", "main", {"message": "Mine", "files": ["mine"]}, dependencies=[bad])
    queue(agent)
    flushed(scene)
    assert ends(scene, commit) == [("failed", f"dependency #{bad} failed")]
    assert scene.pushed() == ["completed"]
    assert scene.landed() == ["Add theirs"]


def test_a_push_that_waits_for_something_holds_up_no_agent(scene: Scene) -> None:
    by_hand(scene)
    logging(scene, "slow")
    agent = scene.worktree("agent")
    agent.commit("theirs")
    scene.commit("mine")
    with acting(scene) as agents:
        slow = agents.queue("ada", "deploy", "slow", execute_after=FAR)
        agents.queue("ada", "push", "main", dependencies=[slow])
    queue(agent)
    flushed(scene)
    assert scene.landed() == ["Add theirs"]
    assert scene.pushed() == ["pending", "completed"]


def test_commits_of_one_branch_keep_their_order_whatever_their_priority(scene: Scene) -> None:
    logging(scene, "a")
    with acting(scene) as agents:
        before = agents.queue("ada", "deploy", "a", {"ref": "x"})
        ids = []
        for text, priority in (("1\n", 5), ("2\n", 9)):
            write(scene, "f", text)
            ids.append(agents.queue(
                "ada", "commit", "main", {"message": f"Say {text}", "files": ["f"]}, dependencies=[before],
                priority=priority,
            ))  # fmt: skip
        agents.flush_all()
    assert ends(scene, *ids) == [DONE, DONE]
    assert scene.git("show", "main:f") == "2"
    assert scene.status() == ["## main...origin/main [ahead 1]"]  # a flush by hand makes one of them


def test_a_commit_goes_to_both_remotes_that_its_branch_is_pushed_to(scene: Scene) -> None:
    at = command(scene, "prod", 'echo "$UAM_SHA" >>sha')
    backup = scene.root / "backup.git"
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), str(backup))
    scene.git("remote", "add", "backup", str(backup))
    write(scene, "a", "a\n")
    with acting(scene) as agents:
        commit = agents.queue("ada", "commit", "main", {"message": "Add a", "files": ["a"]})
        pushes = [agents.queue("ada", "push", "main", {"remote": name}) for name in ("origin", "backup")]
        agents.queue("ada", "deploy", "prod")
        agents.flush_all()
    assert ends(scene, commit, *pushes) == [DONE] * 3
    assert scene.landed() == ["Add a"]
    assert Worktree(backup, scene.env).oid("main") == scene.there()
    assert (at / "sha").read_text().split() == [scene.there()]
    assert scene.oid("main") == scene.there()


def test_a_deploy_gets_the_commit_of_its_own_remote(scene: Scene) -> None:
    """The other remote has something of its own, so another commit lands there."""
    at = command(scene, "prod", 'echo "$UAM_SHA" >sha')
    backup = scene.root / "backup.git"
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), str(backup))
    scene.git("remote", "add", "backup", str(backup))
    other = stranger(scene.root, backup, scene.env, "other")
    other.commit("theirs")
    other.push("-q", "origin", "main")
    scene.commit("a")
    with acting(scene) as agents:
        for name in ("origin", "backup"):
            agents.queue("ada", "push", "main", {"remote": name})
        agents.queue("ada", "deploy", "prod", {"remote": "origin"})
        assert [r.success for r in agents.flush_all()] == [True]
    assert Worktree(backup, scene.env).oid("main") != scene.there()
    assert (at / "sha").read_text().strip() == scene.there()


def test_a_deploy_gets_what_landed_also_where_pushes_go_elsewhere(scene: Scene) -> None:
    """The remote-tracking branch follows the fetches then, and knows nothing of the landing."""
    at = command(scene, "prod", 'echo "$UAM_SHA" >sha')
    target = scene.root / "target.git"
    scene.outside.git("clone", "-q", "--bare", str(scene.remote), str(target))
    scene.git("config", "remote.origin.uam-pushurl", str(target))
    for name in ("a", "b"):
        scene.commit(name)
    with acting(scene) as agents:
        agents.queue("ada", "push", "main")
        agents.queue("ada", "deploy", "prod")
        assert agents.flush_all()[0].success
    assert scene.there() == scene.start_oid
    assert (at / "sha").read_text().strip() == Worktree(target, scene.env).oid("main") != scene.start_oid


def test_a_push_whose_end_nobody_knows_is_no_success(scene: Scene) -> None:
    """The remote is gone in the middle of the push: nothing is decided, and nothing that waits for it runs."""
    log = logging(scene, "prod")
    scene.commit("a")
    hook = script(scene.remote / "hooks" / "pre-receive", f'mv "{scene.remote}" "{scene.root}/away"; kill -9 $PPID\n')
    with acting(scene) as agents:
        push = agents.queue("ada", "push", "main")
        (result,) = agents.flush_all()
        deploy = agents.queue("ada", "deploy", "prod", dependencies=[push])
        assert row(scene, push)["status"] == "executing"
        assert (result.success, result.executed_actions) == (False, 0)
        agents.flush_all()
        assert row(scene, deploy)["status"] == "pending"
        (scene.root / "away").rename(scene.remote)
        hook.unlink()
        assert agents.flush_all()[-1].success
    assert scene.landed() == ["Add a"]
    assert ran(log) == [deploy]


# -- what runs beside what ---------------------------------------------------------------------------------------


def meeting(scene: Scene, count: int) -> list[str]:
    """Deploys that each wait for all of them to be there, and fail when that takes for ever."""
    names = [f"d{n}" for n in range(count)]
    for name in names:
        command(scene, name, f'mkdir -p met; : >met/$UAM_TARGET\nn=0; until [ "$(ls met | wc -l)" -eq {count} ]; do'
                ' n=$((n + 1)); [ $n -lt 2000 ] || exit 7; sleep 0.01; done')  # fmt: skip
    return names


def test_what_is_free_of_each_other_runs_at_the_same_time(scene: Scene) -> None:
    with acting(scene, max_parallel_actions=4) as agents:
        for name in meeting(scene, 4):
            agents.queue("ada", "deploy", name)
        (result,) = agents.flush_all()
    assert (result.success, result.executed_actions) == (True, 4), result


ALONE = 'mkdir busy || echo "$UAM_ACTION overlaps" >>overlaps\necho "$UAM_ACTION" >>log\nsleep 0.05\nrmdir busy'


@pytest.mark.parametrize("more", [{"max_parallel_actions": 1}, {"parallel_execution": False}])
def test_one_at_a_time(scene: Scene, more: dict[str, Any]) -> None:
    with acting(scene, **more) as agents:
        ids = []
        for name in "abc":
            at = command(scene, name, ALONE)
            ids.append(agents.queue("ada", "deploy", name))
        assert agents.flush_all()[0].success
    assert ran(at / "log") == ids
    assert not (at / "overlaps").exists()


def test_never_more_than_are_allowed(scene: Scene) -> None:
    text = 'mkdir -p now seen; : >now/$UAM_ACTION; n=$(ls now | wc -l); : >seen/$n; sleep 0.05; rm now/$UAM_ACTION'
    with acting(scene, max_parallel_actions=2) as agents:
        for name in "abcdef":
            at = command(scene, name, text)
            agents.queue("ada", "deploy", name)
        assert agents.flush_all()[0].executed_actions == 6
    assert {p.name for p in (at / "seen").iterdir()} <= {"1", "2"}


def test_two_deploys_of_one_target_never_overlap(scene: Scene) -> None:
    at = command(scene, "prod", ALONE)
    with acting(scene, max_parallel_actions=5) as agents:
        ids = [agents.queue("ada", "deploy", "prod", {"ref": f"b{n}"}, priority=n) for n in range(4)]
        assert agents.flush_all()[0].success
    assert ran(at / "log") == ids
    assert not (at / "overlaps").exists()


def test_the_next_deploy_of_a_target_runs_although_the_one_before_failed(scene: Scene) -> None:
    at = command(scene, "prod", f"{ALONE}\n[ -e failed ] || {{ : >failed; exit 1; }}")
    with acting(scene) as agents:
        ids = [agents.queue("ada", "deploy", "prod") for _ in range(2)]
        (result,) = agents.flush_all()
    assert ran(at / "log") == ids
    assert (result.executed_actions, result.failed_actions) == (1, 1)


def test_a_push_lands_while_a_deploy_of_something_else_runs(scene: Scene) -> None:
    """The deploy ends only when the push has landed."""
    command(scene, "prod", 'n=0; until [ "$(git --git-dir="../origin.git" log -1 --format=%s main)" = "Add a" ]; do'
            ' n=$((n + 1)); [ $n -lt 1000 ] || exit 7; sleep 0.01; done')  # fmt: skip
    scene.commit("a")
    with acting(scene) as agents:
        agents.queue("ada", "deploy", "prod", {"ref": "x"}, priority=9)
        agents.queue("ada", "push", "main")
        (result,) = agents.flush_all()
    assert (result.success, result.executed_actions) == (True, 2), result


def test_many_are_executed_in_several_batches(scene: Scene) -> None:
    log = logging(scene, *"abcde")
    with acting(scene, max_batch_size=2, max_parallel_actions=1) as agents:
        ids = [agents.queue("ada", "deploy", name) for name in "abcde"]
        assert [r.executed_actions for r in agents.flush_all()] == [2, 2, 1]
    assert ran(log) == ids
    assert [b["status"] for b in scene.rows("deploy_batches")] == ["completed"] * 3


# -- commands of others ------------------------------------------------------------------------------------------


def deploy(scene: Scene, payload: dict[str, Any] | None = None, target: str = "prod") -> tuple[int, BatchResult]:
    """One deploy, executed."""
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", target, payload)
        (result,) = agents.flush_all()
    return number, result


def test_the_command_knows_what_it_is_for(scene: Scene) -> None:
    at = command(scene, "prod", "env >env; cat >payload")
    payload = {"ref": "main", "note": "ä $HOME; `id`\n", "list": [1, None]}
    number, result = deploy(scene, payload)
    assert result.success
    found = dict(line.split("=", 1) for line in (at / "env").read_text().splitlines() if line.startswith("UAM_"))
    assert found == {
        "UAM_BATCH": scene.rows("deploy_batches")[0]["id"], "UAM_ACTION": str(number), "UAM_TARGET": "prod",
        "UAM_REF": "main", "UAM_SHA": scene.start_oid,
    }  # fmt: skip
    assert json.loads((at / "payload").read_text()) == payload


def test_a_branch_that_is_nowhere_has_no_commit(scene: Scene) -> None:
    at = command(scene, "prod", 'echo "($UAM_SHA)" >sha')
    assert deploy(scene, {"ref": "nowhere"})[1].success
    assert (at / "sha").read_text() == "()\n"


def test_no_shell_reads_the_arguments(scene: Scene) -> None:
    """What looks like shell arrives as it is; only quotes mean something."""
    at = scene.root / "deploys"
    show = script(scene.root / "show it", f"""mkdir -p '{at}'
for one; do echo "<$one>"; done >'{at}/args'
pwd >'{at}/pwd'
""")
    scene.git("config", "uam.deploy.prod.command", f"'{show}' ; '$HOME' $(id) 'a  b' * `id` --x=\\; '' >out")
    assert deploy(scene)[1].success
    assert (at / "args").read_text().splitlines() == [
        f"<{a}>" for a in (";", "$HOME", "$(id)", "a  b", "*", "`id`", "--x=;", "", ">out")
    ]
    assert (at / "pwd").read_text().strip() == str(scene.top)
    assert scene.clean()


def test_a_command_that_reads_nothing_of_a_long_payload(scene: Scene) -> None:
    command(scene, "prod", "exec <&-; exit 0")
    assert deploy(scene, {"long": "x" * 300_000})[1].success


def test_a_command_that_is_not_there(scene: Scene) -> None:
    scene.git("config", "uam.deploy.prod.command", str(scene.root / "missing"))
    number, result = deploy(scene)
    assert ends(scene, number) == [
        ("failed", f"{scene.root / 'missing'} cannot be started: No such file or directory")
    ]  # fmt: skip
    assert not result.success


def test_a_command_that_is_not_executable(scene: Scene) -> None:
    (scene.root / "plain").write_text("#!/bin/sh\n")
    scene.git("config", "uam.deploy.prod.command", str(scene.root / "plain"))
    number, _ = deploy(scene)
    assert ends(scene, number) == [("failed", f"{scene.root / 'plain'} cannot be started: Permission denied")]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("exit 3", 3, "prod ended with exit code 3"),
        ("echo one; echo >&2 'two is wrong'; exit 1", 1, "prod ended with exit code 1: two is wrong"),
        ("kill -9 $$", -9, "prod was ended by signal 9"),
    ],
)  # fmt: skip
def test_a_command_that_fails(scene: Scene, text: str, code: int, words: str) -> None:
    command(scene, "prod", text)
    number, result = deploy(scene)
    assert ends(scene, number) == [("failed", words)]
    assert (result.success, result.failed_actions, result.errors) == (False, 1, (words,))
    assert json.loads(scene.rows("sources")[0]["outcome"])["exit_code"] == code
    assert row(scene, number)["attempts"] == 0, "a deploy is not run again by itself"


def test_the_output_is_kept(scene: Scene) -> None:
    command(scene, "prod", "echo out; echo err >&2; printf '\\377'")
    number, _ = deploy(scene)
    assert (scene.uam / "log" / f"{number}.log").read_bytes() == b"out\nerr\n\xff"


def test_no_secret_gets_into_words(scene: Scene) -> None:
    command(scene, "prod", "echo 'cannot push to https://bob:geheim@example.invalid/x'; exit 1")
    number, result = deploy(scene)
    assert row(scene, number)["error"].endswith("https://***@example.invalid/x")
    kept_words = json.dumps([scene.queue(), result.errors])
    assert "geheim" not in kept_words


def test_a_log_that_cannot_be_written_fails_the_deploy_alone(scene: Scene) -> None:
    command(scene, "prod")
    (scene.uam / "log").write_text("in the way")
    scene.commit("a")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod", {"ref": "x"}, priority=9)
        push = agents.queue("ada", "push", "main")
        agents.flush_all()
    assert row(scene, number)["status"] == "failed"
    assert row(scene, number)["error"]
    assert ends(scene, push) == [DONE]


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(scene: Scene) -> None:
    """... also what does not listen when it is asked to end."""
    at = command(scene, "prod", "sh -c 'trap \"\" TERM; echo $$ >child; exec sleep 300' &\necho $$ >parent\nwait")
    scene.git("config", "uam.deploy.prod.timeout", "1500ms")
    number, result = deploy(scene)
    assert ends(scene, number) == [("failed", "prod was ended after 1.5 s, with all that it started")]
    assert not result.success
    for name in ("parent", "child"):
        pid = int((at / name).read_text())
        until(lambda pid=pid: not alive(pid), f"the end of the {name}")  # type: ignore[misc]


def test_the_time_limit_of_all_deploys(scene: Scene) -> None:
    command(scene, "prod", "exec sleep 300")
    scene.git("config", "uam.deploy.timeout", "100ms")
    number, _ = deploy(scene)
    assert row(scene, number)["error"].startswith("prod was ended after 0.1 s")


# -- when a process ends -----------------------------------------------------------------------------------------

FLUSH = f"""
import sys
sys.path.insert(0, {str(Path(uam_hooks.__file__).parent.parent)!r})
from uam_hooks import DeployBatcher
DeployBatcher(batch_window_ms=0).flush_all()
"""


def started(scene: Scene, **env: str) -> Any:
    """`flush_all` in a process of its own."""
    return scene._start([sys.executable, "-c", FLUSH], env)


def test_a_flush_that_is_killed_while_a_deploy_runs(scene: Scene) -> None:
    """Nobody knows what the command has done: it is not run a second time until somebody says so."""
    at = command(scene, "prod", 'echo "$UAM_ACTION" >>log; echo $$ >pid; [ -e go ] || exec sleep 300')
    log = logging(scene, "after")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod")
        after = agents.queue("ada", "deploy", "after", dependencies=[number])
        process = started(scene)
        pid = int(until(lambda: (at / "pid").exists() and (at / "pid").read_text(), "the deploy"))
        process.kill()
        process.communicate()
        os.kill(pid, signal.SIGKILL)
        (at / "go").touch()  # from here on it would end at once
        agents.flush_all()
        assert ran(at / "log") == [number]
        assert row(scene, number)["status"] == "failed"
        assert f"`git uam retry {number}`" in row(scene, number)["error"]
        assert ends(scene, after) == [("failed", f"dependency #{number} failed")]
        again = agents.retry(number)
        (result,) = agents.flush_all()
    assert result.success
    assert ran(log) == [number, again]


def test_an_interrupted_flush_ends_its_deploys(scene: Scene) -> None:
    at = command(scene, "prod", "sleep 300 & echo $! >child; echo $$ >pid; wait")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod")
        process = started(scene)
        until(lambda: (at / "pid").exists() and (at / "pid").read_text(), "the deploy")
        process.send_signal(signal.SIGINT)
        assert finished(process).code != 0
        for name in ("pid", "child"):
            pid = int((at / name).read_text())
            until(lambda pid=pid: not alive(pid), f"the end of {name}")  # type: ignore[misc]
        assert free(scene.paths.flush_lock)
        agents.flush_all()
    assert row(scene, number)["status"] == "failed"
    assert "retry" in row(scene, number)["error"]


def test_a_flush_that_is_killed_before_the_command_starts(scene: Scene) -> None:
    """It was written down as begun: from here on nobody can tell."""
    log = logging(scene, "prod")
    with acting(scene) as agents:
        number = agents.queue("ada", "deploy", "prod")
        assert finished(started(scene, UAM_DIE_AT=Step.BEGUN)).code == -signal.SIGKILL
        agents.flush_all()
        assert ran(log) == []
        assert row(scene, number)["status"] == "failed"
        assert f"`git uam retry {number}`" in row(scene, number)["error"]
        again = agents.retry(number)
        agents.flush_all()
    assert ran(log) == [again]


# no command is begun for these; and what stays here has no remote to be followed
PUSHING = [step for step in Step if step != Step.BEGUN]
LOCAL = [step for step in PUSHING if step not in (Step.REMEMBERED, Step.TRACKED)]


def died_at(scene: Scene, step: Step) -> None:
    """A flush that is killed at a step, and one that goes on."""
    died = finished(started(scene, UAM_DIE_AT=step))
    assert died.code == -signal.SIGKILL, died
    with acting(scene) as agents:
        agents.flush_all()
    assert {one["status"] for one in scene.rows("deploy_queue") if one["asked"]} == {"completed"}
    assert {one["status"] for one in scene.rows("deploy_batches")} <= {"completed", "cancelled"}
    assert [one["status"] for one in scene.rows("landings")].count("landed") == 1
    sound(scene)
    truthful(scene)


@pytest.mark.slow
@pytest.mark.parametrize("step", LOCAL)
def test_commits_survive_a_crash(scene: Scene, step: Step) -> None:
    with acting(scene) as agents:
        for name in ("a", "b"):
            write(scene, name, f"{name}\n")
            agents.queue(name, "commit", "main", {"message": f"Add {name}", "files": [name]})
    tips = [one["tip"] for one in scene.rows("sources")]
    died_at(scene, step)
    assert scene.subjects("main") == ["Squashed 2 commits:", "Begin"]
    assert scene.git("ls-tree", "--name-only", "main").split() == ["README", "a", "b"]
    assert scene.status() == ["## main...origin/main [ahead 1]"]
    kept(scene, tips)


@pytest.mark.slow
@pytest.mark.parametrize("step", PUSHING)
def test_commits_with_their_push_survive_a_crash(scene: Scene, step: Step) -> None:
    with acting(scene) as agents:
        for name in ("a", "b"):
            write(scene, name, f"{name}\n")
            agents.queue(name, "commit", "main", {"message": f"Add {name}", "files": [name]})
        agents.queue("ada", "push", "main")
    tips = [one["tip"] for one in scene.rows("sources") if one["base"]]
    died_at(scene, step)
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.files() == ["README", "a", "b"]
    assert len(scene.pushes()) == 1
    kept(scene, tips)


@pytest.mark.slow
@pytest.mark.parametrize("step", LOCAL)
def test_a_merge_survives_a_crash(scene: Scene, step: Step) -> None:
    prepare_merge(scene)
    with acting(scene) as agents:
        agents.queue("ada", "merge", "release", {"source": "topic"})
    died_at(scene, step)
    assert scene.subjects("--first-parent", "release") == ["Merge branch 'topic' into release", "On release", "Begin"]
    assert scene.pushes() == []


@pytest.mark.slow
@pytest.mark.parametrize("step", PUSHING)
def test_a_merge_that_is_pushed_survives_a_crash(scene: Scene, step: Step) -> None:
    prepare_merge(scene)
    with acting(scene) as agents:
        agents.queue("ada", "merge", "main", {"source": "topic", "push": True})
    died_at(scene, step)
    assert scene.bare.subjects("--first-parent", "main") == ["Merge branch 'topic' into main", "Begin"]
    assert len(scene.pushes()) == 1
    assert scene.files() == ["README", "t"]


def prepare_merge(scene: Scene) -> None:
    """A branch topic that is ahead of main, and a branch release that went another way; main is checked out."""
    scene.git("switch", "-q", "-c", "topic")
    scene.commit("t")
    scene.git("switch", "-q", "-c", "release", "main")
    scene.commit("r", message="On release")
    scene.git("switch", "-q", "main")


# -- once more ---------------------------------------------------------------------------------------------------


def test_what_failed_can_be_tried_again(scene: Scene) -> None:
    at = command(scene, "prod", '[ -e go ] || exit 1; cat >payload; echo "$UAM_ACTION" >>log')
    number, _ = deploy(scene, {"ref": "main", "x": 1})
    (at / "go").touch()
    with acting(scene) as agents:
        again = agents.retry(number)
        assert agents.flush_all()[0].success
        with pytest.raises(Refused):
            agents.retry(again)
    assert ran(at / "log") == [again]
    assert json.loads((at / "payload").read_text()) == {"ref": "main", "x": 1}


def test_what_is_tried_again_still_waits_for_what_is_queued(scene: Scene) -> None:
    log = logging(scene, "b")
    command(scene, "a", "exit 1")
    with acting(scene) as agents:
        first = agents.queue("ada", "deploy", "a")
        second = agents.queue("ada", "deploy", "b", dependencies=[first])
        agents.cancel(second)
        again = agents.retry(second)
        agents.flush_all()
    assert ran(log) == []
    assert ends(scene, again) == [("failed", f"dependency #{first} failed")]


def test_a_conflict_can_be_solved_and_tried_again(scene: Scene) -> None:
    clash(scene)
    with acting(scene) as agents:
        push = agents.queue("ada", "push", "main")
        agents.flush_all()
        assert row(scene, push)["status"] == "failed"
        scene.git("fetch", "-q")
        scene.git("rebase", "-q", "-X", "theirs", "origin/main")
        agents.retry(push)
        assert agents.flush_all()[-1].success
    assert scene.bare.git("show", "main:README") == "ours"
