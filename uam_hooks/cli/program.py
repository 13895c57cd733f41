"""What programs are told: the one way out for JSON. docs/json.md has the shapes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from uam_hooks.hot.core.errors import ExitCode, UamError, next_action, report
from uam_hooks.hot.core.words import visible

# Of the shapes: fields are added to a version, and none of it ever goes or means something else.
VERSION = 1


def tell(found: Mapping[str, Any], do: str | None, *, indent: int | None = 2) -> None:
    """Print `found` on stdout, with its version and what to `do` next, None where nothing has to be done."""
    sys.stdout.write(json.dumps(_whole(found, do), indent=indent) + "\n")


def tell_error(code: ExitCode, what: str, do: str, **more: Any) -> None:
    """Print the error where `--json` was asked for, with what had been done before it; stderr is for people."""
    if "--json" in takewhile(lambda word: word != "--", sys.argv[1:]):
        sys.stdout.write(json.dumps(as_told(code, what, do, **more)) + "\n")


def as_told(code: ExitCode, what: str, do: str, **more: Any) -> dict[str, Any]:
    """The error as a program is told of it."""
    return _whole({**more, "error": {"kind": code.name.lower(), "exit_status": int(code), "what": what}}, do)


def _whole(found: Mapping[str, Any], do: str | None) -> dict[str, Any]:
    """What is said, harmless also for whoever decodes it and prints what is inside."""
    made: dict[str, Any] = _visible_all({"version": VERSION, **found, "next_action": next_action(do)})
    return made


def fail(error: UamError, **more: Any) -> ExitCode:
    """Say on both ways that a command failed; returns the exit status."""
    tell_error(error.code, error.what, error.do, **more)
    return report(error)


def _visible_all(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value, lines=True)
    if isinstance(value, Mapping):
        return {_visible_all(key): _visible_all(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_visible_all(one) for one in value]
    return value
