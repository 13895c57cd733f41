"""Other tools that put hooks into a repository: the real ones, from their registries, and how each is set up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.support.scenes import Scene

NPM = ("husky@9", "lefthook@2", "simple-git-hooks@2")
PYPI = ("pre-commit>=4,<5", "prek")

_YAML = """repos:
- repo: local
  hooks:
  - {{id: one, name: one, language: system, entry: "sh -c 'echo pre-commit >>{log}'", stages: [pre-commit],
     always_run: true, pass_filenames: false}}
  - {{id: two, name: two, language: system, entry: "sh -c 'echo pre-push >>{log}'", stages: [pre-push],
     always_run: true, pass_filenames: false}}
"""
_LEFTHOOK = """pre-commit: {{commands: {{one: {{run: "echo pre-commit >>{log}"}}}}}}
pre-push: {{commands: {{two: {{run: "echo pre-push >>{log}"}}}}}}
"""


class Tool(NamedTuple):
    """One tool: how its hooks are written down, and its own install and uninstall."""

    name: str
    configure: Callable[[Scene, Path], None]
    install: tuple[str, ...]
    uninstall: tuple[str, ...] = ()


def log_of(scene: Scene) -> Path:
    """Where the hooks of a tool write down that they ran."""
    return scene.root / "ran.log"


def _pre_commit(scene: Scene, log: Path) -> None:
    (scene.top / ".pre-commit-config.yaml").write_text(_YAML.format(log=log))


def _lefthook(scene: Scene, log: Path) -> None:
    (scene.top / "lefthook.yml").write_text(_LEFTHOOK.format(log=log))


def _simple(scene: Scene, log: Path) -> None:
    hooks = {name: f"echo {name} >>{log}" for name in ("pre-commit", "pre-push")}
    (scene.top / "package.json").write_text(json.dumps({"name": "x", "version": "1.0.0", "simple-git-hooks": hooks}))


def _husky(scene: Scene, log: Path) -> None:
    (scene.top / "package.json").write_text(json.dumps({"name": "x", "version": "1.0.0"}))
    (scene.top / ".husky").mkdir()
    for name in ("pre-commit", "pre-push"):
        (scene.top / ".husky" / name).write_text(f"echo {name} >>{log}\n")


BOTH = ("-t", "pre-commit", "-t", "pre-push")
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("pre-commit", _pre_commit, ("install", *BOTH), ("uninstall", *BOTH)),
        Tool("prek", _pre_commit, ("install", *BOTH), ("uninstall", *BOTH)),
        Tool("lefthook", _lefthook, ("install",), ("uninstall",)),
        Tool("simple-git-hooks", _simple, (), ()),
        Tool("husky", _husky, ()),
    )
}


def fetched(where: Path) -> list[Path]:
    """Install the tools below `where`; gives the directories of their programs, without those that cannot be had."""
    found = []
    if shutil.which("npm"):
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(where), *NPM]
        if subprocess.run(command, cwd=where, capture_output=True, check=False).returncode == 0:
            found.append(where / "node_modules" / ".bin")
    venv = where / "python"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", *PYPI]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        found.append(venv / "bin")
    return found
