"""What a setting is, where it comes from, and what it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import settings, values
from uam_hooks.hot.core.settings import Key, Settings
from uam_hooks.hot.core.values import OneOf, Squash

_DURATION = "a duration such as 500ms, 5s, 10m, 2h or 30d"
_COMMAND = "a command as an argument list, quoted as for a shell that is never started"
_ALLOWED: dict[Callable[[str], Any], str] = {
    values.duration: _DURATION,
    values.boolean: "true or false",
    values.count: "a whole number from 0 up",
    values.positive: "a whole number from 1 up",
    values.company: f"{_DURATION}, or off",
    values.ci: "auto, off, gh, command, or a duration such as 5m",
    values.arguments: _COMMAND,
    values.words: f"{_COMMAND}, or nothing",
    values.hold: f"{_DURATION}, or nothing",
    values.minutes: "a number of minutes such as 5 or 2.5, or nothing",
    values.squash: ", ".join(Squash),
    values.anything: "any text",
}


class Explained(NamedTuple):
    """One setting as it is here. `origin` is the file that it is set in, as git names it; "" for the default."""

    value: str
    origin: str
    default: str
    allowed: str
    meaning: str


def explained(found: Settings, keys: Iterable[Key], origins: Mapping[str, str]) -> dict[str, Explained]:
    """Each of these settings, by name; see `origins_of`."""
    return {
        key.name: Explained(
            found.text(key.name), origins.get(settings.spelled(key.name), ""), key.default, _allowed(key), key.help
        )
        for key in keys
    }


def origins_of(repo: Repository) -> dict[str, str]:
    """Of each `uam` key that is set, spelled as git prints it, where its last value stands."""
    # 1: none is set
    out = repo.run("config", "-z", "--show-origin", "--name-only", "--get-regexp", r"^uam\.", ok=(0, 1)).out
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    return {name: origin.removeprefix("file:") for origin, name in zip(fields[::2], fields[1::2], strict=False)}


def _allowed(key: Key) -> str:
    return ", ".join(key.check.words) if isinstance(key.check, OneOf) else _ALLOWED[key.check]
