"""What git config says, asked once and then only when a file that it comes from has changed.

A process that stays asks for the settings again and again, because they may have changed. git names the files that it
reads; they are looked at instead.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from uam_hooks.git.stamps import Stamp, stamp, usual_files
from uam_hooks.hot.core.plumbing import Git
from uam_hooks.hot.core.typed import NamedTuple

_FILE = "file:"
# A file that changed so shortly before it was read may change once more without another stamp: in nanoseconds, where
# stamps are fine, and where they seem to be coarse.
_FRESH, _COARSE = 50_000_000, 2_000_000_000


class _Entry(NamedTuple):
    scope: str
    origin: str
    name: str
    text: str  # the name, and the value if it has one, as git prints both


class Configuration:
    """The settings of one repository, as the `git` of it sees them."""

    def __init__(self, git: Git, common_dir: Path) -> None:
        self._git, self._common_dir = git, common_dir
        self._entries: list[_Entry] = []
        self._stamps: dict[str, Stamp] | None = None
        self._environment: dict[str, str] = {}

    def matching(self, wanted: str, environment: Mapping[str, str]) -> bytes:
        """What `git config -z --show-scope --get-regexp` prints for the pattern `wanted`, with these variables besides
        those of this process; GitFailed as git fails.
        """
        environment = {**os.environ, **environment}
        if self._stamps is None or self._environment != environment or self._stamps != _stamps(self._stamps):
            self._read(environment)
        found = re.compile(wanted)
        fields = (f"{one.scope}\0{one.text}\0" for one in self._entries if found.search(one.name))
        return "".join(fields).encode("utf-8", "surrogateescape")

    def _read(self, environment: dict[str, str]) -> None:
        self._stamps, self._environment = None, environment
        began = time.time_ns()
        out = self._git.run("config", "-z", "--show-scope", "--show-origin", "--list").out
        fields = out.decode("utf-8", "surrogateescape").split("\0")
        self._entries = [
            _Entry(scope, origin, text.partition("\n")[0], text)
            for scope, origin, text in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
        ]
        try:
            stamps = _stamps(self._files(environment))
        except ValueError:
            return
        if all(_is_old(found, began) for found in stamps.values()):
            self._stamps = stamps

    def _files(self, environment: Mapping[str, str]) -> Iterator[str]:
        """The files that the settings come from, and those that would count if they were there.

        ValueError where that cannot be told.
        """
        yield from usual_files((self._common_dir,), environment)
        for one in self._entries:
            if one.scope == "command":  # the environment
                continue
            path = one.origin.removeprefix(_FILE)
            if path == one.origin or not path.startswith("/"):
                raise ValueError(one.origin)
            yield path
            if one.name == "include.path" or one.name.startswith("includeif."):
                yield _included(one, path)


def _included(one: _Entry, by: str) -> str:
    """The file that an entry includes, if it does; ValueError where that depends on more than files."""
    value = one.text.partition("\n")[2]
    if not value or value.startswith("%(") or one.name.startswith("includeif.onbranch:"):
        raise ValueError(one.text)
    return os.path.join(os.path.dirname(by), os.path.expanduser(value))  # noqa: PTH111, PTH118, PTH120 - as git does


def _stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    return {path: stamp(path) for path in paths}


def _is_old(found: Stamp, began: int) -> bool:
    """Whether a file with this stamp was last changed some time before `began`, or is not there."""
    changed = found[-2:]
    return not changed or max(changed) < began - (_COARSE if changed[0] % 1_000_000 == 0 else _FRESH)
