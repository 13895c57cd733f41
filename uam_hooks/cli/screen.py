"""What people read on stdout: on a terminal in colours and no wider than it is, elsewhere each line as it is.

Nothing heavy is loaded for it: `git uam status` shows its queue by it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

from uam_hooks.hot.core.colours import wanted
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.words import show_lines, show_painted, visible

# A terminal that is narrower is not one to be read from: what is meant for it is cut wherever it ends.
_NARROWEST = 20
# What is not taken apart where a line is: a command in `...`, with the blanks in it, and any other word.
_WORD = re.compile(r"\s+|(?:`[^`]*`|\S)+")


class Tint(StrEnum):
    """What a word stands for: its colour, as a terminal knows it."""

    NONE = ""
    GOOD = "32"
    BAD = "31"
    BUSY = "36"
    WAITS = "33"
    PAST = "2"
    HEAD = "33"


# The colour of a state: of an action, a batch, a source, a branch's CI.
_STATES = {
    "completed": Tint.GOOD, "landed": Tint.GOOD, "idle": Tint.GOOD, "passed": Tint.GOOD,
    "failed": Tint.BAD, "unknown": Tint.BAD,
    "executing": Tint.BUSY, "batched": Tint.BUSY, "busy": Tint.BUSY,
    "pending": Tint.WAITS, "cancelled": Tint.PAST, "withdrawn": Tint.PAST, "replaced": Tint.PAST,
}  # fmt: skip


class Part(NamedTuple):
    """A part of a line, and its colour."""

    text: str
    tint: Tint = Tint.NONE


Cell = Part | str


def state(word: str, text: str = "") -> Part:
    """A state in its colour; `text` is shown instead of the word."""
    return Part(text or word, _STATES.get(word, Tint.NONE))


class Screen:
    """Where a command prints lines for people.

    It is `coloured` as color.uam and color.ui say, and NO_COLOR; `width` is None where it is no terminal.
    """

    def __init__(self, settings: Settings) -> None:
        self.width = _columns() if sys.stdout.isatty() else None
        # whether it is a terminal that can do more than lines
        self.moves = self.width is not None and os.environ.get("TERM", "dumb") != "dumb"
        self.coloured = wanted(settings, "color.uam", self.moves and not os.environ.get("NO_COLOR"))
        self._paged_in_colours = not settings.all("color.pager") or wanted(settings, "color.pager", True)

    def line(self, *cells: Cell) -> None:
        """Print one line; on a terminal that is narrower as several, which end between words."""
        parts = [_part(cell) for cell in cells]
        if self.width is None:
            self._print(parts)
            return
        for line in fitted(parts, self.width):
            self._print(line)

    def lines(self, text: str) -> None:
        """Print lines that somebody else has laid out."""
        show_lines(text)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print rows below their heads. On a terminal that is too narrow for that each row is a paragraph: its first
        three cells and the last one on a line, below it the others.
        """
        shown = [[_part(cell) for cell in row] for row in rows]
        widths = [max(len_of(text) for text in column)
                  for column in zip(heads, *([part.text for part in row] for row in shown), strict=True)]  # fmt: skip
        if self.width is not None and sum(widths) + 2 * (len(widths) - 1) > self.width:
            for row in shown:
                self._paragraph(row)
            return
        for row in ([Part(head) for head in heads], *shown):
            cells = [one for part, width in zip(row, widths, strict=True) for one in _padded(part, width)]
            while cells and not cells[-1].text.strip():
                cells.pop()
            self._print(cells)

    def _paragraph(self, row: Sequence[Part]) -> None:
        first, last = [part for part in row[:3] if part.text], row[-1]
        begun = [one for part in first for one in (part, Part(" "))]
        self.line(*begun[:-1], *([Part(", "), last] if last.text else []))
        rest = [part for part in row[3:-1] if part.text]
        if rest:
            self.line("    ", *[one for part in rest for one in (part, Part("  "))][:-1])

    def _print(self, parts: Sequence[Part]) -> None:
        show_painted((part.text, part.tint if self.coloured else "") for part in parts)

    @contextmanager
    def paged(self, git: Git) -> Iterator[None]:
        """Let what the block prints go through the pager that git would use, on a terminal."""
        from uam_hooks.cli.pager import pager_of, through  # only here: what starts processes takes long to load

        pager = pager_of(git) if self.width is not None else None
        if pager is None:
            yield
            return
        self.coloured = self.coloured and self._paged_in_colours
        with through(pager):
            yield


def _part(cell: Cell) -> Part:
    return Part(visible(cell)) if isinstance(cell, str) else Part(visible(cell.text), cell.tint)


def _padded(part: Part, width: int) -> tuple[Part, Part]:
    return part, Part(" " * (width - len_of(part.text) + 2))


def _columns() -> int:
    """How wide the terminal is, as git sees it."""
    said = os.environ.get("COLUMNS", "")
    if said.isascii() and said.isdecimal() and int(said) > 0:
        return max(int(said), _NARROWEST)
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, _NARROWEST)
    except OSError:
        return 80


def len_of(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def fitted(cells: Sequence[Cell], width: int) -> Iterator[list[Part]]:
    """A line that is too long as several: those after the first are indented, and a word that is wider stays whole."""
    parts = [_part(cell) for cell in cells]
    if sum(len_of(part.text) for part in parts) <= width:
        yield parts
        return
    text = "".join(part.text for part in parts)
    indent = " " * min(len(text) - len(text.lstrip()) + 4, width // 3)
    line: list[Part] = []
    filled, blank = 0, Part("")
    for word in _words(parts):
        if word[0].text.isspace():
            blank = word[0]
            continue
        long = sum(len_of(part.text) for part in word)
        if line and filled + len_of(blank.text) + long > width:
            yield line
            line, filled, blank = [], 0, Part(indent[: max(0, width - long)])
        if line and line[-1].tint == word[0].tint:  # of one colour, with the blank between them
            line[-1:], word = [line[-1]._replace(text=f"{line[-1].text}{blank.text}{word[0].text}")], word[1:]
        elif blank.text:
            line.append(blank)
        line += word
        filled += len_of(blank.text) + long
        blank = Part("")
    if line:
        yield line


def _words(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The words of a line and the blanks between them; a word may be of several parts."""
    word: list[Part] = []
    for part in parts:
        for found in _WORD.findall(part.text):
            if found.isspace():
                if word:
                    yield word
                word = []
                yield [Part(found)]
            else:
                word.append(Part(found, part.tint))
    if word:
        yield word
