"""`git uam help`: what `-h` prints, where people ask for it first."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from uam_hooks.hot.core.errors import Advice, ExitCode, UsageError
from uam_hooks.hot.core.words import show_lines


def _commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del param
    return ctx.find_root().command.shell_complete(ctx.find_root(), incomplete)


@click.command()
@click.argument("names", nargs=-1, metavar="[COMMAND]...", shell_complete=_commands)
def help(names: tuple[str, ...]) -> int:
    """Explain git uam, or one of its commands."""
    context = click.get_current_context().find_root()
    for name in names:
        group = context.command
        found = group.get_command(context, name) if isinstance(group, click.Group) else None
        if found is None:
            asked = " ".join(["git uam", *names])
            raise UsageError(
                f"There is no command `{asked}`.", Advice.of("{} lists what there is.", "git", "uam", "help")
            )
        context = click.Context(found, info_name=name, parent=context)
    show_lines(context.get_help())
    return ExitCode.OK
