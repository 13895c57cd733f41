"""What the hooks of a remote say of a push: links, warnings, reasons. Whoever pushes is to read it, as from git itself.

git prints each line with `remote: ` before it, on its stderr, among lines of its own.
"""

from __future__ import annotations

from uam_hooks.hot.core.words import redact

# It is stored with the outcome of every source of a landing, so of much only the beginning and the end are kept.
HALF_LINES = 32
LINE_CHARACTERS = 1000
LEFT_OUT = "[lines left out]"
_PREFIX = "remote:"


def remote_said(err: str) -> tuple[str, ...]:
    """The lines of the remote in `err`, the stderr of a `git push`: without their prefix, without secrets, bounded."""
    lines = [_line(line) for line in err.split("\n") if line.startswith(_PREFIX)]
    if len(lines) > 2 * HALF_LINES:
        lines = [*lines[:HALF_LINES], LEFT_OUT, *lines[-HALF_LINES:]]
    return tuple(lines)


def _line(text: str) -> str:
    """What a terminal would show of one line: of parts that end in a carriage return, the last one that says anything.

    git puts its prefix before each part, and blanks behind it.
    """
    parts = [part.removeprefix(_PREFIX).removeprefix(" ").rstrip() for part in text.split("\r")]
    line = redact(next((part for part in reversed(parts) if part), ""))
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS - 3]}..."
