"""Whole batches: what waits for what, what runs beside what, and how commands of others are run and ended."""

from __future__ import annotations

import json

import pytest

from tests.support.deploys import command, deploy, ends, logging, ran
from tests.support.landscape import by_hand, flushed, queue, stranger, write
from tests.support.queueing import acting, row
from tests.support.scenes import Scene, Worktree, script
from uam_hooks.hot.core.errors import Refused, UsageError

FAR = "2999-01-01T00:00:00Z"


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
    at = command(scene, "prod", f'git --git-dir="{scene.remote}" log -1 --format=%s main >there')
    write(scene, "a", "a\n")
    with acting(scene) as agents:
        commit = agents.queue("ada", "commit", "main", {"message": "Add a", "files": ["a"]})
        deploy = agents.queue("ada", "deploy", "prod", {"ref": "other"}, dependencies=[commit], priority=9)
        push = agents.queue("ada", "push", "main")
        (result,) = agents.flush_all()
    assert ends(scene, commit, push, deploy) == [DONE, DONE, DONE]
    assert result.success
    assert (at / "there").read_text() == "Add a\n"


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
