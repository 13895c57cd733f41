"""What is released: its number, the files in wheel and sdist, and that they work where nothing else of ours is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.scenes import Scene
from uam_hooks import __version__

CHECKOUT = Path(__file__).resolve().parents[2]
WORKFLOW = CHECKOUT / ".github" / "workflows" / "ci.yml"


# -- the number and its changes --------------------------------------------------------------------------


def test_the_version_stands_in_the_package_and_pages_agree() -> None:
    about = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert "version" not in about["project"]
    assert about["tool"]["hatch"]["version"]["path"] == "uam_hooks/__init__.py"
    released = re.findall(r"^## \[(\d[^\]]*)\]", (CHECKOUT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert released[0] == __version__
    assert f'"git uam {__version__}"' in (CHECKOUT / "docs" / "man" / "git-uam.1").read_text().splitlines()[1]


def test_the_changelog_keeps_its_form() -> None:
    titles = [line for line in (CHECKOUT / "CHANGELOG.md").read_text().splitlines() if line.startswith("#")]
    assert titles[:2] == ["# Changelog", "## [Unreleased]"]
    parts: list[list[str]] = []
    for title in titles[1:]:
        if title.startswith("## "):
            parts.append([])
            assert re.fullmatch(r"## \[(Unreleased|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)\]?", title), title
        else:
            parts[-1].append(title.removeprefix("### "))
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for part in parts:
        assert part == [kind for kind in kinds if kind in part]


def test_the_workflow_pins_what_it_uses_and_may_only_read() -> None:
    said = WORKFLOW.read_text()
    used = re.findall(r"uses: *(\S+)", said)
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []
    assert re.findall(r"^ *permissions:\n((?:  .*\n)+)", said, flags=re.MULTILINE) == ["  contents: read\n"]
    assert "- run: .ci/run\n" in said
    oldest, *_ = pythons = re.findall(r'"(3\.\d+)"', said.split("python: [")[1].split("]")[0])
    about = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert about["project"]["requires-python"] == f">={oldest}"
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]


# -- wheel and sdist -------------------------------------------------------------------------------------


def built(source: Path, into: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of this tree, made by what makes the release."""
    pytest.importorskip(
        "hatchling", reason="hatchling is not in this environment: nothing can be built without a network"
    )
    env = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(into)],
        cwd=source,
        env={**env, "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        check=True,
    )
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, sdist


def files(top: Path, below: str = "") -> set[str]:
    """What git has of this folder, by names relative to it."""
    found = {str(path.relative_to(top / below)) for path in (top / below).rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name}


@pytest.mark.slow
def test_wheel_and_sdist_hold_everything_are_the_same_each_time_and_work(tmp_path: Path, plain: Scene) -> None:
    wheel, sdist = built(CHECKOUT, tmp_path / "first")
    assert (wheel.name, sdist.name) == (f"uam_hooks-{__version__}-py3-none-any.whl", f"uam_hooks-{__version__}.tar.gz")

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data, about = f"uam_hooks-{__version__}.data/data/share", f"uam_hooks-{__version__}.dist-info"
    wanted = {f"uam_hooks/{name}" for name in files(CHECKOUT, "uam_hooks")}
    wanted |= {f"uam_hooks/{part}/{name}" for part in ("hooks", "fixtures") for name in files(CHECKOUT, part)}
    wanted |= {f"uam_hooks/{name}" for name in files(CHECKOUT, "hooks/earlier")}
    shared = {
        "man/man1/git-uam.1": "docs/man/git-uam.1",
        "bash-completion/completions/git-uam": "docs/completion/git-uam.bash",
        "zsh/site-functions/_git-uam": "docs/completion/_git-uam",
        "fish/vendor_completions.d/git-uam.fish": "docs/completion/git-uam.fish",
    }
    wanted |= {f"{data}/{name}" for name in shared}
    wanted |= {f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    assert "uam_hooks/py.typed" in wanted
    assert names == wanted

    # an unpacked sdist has other times and no .git, and is all that is needed to make both anew
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", str(sdist)], cwd=tmp_path / "unpacked", check=True)
    (tree,) = (tmp_path / "unpacked").iterdir()
    for path in tree.rglob("*"):
        os.utime(path, (1, 1))
    made = [sha256(path.read_bytes()).digest() for path in (wheel, sdist)]
    again = built(tree, tmp_path / "second")
    assert [sha256(path.read_bytes()).digest() for path in again] == made

    env = environment(tmp_path / "env", wheel)
    for name, page in shared.items():
        assert (env / "share" / name).read_bytes() == (CHECKOUT / page).read_bytes()
    plain.env["PATH"] = f"{env / 'bin'}{os.pathsep}{plain.env['PATH']}"
    assert plain.git("uam", "--version") == f"git uam, version {__version__}"
    plain.git("config", "uam.flusher.linger", "0")
    plain.git("uam", "install")
    where = (plain.uam / "env").read_text().splitlines()
    assert where[0] == str(env / "bin" / "python")
    assert where[1].startswith(f"{env}/lib/")
    plain.commit("f", "text\n")
    done = plain.push("origin", "main")
    assert done.code == 0, done
    assert plain.there() == plain.oid("HEAD")
    assert plain.git("rev-parse", "origin/main") == plain.oid("HEAD")
    assert plain.pushed() == ["completed"]


def environment(where: Path, wheel: Path) -> Path:
    """An environment that has this wheel, and beside it what ours has: nothing comes from a network."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(where)], check=True)
    (site,) = where.glob("lib/python*/site-packages")
    options = ("--disable-pip-version-check", "--quiet", "--no-index", "--no-deps", "--no-compile")
    python = str(where / "bin" / "python")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel)], check=True)
    # a path there adds that folder, and reads none of its .pth files: an editable install stays out
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    return where
