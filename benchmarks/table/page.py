"""The table as Markdown, and its place in a page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BEGIN = "<!-- From here to the next comment benchmarks/run writes. -->"
END = "<!-- The end of what benchmarks/run writes. -->"
_MET = {True: "yes", False: "no", None: "not known"}


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows, a line each."""
    lines = ["| what | git uam | held against | ratio | to reach, at most | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        cells = (row["what"], row["ours"], row["held"] or "-", ratio or "-", row["goal"], _MET[row["met"]])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def said(facts: Mapping[str, Any]) -> str:
    """The table with what was measured it, and what is not level in it."""
    rounds = f", at most {facts['most']} rounds for each row" if facts["most"] else ""
    load = facts["load"]
    head = (
        f"On {facts['date']}: {facts['cores']} cores, load of the machine {load['before']:.1f} before and"
        f" {load['after']:.1f} after, {facts['seconds'] / 60:.0f} minutes{rounds}; "
        + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
        + "."
    )
    if load["before"] > facts["cores"] / 2:
        head += " The machine was busy with other things: what can be read off are the ratios, and not all of these."
    notes = "\n".join(_filled(f"- {row['what']}: {row['note']}", "  ") for row in facts["rows"] if row["note"])
    return f"{_filled(head)}\n\n{table(facts['rows'])}\n\nWhat is not level:\n\n{notes}\n"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def write(page: Path, facts: Mapping[str, Any]) -> None:
    """Put the table into the page, between the two comments; raises ValueError where it has none."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the table")
    page.write_text(f"{before}{BEGIN}\n\n{said(facts)}\n{END}{after}")
