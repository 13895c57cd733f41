"""docs/trouble: the words on the screen are those that the program prints, and the index leads to them."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from tests.docs.pages import CHECKOUT, SOURCES, said, script_of
from tests.docs.trouble import PAGES, Screen, plain
from tests.support.scenes import Scene
from uam_hooks.doctor.finding import Code

TROUBLE = CHECKOUT / "docs" / "trouble"
INDEX = (TROUBLE / "index.md").read_text()
# Pages that show no screen of a scene here: the disk is filled by tests/flows/test_full_disk.py, and the database that
# refuses is that of tests/fleet/test_pages.py.
WITHOUT_SCENE = {"disk-full", "doctor", "index", "fleet-refused", "fleet-newer"}
THERE = {path.stem for path in TROUBLE.glob("*.md")}
HEADINGS = ["What you see", "What it means", "What to do", "What is safe"]


def text(name: str) -> str:
    return (TROUBLE / f"{name}.md").read_text()


def shown(name: str) -> list[str]:
    """The lines of the screens that a page shows: those blocks that begin with what was typed."""
    blocks = re.findall(r"^```\n(\$ .*?)^```$", text(name), flags=re.MULTILINE | re.DOTALL)
    return [plain(line) for block in blocks for line in block.splitlines()]


def test_each_page_has_a_scene() -> None:
    assert set(PAGES) == THERE - WITHOUT_SCENE


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_is_printed(name: str, scene: Scene) -> None:
    on = Screen(scene)
    PAGES[name](scene, on)
    printed, lines = on.plain(), shown(name)
    assert lines
    for line in lines:
        # screens of a page need not be in the order in which the scene came to them
        assert line in printed, f"{line}\nis not in\n" + "\n".join(printed)


def test_what_no_scene_prints_is_said_by_the_program() -> None:
    words = re.sub(r'"\s+f?"', "", "\n".join(path.read_text() for path in SOURCES))  # one line of each sentence
    quoted = [
        (name, line)
        for name in THERE
        for line in re.findall(r"^uam: (.*)$|\((uam was .*)\)$", text(name), re.MULTILINE)
        if plain(f"uam: {line[0]}") not in shown(name)
    ]
    assert {name for name, _ in quoted} == {"disk-full", "flusher-killed", "interrupted", "uninstall"}
    for _, line in quoted:
        for run in re.findall(r"(?<![\w/-])[a-z]+(?: [a-z]+)+(?![\w/-])", "".join(line)):
            assert said(run.split(), words), run


@pytest.mark.parametrize("name", sorted(THERE - {"doctor", "index"}))
def test_a_page_is_short_and_says_what_to_do(name: str) -> None:
    assert re.findall(r"^## (.*)$", text(name), flags=re.MULTILINE) == HEADINGS
    assert len(text(name).splitlines()) <= 60


def test_the_index_names_every_page_by_words_that_it_has() -> None:
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", INDEX)) == THERE - {"index"}
    for title, name in re.findall(r"\[([^]]+)\]\(([a-z-]+)\.md\)", INDEX.partition("\n## ")[2]):
        assert name == "doctor" or text(name).startswith(f"# {title}\n")
    rows = re.findall(r"^\| (`.*`) \| \[.*\]\(([a-z-]+)\.md\) \|$", INDEX, flags=re.MULTILINE)
    assert len(rows) > 20
    for words, name in rows:
        for part in re.findall(r"`([^`]+)`", words):
            assert part in text(name), (part, name)


@pytest.fixture(scope="module")
def make_doctor() -> ModuleType:
    return script_of("make_doctor")


def test_the_page_of_the_doctor_is_what_the_code_says(make_doctor: ModuleType) -> None:
    assert make_doctor.PAGE.read_text() == make_doctor.page(), "run python docs/make_doctor.py"


def test_the_doctor_says_of_each_code_what_it_means(make_doctor: ModuleType) -> None:
    said = make_doctor.said()
    assert list(said) == list(Code)
    for code, sentences in said.items():
        assert sentences, code
        assert all(one.means and one.mend for one in sentences), code
