"""Whether there are colours, and which git gives to a word at the beginning of a line of the remote (sideband.c)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.values import boolean
from uam_hooks.hot.core.words import on_terminal

_RESET = "\x1b[m"
_WORDS = {"hint": "\x1b[33m", "warning": "\x1b[1;33m", "success": "\x1b[1;32m", "error": "\x1b[1;31m"}
_FIRST = rf"(?i)(\s*)({'|'.join(_WORDS)})(?![A-Za-z0-9])"


class Colours:
    """What color.remote and color.ui say about lines that are printed on stderr. git is asked when one is."""

    def __init__(self, git: Git, settings: Settings) -> None:
        self._git, self._settings = git, settings
        self._on: bool | None = None

    def coloured(self, line: str) -> str:
        """A line of a remote, with its first word in the colour that git would give it."""
        if self._on is None:
            self._on = wanted(self._settings, "color.remote", on_terminal())
        found = re.match(_FIRST, line) if self._on else None
        if found is None:
            return line
        colour = self._colour(found[2].lower())
        return f"{found[1]}{colour}{found[2]}{_RESET}{line[found.end() :]}"

    def _colour(self, word: str) -> str:
        key = f"color.remote.{word}"
        if not self._settings.all(key):
            return _WORDS[word]
        try:
            return self._git.run("config", "--get-color", key).text
        except (GitFailed, OSError):  # git does not know that colour, and takes its own
            return _WORDS[word]


def wanted(settings: Settings, slot: str, auto: bool) -> bool:
    """Whether `slot` (color.remote) has colours, as `git config --get-colorbool` decides it; `auto` is whether it is a
    terminal that gets them.
    """
    values: Mapping[str, bool] = {"always": True, "never": False}
    said = (settings.all(slot) or settings.all("color.ui") or ["auto"])[-1].lower()
    if said in values:
        return values[said]
    try:
        return auto and (said == "auto" or boolean(said))
    except ValueError:
        return False
