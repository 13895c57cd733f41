"""docs/images/demo.svg: what README has of the demo, as its script draws it; it loads nothing from elsewhere."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from tests.docs.pages import script_of


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    return script_of("make_demo_picture")


def texts(picture: str) -> list[str]:
    return re.findall(r">([^<]+)</t(?:ext|itle)>", picture)


def test_the_picture_has_what_readme_has(maker: ModuleType) -> None:
    made = maker.picture(maker.shown())
    assert texts(maker.PICTURE.read_text()) == texts(made), "run python docs/make_demo_picture.py --readme"
    assert "](docs/images/demo.svg)" in maker.README.read_text()


def test_the_picture_loads_nothing_and_names_no_place(maker: ModuleType) -> None:
    picture = maker.PICTURE.read_text()
    assert set(re.findall(r"\w+://[^\"' )<]+", picture)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"/(tmp|home|root)/|<script|@import|url\((?!#)", picture)


def test_a_run_of_the_demo_becomes_text_and_picture(
    maker: ModuleType, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the demo prints is left to its own tests."""
    place = tmp_path_factory.mktemp("picture")
    (place / "README.md").write_text("# A page\n\n```\nof before\n```\n\n```\nanother\n```\n")
    monkeypatch.setattr(maker, "README", place / "README.md")
    monkeypatch.setattr(maker, "PICTURE", place / "demo.svg")
    monkeypatch.setattr(maker, "demo", lambda: ["rejected pushes                16        2", "", r"a \1 <b> & c"])
    monkeypatch.setattr("sys.argv", ["make_demo_picture.py"])
    maker.main()
    assert maker.shown() == ["rejected pushes                16        2", "", r"a \1 <b> & c"]
    assert "another" in (place / "README.md").read_text()
    assert "of before" not in (place / "README.md").read_text()
    assert "&lt;b&gt;" in (place / "demo.svg").read_text()
