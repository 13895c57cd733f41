"""Settings are read from git once, and again as soon as anything that they come from has changed."""

from __future__ import annotations

import os
import re
import time

import pytest

from tests.support.landscape import environment
from tests.support.scenes import Scene
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.settings import Settings


def value(repo: Repository) -> str:
    return Settings.read(repo).text("uam.agent")


def test_a_file_that_did_not_change_is_not_read_again(plain: Scene) -> None:
    log = plain.root / "trace"
    plain.git("config", "uam.agent", "ada")
    with environment({**plain.env, "GIT_TRACE2": str(log)}), Repository.at(plain.top) as repo:
        while not repo._configuration._stamps:  # the file is too young at first
            assert value(repo) == "ada"
        before = log.read_text()
        assert [value(repo), Settings.read(repo).text("uam.agent")] == ["ada", "ada"]
        assert Settings.read(repo).all("remote.origin.url") == [str(plain.remote)]
        assert log.read_text() == before


@pytest.mark.parametrize("where", ["local", "global", "included", "not there yet", "environment"])
def test_whatever_changes_is_seen(plain: Scene, where: str) -> None:
    config, included = plain.top / ".git" / "config", plain.root / "more"
    plain.git("config", "include.path", str(included))
    if where != "not there yet":
        plain.git("config", "--file", str(included), "uam.agent", "before")
    with environment(plain.env), Repository.at(plain.top) as repo:
        while not repo._configuration._stamps:
            assert value(repo) == ("" if where == "not there yet" else "before")
        if where == "environment":
            given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "uam.agent", "GIT_CONFIG_VALUE_0": "after"}
            repo.configure(given)
        else:
            file = {"local": config, "global": plain.home / "gitconfig"}.get(where, included)
            with file.open("a") as more:  # in place, without another name
                more.write("[uam]\n\tagent = after\n")
            if where == "global":
                included.write_text("")
        assert value(repo) == "after"


def test_a_file_that_comes_into_being_is_seen(plain: Scene) -> None:
    later = plain.root / "later"
    with environment({**plain.env, "GIT_CONFIG_GLOBAL": str(later)}), Repository.at(plain.top) as repo:
        while not repo._configuration._stamps:
            assert value(repo) == ""
        later.write_text("[uam]\n\tagent = after\n")
        assert value(repo) == "after"


def test_a_file_that_may_change_again_without_another_stamp_is_read_each_time(plain: Scene) -> None:
    """One that was changed in the same moment: here in one that is to come."""
    log, soon = plain.root / "trace", time.time() + 3600
    os.utime(plain.top / ".git" / "config", (soon, soon))
    with environment({**plain.env, "GIT_TRACE2": str(log)}), Repository.at(plain.top) as repo:
        for number in (1, 2):
            assert value(repo) == ""
            assert len(re.findall(r"start .*git config", log.read_text())) == number


def test_the_same_as_git_says(plain: Scene) -> None:
    for key, text in (
        ("uam.deploy.Prod.command", "a b"),
        ("URL.x.insteadOf", "y\nz"),
        ("user.name", "é"),
        ("other.k", "v"),
    ):
        plain.git("config", "--add", key, text)
    with (plain.top / ".git" / "config").open("a") as more:
        more.write("[uam]\n\tenabled\n")
    with environment(plain.env), Repository.at(plain.top) as repo:
        wanted = r"^(uam\..*|url\..*\.(push)?insteadof|user\.name|remote\..*)$"
        said = repo.run("config", "-z", "--show-scope", "--get-regexp", wanted).out
        assert repo.configured(wanted) == said
        assert repo.configured("^nothing$") == b""
