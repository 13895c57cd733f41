"""Parameter types and context that several commands share."""

from __future__ import annotations

import click

from uam_hooks.hot.core.settings import duration


class Duration(click.ParamType[float]):
    """A duration such as 500ms, 5s or 10m."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for anything else."""
        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(f"'{value}' {error}", param, ctx)


class Id(click.IntRange):
    """The number of an action."""

    name = "id"

    def __init__(self) -> None:
        super().__init__(1, 2**63 - 1)


def under_deploy() -> bool:
    """Whether the command was called as `uam deploy ...`: that starts nothing in the background."""
    parent = click.get_current_context().parent
    return parent is not None and parent.info_name == "deploy"
