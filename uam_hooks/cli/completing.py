"""What the shell completes: ids with what they are, batches, settings and what they may be.

It changes nothing and says nothing: what cannot be read is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.settings import KEYS, Settings
from uam_hooks.hot.core.values import OneOf
from uam_hooks.hot.queue.connection import Store
from uam_hooks.store import offered

# Which actions a command is about; the others take any.
_STATES = {
    "cancel": ("pending",),
    "wait": ("pending", "batched", "executing"),
    "retry": ("failed", "cancelled", "completed"),
}


def ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest actions that the command of `ctx` may be about."""
    del param
    given = {str(one) for one in ctx.params.get("ids") or ()}
    with _queue() as store:
        found = offered.actions(store, _STATES.get(ctx.info_name or "", ())) if store else []
    return [
        CompletionItem(str(number), help=_line(words))
        for number, words in found
        if str(number).startswith(incomplete) and str(number) not in given
    ]


def batches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest batches."""
    del ctx, param
    with _queue() as store:
        found = offered.batches(store) if store else []
    return [CompletionItem(str(n), help=_line(words)) for n, words in found if str(n).startswith(incomplete)]


def names(known: dict[str, str]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """One of these names, each with what it is."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(name, help=_line(words)) for name, words in known.items() if name.startswith(incomplete)]

    return complete


def values(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What the setting that was named may be, where that is one of some words."""
    del param
    with suppress(UamError):
        check = Settings.key(str(ctx.params.get("key"))).check
        words = check.words if isinstance(check, OneOf) else ()
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]
    return []


settings = names({key.name: key.help for key in KEYS})


@contextmanager
def _queue() -> Iterator[Store | None]:
    """The queue of the repository around the current directory, if there is one that can be read."""
    store = None
    with suppress(UamError, OSError), Repository.at(Path.cwd(), brief=True) as repo:
        store = Store(repo.paths.database, make=False)
    if store is None:
        yield None
        return
    with store:
        yield store


def _line(words: str) -> str:
    """On one line, as the protocol of the shells wants it, and without what a terminal would act upon."""
    return "".join(one if one.isprintable() else " " for one in words)[:72].strip()
