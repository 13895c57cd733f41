"""`git uam agents-md`."""

from __future__ import annotations

from pathlib import Path

import click

from uam_hooks.cli.program import tell
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import show_line
from uam_hooks.install import advice
from uam_hooks.install.advice import Fate

_WORDS = {
    Fate.ADDED: "the paragraph was added",
    Fate.UPDATED: "the paragraph was brought up to date",
    Fate.CURRENT: "is up to date",
}


@click.command("agents-md")
@click.option("--write", is_flag=True, help="Keep it in AGENTS.md and CLAUDE.md, between markers.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def agents_md(write: bool, as_json: bool) -> int:
    """Print what agents need to know of git uam, for AGENTS.md and CLAUDE.md."""
    fates: dict[str, Fate] = {}
    if write:
        with Repository.at(Path.cwd(), brief=True) as repo:
            fates = advice.keep(repo)
    if as_json:
        tell({"text": advice.TEXT, "files": fates}, None)
    elif write:
        for name, fate in fates.items():
            show_line(f"{name}: {_WORDS[fate]}")
    else:
        for line in advice.TEXT.splitlines():
            show_line(line)
    return ExitCode.OK
