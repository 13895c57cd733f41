"""The page of `git uam stats --html`: what the JSON says, whatever names are in it, and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import resource
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import CHROMIUM, browser
from tests.support.landscape import by_hand, flushed, queue, record, write
from tests.support.queueing import change
from tests.support.scenes import Scene
from uam_hooks.hot.core.errors import UamError
from uam_hooks.page import written
from uam_hooks.store import verdicts

HOSTILE = "</td></table><script>alert(1)</script>&amp;\"'"
FILE = "<img src=x onerror=alert(2)>\u202e.py"
SUBJECT = "</title></style><svg onload=alert(3)> https://ada:secret@example.com/"
# all that a page is made of
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "p", "dl", "div", "dt",
    "dd", "strong", "span", "code", "figure", "figcaption", "ul", "li", "svg", "desc", "g", "rect", "path", "circle",
    "text", "details", "summary", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td",
}  # fmt: skip


class Parsed(HTMLParser):
    """The tags of a page with their attributes, its style sheet, its text, and the rows of its tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.style = ""
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "!doctype"):
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attrs)["data-of"] or "", [])
        elif tag == "tr":
            self._rows.append([])
        elif tag == "td":
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "table":
            self.tables = {name: [row for row in rows if row] for name, rows in self.tables.items()}

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.style += data
            return
        self.text += data
        if "td" in self._open:
            self._rows[-1][-1] += data


@pytest.fixture(scope="module")
def told(
    templates: dict[str, Scene], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], Path]]:
    """What `stats --json` says of a repository with a bit of everything, and the page that was made with it."""
    scene = Scene(tmp_path_factory.mktemp("page"), templates["wired"])
    try:
        by_hand(scene)
        scene.git("config", "uam.ci.minutes", "5")
        agents = [scene.worktree(name) for name in ("one", "two", "three")]
        agents[0].env["UAM_AGENT_ID"] = HOSTILE
        for number, agent in enumerate(agents[:2]):
            agent.commit(f"{number}")
            queue(agent)
        flushed(scene)
        change(scene, "UPDATE sources SET queued_at = '2026-01-05T23:59:59.500Z'")
        change(scene, "UPDATE deploy_queue SET finished_at = '2026-01-06T00:00:10.123Z'")
        for agent in agents:
            write(agent, FILE, agent.top.name)
            record(agent, SUBJECT)
            queue(agent)
        flushed(scene)
        with scene.store() as store:
            for green in (True, False, True):
                verdicts.record(store, "unit", "f", "t", verdicts.Known(green, True, ""), 1.5)
        done = scene.run("uam", "stats", "--json", "--html", "page.html")
        assert (done.code, done.err) == (0, ""), done
        yield json.loads(done.out), scene.top / "page.html"
    finally:
        scene.close()


def test_the_tables_have_the_numbers_of_the_json(told: tuple[dict[str, Any], Path]) -> None:
    found, path = told
    tables = Parsed(path.read_text()).tables
    days, runs, minutes = found["days"], found["runs"], found["ci_minutes"]
    keys = ("started", "plain", "cancelling", "cancelling_without_verdict")
    assert len(days) == 2
    assert (found["conflicts"]["pushes"], found["pushes"]["failed"]) == (2, 2)

    def cells(*values: object) -> list[str]:
        return ["-" if value is None else str(value) for value in values]

    def waits(waited: dict[str, float] | None) -> tuple[object, ...]:
        return (waited["p50"], waited["p95"]) if waited else (None, None)

    assert tables["days"] == [
        *(cells(day["day"], day["pushes"], day["runs"], day["saved"]) for day in days),
        cells("All", runs["plain"], runs["started"], runs["saved"]),
    ]
    assert tables["days.ci_minutes"] == [
        *(cells(day["day"], *(day["ci_minutes"][key] for key in keys)) for day in days),
        cells("All", *(minutes[key] for key in keys)),
    ]
    assert tables["days.waiting"] == [
        *(cells(day["day"], *waits(day["waiting"])) for day in days), cells("All", *waits(found["waiting"])),
    ]  # fmt: skip
    assert sorted(tables["agents"]) == sorted(
        cells(one["agent"], one["pushes"], one["runs"], *waits(one["waiting"])) for one in found["agents"]
    )
    assert tables["gates"] == [cells("unit", 3, 2, 1, 1, 1.5)]
    assert found["gates"] == [{"gate": "unit", "runs": 3, "failed": 1, "flaky": 1, "seconds": 1.5}]
    assert tables["conflicts.files"] == [cells(one["file"], one["conflicts"]) for one in found["conflicts"]["files"]]
    assert tables["conflicts.pairs"] == [cells(*one["agents"], one["conflicts"]) for one in found["conflicts"]["pairs"]]
    assert tables["last_day.landings"] == [
        cells(one["at"][:19].replace("T", " "), one["where"], one["commit"][:10], one["batch"], one["subject"],
              of["agent"], of["branch"], of["tip"][:10], of["subject"], of["waited"])
        for one in found["last_day"]["landings"] for of in one["sources"]
    ]  # fmt: skip
    assert len(tables["last_day.landings"]) == 1


def test_names_of_others_are_text_and_nothing_is_loaded_or_run(told: tuple[dict[str, Any], Path]) -> None:
    found, path = told
    page = path.read_text()
    parsed = Parsed(page)
    assert parsed.tags <= TAGS
    names = {name for name, _ in parsed.attributes}
    assert [name for name in names if name.startswith("on") or name in ("style", "href", "src", "xlink:href")] == []
    shown = SUBJECT.replace("ada:secret", "***")
    assert "http" not in page.replace("http-equiv=", "").replace("https://***@example.com", "")
    assert [word for word in ("url(", "@import", "secret", "\u202e") if word in page] == []
    for text in (HOSTILE, FILE.replace("\u202e", "?"), shown):
        assert text in parsed.text
    digest = base64.b64encode(hashlib.sha256(parsed.style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in parsed.attributes
    assert found["conflicts"]["files"] == [{"file": FILE.replace("\u202e", "?"), "conflicts": 2}]
    assert {tuple(one["agents"]) for one in found["conflicts"]["pairs"]} == {(HOSTILE, "three"), (HOSTILE, "two")}
    (landing,) = found["last_day"]["landings"]
    assert landing["commit"] == (path.parent.parent / "origin.git/refs/heads/main").read_text().strip()
    assert [(one["agent"], one["subject"]) for one in landing["sources"]] == [(HOSTILE, shown)]
    assert found["last_day"]["left_out"] == 0
    # each chart says what it is and what it shows
    charts = re.findall(
        r'<svg [^>]*role="img" aria-labelledby="(\S+) (\S+)"><title id="(\S+)">[^<]+</title>\s*'
        r'<desc id="(\S+)">[^<]+</desc>',
        page,
    )
    assert len(charts) == page.count("<svg ") == 2 * 8
    assert all((title, desc) == (t, d) for title, desc, t, d in charts)
    ids = [value for name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_a_browser_shows_the_numbers_at_any_width_and_in_any_light(
    told: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    found, path = told
    colours = set()
    with browser(tmp_path) as tab:
        for width, kind, other in ((375, "narrow", "wide"), (1280, "wide", "narrow")):
            for scheme in ("light", "dark"):
                tab.show(path, width, scheme)
                assert tab.value("document.documentElement.scrollWidth") <= width
                shown = tab.value("document.body.innerText")
                assert f"CI runs\n{found['runs']['started']}" in shown
                assert f"{found['runs']['saved']} fewer than plain git" in shown
                boxes = "[...document.querySelectorAll('svg.%s')].map(one => one.getBoundingClientRect().width)"
                assert min(tab.value(boxes % kind)) > min(width, 560) * 0.8
                assert max(tab.value(boxes % other)) == 0
                bars = "document.querySelectorAll('#runs svg.%s .bar .rect').length"
                assert tab.value(bars % kind) == 2 * (14 if width == 375 else 31)
                colours.add(tab.value("getComputedStyle(document.body).backgroundColor"))
                tab.value("document.querySelectorAll('details').forEach(one => one.open = true)")
                assert tab.value("document.documentElement.scrollWidth") <= width
                cells = "[...document.querySelectorAll('[data-of=days] tbody td')].map(one => one.innerText)"
                assert tab.value(cells) == [
                    str(day[key]) for day in found["days"] for key in ("day", "pushes", "runs", "saved")
                ]
                asked = [
                    one["params"]["request"]["url"] for one in tab.said if one["method"] == "Network.requestWillBeSent"
                ]
                assert asked == [path.as_uri()]
                assert [one for one in tab.said if one["method"] == "Log.entryAdded"] == []
    assert colours == {"rgb(255, 255, 255)", "rgb(20, 23, 28)"}


def test_an_empty_queue_has_a_page_and_a_page_that_cannot_be_written_says_why(scene: Scene) -> None:
    done = scene.run("uam", "stats", "--html", "-")
    assert (done.code, done.err) == (0, "")
    parsed = Parsed(done.out)
    assert parsed.text.count("Nothing has landed on a branch of a remote.") == 3
    assert "No gate has run." in parsed.text
    assert "No push has conflicted." in parsed.text
    assert "Nothing has landed within the last day." in parsed.text
    assert {"svg", "table"} & parsed.tags == set()
    for name, code, words in (
        ("absent/page.html", 2, "There is no directory"),
        (".git", 2, ".git is a directory."),
        ("README/page.html", 2, "There is no directory"),
        ("/dev/full", 1, "/dev/full could not be written: No space left on device."),
    ):
        done = scene.run("uam", "stats", "--html", name)
        assert (done.code, done.out) == (code, ""), done
        assert words in done.err
        assert "Traceback" not in done.err
    done = scene.run("uam", "stats", "--html", "-", "--json")
    told = json.loads(done.out)["error"]["what"]
    assert (done.code, "both write to stdout" in done.err, "both write to stdout" in told) == (2, True, True), done


def test_a_page_replaces_a_file_as_a_whole(scene: Scene) -> None:
    place = scene.top / "sub"
    place.mkdir()
    real = place / "real.html"
    real.write_text("before\n")
    real.chmod(0o604)
    before = real.stat().st_ino
    (place / "page.html").symlink_to("real.html")
    # the alias is run at the top: the name counts from where git was called
    done = scene.run("-C", "sub", "uam", "stats", "--html", "page.html")
    assert (done.code, done.out) == (0, "the page is in page.html\n"), done
    assert (place / "page.html").is_symlink()
    assert real.read_text().startswith("<!doctype html>")
    assert (real.stat().st_mode & 0o777, real.stat().st_ino != before) == (0o604, True)
    assert sorted(one.name for one in place.iterdir()) == ["page.html", "real.html"]


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, hard))
    try:
        with pytest.raises(UamError, match="could not be written: File too large"):
            written.write(str(page), "x" * (1 << 14))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert page.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [page]
