"""`git uam doctor`: parse, call, print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from uam_hooks.cli.program import tell
from uam_hooks.doctor.examine import examine, without_repository
from uam_hooks.doctor.finding import FIX, Finding, Severity
from uam_hooks.doctor.mend import mend, plan
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, ExitCode, UsageError
from uam_hooks.hot.core.words import say, show_line

# How many findings of a kind are shown to people.
_EACH = 5


@click.command()
@click.option("--fix", is_flag=True, help="Mend what cannot lose anything, after saying what is done.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(fix: bool, as_json: bool) -> int:
    """Look for what is wrong here: what each thing means, and what mends it.

    Without --fix nothing is changed, and no process is started. Exit status 0: nothing is wrong, or everything was
    mended; 1: something is; 4: git uam is not enabled here.
    """
    try:
        repo = Repository.at(Path.cwd(), brief=True)
    except (UsageError, OSError) as why:
        found = without_repository(Path.cwd(), why)
        if found is None:
            raise
        return _report(found, as_json)
    with repo:
        found = examine(repo)
        if fix and found:
            found = _mended(repo, found, as_json)
    return _report(found, as_json)


def _mended(repo: Repository, found: Sequence[Finding], as_json: bool) -> list[Finding]:
    tell = say if as_json else show_line
    lines = plan(found)
    for line in lines:
        tell(f"will mend {line}")
    if not lines:
        return list(found)
    done = mend(repo, found)
    for line in done.said:
        tell(line)
    return done.findings


def _report(found: Sequence[Finding], as_json: bool) -> int:
    left = [one for one in found if not one.fixed]
    if as_json:
        tell({"sound": not left, "findings": [_facts(one) for one in found]}, _next(left))
        return ExitCode.FAILED if left else ExitCode.OK
    shown: Counter[str] = Counter()
    for one in found:
        shown[one.code] += 1
        if shown[one.code] <= _EACH:
            show_line(f"{'mended' if one.fixed else one.severity.value} {one.code.value}: {one.about}")
        if shown[one.code] <= _EACH and not one.fixed:
            show_line(f"    {one.means}")
            show_line(f"    {one.mend}")
    for code, many in shown.items():
        if many > _EACH:
            show_line(f"{many - _EACH} more of {code}; --json lists all of them")
    show_line(_summary(left))
    return ExitCode.FAILED if left else ExitCode.OK


def _facts(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code.value, "severity": one.severity.value, "about": one.about, "means": one.means,
        "mend": one.mend, "fixable": one.fix is not None, "fixed": one.fixed,
    }  # fmt: skip


def _summary(left: Sequence[Finding]) -> str:
    if not left:
        return "nothing is wrong"
    errors = sum(one.severity is Severity.ERROR for one in left)
    parts = [(errors, "error"), (len(left) - errors, "warning")]
    counted = ", ".join(f"{many} {what}{'s' * (many != 1)}" for many, what in parts if many)
    fixable = sum(one.fix is not None for one in left)
    return f"{counted}; `git uam doctor --fix` mends {fixable} of {len(left)}" if fixable else counted


def _next(left: Sequence[Finding]) -> str | None:
    """The one thing to do next: what keeps something from working comes first."""
    if not left:
        return None
    if any(one.fix is not None for one in left):
        return Advice.of("{} mends what cannot lose anything", *FIX)
    return min(left, key=lambda one: one.severity is not Severity.ERROR).mend
