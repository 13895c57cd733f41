"""The demo, played for real: what it prints is what its remotes hold, and it says so when something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import uam_hooks.cli.demo as command
import uam_hooks.demo.demo as demo
from uam_hooks.demo.demo import Outcome, Scenario, play
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.install.install import InstallReport, install

SHIPPED = demo.shipped("demo.json")


def scenario_of(path: Path, *agents: dict[str, Any], window: str = "300ms") -> Scenario:
    """A scenario of these agents, by way of a file."""
    found = {"window": window, "ci_minutes": 5, "start": {"README": "begin\n"}, "agents": agents}
    path.write_text(json.dumps(found))
    return Scenario.read(path)


def agent(name: str, *rounds: str, file: str = "") -> dict[str, Any]:
    """An agent that makes one commit with this message in each round."""
    commits = [[{"message": m, "file": file or f"{name}.txt", "contents": f"{m}\n"}] for m in rounds]
    return {"name": name, "rounds": commits}


def git(at: Path, *args: str, feed: str | None = None) -> str:
    done = subprocess.run(["git", *args], cwd=at, input=feed, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def lines(text: str) -> list[str]:
    return text.splitlines()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scenario, Outcome]:
    """The shipped scenario with a short window, played once."""
    root = tmp_path_factory.mktemp("demo")
    scenario = Scenario.read(SHIPPED)._replace(window="300ms")
    return root, scenario, play(scenario, root)


# -- what is measured is what is there -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "hooked"])
def test_every_figure_is_what_the_remote_holds(played: tuple[Path, Scenario, Outcome], name: str) -> None:
    root, scenario, outcome = played
    side, remote = getattr(outcome, name), root / name / "remote.git"
    runs = lines((remote / "ci.log").read_text())
    assert side.ci_runs == len(runs) > 0
    assert side.ci_minutes == 5 * len(runs)
    onto_main = lines(git(remote, "rev-list", "main"))
    assert {run.split()[0] for run in runs} <= set(onto_main)
    assert {run.split()[1] for run in runs} == {"refs/heads/main"}
    assert side.commits == len(onto_main) - 1
    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert side.seconds > 0
    held = {path: git(remote, "cat-file", "blob", f"main:{path}") for path in
            lines(git(remote, "ls-tree", "-r", "--name-only", "main"))}  # fmt: skip
    assert held == {path: contents.strip() for path, contents in scenario.files().items()}


def test_the_same_work_takes_fewer_runs_and_no_rejections(played: tuple[Path, Scenario, Outcome]) -> None:
    _, scenario, (plain, hooked, expected) = played
    pushes = sum(len(agent.rounds) for agent in scenario.agents)
    commits = sum(len(round_) for agent in scenario.agents for round_ in agent.rounds)
    assert (plain.ci_runs, plain.commits) == (pushes, commits)
    assert hooked.ci_runs < plain.ci_runs
    assert hooked.commits == pushes  # each push is one commit
    assert len(plain.pushes) == len(hooked.pushes) == pushes
    assert 0 < min(hooked.pushes) <= max(hooked.pushes) <= hooked.seconds
    assert hooked.rejected == 0
    assert plain.tree == hooked.tree == expected
    assert plain.failed == hooked.failed == {}


def test_plain_agents_are_told_nothing_by_us(played: tuple[Path, Scenario, Outcome]) -> None:
    root, _, outcome = played
    assert not any(outcome.plain.told.values())
    assert not (root / "plain/work/.git/uam").exists()
    assert (root / "hooked/work/.git/uam/env").exists()
    assert any("landed on origin/main" in line for told in outcome.hooked.told.values() for line in told)


def test_every_agent_committed_by_itself_in_its_own_worktree(played: tuple[Path, Scenario, Outcome]) -> None:
    root, scenario, _ = played
    authors = {name.name for name in scenario.agents}
    found = lines(git(root / "hooked/work", "log", "--format=%an", "refs/uam/shadow/origin/main"))
    assert authors <= set(found)
    branches = lines(git(root / "hooked/work", "for-each-ref", "--format=%(refname:short)", "refs/heads"))
    assert branches == ["agent-a", "agent-b", "agent-c", "main"]


def test_a_run_that_the_message_skips_is_no_run(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path / "s.json", agent("one", "First", "Words only [skip ci]"))
    outcome = play(scenario, tmp_path / "root")
    assert outcome.success
    assert (outcome.plain.commits, outcome.plain.ci_runs) == (2, 1)
    assert (outcome.hooked.commits, outcome.hooked.ci_runs) == (2, 1)


# -- when something is wrong -----------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`git uam demo` plays two agents and one round; gives the directory that its temporary ones are in."""
    scenario_of(tmp_path / "s.json", agent("one", "Add one"), agent("two", "Add two"))
    monkeypatch.setattr(command, "shipped", lambda _name: tmp_path / "s.json")
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def run(*args: str) -> int:
    status = command.demo.main(list(args), standalone_mode=False)
    assert isinstance(status, int)
    return status


def test_it_prints_both_columns_and_leaves_nothing(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    assert run() == 0
    assert dict(os.environ) == before
    said = capsys.readouterr()
    assert said.err == ""
    rows = [line.split() for line in lines(said.out)]
    assert ["plain", "git", "git", "uam"] in rows
    assert ["CI", "runs", "2", "1"] in rows
    assert ["CI", "minutes,", "at", "5", "a", "run", "10", "5"] in rows
    assert ["new", "commits", "on", "main", "2", "2"] in rows
    assert "Checked: both remotes hold the same 3 files on main" in said.out
    assert list(small.iterdir()) == []


@pytest.mark.slow
def test_a_tampered_remote_is_found_out(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tampering(remote: Path) -> list[str]:
        if "hooked" in remote.parts:
            rest = "".join(f"{line}\n" for line in lines(git(remote, "ls-tree", "main")) if "one.txt" not in line)
            tree = git(remote, "mktree", feed=rest)
            lost = git(remote, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", "-p", "main", "-m", "L", tree)
            git(remote, "update-ref", "refs/heads/main", lost)
        return counted(remote)

    counted = demo.ci_runs
    monkeypatch.setattr(demo, "ci_runs", tampering)
    assert run() == 1
    said = capsys.readouterr().out
    assert "FAILED: the remotes do not hold the same files" in said
    assert "Checked" not in said
    assert list(small.iterdir()) == []


def test_the_same_loss_on_both_sides_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = scenario_of(tmp_path / "s.json", agent("one", "Add one"))
    monkeypatch.setattr(Scenario, "files", lambda _self: {"README": "begin\n", "one.txt": "Add one\n", "lost": "\n"})
    outcome = play(scenario, tmp_path / "root")
    assert outcome.plain.tree == outcome.hooked.tree
    assert not outcome.same_files
    assert not outcome.success


@pytest.mark.slow
def test_a_push_that_fails_is_reported(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(repo: Repository) -> InstallReport:
        hook = repo.paths.common_dir.parent.parent / "remote.git/hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho no thanks >&2\nexit 1\n")
        hook.chmod(0o755)
        return install(repo)

    monkeypatch.setattr(demo, "install", refusing)
    assert run() == 1
    said = capsys.readouterr().out
    for name in ("one", "two"):
        assert f"FAILED: {name} with git uam: `git push` exited 1: " in said
    assert "no thanks" in said
    assert "with plain git:" not in said
    rejected = next(line.split() for line in lines(said) if line.startswith("rejected pushes"))
    assert rejected[-1] == "2"
    assert list(small.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "is not a scenario"),
        ("{", "is not a scenario"),
        ('{"window": "soon", "ci_minutes": 5, "start": {}, "agents": []}', "is not a scenario"),
    ],
)
def test_a_scenario_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        Scenario.read(tmp_path / "s.json")


def test_agents_may_not_write_the_same_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Two agents of the scenario write same\.txt"):
        scenario_of(tmp_path / "s.json", agent("one", "1", file="same.txt"), agent("two", "2", file="same.txt"))


# -- whose settings count --------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_touches_nothing_of_its_callers(tmp_path: Path) -> None:
    home, directory, caller = tmp_path / "home", tmp_path / "tmp", tmp_path / "caller"
    for made in (home, directory, caller):
        made.mkdir()
    hooks = home / "hooks"
    hooks.mkdir()
    settings = f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgSign = true\n[uam]\n\tenabled = false\n"
    (home / ".gitconfig").write_text(settings)
    git(caller, "init", "-q")
    before = sorted(caller.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-I", "-c", "from uam_hooks.cli import main; main()", "demo", "--keep", "--json"],
        cwd=caller,
        env={
            "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(directory), "UAM": "off",
            "GIT_DIR": str(caller / ".git"), "GIT_WORK_TREE": str(caller), "GIT_INDEX_FILE": str(caller / "index"),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "uam.window.push", "GIT_CONFIG_VALUE_0": "nonsense",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert (found["success"], found["same_files"], found["hooked"]["rejected"]) == (True, True, 0)
    assert found["hooked"]["ci_runs"] < found["plain"]["ci_runs"]
    kept = Path(found["kept"])
    assert [kept] == list(directory.iterdir())
    assert done.stderr == f"uam: the repositories of the demo are kept in {kept}\n"
    assert git(kept / "hooked/remote.git", "rev-parse", "main^{tree}") == found["expected_tree"]
    assert list(hooks.iterdir()) == []
    assert (home / ".gitconfig").read_text() == settings
    assert sorted(caller.rglob("*")) == before
    shutil.rmtree(kept)
