"""Workflows and pull requests: what arrives at GitHub, and in which order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.deploys import told
from tests.support.forge import Dispatch, Forge, Merge, needs_gh
from tests.support.queueing import ask, askers, batcher, flow, flush_all, row
from tests.support.scenes import Scene, finished, gate, script, until
from uam_hooks.hot.core.errors import UsageError

DECLINE = 'echo "not today" >&2; exit 1\n'


def topic(scene: Scene, name: str = "topic-12") -> str:
    """A local branch with one commit that the remote does not have; gives the commit."""
    scene.git("switch", "-q", "-c", name)
    tip = scene.commit(f"{name}.txt")
    scene.git("switch", "-q", "main")
    return tip


# -- workflows -------------------------------------------------------------------------------------------


@needs_gh
def test_a_workflow_arrives_with_its_ref_and_inputs(hub: Scene, forge: Forge) -> None:
    number = flow(hub, "build.yml", ref="refs/heads/main", inputs={"env": "staging", "note": "a b=c"})
    (result,) = flush_all(hub)
    assert (result.success, result.executed_actions, result.failed_actions, result.errors) == (True, 1, 0, ())
    assert forge.dispatches == [Dispatch("build.yml", "main", {"env": "staging", "note": "a b=c"})]
    assert (row(hub, number)["status"], askers(hub, number)) == ("completed", [("ada", "landed")])
    assert flush_all(hub) == []
    assert len(forge.dispatches) == 1


@needs_gh
def test_inputs_that_are_no_text_arrive_as_json(hub: Scene, forge: Forge) -> None:
    flow(hub, inputs={"yes": True, "n": 3, "half": 0.5, "none": None, "many": [1, "a"], "map": {"a": 1}, "no": ""})
    flush_all(hub)
    (found,) = forge.dispatches
    assert {name: value if name == "no" else json.loads(value) for name, value in found.inputs.items()} == {
        "yes": True, "n": 3, "half": 0.5, "none": None, "many": [1, "a"], "map": {"a": 1}, "no": "",
    }  # fmt: skip


@needs_gh
def test_the_same_workflow_of_three_agents_is_one_and_each_of_them_is_told(hub: Scene, forge: Forge) -> None:
    first = flow(hub, agent="ada", inputs={"env": "staging", "n": 3})
    same = [
        flow(hub, agent="bob", inputs={"n": "3", "env": "staging"}),
        flow(hub, agent="eve", inputs={"env": "staging", "n": 3}, ref="refs/heads/main"),
    ]
    others = [
        flow(hub, agent="bob", inputs={"env": "prod", "n": 3}),
        flow(hub, agent="bob", inputs={"env": "staging", "n": 3}, ref="release"),
        flow(hub, agent="bob", target="deploy.yml", inputs={"env": "staging", "n": 3}),
        flow(hub, agent="bob"),
    ]
    assert same == [first, first]
    assert len({first, *others}) == 5
    assert all(result.success for result in flush_all(hub))
    staging = {"env": "staging", "n": "3"}
    expected = [
        Dispatch("test.yml", "main", staging),
        Dispatch("test.yml", "main", {"env": "prod", "n": "3"}),
        Dispatch("test.yml", "release", staging),
        Dispatch("deploy.yml", "main", staging),
        Dispatch("test.yml", "main", {}),
    ]
    assert sorted(map(str, forge.dispatches)) == sorted(map(str, expected))
    assert askers(hub, first) == [("ada", "landed"), ("bob", "landed"), ("eve", "landed")]
    # what was asked for after that is a new one
    assert flow(hub, agent="eve", inputs=staging) > max(others)
    flush_all(hub)
    assert forge.dispatches.count(Dispatch("test.yml", "main", staging)) == 2


@needs_gh
def test_when_a_shared_workflow_fails_each_of_its_askers_is_told(hub: Scene, forge: Forge) -> None:
    forge.unknown.add("gone.yml")
    number = flow(hub, "gone.yml", agent="ada")
    assert flow(hub, "gone.yml", agent="bob") == number
    flush_all(hub)
    assert askers(hub, number) == [("ada", "failed"), ("bob", "failed")]
    told = [json.loads(s["outcome"])["error"] for s in hub.rows("sources")]
    assert len(set(told)) == 1
    assert "HTTP 404" in told[0]


@needs_gh
def test_one_that_waits_for_something_of_its_own_is_shared_with_nobody(hub: Scene, forge: Forge) -> None:
    with batcher(hub) as queue:
        first = queue.queue("ada", "workflow", "test.yml", {"ref": "main"})
        later = queue.queue("bob", "workflow", "test.yml", {"ref": "main"}, dependencies=[first])
        assert later != first
        assert all(result.success for result in queue.flush_all())
    assert forge.dispatches == [Dispatch("test.yml", "main", {})] * 2


@needs_gh
def test_an_unknown_workflow_fails_at_once(hub: Scene, forge: Forge) -> None:
    forge.unknown.add("gone.yml")
    gone, fine = flow(hub, "gone.yml"), flow(hub)
    (result,) = flush_all(hub)
    assert (result.success, result.executed_actions, result.failed_actions, result.deferred_actions) == (False, 1, 1, 0)
    (error,) = result.errors
    assert error.startswith("gh: ")
    assert "HTTP 404" in error
    found = row(hub, gone)
    assert (found["status"], found["attempts"], found["error"]) == ("failed", 0, error)
    assert row(hub, fine)["status"] == "completed"
    assert [path for _, path in forge.requests].count("/repos/o/r/actions/workflows/gone.yml") == 1
    assert forge.dispatches == [Dispatch("test.yml", "main", {})]


@needs_gh
def test_what_looks_like_an_option_is_one_nowhere(hub: Scene, forge: Forge) -> None:
    secret = hub.root / "secret"
    secret.write_text("do not send this")
    inputs = {"a": "--repo=github.localhost/evil/x", "b": "-R", "c": f"@{secret}", "d": "x\n--ref=evil", "e": "--"}
    flow(hub, inputs=inputs)
    flush_all(hub)
    assert forge.dispatches == [Dispatch("test.yml", "main", inputs)]
    ask(hub, "merge", "main", pr=7, message="--body-file=/etc/passwd\n\n--admin")
    assert all(result.success for result in flush_all(hub))
    assert forge.merges == [Merge(7, "merge", "--body-file=/etc/passwd", "--admin")]
    asked = len(forge.requests)
    before = len(hub.rows("deploy_queue"))
    for target, payload in (
        ("--help", {}),
        ("-R", {}),
        ("-", {}),
        ("test.yml\n", {}),
        ("test.yml", {"ref": "--repo=evil/x"}),
        ("test.yml", {"ref": "a b"}),
        ("test.yml", {"inputs": {"--x": "y"}}),
        ("test.yml", {"inputs": {"a=b": "y"}}),
        ("test.yml", {"inputs": {"": "y"}}),
        ("test.yml", {"inputs": ["a"]}),
        ("test.yml", {"inputs": {"a": "x\0y"}}),
        ("test.yml", {"remote": "--upload-pack=x"}),
        ("test.yml", {"field": "x"}),
    ):
        with pytest.raises(UsageError):
            flow(hub, target, **payload)
    flush_all(hub)
    assert len(hub.rows("deploy_queue")) == before
    assert len(forge.requests) == asked


# -- the order of a batch --------------------------------------------------------------------------------


@needs_gh
@pytest.mark.parametrize("first", ["push", "workflow"])
def test_a_workflow_waits_for_the_push_of_its_ref(hub: Scene, forge: Forge, first: str) -> None:
    tip = hub.commit("a")
    steps = {"push": lambda: ask(hub, "push", "main"), "workflow": lambda: flow(hub, ref="main")}
    for name in sorted(steps, key=lambda name: name != first):
        steps[name]()
    # one on a ref that nobody pushes has nothing to wait for
    flow(hub, "deploy.yml", ref="release")
    with gate(hub, hub.remote / "hooks" / "pre-receive") as let_through:
        flush = hub.start("uam", "flush")
        until(let_through.reached, "the push")
        until(lambda: forge.dispatches, "the dispatch on release")
        assert forge.dispatches == [Dispatch("deploy.yml", "release", {})]
        assert not [path for _, path in forge.requests if "test.yml" in path]
        assert hub.there() == hub.start_oid
        let_through()
        done = finished(flush)
    assert done.code == 0, done
    assert hub.there() == tip
    assert forge.dispatches[1:] == [Dispatch("test.yml", "main", {})]


@needs_gh
def test_a_push_that_fails_takes_its_workflow_along(hub: Scene, forge: Forge) -> None:
    script(hub.remote / "hooks" / "pre-receive", DECLINE)
    hub.commit("a")
    push, workflow = ask(hub, "push", "main"), flow(hub, ref="main")
    free = flow(hub, "deploy.yml", ref="release")
    (result,) = flush_all(hub)
    assert (result.executed_actions, result.failed_actions, result.deferred_actions) == (1, 2, 0)
    assert forge.dispatches == [Dispatch("deploy.yml", "release", {})]
    assert row(hub, workflow)["error"] == f"dependency #{push} failed"
    assert askers(hub, workflow) == [("ada", "failed")]
    assert row(hub, free)["status"] == "completed"
    assert flush_all(hub) == []


@needs_gh
def test_a_workflow_runs_when_some_of_a_push_landed(hub: Scene, forge: Forge) -> None:
    """One bad apple: the ref has moved, and what is asked for on it is asked for on what landed."""
    hub.git("config", "uam.push.accept", "false")
    hub.git("config", "uam.push.mode", "manual")
    good, bad = hub.worktree("good"), hub.worktree("bad")
    good.commit("README", "good\n")
    bad.commit("README", "bad\n")
    for agent in (good, bad):
        assert agent.push("origin", "HEAD:main").code == 0
    flow(hub, ref="main")
    flush_all(hub)
    assert (hub.landed(), len(hub.pushes())) == (["Add README"], 1)
    assert forge.dispatches == [Dispatch("test.yml", "main", {})]


@needs_gh
def test_an_explicit_dependency_holds_a_workflow_back(hub: Scene, forge: Forge) -> None:
    forge.unknown.add("gone.yml")
    with batcher(hub) as queue:
        numbers = queue.queue_bulk("ada", [
            {"action_type": "workflow", "target": "deploy.yml", "payload": {"ref": "x"}, "dependencies": ["test"]},
            {"action_type": "workflow", "target": "gone.yml", "payload": {"ref": "y"}, "name": "test"},
        ])  # fmt: skip
        queue.flush_all()
    assert forge.dispatches == []
    assert row(hub, numbers[0])["error"] == f"dependency #{numbers[1]} failed"


# -- pull requests ---------------------------------------------------------------------------------------


@needs_gh
@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_pull_request_is_merged_by_its_method(hub: Scene, forge: Forge, method: str) -> None:
    number = ask(hub, "merge", "main", pr=12, method=method)
    (result,) = flush_all(hub)
    assert result.success
    assert forge.merges == [Merge(12, method, None, None)]
    assert (row(hub, number)["status"], askers(hub, number)) == ("completed", [("ada", "landed")])
    # GitHub merges, not we
    assert (hub.there(), hub.pushes()) == (hub.start_oid, [])


@needs_gh
def test_the_message_of_a_merge_is_title_and_body(hub: Scene, forge: Forge) -> None:
    for number, message in ((1, "A title"), (2, "A title\n\nWhy, in\n\nmany words.\n"), (3, "--admin")):
        ask(hub, "merge", "main", pr=number, method="squash", message=message)
    flush_all(hub)
    assert forge.merges == [
        Merge(1, "squash", "A title", ""),
        Merge(2, "squash", "A title", "Why, in\n\nmany words."),
        Merge(3, "squash", "--admin", ""),
    ]


@needs_gh
def test_a_number_may_be_text_and_merge_is_the_default(hub: Scene, forge: Forge) -> None:
    ask(hub, "merge", "main", pr="12")
    flush_all(hub)
    assert forge.merges == [Merge(12, "merge", None, None)]


def test_a_pull_request_that_cannot_be_meant_is_refused_at_once(scene: Scene) -> None:
    wrong: list[dict[str, Any]] = [
        *({"pr": pr} for pr in ("", "-1", 0, "12; id", True, 1.5, "#12", [12], "https://github.com/o/r/pull/12")),
        *({"pr": 12, "method": method} for method in ("admin", "--admin", "auto", "ff-only", 5)),
        {"pr": 12, "delete_branch": True}, {"pr": 12, "source": "a\nb"}, {"pr": 12, "remote": "nowhere"},
    ]  # fmt: skip
    for payload in wrong:
        with pytest.raises(UsageError):
            ask(scene, "merge", "main", **payload)
    assert scene.rows("deploy_queue") == []


@needs_gh
def test_pull_requests_that_cannot_be_merged_fail_alone_and_at_once(hub: Scene, forge: Forge) -> None:
    forge.unmergeable.add(12)
    forge.unknown.add(13)
    numbers = [ask(hub, "merge", "main", pr=pr) for pr in (12, 13, 14)]
    (result,) = flush_all(hub)
    assert (result.executed_actions, result.failed_actions, result.deferred_actions) == (1, 2, 0)
    found = [row(hub, number) for number in numbers]
    assert [(f["status"], f["attempts"]) for f in found] == [("failed", 0), ("failed", 0), ("completed", 0)]
    assert "is not mergeable: the merge commit cannot be cleanly created." in found[0]["error"]
    assert "Could not resolve to a PullRequest with the number of 13." in found[1]["error"]
    assert [merge.number for merge in forge.merges] == [14]


@needs_gh
def test_the_branch_of_a_pull_request_is_pushed_before_it_is_merged(hub: Scene, forge: Forge) -> None:
    tip = topic(hub)
    there: list[str] = []
    forge.on_merge = lambda _number: there.append(hub.there("refs/heads/topic-12"))
    ask(hub, "merge", "main", pr=12, source="topic-12")
    ask(hub, "push", "topic-12")
    (result,) = flush_all(hub)
    assert result.success
    assert there == [tip]


@needs_gh
def test_a_branch_that_could_not_be_pushed_is_not_merged(hub: Scene, forge: Forge) -> None:
    script(hub.remote / "hooks" / "pre-receive", DECLINE)
    topic(hub)
    merge = ask(hub, "merge", "main", pr=12, source="topic-12")
    push = ask(hub, "push", "topic-12")
    flush_all(hub)
    assert forge.requests == []
    assert row(hub, merge)["error"] == f"dependency #{push} failed"


@needs_gh
def test_what_names_the_target_waits_for_the_pull_request(hub: Scene, forge: Forge) -> None:
    note, tip = told(hub), topic(hub)
    dispatched: list[int] = []

    def merged(_number: int) -> None:
        dispatched.append(len(forge.dispatches))
        assert not note.exists()
        hub.bare.git("fetch", "-q", str(hub.top), "topic-12:main")

    forge.on_merge = merged
    ask(hub, "deploy", "prod", ref="main")
    flow(hub, ref="main")
    ask(hub, "merge", "main", pr=12)
    (result,) = flush_all(hub)
    assert result.success
    assert dispatched == [0]
    assert len(forge.dispatches) == 1
    assert note.read_text().split()[1] == tip


@needs_gh
def test_a_deploy_is_told_the_commit_that_github_made_of_the_pull_request(hub: Scene, forge: Forge) -> None:
    note, tip = told(hub), topic(hub)

    def merged(_number: int) -> None:
        hub.bare.git("fetch", "-q", str(hub.top), "topic-12:main")

    forge.on_merge = merged
    ask(hub, "merge", "main", pr=12)
    ask(hub, "deploy", "prod", ref="main")
    flush_all(hub)
    assert note.read_text().split() == [tip, tip]


@needs_gh
def test_a_pull_request_that_is_not_merged_is_not_deployed(hub: Scene, forge: Forge) -> None:
    note = told(hub)
    forge.unmergeable.add(12)
    deploy = ask(hub, "deploy", "prod", ref="main")
    other = told(hub, "docs")
    ask(hub, "deploy", "docs", ref="release")
    merge = ask(hub, "merge", "main", pr=12)
    flush_all(hub)
    assert not note.exists()
    assert row(hub, deploy)["error"] == f"dependency #{merge} failed"
    assert other.exists()
