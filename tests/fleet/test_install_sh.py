"""install.sh --fleet: what a fleet needs is in the environment, the clone is in the fleet, and pushes go through it."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.fleet.conftest import machine
from tests.fleet.machines import waiting
from tests.install.test_install_sh import checkout as checkout  # a fixture, as the next one
from tests.install.test_install_sh import home as home
from tests.install.test_install_sh import run
from tests.support.postgres import Server, needs_postgres
from tests.support.scenes import Scene, finished, until
from uam_hooks.fleet.database import Fleet, join
from uam_hooks.fleet.values import Branch

MAIN = Branch("origin", "refs/heads/main")
PASSWORD = "hunter2"  # noqa: S105 - it is to be seen nowhere


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--fleet"], "--fleet needs the URL of a database"),
        (["--demo", "--fleet", "service=shop"], "do not go together"),
        (["--uninstall", "--fleet", "service=shop", "repo"], "do not go together"),
    ],
)
def test_wrong_usage_changes_nothing(home: Path, args: list[str], words: str) -> None:
    done = run(home, home, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert list(home.iterdir()) == []


def has_psycopg(env: Path) -> bool:
    asked = [str(env / "bin" / "python"), "-I", "-c", "import psycopg"]
    return subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode == 0


@needs_postgres
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_machine_from_nothing_into_a_fleet(
    plain: Scene, postgres: Server, url: str, home: Path, checkout: Path
) -> None:
    script, env, config = checkout / "install.sh", home / ".local/share/uam_hooks/env", plain.top / ".git" / "config"
    plain.env["HOME"] = str(home)

    first = run(plain.top, home, script=script)
    assert first.returncode == 0, first
    assert not (env.parent / "with-fleet").exists() and not has_psycopg(env)
    enabled = config.read_text()

    wrong = run(plain.top, home, "--fleet", url.replace("uam@", f"uam:{PASSWORD}@"), script=script)
    assert wrong.returncode == 2, wrong
    assert "The URL of the fleet's database holds a password" in wrong.stderr
    assert PASSWORD not in wrong.stdout + wrong.stderr
    assert config.read_text() == enabled
    assert (env.parent / "with-fleet").exists() and has_psycopg(env)

    done = run(plain.root, home, "--fleet", url, str(plain.top), script=script)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "this clone is in the fleet origin now, as " in done.stdout
    assert "up to date" not in done.stdout
    assert (plain.git("config", "uam.fleet"), plain.git("config", "uam.fleet.url")) == ("origin", url)
    again = run(plain.top, home, "--fleet", url, script=script)
    assert again.returncode == 0 and "is in the fleet origin already" in again.stdout, again

    # a new version that is installed without a word of the fleet brings what that needs, as far as it is not there
    subprocess.run([env / "bin/python", "-m", "pip", "uninstall", "-q", "-y", "psycopg", "psycopg-binary"], check=True)
    assert not has_psycopg(env)
    with (checkout / "uam_hooks" / "__init__.py").open("a") as module:
        module.write("NEWER = True\n")
    newer = run(plain.top, home, script=script)
    assert newer.returncode == 0 and "up to date" in newer.stdout, newer
    assert (env.parent / "with-fleet").exists() and has_psycopg(env)

    join(url, "origin", machine(1))
    with closing(Fleet(url, "origin", machine(1))) as other:
        assert other.hold(MAIN)
        plain.commit("a", message="Add a")
        push = plain.start("push", "origin", "main")
        waiting(postgres, url, 1)
        (flusher,) = until(plain.flushers, "a flusher")
        assert Path(f"/proc/{flusher}/cmdline").read_bytes().startswith(bytes(env))
        assert plain.landed() == []
    ended = finished(push)
    assert ended.code == 0, ended
    assert plain.landed() == ["Add a"]
