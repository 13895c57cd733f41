"""install.sh on a machine that has nothing but git and Python, and on one that lacks either."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "dirname", "uname", "env", "mkdir", "rm")
PYTHON = 'case "$*" in *{fails}*) exit 1 ;; esac\nexit 0\n'


def run(
    at: Path,
    home: Path,
    *args: str,
    path: str = "/usr/bin:/bin",
    script: Path = CHECKOUT / "install.sh",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """install.sh as a fresh login would run it: no variable but HOME and PATH."""
    return subprocess.run(
        ["/bin/sh", str(script), *args],
        cwd=at,
        env={"HOME": str(home), "PATH": path, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "a home"
    found.mkdir()
    return found


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory for PATH with what install.sh takes for granted, and git, but no Python."""
    directory = tmp_path / "tools"
    directory.mkdir()
    for name in (*TOOLS, "git"):
        (directory / name).symlink_to(str(shutil.which(name)))
    return directory


def fake(tools: Path, name: str, text: str) -> None:
    path = tools / name
    path.unlink(missing_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


# -- what it says ----------------------------------------------------------------------------------------


def test_help_names_every_option_and_changes_nothing(home: Path) -> None:
    done = run(home, home, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--hooks-only", "--queue", "--demo", "--uninstall", "--force", "--env"):
        assert option in done.stdout
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("data", [None, "elsewhere/data", "", "not/absolute"])
def test_the_environment_is_where_platformdirs_says(home: Path, data: str | None) -> None:
    env = {} if data is None else {"XDG_DATA_HOME": str(home / data) if data.startswith("else") else data}
    asked = "import platformdirs; print(platformdirs.user_data_dir('uam_hooks'))"
    said = subprocess.run(
        [sys.executable, "-c", asked],
        env={"HOME": str(home), "PATH": os.defpath, **env},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert f"\nEnvironment: {said}/env\n" in run(home, home, "--help", env=env).stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--frob"], "there is no option --frob"),
        (["one", "two"], "one repository at a time"),
        (["--uninstall", "--hooks-only"], "do not go together"),
        (["--force"], "do not go together"),
        (["--demo", "repo"], "--demo takes no repository"),
        (["--uninstall"], "say which repository"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(home: Path, args: list[str], words: str) -> None:
    done = run(home, home, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


# -- what a machine may lack -----------------------------------------------------------------------------


def missing(home: Path, tools: Path) -> str:
    """The one line that install.sh ends with on a machine that has only `tools`."""
    done = run(home, home, path=str(tools))
    assert (done.returncode, done.stdout) == (1, "")
    assert list(home.iterdir()) == []
    return done.stderr


def test_without_python(home: Path, tools: Path) -> None:
    said = missing(home, tools)
    assert said == "install.sh: there is no python3 on PATH; install Python 3.11 or newer.\n"


def test_with_an_old_python(home: Path, tools: Path) -> None:
    fake(tools, "python3", PYTHON.format(fails="version_info"))
    said = missing(home, tools)
    assert said == f"install.sh: Python 3.11 or newer is needed; {tools}/python3 is older.\n"


def test_a_newer_python_under_another_name_is_found(home: Path, tools: Path) -> None:
    fake(tools, "python3", PYTHON.format(fails="version_info"))
    fake(tools, "python3.12", PYTHON.format(fails="ensurepip"))
    assert missing(home, tools).startswith(f"install.sh: {tools}/python3.12 cannot make environments")


def test_without_the_venv_module(home: Path, tools: Path) -> None:
    fake(tools, "python3", PYTHON.format(fails="ensurepip"))
    assert "install python3-venv" in missing(home, tools)


@pytest.mark.parametrize("version", ["2.30.2", "2.37.1 (Apple Git-137.1)", "1.99.0"])
def test_with_an_old_git(home: Path, tools: Path, version: str) -> None:
    fake(tools, "git", f"echo 'git version {version}'\n")
    assert missing(home, tools) == f"install.sh: git {version} is too old; install git 2.38 or newer.\n"


def test_without_git(home: Path, tools: Path) -> None:
    (tools / "git").unlink()
    assert missing(home, tools) == "install.sh: git is not on PATH; install git 2.38 or newer.\n"


# -- the whole way, once ---------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that the package is built from."""
    where = tmp_path / "check out"
    where.mkdir()
    for name in ("uam_hooks", "hooks", "fixtures", "docs/man", "docs/completion"):
        shutil.copytree(CHECKOUT / name, where / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("install.sh", "pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy2(CHECKOUT / name, where / name)
    return where


def repository(where: Path) -> Path:
    """A new repository that pushes to a remote named origin."""
    for args in (["init", "-q", str(where)], ["-C", str(where), "remote", "add", "origin", "../real.git"]):
        subprocess.run(["git", *args], check=True)
    return where


def interrupted_environment(home: Path) -> Path:
    """What a run leaves that was killed while it made the environment."""
    env = home / ".local/share/uam_hooks/env"
    (env / "bin").mkdir(parents=True)
    (env / "bin" / "python").symlink_to("/nonexistent")
    return env


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_fresh_machine_from_nothing_to_nothing(home: Path, checkout: Path, tmp_path: Path) -> None:
    repo, script = repository(tmp_path / "a repo"), checkout / "install.sh"
    config, bin_directory = repo / ".git" / "config", home / ".local/bin"
    link, short, page = bin_directory / "git-uam", bin_directory / "uam", home / ".local/share/man/man1/git-uam.1"
    plain, files = config.read_bytes(), sorted(checkout.rglob("*"))
    env = interrupted_environment(home)

    both = [
        subprocess.Popen(["/bin/sh", script], cwd=repo, env={"HOME": str(home), "PATH": "/usr/bin:/bin"})
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert (repo / ".git/uam/env").read_text().startswith(f"{env}/bin/python\n{env}/lib/")
    assert b"uam::origin" in config.read_bytes()
    assert (link.readlink(), short.readlink()) == (env / "bin/git-uam", env / "bin/uam")
    assert page.read_bytes() == (checkout / "docs/man/git-uam.1").read_bytes()
    assert page.readlink() == env / "share/man/man1/git-uam.1"
    for name, of in (
        ("bash-completion/completions/git-uam", "git-uam.bash"), ("bash-completion/completions/uam", "git-uam.bash"),
        ("zsh/site-functions/_git-uam", "_git-uam"), ("fish/vendor_completions.d/git-uam.fish", "git-uam.fish"),
    ):  # fmt: skip
        completes = home / ".local/share" / name
        assert completes.is_symlink()
        assert completes.read_bytes() == (checkout / "docs/completion" / of).read_bytes()
    for program in (link, short):
        said = subprocess.run([program, "help", "status"], capture_output=True, text=True, check=True).stdout
        assert said.startswith("Usage: git uam status ")

    wired, stamp = config.read_bytes(), (env / ".installed-from").stat().st_mtime_ns
    link.unlink()
    link.write_text("somebody's own\n")
    short.unlink()
    short.symlink_to("/nonexistent/uam")
    again = run(repo, home, script=script)
    assert (again.returncode, again.stderr) == (0, "")
    left = [line.split(" alone: ")[0] for line in again.stdout.splitlines() if " alone: " in line]
    assert left == [f"Left {link}", f"Left {short}"]
    assert (config.read_bytes(), (env / ".installed-from").stat().st_mtime_ns) == (wired, stamp)

    with (checkout / "uam_hooks" / "__init__.py").open("a") as module:
        module.write("NEWER = True\n")
    page.unlink()
    page.parent.rmdir()
    page.parent.write_text("in the place of a directory\n")
    newer = run(tmp_path, home, script=script)
    assert newer.returncode == 0 and "up to date" in newer.stdout
    assert newer.stderr == f"Could not make the link {page}. Enabled repositories do not need it.\n"
    subprocess.run([env / "bin/python", "-I", "-c", "from uam_hooks import NEWER"], check=True)

    page.parent.unlink()
    with (checkout / "docs/man/git-uam.1").open("a") as manual:
        manual.write('.\\" newer\n')
    assert "up to date" in run(tmp_path, home, script=script).stdout
    assert page.read_text().endswith('.\\" newer\n')

    gone = run(repo, home, "--uninstall", "--env", script=script)
    assert (gone.returncode, gone.stderr) == (0, "")
    assert config.read_bytes() == plain
    assert not (repo / ".git" / "uam").exists()
    assert sorted(path for path in home.rglob("*") if not path.is_dir()) == [link, short]
    assert short.readlink() == Path("/nonexistent/uam")
    assert sorted(checkout.rglob("*")) == files
