"""The command line: parse, call, print. Every command's module is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from .. import __version__
from ..errors import ExitCode, UamError, report, say

COMMANDS = {
    "demo": "Show what the tool is for, with real repositories.",
    "flush": "Land what is queued, now.",
    "install": "Enable the tool in a repository.",
    "prune": "Let go of what landed long ago.",
    "restore": "Bring unsquashed commits back as branches.",
    "show": "Show what a batch landed, from whom, and the proof.",
    "status": "Show the queue, and what to do next.",
    "sync": "Bring this branch over to what landed.",
    "uninstall": "Take the tool out of a repository.",
}


class _Lazy(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = {"uninstall": "install", "show": "keep", "restore": "keep", "prune": "keep"}.get(cmd_name, cmd_name)
        command = getattr(importlib.import_module(f"{__name__}.{module}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="git uam")
def uam() -> None:
    """Many agents commit and push; one landing reaches the remote.

    Exit status: 0 done, 1 something failed, 2 usage, 3 another flush holds the queue, 4 refused, 5 the queue or
    the environment is broken.
    """


def main() -> NoReturn:
    """Entry of `git uam` and `uam`: the one place where errors become words."""
    from ..repo import leave_the_callers_repository

    leave_the_callers_repository()
    try:
        status = uam.main(standalone_mode=False, prog_name="git uam")
        sys.exit(status if isinstance(status, int) else ExitCode.OK)
    except UamError as error:
        sys.exit(report(error))
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED)
    except click.Abort:
        say("interrupted; what was under way is finished or taken up by the next command.")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
