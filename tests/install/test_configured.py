"""Hooks from config (git 2.54 and newer): nobody's hook moves for ours, none takes our place, and nothing is twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.install.test_beside_other_tools import OTHERS, Other, husky, installed
from tests.support.commands import call, facts, said
from tests.support.gits import CONFIG_HOOKS, needs_config_hooks, needs_older, newer, path_of
from tests.support.scenes import Scene, script

TOLD = ("pre-commit", "post-commit", "post-rewrite")


@pytest.fixture
def new(plain: Scene) -> Scene:
    """A repository that we are not installed in, of somebody whose git has hooks from config."""
    plain.git("config", "uam.window.push", "50ms")
    return newer(plain, CONFIG_HOOKS)


def everything(scene: Scene) -> dict[str, bytes]:
    """The config file and the hooks."""
    paths = [scene.top / ".git/config", *(scene.top / ".git/hooks").iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def foreign(scene: Scene, *names: str) -> Path:
    """Hooks that were there before, each of which writes its name into the file that this gives."""
    log = scene.root / "log"
    for name in names:
        script(scene.top / ".git/hooks" / name, f'echo {name} >>"{log}"\n')
    return log


def noted(scene: Scene) -> list[str]:
    """The first word and the commit of each file in the spool."""
    texts = [path.read_text() for path in sorted((scene.uam / "spool").iterdir())]
    return [" ".join(text.split()[:2]) for text in texts]


def marks(scene: Scene) -> list[Path]:
    return list((scene.uam / "inflight").iterdir())


@needs_config_hooks
def test_d_nobodys_hook_moves_and_everybodys_runs_once(new: Scene) -> None:
    log = foreign(new, "pre-commit", "post-commit")
    before = everything(new)
    for _ in range(2):
        installed(new)
        kept = {name: text for name, text in everything(new).items() if name in before and name != "config"}
        assert kept == {name: text for name, text in before.items() if name != "config"}
        assert sorted(set(everything(new)) - set(before)) == ["post-rewrite", "pre-push"]
    agent = new.worktree("agent")
    one, two = new.commit("a"), agent.commit("b", "", "--no-verify")
    assert sorted(noted(new)) == sorted([f"commit {one}", f"commit {two}"])
    assert (marks(new), log.read_text().split()) == ([], ["pre-commit", "post-commit", "post-commit"])
    assert new.push("origin", "HEAD:main").code == 0
    assert (new.there(), facts(new, "status")["hooks"]) == (one, [])
    assert call(new, "uninstall", "--force").code == 0
    assert everything(new) == before


@needs_config_hooks
def test_d_what_git_runs_twice_leaves_nothing_twice(new: Scene) -> None:
    installed(new)
    assert set(everything(new)) == {"config", *TOLD, "pre-push"}
    seen = foreign(new, "post-commit.before-uam")
    script(new.top / ".git/hooks/post-commit.before-uam", f'ls "{new.uam}/inflight" >>"{seen}"\n')
    old = new.commit("a")
    assert noted(new) == [f"commit {old}"]
    assert (marks(new), len(seen.read_text().split())) == ([], 1)  # no settle begins while theirs runs
    new.git("commit", "-q", "--amend", "-m", "better")
    assert sorted(noted(new)) == sorted([f"commit {old}", f"commit {new.oid('HEAD')}", f"rewrite {old}"])
    (waiting,) = facts(new, "status")["waiting"]
    assert [member["commit"] for member in waiting["members"]] == [new.oid("HEAD")]


@needs_config_hooks
@pytest.mark.parametrize("tool", ["lefthook"])
def test_d4_a_tool_that_comes_later_takes_the_place_of_no_commit_hook(new: Scene, tool: str) -> None:
    installed(new)
    other = Other(new, *OTHERS[tool], *TOLD, "pre-push")
    other.install()
    tip = new.commit("a")
    assert (noted(new), other.ran()) == ([f"commit {tip}"], ["pre-commit", "post-commit"])
    assert [row["hook"] for row in facts(new, "status")["hooks"]] == ["pre-push"]
    installed(new)
    assert [path.name for path in other.directory.glob("*.before-uam")] == ["pre-push.before-uam"]
    assert facts(new, "status")["hooks"] == []


@needs_config_hooks
def test_d5_husky_has_our_commit_hooks_as_well(new: Scene) -> None:
    husky(new)
    before = everything(new)
    done = call(new, "install")
    assert (done.code, "hooks in git's config" in done.out, "no hooks: " in done.out) == (0, True, False), done
    tip = new.commit("a")
    assert (noted(new), marks(new), facts(new, "status")["hooks"]) == ([f"commit {tip}"], [], [])
    assert new.push("origin", "HEAD:main").code == 0
    assert call(new, "install", "--door-only").code == 0
    new.commit("b")
    assert noted(new) == []
    assert call(new, "uninstall").code == 0
    assert everything(new) == before


@needs_older
@needs_config_hooks
def test_d_an_older_git_in_the_same_repository_says_what_it_does_not_run(new: Scene) -> None:
    foreign(new, "pre-commit", "post-commit.old")
    installed(new)
    (new.top / ".git/hooks/post-commit").unlink()
    assert facts(new, "status")["hooks"] == []
    new.env["PATH"] = path_of("")
    assert [row["hook"] for row in facts(new, "status")["hooks"]] == ["pre-commit", "post-commit"]
    assert "run `git uam install`" in said(new, "status")
    installed(new)
    tip = new.commit("a")
    assert (noted(new), facts(new, "status")["hooks"]) == ([f"commit {tip}"], [])
    tip = newer(new, CONFIG_HOOKS).commit("b")  # which the older one has not taken away from
    assert noted(new) == [f"commit {tip}"]


@needs_config_hooks
def test_a_config_without_what_it_names_is_in_the_way_of_no_commit(new: Scene) -> None:
    installed(new)
    shutil.rmtree(new.uam)
    assert new.run("commit", "-q", "--allow-empty", "-m", "a") == (0, "", "")


@needs_config_hooks
def test_what_the_tree_has_at_a_path_like_the_command_is_not_run(new: Scene) -> None:
    """sh has the command's text as its name, and a hook from before lies beside the name of ours."""
    installed(new)
    command = new.git("config", "hook.uam-pre-commit.command")
    script(new.top / command.rpartition("/")[0] / "pre-commit.before-uam", f'touch "{new.root}/run"\n')
    new.git("add", ".")
    new.git("commit", "-q", "-m", "a")
    assert not (new.root / "run").exists()


@needs_older
def test_an_older_git_has_files_and_nothing_in_its_config(scene: Scene) -> None:
    assert set(everything(scene)) == {"config", *TOLD, "pre-push"}
    assert scene.run("config", "--get-regexp", "^hook").code == 1
    assert not (scene.uam / "hooks").exists()
