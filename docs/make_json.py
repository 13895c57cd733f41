#!/usr/bin/env python3
"""Writes docs/json.md from docs/schema/v1.json, which says what each command prints with --json.

python docs/make_json.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "json.md"
SCHEMA = DOCS / "schema" / "v1.json"

_INTRO = """# What programs are told

With `--json` a command prints one JSON object on stdout, and nothing else; `git uam status --watch --json` prints one
in a line each time that the queue has changed. This page is made from [a JSON Schema](schema/v1.json), against which
the tests check what the program prints.

- `version` is that of all shapes here: 1. Within a version fields and, where text names a kind or a state, new values
  are added; no field goes, gets another type or means something else. So read what you know, and leave the rest.
- `next_action` is what to do next, null where nothing has to be done. Its `command` was decided by what is in the queue
  and is an argument list: it needs no shell and no quoting. After what failed it says how to look at it or to try it
  again, after what was queued how to wait for it.
- On an error there is `error` instead of what the command has, beside the same words on stderr; the exit status is the
  same as without `--json`. Where the process is killed or interrupted there is no output.
- A field is always there unless the table says *sometimes*; where it can be null, that says "or null".
- Moments are text in UTC such as `2026-05-06T07:08:09.123Z`, durations are numbers of seconds where nothing else is
  said, and objects of git have their full names. Text of others (subjects, names, output) is as they wrote it, without
  what acts on a terminal and without the secrets of URLs.

```
{"version": 1, "error": {"kind": "usage", "exit_status": 2, "what": "There is no action #99."}, "next_action":
 {"words": "`git uam status` lists what is queued.", "command": ["git", "uam", "status"]}}
```
"""


def page() -> str:
    """The whole page."""
    schema = json.loads(SCHEMA.read_text())
    commands = {name if name == "an error" else f"git uam {name}": one for name, one in schema["properties"].items()}
    return "\n".join([_INTRO, "## Commands\n", *_sections(commands), "## Shapes\n", *_sections(schema["$defs"])])


def _sections(shapes: dict[str, Any]) -> Iterator[str]:
    for name, shape in shapes.items():
        yield "\n".join([f"### {_title(name)}", "", *_about(shape), "| field | type | what it is |", "|---|---|---|"])
        for field, one in shape["properties"].items():
            sometimes = "" if field in shape["required"] else "sometimes: "
            yield f"| `{field}` | {_type(one)} | {sometimes}{one['description']} |"
        yield ""


def _title(name: str) -> str:
    """A shape has words of its own, which a heading begins with a capital; a command is written as it is called."""
    return name if name.startswith("git uam ") else name[0].upper() + name[1:].replace("_", " ")


def _about(shape: dict[str, Any]) -> list[str]:
    return [shape["description"], ""] if "description" in shape else []


def _type(one: dict[str, Any]) -> str:
    if "anyOf" in one:
        return " or ".join(_type(each) for each in one["anyOf"])
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        return f"[{_title(name)}](#{_title(name).lower().replace(' ', '-')})"
    if "const" in one:
        return f"`{one['const']}`"
    kinds = one["type"] if isinstance(one["type"], list) else [one["type"]]
    said = [_plain(kind, one) for kind in kinds]
    return " or ".join(said)


def _plain(kind: str, one: dict[str, Any]) -> str:
    if "enum" in one and kind == "string":
        return ", ".join(f"`{value}`" for value in one["enum"])
    if kind == "array":
        return f"list of {_type(one['items'])}"
    if kind == "object" and "additionalProperties" in one:
        return f"object, each value {_type(one['additionalProperties'])}"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}.get(kind, kind)


if __name__ == "__main__":
    PAGE.write_text(page())
