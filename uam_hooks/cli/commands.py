"""The commands, as click knows them. The module of each is imported when it is called."""

from __future__ import annotations

import importlib
import io

import click

from uam_hooks import __version__
from uam_hooks.cli.program import tell_error
from uam_hooks.hot.core.errors import Advice, ExitCode
from uam_hooks.hot.core.interrupts import INTERRUPTED
from uam_hooks.hot.core.words import complain, say

COMMANDS = {
    "agents-md": "Print what agents need to know, for AGENTS.md and CLAUDE.md.",
    "batch": "Make a batch of what is due, and show it.",
    "cancel": "Take actions out of the queue.",
    "config": "Show the settings, or write one into git config.",
    "demo": "Show what the tool is for, with real repositories.",
    "deploy": "The queue under its older name: queue, batch, execute, status, flush.",
    "doctor": "Say what is wrong here, and what mends it.",
    "execute": "Execute a batch that `git uam batch` has made.",
    "fleet": "Land together with the clones of other machines: join, status, leave.",
    "flush": "Execute what is queued, now.",
    "gate": "Show the gates, run them, or forget their verdicts.",
    "help": "Explain git uam, or one of its commands.",
    "import": "Take over the queue of the tool that this one replaces.",
    "install": "Enable the tool in a repository.",
    "log": "List what was landed and what failed, or show all of one action.",
    "mcp": "Serve an agent: status, log, show, wait, queue, retry and cancel as tools of MCP.",
    "prune": "Expire what landed long ago.",
    "queue": "Queue an action by name: a commit of files, a push, a merge, a workflow, a deploy.",
    "restore": "Bring unsquashed commits back as branches.",
    "retry": "Queue what failed, or was cancelled, once more.",
    "show": "Show what a batch landed, from whom, and the proof.",
    "stats": "Show how many pushes started how many CI runs, against plain git.",
    "status": "Show the queue, and what to do next.",
    "sync": "Bring this branch over to what landed.",
    "uninstall": "Take the tool out of a repository.",
    "urgent": "Shorten the windows for everybody in this repository.",
    "wait": "Wait until an action has ended, and say what became of it.",
}
# The module of a command, where it is not the one of the same name.
_HOMES = {
    "uninstall": "install", "show": "history", "restore": "history", "prune": "history", "execute": "batch",
    "cancel": "actions", "retry": "actions", "import": "importing",
}  # fmt: skip


class _Lazy(click.Group):
    """Lists every command, and imports the module of one when it is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"uam_hooks.cli.{_HOMES.get(cmd_name, name)}")
        command = getattr(module, name if name != "import" else "import_")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="git uam")
def uam() -> None:
    """Many agents commit and push; one landing reaches the remote.

    `git uam help COMMAND` explains one command.

    Exit status: 0 done, 1 something failed, 2 usage, 3 another flush is at work, 4 refused, 5 the queue or
    the environment is broken.
    """


def run() -> int:
    """Do what the command line says; returns the exit status."""
    try:
        status = uam.main(standalone_mode=False, prog_name="git uam", complete_var="_GIT_UAM_COMPLETE")
        return status if isinstance(status, int) else ExitCode.OK
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        code = ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
        tell_error(code, error.format_message(), _how(error))
        complain(shown.getvalue())
        return code
    except click.Abort:
        say("interrupted; the next command finishes what was in progress.")
        return INTERRUPTED


def _how(error: click.ClickException) -> Advice:
    """What shows how the command is called."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    named = context.command_path.split()[2:] if context is not None else []
    return Advice.of("{} shows how it is called.", "git", "uam", "help", *named)
