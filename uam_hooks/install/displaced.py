"""Our hooks that are not where we put them any more: another tool has put them aside, overwritten or removed them."""

from __future__ import annotations

from typing import NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Refused
from uam_hooks.install.configured import asked_for, running
from uam_hooks.install.hookdir import Record, hooks_directory
from uam_hooks.install.hookfile import HOOKS, State, put_aside, state_of


class Displaced(NamedTuple):
    """A hook of ours that git does not start, what is there instead, and where ours lies now, if anywhere."""

    hook: str
    instead: str
    aside: tuple[str, ...] = ()


def displaced(repo: Repository) -> list[Displaced]:
    """The hooks that an install has put in and that are not there any more; those that somebody has edited are.

    One that git runs from its config is there, wherever it lies besides. An older git does not know that.
    """
    record = Record.read(repo.paths.uam)
    sums = record.sums if record else {}
    wanted = {*sums, *asked_for(repo)}
    names = [name for name in HOOKS if name in wanted]
    if not names:
        return []
    try:
        directory = hooks_directory(repo)
    except Refused as error:
        return [Displaced(name, error.what) for name in names if not running(repo, name)]
    found = []
    for name in names:
        known = sums.get(name)
        state = state_of(directory / name, name, known)
        if state in (State.ABSENT, State.FOREIGN) and not running(repo, name):
            aside = tuple(path.name for path in put_aside(directory, name, known))
            found.append(Displaced(name, state.value, aside))
    return found
