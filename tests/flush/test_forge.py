"""The stand-in of the GitHub API and the real gh agree; what gh says to each answer is what our code has to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forge import REPO, Dispatch, Forge, Merge, needs_gh
from tests.support.scenes import Done, Worktree, script

pytestmark = needs_gh


@pytest.fixture
def agent(tmp_path: Path, forge: Forge) -> Iterator[Worktree]:
    """Somebody in an empty home, in no repository; gh must leave nothing there, and ask no git."""
    home, mark = tmp_path / "home", tmp_path / "asked"
    home.mkdir()
    script(tmp_path / "bin" / "git", f'echo "$@" >>"{mark}"\nexit 99\n')
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    yield Worktree(home, {"PATH": path, "HOME": str(home), **forge.env})
    assert not list(home.iterdir())
    assert not mark.exists()


def run(agent: Worktree, workflow: str, *options: str) -> Done:
    return agent.execute("gh", "workflow", "run", "--ref", "main", *options, "-R", REPO, "--", workflow)


def merge(agent: Worktree, number: int, *options: str) -> Done:
    return agent.execute("gh", "pr", "merge", *(options or ("--merge",)), "-R", REPO, "--", str(number))


def test_a_workflow_runs_with_its_ref_and_inputs(agent: Worktree, forge: Forge) -> None:
    assert run(agent, "build.yml", "-f", "env=staging", "-f", "note=a b=c") == Done(0, "", "")
    assert forge.dispatches == [Dispatch("build.yml", "main", {"env": "staging", "note": "a b=c"})]
    workflows = "/repos/o/r/actions/workflows"
    assert forge.requests == [("GET", f"{workflows}/build.yml"), ("POST", f"{workflows}/3/dispatches")]


def test_workflows_are_counted_in_order_however_they_are_named(agent: Worktree, forge: Forge) -> None:
    for name in ("test.yml", "test.yml", "deploy", "2"):
        assert run(agent, name).code == 0
    assert [found.workflow for found in forge.dispatches] == ["test.yml", "test.yml", "deploy.yml", "deploy.yml"]


def test_what_is_not_there_is_not_found(agent: Worktree, forge: Forge) -> None:
    forge.unknown |= {"gone.yml", 7}
    done = run(agent, "gone.yml")
    assert done.code == 1
    assert "HTTP 404: " in done.err
    done = run(agent, "gone")
    assert (done.code, done.err) == (1, "could not find any workflows named gone\n")
    done = merge(agent, 7)
    says = "GraphQL: Could not resolve to a PullRequest with the number of 7. (repository.pullRequest)\n"
    assert (done.code, done.err) == (1, says)
    assert not forge.dispatches
    assert not forge.merges


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (502, "", "HTTP 502: Bad Gateway (http://api.github.localhost/repos/o/r/actions/workflows/1/dispatches)"),
        (422, "No ref found for: main", "HTTP 422: No ref found for: main (http://api.github.localhost/repos/o/r"
         "/actions/workflows/1/dispatches)"),
        (0, "", 'Post "http://api.github.localhost/repos/o/r/actions/workflows/1/dispatches": EOF'),
    ],
    ids=["bad-gateway", "invalid", "hung-up"],
)  # fmt: skip
def test_a_dispatch_that_fails_once(agent: Worktree, forge: Forge, status: int, message: str, says: str) -> None:
    forge.failing(1, status, message)
    assert run(agent, "test.yml") == Done(1, "", f"could not create workflow dispatch event: {says}\n")
    assert not forge.dispatches
    assert run(agent, "test.yml").code == 0
    assert len(forge.dispatches) == forge.failed == 1


def test_an_answer_that_is_lost_after_the_change_was_made(agent: Worktree, forge: Forge) -> None:
    forge.failing(2, late=True)
    assert run(agent, "test.yml").code == 1
    assert "502" in merge(agent, 12).err
    assert (len(forge.dispatches), len(forge.merges), forge.failed) == (1, 1, 2)


def test_without_a_login_gh_asks_nobody(agent: Worktree, forge: Forge) -> None:
    # a GH_HOST is a login to gh, which then asks without a token
    for name in ("GH_TOKEN", "GH_HOST"):
        del agent.env[name]
    for done in (run(agent, "test.yml"), merge(agent, 12)):
        assert done.code == 4
        assert "gh auth login" in done.err
    assert not forge.requests


@pytest.mark.parametrize(("token", "says"), [("", "Requires authentication"), ("old", "Bad credentials")])
def test_a_login_that_github_does_not_take(agent: Worktree, forge: Forge, token: str, says: str) -> None:
    agent.env["GH_TOKEN"] = token
    done = run(agent, "test.yml")
    assert done.code == 1
    assert f"HTTP 401: {says} (" in done.err
    assert merge(agent, 12).code == 1
    assert not forge.merges


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_pull_request_is_merged_once(agent: Worktree, forge: Forge, method: str) -> None:
    called: list[int] = []
    forge.on_merge = called.append
    assert merge(agent, 12, f"--{method}") == Done(0, "", "")
    again = merge(agent, 12, f"--{method}")
    assert (again.code, again.out) == (0, "")
    assert "was already merged" in again.err
    assert merge(agent, 13, f"--{method}", "--subject", "A title", "--body", "") == Done(0, "", "")
    assert forge.merges == [Merge(12, method, None, None), Merge(13, method, "A title", "")]
    assert called == [12, 13]


def test_a_pull_request_with_conflicts_is_not_merged(agent: Worktree, forge: Forge) -> None:
    forge.unmergeable.add(12)
    done = merge(agent, 12)
    assert done.code == 1
    assert "is not mergeable: the merge commit cannot be cleanly created." in done.err
    assert not forge.merges


def test_a_merge_that_fails_once(agent: Worktree, forge: Forge) -> None:
    forge.failing(1)
    forge.failing(1, 200, "Base branch was modified. Review and try the merge again.")
    done = merge(agent, 12)
    assert done.code == 1
    assert "502" in done.err
    done = merge(agent, 12)
    assert done.code == 1
    assert "Base branch was modified. Review and try the merge again." in done.err
    assert merge(agent, 12) == Done(0, "", "")
    assert (len(forge.merges), forge.failed) == (1, 2)


def test_a_network_that_is_down(tmp_path: Path) -> None:
    with Forge(tmp_path / "forge") as forge:
        agent = Worktree(tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **forge.env})
    for done in (run(agent, "test.yml"), merge(agent, 12)):
        assert done.code == 1
        assert done.err.endswith("connect: connection refused\n")
