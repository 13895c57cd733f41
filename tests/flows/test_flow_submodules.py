"""A superproject and its submodule, both with a queue: whoever clones the one gets the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.landscape import environment
from tests.support.scenes import Done, Scene, Worktree
from uam_hooks.git.repo import Repository
from uam_hooks.install.install import install

pytestmark = pytest.mark.staying


class Super(Scene):
    """A scene with a submodule `sub`, of which the remote is sub.git."""

    def __init__(self, root: Path, like: Scene) -> None:
        super().__init__(root, like)
        # git asks for this before it clones a submodule from a path
        self.env.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="protocol.file.allow", GIT_CONFIG_VALUE_0="always")
        self.outside.git("init", "-q", "--bare", "sub.git")
        self.outside.git("clone", "-q", "sub.git", "seed")
        self.seed = Worktree(root / "seed", self.env)
        self.seed.commit("s0")
        self.seed.git("push", "-q", "origin", "main")
        self.git("submodule", "add", "-q", str(root / "sub.git"), "sub")
        self.git("commit", "-q", "-m", "Add sub")
        self.git("push", "-q", UAM="off")
        self.sub = Worktree(self.top / "sub", self.env)
        with environment(self.env), Repository.at(self.sub.top) as repo:
            install(repo, hooks_only=False)
        self.sub.git("config", "uam.window.push", "50ms")
        self.sub.git("config", "uam.window.company", "off")

    def use_new_commits(self) -> str:
        """Two commits in the submodule, and one here that names them; gives the one that is named."""
        self.sub.commit("s1")
        tip = self.sub.commit("s2")
        self.name_it()
        return tip

    def name_it(self, *options: str) -> None:
        self.git("add", "sub")
        self.git("commit", "-q", "-m", "Use what is in sub", *options)

    def cloned(self) -> Done:
        return self.outside.run("clone", "-q", "--recurse-submodules", "origin.git", "clone")

    def sub_has(self) -> list[str]:
        return Worktree(self.root / "sub.git", self.env).subjects("main")


@pytest.fixture
def both(tmp_path: Path, templates: dict[str, Scene]) -> Iterator[Super]:
    found = Super(tmp_path, templates["staying"])
    yield found
    found.close()


def named_there(both: Super) -> str:
    """The commit of the submodule that the superproject's remote names."""
    return both.bare.git("rev-parse", "main:sub")


def test_c7_what_the_superproject_names_lands_as_it_is(both: Super) -> None:
    tip = both.use_new_commits()
    assert both.sub.push().code == 0
    assert both.push().code == 0
    assert both.sub_has() == ["Add s2", "Add s1", "Add s0"]
    assert named_there(both) == tip
    assert both.cloned().code == 0


def test_c7_also_when_others_were_quicker_on_the_submodule(both: Super) -> None:
    tip = both.use_new_commits()
    both.seed.commit("theirs")
    both.seed.git("push", "-q", "origin", "main")
    assert both.sub.push().code == 0
    assert both.push().code == 0
    assert named_there(both) == tip
    assert both.cloned().code == 0
    assert set(both.sub_has()) > {"Add s2", "Add s1", "Add theirs"}


def test_c7_a_submodule_that_nobody_names_yet_lands_as_one(both: Super) -> None:
    both.sub.commit("s1")
    both.sub.commit("s2")
    assert both.sub.push().code == 0
    assert both.sub_has() == ["Squashed 2 commits:", "Add s0"]
    both.name_it()
    assert both.push().code == 0
    assert named_there(both) == both.sub.oid("HEAD")
    assert both.cloned().code == 0


@pytest.mark.parametrize("mode", ["wait", "queue"])
@pytest.mark.parametrize("how", ["option", "config"])
def test_c7_submodules_are_pushed_on_demand(both: Super, mode: str, how: str) -> None:
    both.git("config", "uam.push.mode", mode)
    both.sub.git("config", "uam.push.mode", mode)
    tip = both.use_new_commits()
    if how == "config":
        both.git("config", "push.recurseSubmodules", "on-demand")
    done = both.push(*(["--recurse-submodules=on-demand"] if how == "option" else []))
    assert done.code == 0, done
    both.idle()
    assert named_there(both) == tip
    assert both.cloned().code == 0


def test_c7_the_check_of_git_finds_what_has_not_been_pushed_and_what_has(both: Super) -> None:
    both.use_new_commits()
    done = both.push("--recurse-submodules=check")
    assert done.code == 128
    assert "can\nnot be found on any remote" in done.err
    assert both.there() == both.oid("main^")
    assert both.sub.push().code == 0
    assert both.push("--recurse-submodules=check").code == 0
    assert both.cloned().code == 0


@pytest.mark.parametrize("door", ["wired", "hook"])
def test_c7_a_commit_that_landed_in_another_form_is_refused(both: Super, door: str) -> None:
    both.sub.git("config", "uam.settle", "off")
    both.sub.commit("s1")
    tip = both.sub.commit("s2")
    assert both.sub.push().code == 0  # as one, and the submodule stays where it was
    both.name_it()
    to = ["origin"] if door == "wired" else [str(both.remote), "main"]
    before = both.there()
    done = both.push(*to)
    assert done.code == 1, done
    why = f"submodule sub is at {tip[:7]}, which landed on origin/main in another form, so nobody can check it out"
    assert f"{why}: `git -C sub uam sync origin/main`, `git add sub`, commit, and push again" in done.err
    assert both.there() == before
    assert both.rows("sources") == []
    both.git("-C", "sub", "uam", "sync", "origin/main")
    both.name_it("--amend")
    assert both.push().code == 0
    assert both.cloned().code == 0


def test_c7_a_submodule_without_a_queue_is_gits_business(both: Super) -> None:
    both.sub.git("uam", "uninstall")
    both.use_new_commits()
    assert both.push().code == 0


def test_h16_a_relative_url_in_a_submodule_with_a_config_of_its_worktree(both: Super) -> None:
    """Sparse checkouts and settings of one worktree move `core.worktree` into another file."""
    sub = both.sub
    sub.git("remote", "set-url", "origin", "../../sub.git")
    sub.git("sparse-checkout", "init")
    mine = sub.commit("s1")
    done = sub.push("--force-with-lease", "origin", "main")
    assert (done.code, both.sub_has()[0], sub.oid("origin/main")) == (0, "Add s1", mine), done
