"""What the text of a setting means; a ValueError says what is wrong with it, as "... <why>"."""

from __future__ import annotations

import re
from enum import StrEnum

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)"


def duration(text: str) -> float:
    """`500ms`, `5s`, `10m`, `2h`, `30d` or a bare number of seconds, in seconds. ValueError for anything else."""
    found = re.fullmatch(_DURATION, text.strip())
    if found is None:
        raise ValueError("is not a duration such as 500ms, 5s, 10m, 2h or 30d")
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > 100 * 366 * 86400:
        raise ValueError("is longer than a hundred years")
    return seconds


def boolean(text: str) -> bool:
    """A boolean, in git's spellings."""
    lowered = text.strip().lower()
    if lowered in ("true", "yes", "on", "1"):
        return True
    if lowered in ("false", "no", "off", "0", ""):
        return False
    raise ValueError("is neither true nor false")


def count(text: str) -> int:
    """A whole number from 0 up."""
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise ValueError("is not a whole number from 0 up")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not re.fullmatch(r"\d{1,9}", text.strip()) or int(text) == 0:
        raise ValueError("is not a whole number from 1 up")
    return int(text)


def company(text: str) -> float | None:
    """A duration, or None for `off`."""
    return None if text.strip().lower() == "off" else duration(text)


def ci(text: str) -> str | float:
    """How CI is watched: `auto`, `off`, `gh`, `command`, or a duration for which each landing keeps it busy."""
    word = text.strip().lower()
    if word in ("auto", "off", "gh", "command"):
        return word
    try:
        return duration(text)
    except ValueError:
        raise ValueError("is not one of auto, off, gh, command, and not a duration such as 5m") from None


def arguments(text: str) -> list[str]:
    """An argument list, quoted as for a shell that is never started."""
    import shlex  # only deploys need it

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"has {str(error)[0].lower()}{str(error)[1:]}") from None
    if not words:
        raise ValueError("names no command")
    return words


def words(text: str) -> list[str]:
    """An argument list like that of `arguments`, or none."""
    return arguments(text) if text.strip() else []


def hold(text: str) -> float | None:
    """A duration, or None where the mode of the push decides."""
    return duration(text) if text.strip() else None


def minutes(text: str) -> float | None:
    """A number of minutes above 0; None for nothing."""
    if not text.strip():
        return None
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text.strip()) or float(text) == 0:
        raise ValueError("is not a number of minutes such as 5 or 2.5")
    return float(text)


class OneOf:
    """The check that a value is one of these words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"is not one of {', '.join(self.words)}")
        return text


class Squash(StrEnum):
    """What becomes of several new commits when they land: the values of uam.squash."""

    PUSH = "push"  # one commit for each push
    BATCH = "batch"  # one for all pushes that land together
    NEVER = "never"  # they stay what they are


def squash(text: str) -> Squash:
    """A `Squash`; true and false are what earlier versions had for batch and never."""
    try:
        return Squash(text.strip().lower())
    except ValueError:
        pass
    try:
        return Squash.BATCH if boolean(text) else Squash.NEVER
    except ValueError:
        raise ValueError("is not one of push, batch, never") from None


def anything(text: str) -> str:
    """Any text without control characters."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("contains control characters")
    return text
