"""HTML as text. Whatever is shown was written by others: it becomes harmless here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from uam_hooks.hot.core.words import visible

# a cell with more characters may be broken anywhere
_LONG = 20
# a cell, or what a table has nothing to say about
Cell = str | int | float | None


class Html(NamedTuple):
    """Markup that is ready; any other text is escaped."""

    markup: str


def text(value: Cell) -> str:
    """`value` as text of a page, on one line; a number is what JSON says, and None is a dash."""
    return "-" if value is None else escape(visible(str(value)))


def short(value: str, most: int) -> str:
    """`value` with at most so many characters: what is in the middle goes."""
    shown = visible(value)
    if len(shown) <= most:
        return shown
    tail = (most - 1) // 2
    return f"{shown[: most - 1 - tail]}…{shown[len(shown) - tail :]}"


def tag(name: str, *inside: str | Html, **attributes: str) -> Html:
    """An element; `class_` is its class."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    within = "".join(one.markup if isinstance(one, Html) else text(one) for one in inside)
    return Html(f"<{name}{said}>{within}</{name}>")


def joined(parts: Iterable[Html]) -> Html:
    """One after the other."""
    return Html("\n".join(one.markup for one in parts))


class Table(NamedTuple):
    """A table: `of` names the list of the JSON that it shows, `foot` is what all rows come to."""

    of: str
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Cell] = ()
    kind: str = ""


def table(one: Table) -> Html:
    """The table, in a box that it scrolls in where it is too wide for the page."""
    parts = [
        tag("caption", one.caption),
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in one.heads))),
        tag("tbody", *(_row(one.heads, row) for row in one.rows)),
    ]
    if one.foot:
        parts.append(tag("tfoot", _row(one.heads, one.foot)))
    made = tag("table", *parts, data_of=one.of, class_=one.kind)
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=one.caption)


def _row(heads: Sequence[str], row: Sequence[Cell]) -> Html:
    return tag("tr", *(_cell(head, cell) for head, cell in zip(heads, row, strict=True)))


def _cell(head: str, cell: Cell) -> Html:
    kind = "n" if isinstance(cell, int | float) else "long" if cell and len(cell) > _LONG else "t"
    return tag("td", Html(text(cell)), class_=kind, data_head=head)
