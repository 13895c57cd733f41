"""`git uam config`: the settings, checked before they are written."""

from __future__ import annotations

from pathlib import Path

import click

from uam_hooks.cli import completing
from uam_hooks.cli.explained import Explained, explained, origins_of
from uam_hooks.cli.program import tell
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import ExitCode, UsageError
from uam_hooks.hot.core.settings import KEYS, Settings
from uam_hooks.hot.core.words import show_line


@click.command(context_settings={"ignore_unknown_options": True})  # -5 is a value, and refused as one
@click.argument("key", required=False, shell_complete=completing.settings)
@click.argument("value", required=False, shell_complete=completing.values)
@click.option("--unset", is_flag=True, help="Go back to the default.")
@click.option("--global", "everywhere", is_flag=True, help="For all repositories of this user.")
@click.option("--explain", is_flag=True, help="Of each also where it is set, its default, and what it may be.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def config(key: str | None, value: str | None, unset: bool, everywhere: bool, explain: bool, as_json: bool) -> int:
    """Show the settings, or write one into git config."""
    with Repository.at(Path.cwd(), brief=True) as repo:
        if key is not None and (value is not None or unset):
            _write(repo, key, value, unset, "--global" if everywhere else "--local")
        elif unset or everywhere:
            raise UsageError("Which setting?", "Write `git uam config KEY VALUE`.")
        settings = Settings.read(repo)
        keys = KEYS if key is None else (Settings.key(key),)
        # where each is set is one more question to git, and not told of a value that is printed alone
        found = explained(settings, keys, origins_of(repo) if explain or not (as_json or key) else {})
        for name, one in found.items():
            if one.value:
                settings[name]  # a value that cannot be read is an error here, too
    if as_json:
        tell({"settings": {name: one._asdict() if explain else one.value for name, one in found.items()}}, None)
    elif explain:
        for name, one in found.items():
            _explain(name, one)
    else:
        for name, one in found.items():
            show_line(one.value if key is not None else _line(name, one))
    return ExitCode.OK


def _line(name: str, one: Explained) -> str:
    where = f" (set in {one.origin}; default {one.default or 'none'})" if one.origin else ""
    return f"{name} = {one.value or '(none)'}  # {one.meaning}{where}"


def _explain(name: str, one: Explained) -> None:
    show_line(name)
    show_line(f"    meaning  {one.meaning}")
    show_line(f"    value    {one.value or '(none)'}")
    show_line(f"    set in   {one.origin or '(nowhere: the default)'}")
    show_line(f"    default  {one.default or '(none)'}")
    show_line(f"    allowed  {one.allowed}")


def _write(repo: Repository, key: str, value: str | None, unset: bool, scope: str) -> None:
    known = Settings.key(key)
    if unset:
        if value is not None:
            raise UsageError("--unset takes no value.")
        repo.run("config", scope, "--unset-all", known.name, ok=(0, 5))
        return
    assert value is not None
    try:
        known.check(value)
    except ValueError as error:
        raise UsageError(f"'{value}' {error}.", f"{known.name}: {known.help}.") from None
    repo.run("config", scope, "--replace-all", known.name, value)
