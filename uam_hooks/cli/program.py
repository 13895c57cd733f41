"""What a program that asked for JSON is told where a command fails."""

from __future__ import annotations

import sys
from itertools import takewhile

from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import redact, show_json


def tell_program(code: ExitCode, what: str, do: str) -> None:
    """Print the error as JSON on stdout where `--json` was asked for; what is said on stderr is for people."""
    if "--json" in takewhile(lambda word: word != "--", sys.argv[1:]):
        show_json(as_told(code, what, do), indent=None)


def as_told(code: ExitCode, what: str, do: str) -> dict[str, object]:
    """The error as a program is told of it."""
    told = {"kind": code.name.lower(), "exit_status": int(code), "what": redact(what), "next_action": redact(do)}
    return {"error": told}
