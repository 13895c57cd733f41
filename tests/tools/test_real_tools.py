"""git uam beside tools that put hooks into the same repository, each in both orders."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.scenes import Scene
from tests.tools.real import TOOLS, Tool, fetched, log_of
from uam_hooks.install import hookfile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A search path with the tools on it, which are fetched once for all processes of the run."""
    base = tmp_path_factory.getbasetemp()
    where = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tools"
    where.mkdir(exist_ok=True)
    path = where / "search-path"
    with (where / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.write_text(os.pathsep.join(map(str, fetched(where))))
    return path.read_text()


class Beside:
    """A repository with one tool, and what has become of its hooks and ours."""

    def __init__(self, scene: Scene, tool: Tool, programs: str) -> None:
        self.scene, self.tool = scene, tool
        self.program = shutil.which(tool.name, path=programs)
        if self.program is None:
            pytest.skip(f"{tool.name} could not be fetched")
        node = Path(shutil.which("node") or "/").parent
        scene.env["PATH"] = os.pathsep.join([programs, scene.env["PATH"], str(node)])
        tool.configure(scene, log_of(scene))
        scene.git("add", "-A")
        scene.git("commit", "-q", "-m", "Set up the tool")
        scene.git("push", "-q", "origin", "main")

    def run(self, *args: str) -> None:
        assert self.program is not None
        done = subprocess.run(
            [self.program, *args], cwd=self.scene.top, env=self.scene.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done

    def version(self) -> str:
        """What the tool says of its version, or its package does."""
        assert self.program is not None
        package = Path(self.program).parent.parent / self.tool.name / "package.json"
        if package.exists():
            return str(json.loads(package.read_text())["version"])
        done = subprocess.run([self.program, "--version"], capture_output=True, env=self.scene.env, check=True)
        return done.stdout.decode().split()[1]

    def theirs(self) -> None:
        self.run(*self.tool.install)

    def ours(self) -> None:
        self.scene.install()

    def queued(self) -> int:
        return len(self.scene.rows("sources")) if self.scene.paths.database.exists() else 0

    def works(self, name: str, *, runs: bool = True) -> None:
        """A commit and a push, each of which `runs` the tool's hook once, or not at all; the push lands."""
        log = log_of(self.scene)
        log.write_text("")
        self.scene.commit(name)
        assert log.read_text().split() == ["pre-commit"] * runs
        queued = self.queued()
        done = self.scene.push("origin", "main")
        assert done.code == 0, done
        assert self.queued() == queued + 1
        assert name in self.scene.files()
        assert log.read_text().split() == ["pre-commit", "pre-push"] * runs, done


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("tool", TOOLS)
def test_d1_d4_d5_beside_a_tool(
    plain: Scene, tool: str, first: str, programs: str, record_property: Callable[[str, object], None]
) -> None:
    beside = Beside(plain, TOOLS[tool], programs)
    record_property("version", beside.version())
    for step in (beside.ours, beside.theirs) if first == "ours" else (beside.theirs, beside.ours):
        step()
    beside.works("one")
    beside.theirs()
    beside.works("two")
    beside.ours()
    beside.works("three")


@pytest.mark.parametrize("tool", [name for name, tool in TOOLS.items() if tool.uninstall])
def test_d4_a_tool_that_came_later_is_taken_out_again(plain: Scene, tool: str, programs: str) -> None:
    beside = Beside(plain, TOOLS[tool], programs)
    beside.ours()
    beside.theirs()
    beside.run(*beside.tool.uninstall)
    beside.works("one", runs=False)
    beside.ours()
    beside.works("two", runs=False)


@pytest.mark.parametrize("tool", TOOLS)
def test_d4_what_was_there_before_us_is_there_after_us(plain: Scene, tool: str, programs: str) -> None:
    beside = Beside(plain, TOOLS[tool], programs)
    beside.theirs()
    hooks = plain.git_dir / "hooks"
    before = {path.name: path.read_bytes() for path in hooks.iterdir()}
    beside.ours()
    plain.git("uam", "uninstall")
    assert {path.name: path.read_bytes() for path in hooks.iterdir()} == before


def test_the_hooks_know_the_same_tools_as_the_install() -> None:
    marks = [mark.decode().removeprefix("# ").partition(":")[0] for mark in hookfile._TOOLS]
    for name in hookfile.HOOKS:
        text = (hookfile.shipped_dir() / name).read_text()
        assert [mark for mark in marks if mark not in text] == []
