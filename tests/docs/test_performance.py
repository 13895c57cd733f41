"""docs/performance.md and the command that makes its table: `benchmarks/run`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RUN = CHECKOUT / "benchmarks" / "run"
PAGE = (CHECKOUT / "docs" / "performance.md").read_text()
# Two that share one measurement, and one whose other side is a tool that is not there.
SOME = ("queue-new", "queue-merging", "hooks")


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *args], capture_output=True, text=True)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one round of these rows leaves as JSON; the table is under `printed`."""
    file = tmp_path_factory.mktemp("figures") / "figures.json"
    only = [word for key in SOME for word in ("--only", key)]
    done = run(*only, "--rounds", "1", "--no-peers", "--json", str(file))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return {**found, "printed": done.stdout}


@pytest.mark.slow
def test_a_run_keeps_what_it_measured_and_where(figures: dict[str, Any]) -> None:
    assert figures["most"] == 1
    assert figures["cores"] > 0
    assert {"git", "Python", "SQLite"} == set(figures["versions"])
    assert {"before", "after"} == set(figures["load"])
    rows = {row["key"]: row for row in figures["rows"]}
    assert set(rows) == set(SOME)
    for row in rows.values():
        assert row["ours"].endswith(" ms")
        assert row["failed"] == ""
        assert row["goal"] and row["note"]
    assert len(rows["queue-new"]["raw"]["took"]) == len(rows["queue-new"]["raw"]["others"]) == 1
    assert rows["queue-new"]["ratio"] > 0
    assert isinstance(rows["queue-new"]["met"], bool)
    assert rows["hooks"]["ratio"] is None, "there is nothing to hold it against"
    assert rows["hooks"]["held"] == "not installed"


@pytest.mark.slow
def test_the_table_that_is_printed_has_a_line_for_each_row(figures: dict[str, Any]) -> None:
    lines = [line.split(" | ") for line in figures["printed"].splitlines() if line.startswith("| ")]
    assert [line[0].removeprefix("| ") for line in lines[1:]] == [row["what"] for row in figures["rows"]]
    assert {len(line) for line in lines} == {6}


def test_the_page_has_every_row_and_says_why_it_may_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails, `benchmarks/run --write docs/performance.md` puts the page right."""
    monkeypatch.syspath_prepend(str(RUN.parent))
    from table.main import ROWS
    from table.page import BEGIN, END

    assert len({row.key for row in ROWS}) == len(ROWS)
    table = PAGE.partition(BEGIN)[2].partition(END)[0]
    words = " ".join(table.split())
    below = PAGE.partition("\n## Why a row is not where it should be\n")[2]
    for row in ROWS:
        assert f"\n| {row.what} | " in table
        assert f" | {row.goal} | " in table
        assert not row.note or f" - {row.what}: {row.note}" in words
        assert f"`{row.key}`" in below


def test_the_page_is_written_with_the_whole_table_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(RUN.parent))
    from table.main import main

    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr(sys, "argv", ["benchmarks/run", "--only", "hooks", "--write", str(page)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "--write goes with neither --only nor --no-peers" in capsys.readouterr().err
    assert page.read_text() == PAGE
