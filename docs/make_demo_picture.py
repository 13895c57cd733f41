#!/usr/bin/env python3
"""Makes docs/images/demo.svg: what `git uam demo` prints, on a terminal. The text of it in README becomes the same.

    python docs/make_demo_picture.py           runs the demo, which takes a while
    python docs/make_demo_picture.py --readme  draws what README has

The picture loads no font and nothing else from elsewhere.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

DOCS = Path(__file__).resolve().parent
PICTURE = DOCS / "images" / "demo.svg"
README = DOCS.parent / "README.md"
_BLOCK = re.compile(r"(?<=^```\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)  # the first one is the demo's
COLUMNS = 116
_RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from uam_hooks.cli import main; main()"
# That of rich names fonts of another server.
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>What git uam demo prints</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def demo() -> list[str]:
    """What `git uam demo` of this checkout prints; raises CalledProcessError where it fails."""
    command = [sys.executable, "-c", _RUN, str(DOCS.parent), "demo"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def picture(lines: Sequence[str]) -> str:
    """The lines on a terminal, as an SVG: the command before them, and words and figures told apart."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False, force_terminal=True)
    console.print(Text("$ git uam demo", "bold green"))
    for line in [*lines, ""]:
        console.print(_coloured(line))
    made = console.export_svg(title="git uam demo", theme=MONOKAI, code_format=_FORMAT, unique_id="demo")
    return re.sub(r"[ \t]+$", "", made, flags=re.MULTILINE)


def _coloured(line: str) -> Text:
    """A line with what git uam told an agent, and the two figures of a row, in colours."""
    text = Text(line)
    if line.lstrip().startswith("uam: "):
        text.stylize("cyan")
    row = re.search(r"\s{2,}(\S+(?: s)?)\s{2,}(\S+(?: s)?)$", line)
    if row is not None:
        text.stylize("yellow", *row.span(1))
        text.stylize("bold cyan", *row.span(2))
    return text


def shown() -> list[str]:
    """What README has of the demo."""
    found = _BLOCK.search(README.read_text())
    assert found is not None
    return found[0].splitlines()


def main() -> None:
    """Make text and picture of one run."""
    if "--readme" not in sys.argv:
        text = "".join(f"{line}\n" for line in demo())
        README.write_text(_BLOCK.sub(lambda _: text, README.read_text(), count=1))
    PICTURE.write_text(picture(shown()))


if __name__ == "__main__":
    main()
