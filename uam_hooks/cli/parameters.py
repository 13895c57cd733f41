"""Parameter types and context that several commands share."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click
from click.shell_completion import CompletionItem

from uam_hooks.hot.core.errors import GitFailed, UsageError
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.values import duration


class Duration(click.ParamType[float]):
    """A duration such as 500ms, 5s or 10m."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for anything else."""
        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(f"'{value}' {error}", param, ctx)


class Moment(click.ParamType[float | str]):
    """How long ago, or a day, as the moment in seconds since 1970; anything else is for git, see `moment_of`."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """A usage error for a day that there is not."""
        text = str(value)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            try:
                return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()
            except ValueError as error:
                self.fail(f"'{text}' is no day: {error}", param, ctx)
        try:
            return time.time() - duration(text)
        except ValueError:
            return text


def moment_of(git: Git, given: float | str | None) -> float | None:
    """A Moment in seconds since 1970, with what `git log --since` takes; UsageError for what is no moment to git."""
    if not isinstance(given, str):
        return given
    # unlike `git log`, which takes every text for some moment, this question fails where it is none
    asked = ("config", "--file", "/dev/null", "--type=expiry-date", "--default", given, "--get", "uam.since")
    try:
        return min(float(git.run(*asked).text), time.time())  # "now" is the latest of all moments
    except (GitFailed, ValueError):
        raise UsageError(
            f"'{given}' is no moment.", "Say 12h, 30d, 2026-11-29, or what `git log --since` takes."
        ) from None


class Id(click.IntRange):
    """The number of an action."""

    name = "id"

    def __init__(self) -> None:
        super().__init__(1, 2**63 - 1)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The newest actions that the command may be about, with what they are."""
        from uam_hooks.cli.completing import ids

        return ids(ctx, param, incomplete)


def under_deploy() -> bool:
    """Whether the command was called as `uam deploy ...`: that starts nothing in the background."""
    parent = click.get_current_context().parent
    return parent is not None and parent.info_name == "deploy"
