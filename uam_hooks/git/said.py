"""What the hooks of a remote say of a push: links, warnings, reasons. Whoever pushes is to read it, as from git itself.

git prints each line with `remote: ` before it and blanks behind it, on its stderr, among lines of its own. What the
other side, or ssh, prints there beside the protocol counts as said by the remote as well.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from uam_hooks.hot.core import sideband
from uam_hooks.hot.core.sideband import LEFT_OUT
from uam_hooks.hot.core.talk import progress, without_progress
from uam_hooks.hot.core.words import PADDING, redact

# It is stored with the outcome of every source of a landing, so of much only the beginning and the end are kept.
HALF_LINES = 32
LINE_CHARACTERS = 1000
# What those who wait hear at once; of what is more than that they hear the last HALF_LINES, in the end.
LIVE_LINES = 500
LIVE_CHARACTERS = 64 * 1024
_PREFIX = "remote:"
_ENDS = re.compile("[\r\n]")
# How git's own lines begin; those of a push that fails are in its reason.
_GITS_OWN = re.compile(rb"\s*$|error: |fatal: |hint: |To |Everything up-to-date|Pushing to ")
_LONGEST = 64 * 1024


class RemoteWords:
    """The stderr of one `git push`, as it comes. Each line of the remote is given to `tell`, as soon as it is whole.

    They are without their prefix, without secrets, and not more than the bounds above. What git says of its progress is
    given to `show`, as it is.
    """

    def __init__(self, tell: Callable[[str], None], show: Callable[[str], None] = lambda _line: None) -> None:
        self._tell, self._show = tell, show
        self._open = bytearray()
        self._head: list[str] = []
        self._room = LIVE_CHARACTERS
        self._tail: deque[bytes] = deque(maxlen=HALF_LINES)
        self._more = 0

    def hear(self, data: bytes) -> None:
        """git has printed this."""
        first, *others = data.split(b"\n")
        self._open += first
        for line in others:
            self._heard(bytes(self._open))
            self._open = bytearray(line)
        if len(self._open) > _LONGEST:
            self._open = _shortened(self._open)

    def _heard(self, raw: bytes) -> None:
        if (shown := progress(raw)) is not None:
            self._show(redact(shown.decode("utf-8", "replace")))
        if _GITS_OWN.match(raw) or not (raw := without_progress(raw)):
            return
        if self._more or len(self._head) == LIVE_LINES or self._room <= 0:
            self._tail.append(raw)
            self._more += 1
            return
        line = _line(raw)
        self._head.append(line)
        self._room -= len(line)
        self._tell(line)

    def end(self) -> tuple[str, ...]:
        """git has ended; what the remote said, to be stored."""
        self._heard(bytes(self._open))
        rest = [LEFT_OUT] * (self._more > len(self._tail)) + [_line(raw) for raw in self._tail]
        for line in rest:
            self._tell(line)
        return bounded([*self._head, *rest])


def bounded(lines: Iterable[str]) -> tuple[str, ...]:
    """As much of the lines as is stored."""
    found = tuple(lines)
    return found if len(found) <= 2 * HALF_LINES else (*found[:HALF_LINES], LEFT_OUT, *found[-HALF_LINES:])


def heard(batches: Path, batch: str, action: int) -> tuple[str, ...]:
    """What was heard of an action by a process that is gone, to be stored."""
    return bounded(sideband.heard(batches, batch, action))


def _line(raw: bytes) -> str:
    """What a terminal would show of one line: of parts that end in a carriage return, the last one that says anything.

    git puts its prefix before each part.
    """
    parts = [_part(part) for part in _ENDS.split(raw.decode("utf-8", "replace"))]
    line = redact(next((part for part in reversed(parts) if part.strip()), parts[0]))
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS - 3]}..."


def _part(text: str) -> str:
    return text.removeprefix(_PREFIX).removeprefix(" ").removesuffix(PADDING)


def _shortened(line: bytearray) -> bytearray:
    """A line that does not end, with as much of it as `_line` may show."""
    *parts, last = line.split(b"\r")
    says = next((part for part in reversed(parts) if _part(part.decode("utf-8", "replace")).strip()), line[:8])
    return bytearray(b"\r").join((says[: _LONGEST // 8], last[: _LONGEST // 8]))
