"""The walls between the folders hold, and what checks them fails when one is crossed."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "uam_hooks"

CROSSINGS = [
    ("hot/push/messages.py", "import click"),
    ("hot/queue/leader.py", "import filelock"),
    ("hot/core/paths.py", "import platformdirs"),
    ("hot/core/errors.py", "import rich"),
    ("hot/queue/model.py", "import dataclasses"),
    ("hot/worktree/settle.py", "import git"),
    ("hot/queue/enqueue.py", "from uam_hooks.store import claim"),
    ("hot/core/refs.py", "from uam_hooks.hot.queue import model"),
    ("store/views.py", "from uam_hooks.land import pushes"),
    ("land/pushes.py", "from uam_hooks.flush import flush"),
    ("integrate/plan.py", "from uam_hooks.store import views"),
    ("report/status.py", "from uam_hooks.cli import results"),
    ("flush/flush.py", "import git"),
    ("report/history.py", "import sqlite3"),
    ("cli/status.py", "import mcp"),
    ("cli/results.py", "from uam_hooks.cli import serving"),
]


def checked(at: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command], cwd=at, capture_output=True, text=True, check=False)


def test_an_import_across_a_wall_is_an_error(tmp_path: Path) -> None:
    """Each of them, and by itself: the line that it stands in is named."""
    shutil.copytree(PACKAGE, tmp_path / "uam_hooks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    for file, crossing in CROSSINGS:
        path = tmp_path / "uam_hooks" / file
        path.write_text(f"{path.read_text()}\n{crossing}\n")
    done = checked(tmp_path, str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache")
    assert done.returncode == 1, done.stdout
    unseen = [where for where in CROSSINGS if not re.search(rf"^- +{edge(*where)} \(l\.", done.stdout, re.MULTILINE)]
    assert unseen == [], done.stdout


def edge(file: str, crossing: str) -> str:
    """How a broken contract names an import."""
    words = crossing.split()
    imported = words[1] if words[0] == "import" else f"{words[1]}.{words[3]}"
    return re.escape(f"uam_hooks.{file.removesuffix('.py').replace('/', '.')} -> {imported}")


@pytest.mark.slow
def test_no_import_crosses_a_wall() -> None:
    done = checked(CHECKOUT, str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache")
    assert done.returncode == 0, done.stdout


def test_a_file_that_is_not_formatted_is_an_error(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    (tmp_path / "x.py").write_text("x = { 1:2 }\n")
    assert checked(tmp_path, sys.executable, "-m", "ruff", "format", "--check", "--no-cache").returncode == 1


def test_what_is_checked_is_checked_in_ci() -> None:
    run = (CHECKOUT / ".ci" / "run").read_text()
    for command in ("tests/run", "ruff check", "ruff format --check", "-m mypy", "lint-imports"):
        assert f"{command} " in run, command


def test_every_name_is_imported_from_where_it_is_defined() -> None:
    """Nothing is exported a second time: a reader finds a name where the import says that it is."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uam_hooks."):
                home = PACKAGE.joinpath(*str(node.module).split(".")[1:])
                defined = names(home.with_suffix(".py") if home.with_suffix(".py").is_file() else home / "__init__.py")
                modules = {entry.stem for entry in home.iterdir()} if home.is_dir() else set()
                wrong += [
                    f"{path.relative_to(PACKAGE)}: {node.module}.{alias.name}"
                    for alias in node.names
                    if alias.name not in defined | modules
                ]
    assert wrong == []


@cache
def names(module: Path) -> set[str]:
    """What a module defines itself, at its top level, also where that depends on something."""
    found: set[str] = set()
    todo = ast.parse(module.read_text()).body
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If):
            todo += [*node.body, *node.orelse]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            targets = [one for target in node.targets for one in ast.walk(target)]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found
