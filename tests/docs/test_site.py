"""The site: every page is in its navigation, it builds without a warning, and it loads nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT

CONFIG = (CHECKOUT / "mkdocs.yml").read_text()
DOCS = CHECKOUT / "docs"
PAGES = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
ZENSICAL = next(
    (
        path
        for path in (Path(sys.executable).with_name("zensical"), CHECKOUT / ".docs-env/bin/zensical")
        if path.exists()
    ),
    None,
)


def test_every_page_is_in_the_navigation_once_and_no_other() -> None:
    named = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", CONFIG, flags=re.MULTILINE)
    assert sorted(named) == sorted(PAGES)


def test_the_front_page_leads_to_every_page_but_those_of_trouble() -> None:
    front = (DOCS / "index.md").read_text()
    others = {page for page in PAGES if not page.startswith("trouble/")} - {"index.md"} | {"trouble/index.md"}
    named = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+\.md[^)]*)\)", front)}
    assert named == others


def test_a_page_links_to_nothing_outside_of_the_site_but_by_https() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)]+)\)", (DOCS / page).read_text()):
            if not link.startswith("https://"):
                assert (DOCS / page).parent.joinpath(link.partition("#")[0]).resolve().is_relative_to(DOCS), (
                    page,
                    link,
                )


@pytest.mark.slow
@pytest.mark.skipif(ZENSICAL is None, reason="Zensical is not here: docs/build makes an environment that has it")
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(CHECKOUT / "mkdocs.yml", tmp_path)
    done = subprocess.run(
        [str(ZENSICAL), "build", "--clean", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    assert "No issues found" in done.stdout + done.stderr
    site = tmp_path / "site"
    built = {str(path.relative_to(site).with_suffix(".md")) for path in site.rglob("*.html")}
    assert built == PAGES | {"404.md"}
    for path in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:link|script|img|iframe)\b[^>]*?\b(?:src|href)="?((?:https?:)?//[^" >]+)', path.read_text()
        )
        assert loaded == [], path
    assert not any("fonts.g" in path.read_text() for path in site.rglob("*.css"))
    assert not list(site.rglob("*.py"))
