"""Workflows and merges of pull requests: what the real gh is made to ask of GitHub, once, and in which order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from forge import REPO, Dispatch, Forge, Merge, needs_gh
from landscape import environment, inside
from scenes import Scene, Worktree, finished, gate, script, until

from uam_hooks import DeployBatcher
from uam_hooks.flush import gh
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue.model import BatchResult

DECLINE = 'echo "not today" >&2; exit 1\n'


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge(tmp_path / "forge") as found:
        yield found


@pytest.fixture
def hub(scene: Scene, forge: Forge) -> Iterator[Scene]:
    """A scene whose gh talks to the stand-in; whatever a test does, gh leaves nothing behind."""
    scene.env.update(forge.env)
    scene.git("config", "uam.gh.repo", REPO)
    yield scene
    kept = [path.name for path in (scene.uam / "log").glob("*") if path.suffix != ".log"]
    assert kept == []
    assert list((scene.root / "forge" / "tmp").iterdir()) == []


@contextmanager
def batcher(place: Worktree, **options: Any) -> Iterator[DeployBatcher]:
    with environment(place.env):
        yield DeployBatcher(repository=place.top, **options)


def flushed(place: Worktree) -> list[BatchResult]:
    with batcher(place) as queue:
        return queue.flush_all()


def ask(place: Worktree, target: str = "test.yml", agent: str = "ada", **payload: Any) -> int:
    """Queue a workflow, on main unless `payload` says otherwise."""
    with batcher(place) as queue:
        return queue.queue(agent, "workflow", target, {"ref": "main", **payload})


def add(place: Worktree, kind: str, target: str, **payload: Any) -> int:
    with batcher(place) as queue:
        return queue.queue("ada", kind, target, payload)


def row(scene: Scene, number: int) -> dict[str, Any]:
    return next(found for found in scene.rows("deploy_queue") if found["id"] == number)


def askers(scene: Scene, number: int) -> list[tuple[str, str]]:
    """Who asked for an action, and what they are told became of it."""
    return [(s["agent_id"], s["status"]) for s in scene.rows("sources") if s["action_id"] == number]


def deploys(scene: Scene, name: str = "prod") -> Path:
    """Configure a deploy that notes what it was told, and what the remote's main was then; gives the note."""
    note = scene.root / f"{name}.note"
    command = script(
        scene.root / f"{name}.sh", f'echo "$UAM_SHA $(git --git-dir "{scene.remote}" rev-parse main)" >>"{note}"\n'
    )
    scene.git("config", f"uam.deploy.{name}.command", str(command))
    return note


def topic(scene: Scene, name: str = "topic-12") -> str:
    """A local branch with one commit that the remote does not have; gives the commit."""
    scene.git("switch", "-q", "-c", name)
    tip = scene.commit(f"{name}.txt")
    scene.git("switch", "-q", "main")
    return tip


# -- which repository ------------------------------------------------------------------------------------


def test_the_repository_is_told_by_the_url_of_the_remote(scene: Scene) -> None:
    expected = {
        "https://github.com/o/r.git": "github.com/o/r",
        "https://github.com/o/r": "github.com/o/r",
        "https://github.com/o/r/": "github.com/o/r",
        "https://github.com/o/r.js.git": "github.com/o/r.js",
        "https://github.com/o/.github": "github.com/o/.github",
        "https://user:secret@github.com/o/r.git": "github.com/o/r",
        "https://token@ghe.example.com/o/r": "ghe.example.com/o/r",
        "ssh://git@github.com/o/r.git": "github.com/o/r",
        "ssh://git@github.com:22/o/r": "github.com/o/r",
        "git@github.com:o/r.git": "github.com/o/r",
        "git@github.com:o/r": "github.com/o/r",
        "ghe.example.com:o/r.git": "ghe.example.com/o/r",
        "git://github.com/o/r.git": "github.com/o/r",
        # GitHub's other door for ssh, where port 22 is closed: the repository is still one of github.com
        "ssh://git@ssh.github.com:443/o/r.git": "github.com/o/r",
        # what is no repository of a forge
        str(scene.remote): "",
        "../r.git": "",
        "/srv/o/r.git": "",
        "file:///srv/o/r.git": "",
        "git@host:/srv/git/r.git": "",
        "git@host:~/r.git": "",
        "https://example.com/group/sub/r.git": "",
        "https://github.com/o": "",
    }
    found = {}
    with inside(scene) as session:
        for url in expected:
            try:
                found[url] = gh.repository(session._replace(settings=Settings({"remote.origin.url": [url]})), "origin")
            except UsageError as refused:
                assert "uam.gh.repo" in f"{refused.what} {refused.do}"
                found[url] = ""
    assert found == expected


def test_where_pushes_go_decides_and_the_setting_goes_before_it(scene: Scene) -> None:
    values = {"remote.origin.url": ["https://github.com/upstream/r.git"]}
    with inside(scene) as session:
        for more, expected in (
            ({}, "github.com/upstream/r"),
            ({"remote.origin.pushurl": ["uam::origin"]}, "github.com/upstream/r"),
            ({"remote.origin.pushurl": ["uam::origin"], "remote.origin.uam-pushurl": ["git@github.com:me/r.git"]},
             "github.com/me/r"),
            ({"uam.gh.repo": ["ghe.example.com/a/b"]}, "ghe.example.com/a/b"),
            ({"uam.gh.repo": ["a/b"]}, "a/b"),
        ):  # fmt: skip
            assert gh.repository(session._replace(settings=Settings({**values, **more})), "origin") == expected


def test_an_url_that_git_rewrites_counts_as_what_it_becomes(scene: Scene) -> None:
    """`gh:o/r` is how many people write it; gh knows no host of that name."""
    scene.git("config", "remote.origin.url", "gh:o/r")
    scene.git("config", "url.git@github.com:.insteadOf", "gh:")
    with inside(scene) as session:
        assert gh.repository(session, "origin") == "github.com/o/r"


def test_a_setting_that_names_no_repository_is_refused_at_once(scene: Scene) -> None:
    for named in ("r", "https://ada:hunter2@github.com/o/r", "a/b/c/d", "-R/x y", "o/r\x01"):
        scene.git("config", "uam.gh.repo", named)
        with pytest.raises(UsageError, match=r"uam\.gh\.repo") as refused:
            ask(scene)
        assert "hunter2" not in refused.value.what + refused.value.do
        with pytest.raises(UsageError, match=r"uam\.gh\.repo"):
            add(scene, "merge", "main", pr=12)
    assert scene.rows("deploy_queue") == []


@needs_gh
def test_a_password_in_the_url_reaches_neither_gh_nor_an_error(
    hub: Scene, forge: Forge, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.git("config", "--unset", "uam.gh.repo")
    forge.unknown.add("gone.yml")
    errors: list[str] = []
    for path in ("o/r.git", "group/sub/r.git"):
        hub.git("config", "remote.origin.url", f"https://ada:hunter2@github.localhost/{path}")
        try:
            ask(hub)
            ask(hub, "gone.yml")
        except UsageError as refused:
            errors += [refused.what, refused.do]
        errors += [error for result in flushed(hub) for error in result.errors]
    assert [found.workflow for found in forge.dispatches][:1] == ["test.yml"]
    assert all(path.startswith("/repos/o/r/") for _, path in forge.requests)
    assert any("404" in error for error in errors)
    said = capfd.readouterr()
    told = [said.out, said.err, *errors, json.dumps(hub.rows("deploy_queue")), json.dumps(hub.rows("sources"))]
    told += [path.read_text() for path in (hub.uam / "log").iterdir()]
    assert not [text for text in told if "hunter2" in text]


@needs_gh
def test_another_remote_is_another_repository(hub: Scene, forge: Forge) -> None:
    hub.git("config", "--unset", "uam.gh.repo")
    hub.git("remote", "set-url", "origin", "https://github.localhost/o/r.git")
    hub.git("remote", "add", "fork", "git@github.localhost:me/mine.git")
    ask(hub)
    ask(hub, remote="fork")
    assert [result.success for result in flushed(hub)] == [True]
    posts = sorted(path for method, path in forge.requests if method == "POST")
    assert posts == ["/repos/me/mine/actions/workflows/1/dispatches", "/repos/o/r/actions/workflows/1/dispatches"]


@needs_gh
def test_a_remote_that_is_on_no_forge_is_not_taken_for_another_one(hub: Scene, forge: Forge) -> None:
    """Left to itself gh would look through all remotes and take the one that it knows."""
    hub.git("config", "--unset", "uam.gh.repo")
    hub.git("remote", "add", "backup", str(hub.root / "backup.git"))
    hub.git("remote", "set-url", "origin", "https://github.localhost/o/r.git")
    for kind, target, payload in (("workflow", "test.yml", {"ref": "main"}), ("merge", "main", {"pr": 12})):
        # at the latest when it is its turn
        try:
            number = add(hub, kind, target, remote="backup", **payload)
            flushed(hub)
            why = row(hub, number)["error"]
        except UsageError as refused:
            why = f"{refused.what} {refused.do}"
        assert "uam.gh.repo" in why
    # one that was queued while the URL told, too
    number = ask(hub)
    hub.git("remote", "set-url", "origin", str(hub.root / "backup.git"))
    hub.git("remote", "set-url", "backup", "https://github.localhost/o/r.git")
    assert not flushed(hub)[0].success
    assert (row(hub, number)["status"], row(hub, number)["attempts"]) == ("failed", 0)
    assert (forge.dispatches, forge.requests) == ([], [])


# -- workflows -------------------------------------------------------------------------------------------


@needs_gh
def test_a_workflow_arrives_with_its_ref_and_inputs(hub: Scene, forge: Forge) -> None:
    number = ask(hub, "build.yml", ref="refs/heads/main", inputs={"env": "staging", "note": "a b=c"})
    (result,) = flushed(hub)
    assert (result.success, result.executed_actions, result.failed_actions, result.errors) == (True, 1, 0, ())
    assert forge.dispatches == [Dispatch("build.yml", "main", {"env": "staging", "note": "a b=c"})]
    assert (row(hub, number)["status"], askers(hub, number)) == ("completed", [("ada", "landed")])
    assert flushed(hub) == []
    assert len(forge.dispatches) == 1


@needs_gh
def test_inputs_that_are_no_text_arrive_as_json(hub: Scene, forge: Forge) -> None:
    ask(hub, inputs={"yes": True, "n": 3, "half": 0.5, "none": None, "many": [1, "a"], "map": {"a": 1}, "no": ""})
    flushed(hub)
    (found,) = forge.dispatches
    assert {name: value if name == "no" else json.loads(value) for name, value in found.inputs.items()} == {
        "yes": True, "n": 3, "half": 0.5, "none": None, "many": [1, "a"], "map": {"a": 1}, "no": "",
    }  # fmt: skip


@needs_gh
def test_the_same_workflow_of_three_agents_is_one_and_each_of_them_is_told(hub: Scene, forge: Forge) -> None:
    first = ask(hub, agent="ada", inputs={"env": "staging", "n": 3})
    same = [
        ask(hub, agent="bob", inputs={"n": "3", "env": "staging"}),
        ask(hub, agent="eve", inputs={"env": "staging", "n": 3}, ref="refs/heads/main"),
    ]
    others = [
        ask(hub, agent="bob", inputs={"env": "prod", "n": 3}),
        ask(hub, agent="bob", inputs={"env": "staging", "n": 3}, ref="release"),
        ask(hub, agent="bob", target="deploy.yml", inputs={"env": "staging", "n": 3}),
        ask(hub, agent="bob"),
    ]
    assert same == [first, first]
    assert len({first, *others}) == 5
    assert all(result.success for result in flushed(hub))
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
    assert ask(hub, agent="eve", inputs=staging) > max(others)
    flushed(hub)
    assert forge.dispatches.count(Dispatch("test.yml", "main", staging)) == 2


@needs_gh
def test_when_a_shared_workflow_fails_each_of_its_askers_is_told(hub: Scene, forge: Forge) -> None:
    forge.unknown.add("gone.yml")
    number = ask(hub, "gone.yml", agent="ada")
    assert ask(hub, "gone.yml", agent="bob") == number
    flushed(hub)
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
    gone, fine = ask(hub, "gone.yml"), ask(hub)
    (result,) = flushed(hub)
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
    ask(hub, inputs=inputs)
    flushed(hub)
    assert forge.dispatches == [Dispatch("test.yml", "main", inputs)]
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
            ask(hub, target, **payload)
    flushed(hub)
    assert len(hub.rows("deploy_queue")) == before
    assert len(forge.requests) == asked


# -- the order of a batch --------------------------------------------------------------------------------


@needs_gh
@pytest.mark.parametrize("first", ["push", "workflow"])
def test_a_workflow_waits_for_the_push_of_its_ref(hub: Scene, forge: Forge, first: str) -> None:
    tip = hub.commit("a")
    steps = {"push": lambda: add(hub, "push", "main"), "workflow": lambda: ask(hub, ref="main")}
    for name in sorted(steps, key=lambda name: name != first):
        steps[name]()
    # one on a ref that nobody pushes has nothing to wait for
    ask(hub, "deploy.yml", ref="release")
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
    push, workflow = add(hub, "push", "main"), ask(hub, ref="main")
    free = ask(hub, "deploy.yml", ref="release")
    (result,) = flushed(hub)
    assert (result.executed_actions, result.failed_actions, result.deferred_actions) == (1, 2, 0)
    assert forge.dispatches == [Dispatch("deploy.yml", "release", {})]
    assert row(hub, workflow)["error"] == f"dependency #{push} failed"
    assert askers(hub, workflow) == [("ada", "failed")]
    assert row(hub, free)["status"] == "completed"
    assert flushed(hub) == []


@needs_gh
def test_a_workflow_runs_when_some_of_a_push_landed(hub: Scene, forge: Forge) -> None:
    """One bad apple: the ref has moved, and what is asked for on it is asked for on what landed."""
    hub.git("config", "uam.push.mode", "manual")
    good, bad = hub.worktree("good"), hub.worktree("bad")
    good.commit("README", "good\n")
    bad.commit("README", "bad\n")
    for agent in (good, bad):
        assert agent.push("origin", "HEAD:main").code == 0
    ask(hub, ref="main")
    flushed(hub)
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
    number = add(hub, "merge", "main", pr=12, method=method)
    (result,) = flushed(hub)
    assert result.success
    assert forge.merges == [Merge(12, method, None, None)]
    assert (row(hub, number)["status"], askers(hub, number)) == ("completed", [("ada", "landed")])
    # GitHub merges, not we
    assert (hub.there(), hub.pushes()) == (hub.start_oid, [])


@needs_gh
def test_the_message_of_a_merge_is_title_and_body(hub: Scene, forge: Forge) -> None:
    for number, message in ((1, "A title"), (2, "A title\n\nWhy, in\n\nmany words.\n"), (3, "--admin")):
        add(hub, "merge", "main", pr=number, method="squash", message=message)
    flushed(hub)
    assert forge.merges == [
        Merge(1, "squash", "A title", ""),
        Merge(2, "squash", "A title", "Why, in\n\nmany words."),
        Merge(3, "squash", "--admin", ""),
    ]


@needs_gh
def test_a_number_may_be_text_and_merge_is_the_default(hub: Scene, forge: Forge) -> None:
    add(hub, "merge", "main", pr="12")
    flushed(hub)
    assert forge.merges == [Merge(12, "merge", None, None)]


def test_a_pull_request_that_cannot_be_meant_is_refused_at_once(scene: Scene) -> None:
    wrong: list[dict[str, Any]] = [
        *({"pr": pr} for pr in ("", "-1", 0, "12; id", True, 1.5, "#12", [12], "https://github.com/o/r/pull/12")),
        *({"pr": 12, "method": method} for method in ("admin", "--admin", "auto", "ff-only", 5)),
        {"pr": 12, "delete_branch": True}, {"pr": 12, "source": "a\nb"}, {"pr": 12, "remote": "nowhere"},
    ]  # fmt: skip
    for payload in wrong:
        with pytest.raises(UsageError):
            add(scene, "merge", "main", **payload)
    assert scene.rows("deploy_queue") == []


@needs_gh
def test_pull_requests_that_cannot_be_merged_fail_alone_and_at_once(hub: Scene, forge: Forge) -> None:
    forge.unmergeable.add(12)
    forge.unknown.add(13)
    numbers = [add(hub, "merge", "main", pr=pr) for pr in (12, 13, 14)]
    (result,) = flushed(hub)
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
    add(hub, "merge", "main", pr=12, source="topic-12")
    add(hub, "push", "topic-12")
    (result,) = flushed(hub)
    assert result.success
    assert there == [tip]


@needs_gh
def test_a_branch_that_could_not_be_pushed_is_not_merged(hub: Scene, forge: Forge) -> None:
    script(hub.remote / "hooks" / "pre-receive", DECLINE)
    topic(hub)
    merge = add(hub, "merge", "main", pr=12, source="topic-12")
    push = add(hub, "push", "topic-12")
    flushed(hub)
    assert forge.requests == []
    assert row(hub, merge)["error"] == f"dependency #{push} failed"


@needs_gh
def test_what_names_the_target_waits_for_the_pull_request(hub: Scene, forge: Forge) -> None:
    note, tip = deploys(hub), topic(hub)
    dispatched: list[int] = []

    def merged(_number: int) -> None:
        dispatched.append(len(forge.dispatches))
        assert not note.exists()
        hub.bare.git("fetch", "-q", str(hub.top), "topic-12:main")

    forge.on_merge = merged
    add(hub, "deploy", "prod", ref="main")
    ask(hub, ref="main")
    add(hub, "merge", "main", pr=12)
    (result,) = flushed(hub)
    assert result.success
    assert dispatched == [0]
    assert len(forge.dispatches) == 1
    assert note.read_text().split()[1] == tip


@needs_gh
def test_a_deploy_is_told_the_commit_that_github_made_of_the_pull_request(hub: Scene, forge: Forge) -> None:
    note, tip = deploys(hub), topic(hub)

    def merged(_number: int) -> None:
        hub.bare.git("fetch", "-q", str(hub.top), "topic-12:main")

    forge.on_merge = merged
    add(hub, "merge", "main", pr=12)
    add(hub, "deploy", "prod", ref="main")
    flushed(hub)
    assert note.read_text().split() == [tip, tip]


@needs_gh
def test_a_pull_request_that_is_not_merged_is_not_deployed(hub: Scene, forge: Forge) -> None:
    note = deploys(hub)
    forge.unmergeable.add(12)
    deploy = add(hub, "deploy", "prod", ref="main")
    other = deploys(hub, "docs")
    add(hub, "deploy", "docs", ref="release")
    merge = add(hub, "merge", "main", pr=12)
    flushed(hub)
    assert not note.exists()
    assert row(hub, deploy)["error"] == f"dependency #{merge} failed"
    assert other.exists()


# -- gh itself -------------------------------------------------------------------------------------------


def without_gh(scene: Scene) -> None:
    """A PATH on which there is everything but gh."""
    tools = scene.root / "tools"
    tools.mkdir()
    for place in reversed(scene.env["PATH"].split(":")):
        for tool in Path(place).glob("*"):
            if tool.name != "gh":
                (tools / tool.name).unlink(missing_ok=True)
                (tools / tool.name).symlink_to(tool)
    scene.env["PATH"] = str(tools)


@pytest.mark.parametrize("reason", ["missing", pytest.param("logged-out", marks=needs_gh)])
def test_without_gh_or_a_login_what_needs_it_fails_and_the_rest_goes_on(
    hub: Scene, forge: Forge, reason: str
) -> None:
    if reason == "missing":
        without_gh(hub)
        why = "gh is not installed: install it, or take the action out of the queue"
    else:
        for name in ("GH_TOKEN", "GH_HOST"):
            del hub.env[name]
        why = "gh is not logged in: run `gh auth login`, or set GH_TOKEN"
    note, tip = deploys(hub), hub.commit("a")
    needs = [ask(hub), add(hub, "merge", "release", pr=12)]
    add(hub, "push", "main")
    add(hub, "deploy", "prod", ref="main")
    (result,) = flushed(hub)
    assert (result.executed_actions, result.failed_actions, result.deferred_actions) == (2, 2, 0)
    assert result.errors == (why,)
    assert [(row(hub, n)["status"], row(hub, n)["error"], row(hub, n)["attempts"]) for n in needs] == [
        ("failed", why, 0)
    ] * 2
    assert hub.there() == tip
    assert note.read_text().split() == [tip, tip]
    assert forge.requests == []


@needs_gh
def test_a_login_that_github_does_not_take_fails_at_once(hub: Scene, forge: Forge) -> None:
    hub.env["GH_TOKEN"] = "old"  # noqa: S105
    number = ask(hub)
    (result,) = flushed(hub)
    assert "HTTP 401: Bad credentials" in result.errors[0]
    assert (row(hub, number)["status"], row(hub, number)["attempts"]) == ("failed", 0)
    # gh 2.23 keeps such an answer for a day, and would give it to whoever asks next
    hub.env["GH_TOKEN"] = "x"  # noqa: S105
    ask(hub)
    assert flushed(hub)[0].success
    assert len(forge.dispatches) == 1


def pretended(scene: Scene, text: str) -> None:
    """Let a script be gh."""
    scene.git("config", "uam.gh.repo", "github.localhost/o/r")
    scene.git("config", "uam.gh.repo", REPO)
    script(scene.root / "bin" / "gh", text)
    scene.env["PATH"] = f"{scene.root / 'bin'}:{scene.env['PATH']}"


def test_gh_gets_no_terminal_and_asks_nothing(scene: Scene) -> None:
    """Also where the flush has one: gh would ask a question there, and wait for ever."""
    note = scene.root / "note"
    pretended(scene, (
        f'exec 3>"{note}"\n'
        'for fd in 0 1 2; do [ -t $fd ] && echo "fd $fd is a terminal" >&3; done\n'
        '(: </dev/tty) 2>/dev/null && echo "there is a terminal" >&3\n'
        'read -r line && echo "something can be read" >&3\n'
        'echo "prompts disabled: $GH_PROMPT_DISABLED" >&3\n'
        'echo "$@" >&3\n'
    ))  # fmt: skip
    ask(scene)
    terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = scene.execute(sys.executable, "-I", "-c", terminal, "sh", "-c", "[ -t 0 ] && : </dev/tty && git uam flush")
    assert done.code == 0, done
    words = f"workflow run --ref main --repo {REPO} -- test.yml"
    assert note.read_text().splitlines() == ["prompts disabled: 1", words]


@pytest.mark.parametrize("way", ["exec sleep 600", "trap 'exit 1' TERM\nsleep 600 &\nwait"], ids=["killed", "ends"])
def test_a_gh_that_takes_too_long_is_ended_and_the_error_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whether it dies of that or ends by itself when it is told to."""
    monkeypatch.setattr(gh, "TIMEOUT_SECONDS", 0.3)
    pretended(scene, f'echo "Looking at it"\n{way}\n')
    ask(scene)
    (result,) = flushed(scene)
    assert not result.success
    assert "was ended after 0.3 s" in result.errors[0]


def test_what_gh_said_is_kept_in_its_log(scene: Scene) -> None:
    pretended(scene, 'echo "all is well"\necho "and more" >&2\n')
    number = ask(scene)
    flushed(scene)
    assert scene.paths.log_of(number).read_text() == "all is well\nand more\n"


# -- once ------------------------------------------------------------------------------------------------


@needs_gh
def test_flushes_at_the_same_time_dispatch_once(hub: Scene, forge: Forge) -> None:
    for number in range(4):
        ask(hub, inputs={"n": number})
    add(hub, "merge", "main", pr=12)
    running = [hub.start("uam", "flush") for _ in range(3)]
    done = [finished(process) for process in running]
    assert [one.code for one in done] == [0, 0, 0], done
    assert sorted(found.inputs["n"] for found in forge.dispatches) == ["0", "1", "2", "3"]
    assert len(forge.merges) == 1
    assert hub.flushers() == []


@needs_gh
def test_a_dry_run_asks_github_nothing(hub: Scene, forge: Forge, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [ask(hub, inputs={"env": "staging"}), add(hub, "merge", "main", pr=12, method="squash")]
    with batcher(hub, dry_run=True) as queue:
        assert queue.flush_all() == []
        batch = queue.create_batch()
        assert batch is None or queue.execute_batch(batch.id).executed_actions == 0
    said = capsys.readouterr().out
    assert "staging" in said
    assert "pr merge 12" in said
    done = hub.run("uam", "flush", "--dry-run")
    assert done.code == 0
    assert "test.yml" in done.out
    assert forge.requests == []
    assert [row(hub, number)["status"] for number in numbers] == ["pending", "pending"]
    flushed(hub)
    assert (len(forge.dispatches), len(forge.merges)) == (1, 1)
