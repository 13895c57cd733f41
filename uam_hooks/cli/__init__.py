"""The command line: parse, call, print."""

from __future__ import annotations

import io
import sys
from typing import NoReturn

from uam_hooks.cli.plain import plain_command
from uam_hooks.cli.program import fail
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.interrupts import collect_garbage, interruptible


def main() -> NoReturn:
    """Entry of `git uam` and `uam`: the one place where errors become messages and exit codes."""
    from uam_hooks.git.repo import clear_git_environment

    clear_git_environment()
    for stream in (sys.stdout, sys.stderr):  # a name need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(interruptible(_command))


def _command() -> int:
    try:
        return _called(sys.argv[1:])
    except UamError as error:
        return fail(error)
    except BrokenPipeError:
        sys.stderr.close()
        return 141


def _called(arguments: list[str]) -> int:
    if plain := plain_command(arguments):
        return plain()
    from uam_hooks.cli.commands import run

    collect_garbage()
    return run()
