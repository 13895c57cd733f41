"""Help where people look first: `git uam help`, `git uam --help`, `git help uam`, and the manual page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scenes import Scene
from uam_hooks.cli.commands import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs/man/git-uam.1"


def run(at: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """`git uam args` of this checkout, outside any repository unless `at` is in one."""
    start = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from uam_hooks.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-I", "-c", start, *args],
        cwd=at,
        env={"PATH": os.environ["PATH"], "HOME": str(at), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


# -- git uam help ------------------------------------------------------------------------------------------


def test_help_alone_is_the_overview(tmp_path: Path) -> None:
    done = run(tmp_path, "help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(tmp_path, "-h").stdout == run(tmp_path, "--help").stdout
    shown = {line.split()[0] for line in done.stdout.split("Commands:\n")[1].splitlines() if line[2:3].isalpha()}
    assert shown == set(COMMANDS)
    assert "git uam help COMMAND" in done.stdout


@pytest.mark.parametrize("names", [("queue",), ("import",), ("help",), ("deploy",), ("deploy", "queue")])
def test_help_of_a_command_is_what_the_command_says_itself(tmp_path: Path, names: tuple[str, ...]) -> None:
    done = run(tmp_path, "help", *names)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: git uam {' '.join(names)} [OPTIONS]")
    assert done.stdout == run(tmp_path, *names, "--help").stdout == run(tmp_path, *names, "-h").stdout


@pytest.mark.parametrize("names", [("frob",), ("deploy", "frob"), ("queue", "frob"), ("queu",)])
def test_help_of_an_unknown_command_is_wrong_usage(tmp_path: Path, names: tuple[str, ...]) -> None:
    done = run(tmp_path, "help", *names)
    assert (done.returncode, done.stdout) == (2, "")
    asked = " ".join(["git uam", *names])
    assert done.stderr == f"uam: There is no command `{asked}`. `git uam help` lists what there is.\n"


def test_help_works_in_an_enabled_repository_through_the_alias(scene: Scene) -> None:
    done = scene.run("uam", "help", "status")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: git uam status [OPTIONS]\n")


# -- the manual page ---------------------------------------------------------------------------------------


def need_man() -> None:
    """Skip where no man can show a page; some containers have a man that only says that it was left out."""
    man = shutil.which("man")
    if man is None:
        pytest.skip("man is not installed")
    said = subprocess.run([man, "--version"], capture_output=True, text=True, check=False)
    if said.returncode != 0 or not said.stdout.startswith("man "):
        pytest.skip(f"{man} is not one that shows pages: {said.stdout or said.stderr}")


def test_man_shows_the_page_without_a_warning() -> None:
    need_man()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    done = subprocess.run(
        ["man", "-P", "cat", "--warnings", "-l", str(PAGE)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("GIT-UAM(1)", "EXIT CODES", "SETTINGS", "--execute-after MOMENT", "uam.push.mode (default wait)"):
        assert words in done.stdout
    assert not set(done.stdout) & set("`*\\"), "something of Markdown or roff is left"


def test_git_shows_the_page_where_install_sh_has_put_it(scene: Scene) -> None:
    need_man()
    programs, pages = scene.home / ".local/bin", scene.home / ".local/share/man/man1"
    programs.mkdir(parents=True)
    pages.mkdir(parents=True)
    (programs / "git-uam").write_text("#!/bin/sh\necho this is not asked\nexit 9\n")
    (programs / "git-uam").chmod(0o755)
    (pages / "git-uam.1").symlink_to(PAGE)
    path = f"{programs}:{scene.env['PATH']}"
    for asked in (("help", "uam"), ("uam", "--help")):
        done = scene.run(*asked, PATH=path, MANPAGER="cat", MANWIDTH="80")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("GIT-UAM(1)")
