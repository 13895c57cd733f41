"""`git uam mcp`, as click knows it; see serving."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec

import click

from uam_hooks.hot.core.errors import ExitCode, UamError
from uam_hooks.hot.core.words import say

_MISSING = "The MCP SDK is not in the environment of git uam."


class _NotThere(UamError):
    """What only an extra brings is not in this environment."""

    code = ExitCode.BROKEN


@click.command()
def mcp() -> int:
    """Offer status, log, show, wait, queue, retry and cancel to an agent, as an MCP server on stdin and stdout.

    A client starts it in a worktree, and ends it by closing its stdin. It needs the official MCP SDK, which `pip
    install 'uam-hooks[mcp]'` brings; without it the exit status is 5.
    """
    try:
        from uam_hooks.cli.serving import serve
    except ImportError as error:
        there = find_spec("mcp") is not None
        what = f"The MCP SDK that is in the environment of git uam will not do: {error}." if there else _MISSING
        words = [sys.executable, "-m", "pip", "install", "uam-hooks[mcp]"]
        raise _NotThere(what, f"`{shlex.join(words)}` installs it.") from None
    if sys.stdin.isatty():
        say("an MCP client is to start this and to talk to it; Ctrl-D ends it.")
    serve()
    return ExitCode.OK
