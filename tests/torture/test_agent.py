"""What counts as a commit that an agent could not make."""

from __future__ import annotations

import pytest

from tests.support.scenes import Scene, script
from tests.torture import agent
from tests.torture.agent import Agent


@pytest.fixture
def one(plain: Scene, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """An agent that gives up soon, and has committed the file `a`."""
    monkeypatch.setattr(agent, "TRIES", 3)
    found = Agent(plain.top, "one", 1, plain.root / "stop", {**plain.env, "GIT_DIR_OF_AGENT": str(plain.top / ".git")})
    found.write("a", "a")
    assert found._record("a", "Add a")
    return found


def test_a_removal_that_was_refused_once_is_committed_at_the_next_try(one: Agent) -> None:
    script(one.top / ".git/hooks/pre-commit", "[ -e .git/again ] || { : >.git/again; exit 1; }\n")
    (one.top / "a").unlink()
    assert one._record("a", "Remove a")
    assert one.git("log", "-1", "--format=%s", "--name-status").out.split() == ["Remove", "a", "D", "a"]
    assert list(one.facts.of("violation")) == []


def test_a_commit_that_was_made_counts_although_its_git_was_killed(one: Agent) -> None:
    script(one.top / ".git/hooks/post-commit", "git commit-tree -p HEAD -m Later HEAD: >.git/later\n"
           'read -r later <.git/later; git update-ref HEAD "$later"; kill -9 $PPID\n')  # fmt: skip
    one.write("a", "b")
    assert one._record("a", "Edit a")
    assert one.git("log", "--format=%s").out.splitlines() == ["Later", "Edit a", "Add a", "Begin"]
    assert list(one.facts.of("violation")) == []


@pytest.mark.parametrize(("text", "what"), [
    ("b", "it cannot commit: 1"),
    ("a", "nothing is left to commit, and its commit is not there: 1"),
])  # fmt: skip
def test_a_commit_that_never_comes_is_a_violation(one: Agent, text: str, what: str) -> None:
    before = one.git("rev-parse", "HEAD").out
    script(one.top / ".git/hooks/pre-commit", "exit 1\n")
    one.write("a", text)
    assert not one._record("a", "Edit a")
    (found,) = one.facts.of("violation")
    assert found["what"].startswith(what)
    assert one.git("rev-parse", "HEAD").out == before


def test_a_lock_that_a_settle_has_left_is_a_violation(one: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "STALE", 0.0)
    for text, violations in (("", 0), ('{"branch": ""}\nend\n', 1)):
        (one.top / ".git/index.lock").write_text(text)
        one.write("a", f"after {text}")
        assert one._record("a", f"Edit a {violations}")
        assert len(list(one.facts.of("violation"))) == violations
    assert len(list(one.facts.of("lock"))) == 2
