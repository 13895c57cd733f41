"""The demo, played for real: what it prints is what its remotes hold, and it says so when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import uam_hooks.cli.demo as command
import uam_hooks.demo.demo as demo
from tests.support.scenes import script
from tests.support.shapes import Seen
from uam_hooks.demo.ci import Run, broken_for, together
from uam_hooks.demo.demo import Outcome, play
from uam_hooks.demo.scenario import Scenario, shipped
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.install.install import InstallReport, install


def scenario_of(path: Path, *agents: tuple[str, list[dict[str, Any]]], window: str = "300ms") -> Scenario:
    """A scenario of these agents and one act, by way of a file."""
    acts = [{"title": "All push.", "rounds": dict(agents)}]
    found = {"window": window, "ci_minutes": 5, "start": {"README": "begin\n"}, "acts": acts}
    path.write_text(json.dumps(found))
    return Scenario.read(path)


def agent(name: str, *rounds: str, file: str = "") -> tuple[str, list[dict[str, Any]]]:
    """An agent that makes one commit with this message in each round."""
    commits = [{"commits": [{"message": m, "file": file or f"{name}.txt", "contents": f"{m}\n"}]} for m in rounds]
    return name, commits


def git(at: Path, *args: str, feed: str | None = None) -> str:
    done = subprocess.run(["git", *args], cwd=at, input=feed, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def lines(text: str) -> list[str]:
    return text.splitlines()


class Played(NamedTuple):
    """What `git uam demo --keep --json --html` has printed and left, by somebody with settings of all kinds."""

    root: Path
    found: dict[str, Any]
    page: Path
    scenario: Scenario


def played(place: Path) -> Played:
    """The shipped scenario, played by the program; it touches nothing of its caller's."""
    home, directory, caller = place / "home", place / "tmp", place / "caller"
    for made in (home, directory, caller):
        made.mkdir()
    hooks = home / "hooks"
    hooks.mkdir()
    settings = f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgSign = true\n[uam]\n\tenabled = false\n"
    (home / ".gitconfig").write_text(settings)
    git(caller, "init", "-q")
    before = sorted(caller.rglob("*"))
    words = ["demo", "--keep", "--json", "--html", "../page.html"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", "from uam_hooks.cli import main; main()", *words],
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
    Seen().check("demo", found)
    kept = Path(found["kept"])
    assert [kept] == list(directory.iterdir())
    assert done.stderr == f"uam: the repositories of the demo are kept in {kept}\n"
    assert list(hooks.iterdir()) == []
    assert (home / ".gitconfig").read_text() == settings
    assert sorted(caller.rglob("*")) == before
    return Played(kept, found, place / "page.html", Scenario.read(shipped("demo.json")))


@pytest.mark.slow
def test_the_shipped_scenario_is_what_its_figures_say(tmp_path: Path) -> None:
    """Played once for all that is looked at."""
    once = played(tmp_path)
    for name in ("plain", "hooked"):
        every_figure_is_what_the_remote_holds(once, name)
    the_same_work_takes_fewer_runs_and_nobody_is_behind(once)
    the_conflict_and_the_combination_are_told_before_they_are_on_main(once)
    plain_agents_are_told_nothing_by_us(once)
    every_agent_committed_by_itself_in_its_own_worktree(once)
    the_page_is_about_what_was_played(once)


# -- what is measured is what is there -------------------------------------------------------------------


def every_figure_is_what_the_remote_holds(played: Played, name: str) -> None:
    side, remote = played.found[name], played.root / name / "remote.git"
    runs = lines((remote / "ci.log").read_text())
    assert side["ci_runs"] == len(runs) > 0
    assert side["ci_minutes"] == 5 * len(runs)
    onto_main = lines(git(remote, "rev-list", "main"))
    assert {run.split()[0] for run in runs} <= set(onto_main)
    assert {run.split()[1] for run in runs} == {"refs/heads/main"}
    verdicts = [line.split() for line in lines((remote / "verdicts").read_text())]
    assert [commit for commit, _ in verdicts] == [run.split()[0] for run in runs]
    assert side["ci_failed"] == [word for _, word in verdicts].count("fail")
    assert side["commits"] == len(onto_main) - 1
    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert 0 < side["acts"][0] < side["acts"][1] < side["acts"][2] == side["seconds"]
    held = {path: git(remote, "cat-file", "blob", f"main:{path}") for path in
            lines(git(remote, "ls-tree", "-r", "--name-only", "main"))}  # fmt: skip
    assert held == {path: contents.strip() for path, contents in played.scenario.files().items()}
    assert side["tree"] == git(remote, "rev-parse", "main^{tree}") == played.found["expected_tree"]


def the_same_work_takes_fewer_runs_and_nobody_is_behind(played: Played) -> None:
    plain, hooked = played.found["plain"], played.found["hooked"]
    pushes = len(played.scenario.rounds)
    commits = sum(len(one.commits) for one in played.scenario.rounds)
    # one more for what mends the tests
    assert (plain["ci_runs"], plain["commits"]) == (pushes + 1, commits + 1)
    assert hooked["ci_runs"] < plain["ci_runs"]
    assert hooked["commits"] == pushes  # each push is one commit
    assert len(plain["pushes"]) == len(hooked["pushes"]) == pushes
    assert 0 < min(hooked["pushes"]) <= max(hooked["pushes"]) <= hooked["seconds"]
    assert (hooked["rejected"], hooked["behind"]) == (2, 0)
    assert plain["rejected"] == plain["behind"] > 0
    assert plain["failed"] == hooked["failed"] == {}
    assert played.found["success"]


def the_conflict_and_the_combination_are_told_before_they_are_on_main(played: Played) -> None:
    """With plain git, CI finds the combination on main, and its author mends it there."""
    plain, hooked = played.found["plain"], played.found["hooked"]
    for side in (plain, hooked):
        (conflict,), (combination,) = side["conflicts"], side["combinations"]
        assert (conflict["files"], combination["files"]) == (["NEWS.md"], ["shop/receipt.py"])
        assert conflict["agent"] in ("agent-a", "agent-b")
        assert combination["agent"] in ("agent-b", "agent-c")
        assert (conflict["told"] != []) == (combination["told"] != []) == (side is hooked)
    assert plain["ci_failed"] > 0
    assert plain["broken_seconds"] > 0
    assert (hooked["ci_failed"], hooked["broken_seconds"]) == (0, 0)
    told = hooked["conflicts"][0]["told"]
    assert any("NEWS.md conflicts with the work of agent-" in line for line in told)
    told = hooked["combinations"][0]["told"]
    assert any(
        "the gate tests fails, it passes alone and fails together with the work of agent-" in line for line in told
    )


def plain_agents_are_told_nothing_by_us(played: Played) -> None:
    assert not any(played.found["plain"]["told"].values())
    assert not (played.root / "plain/work/.git/uam").exists()
    assert (played.root / "hooked/work/.git/uam/env").exists()
    assert any("landed on origin/main" in line for told in played.found["hooked"]["told"].values() for line in told)


def every_agent_committed_by_itself_in_its_own_worktree(played: Played) -> None:
    work = played.root / "hooked/work"
    found = lines(git(work, "log", "--format=%an", "refs/uam/shadow/origin/main"))
    assert set(played.scenario.agents) <= set(found)
    branches = lines(git(work, "for-each-ref", "--format=%(refname:short)", "refs/heads"))
    assert branches == ["agent-a", "agent-b", "agent-c", "main"]


def the_page_is_about_what_was_played(played: Played) -> None:
    assert played.found["page"] == str(played.page)
    page = played.page.read_text()
    for word in (*played.scenario.agents, "NEWS.md", "Test the cart"):
        assert word in page


def test_a_run_that_the_message_skips_is_no_run(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path / "s.json", agent("one", "First", "Words only [skip ci]"))
    outcome = play(scenario, tmp_path / "root")
    assert outcome.success
    assert (outcome.plain.commits, outcome.plain.ci_runs) == (2, 1)
    assert (outcome.hooked.commits, outcome.hooked.ci_runs) == (2, 1)


def test_runs_that_meet_and_how_long_main_fails_its_tests() -> None:
    runs = [Run("a", 0, True), Run("b", 1, False), Run("c", 4, False), Run("d", 4.5, True), Run("e", 9, False)]
    assert (together(runs, 2.0), together(runs, 0.5), broken_for(runs)) == (2, 0, 3.5)
    assert (together([], 2.0), broken_for([])) == (0, 0)


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


def test_it_prints_both_columns_and_leaves_nothing(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether both pushes meet in one window depends on the machine; what is printed is what was measured."""
    outcomes: list[Outcome] = []

    def playing(*args: Any) -> Outcome:
        outcomes.append(play(*args))
        return outcomes[0]

    monkeypatch.setattr(command, "play", playing)
    before = dict(os.environ)
    assert run() == 0
    assert dict(os.environ) == before
    said = capsys.readouterr()
    assert said.err == ""
    rows = [line.split() for line in lines(said.out)]
    ((plain, hooked, _),) = outcomes
    assert plain.ci_runs == 2
    assert hooked.ci_runs in (1, 2)
    assert ["plain", "git", "git", "uam"] in rows
    assert ["CI", "runs", "2", f"{hooked.ci_runs}"] in rows
    assert ["CI", "minutes,", "at", "5", "a", "run", "10", f"{5 * hooked.ci_runs}"] in rows
    assert ["new", "commits", "on", "main", "2", "2"] in rows
    assert "Checked: both remotes hold the same 3 files on main" in said.out
    assert list(small.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("opens", [True, False])
def test_the_page_opens_in_a_browser_where_there_is_one(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], opens: bool
) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    seen, page = small.parent / "seen", small.parent / "the page.html"
    if opens:
        browser = script(small.parent / "browser", f'echo "$1" >"{seen}"\n')
        monkeypatch.setenv("BROWSER", f"{browser} %s")
    assert run("--html", str(page)) == 0
    said = capsys.readouterr().out
    assert "Add one" in page.read_text()
    how = "opens in your browser" if opens else "is for a browser; here is none"
    assert said.endswith(f"The page about it {how}: {page}\n")
    assert (seen.read_text() if seen.exists() else "") == (f"{page.as_uri()}\n" if opens else "")


def test_a_page_that_can_go_nowhere_is_refused_before_anything_is_played(small: Path) -> None:
    with pytest.raises(UsageError, match="There is no directory"):
        run("--html", str(small / "none" / "page.html"))
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
        ('{"window": "soon", "ci_minutes": 5, "start": {}, "acts": []}', "is not a scenario"),
        ('{"window": "1s", "ci_minutes": 5, "start": {}, "acts": [{"title": "", "rounds": []}]}', "is not a scenario"),
    ],
)
def test_a_scenario_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        Scenario.read(tmp_path / "s.json")


def test_agents_may_not_write_the_same_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Two agents of the scenario write same\.txt"):
        scenario_of(tmp_path / "s.json", agent("one", "1", file="same.txt"), agent("two", "2", file="same.txt"))
