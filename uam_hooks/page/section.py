"""What sections have in common: the tables below a chart, and words for numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uam_hooks.page.markup import Html, Table, table, tag


def numbers(*tables: Table) -> Html:
    """The tables, folded away below their chart."""
    names = " and ".join(one.caption for one in tables)
    return tag("details", tag("summary", "Numbers"), *map(table, tables), class_="numbers", aria_label=names)


def nothing(*words: str | Html) -> Html:
    """What stands in the place of a chart."""
    return tag("p", *words, class_="nothing")


def waits(found: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    """The half and the 95 % of the waits."""
    return (None, None) if found is None else (found["p50"], found["p95"])


def seconds(value: float) -> str:
    """A time as a person says it."""
    if value < 90:
        return f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 90 * 60 else f"{value / 3600:.1f} h"


def counted(number: int, name: str) -> str:
    """So many of them: `2 pushes`."""
    return f"{number} {name}{'' if number == 1 else 'es' if name.endswith('sh') else 's'}"
