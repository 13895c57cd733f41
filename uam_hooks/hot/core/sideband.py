"""What a remote says of a push while it goes on, in files that those who wait for its landing read.

Each `git push` of a batch writes one, `batches/<batch>.<first landing>.said`. A line of it begins with `>`, and names
the actions that what follows is about, or with a blank, and is one line of the remote, as it is stored, or with `%`,
and is what git says of its progress. It is complete when it ends in a newline.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from uam_hooks.hot.core import files

# What stands in for lines that were too many.
LEFT_OUT = "[lines left out]"
_NAME = r"([^.]+)\.(\d+)\.said"
_ABOUT, _LINE, _PROGRESS = ">", " ", "%"


class Speaking:
    """One `git push`, which writes. What cannot be written is left to the outcome that its sources get at the end.

    `actions` has the number of the action for each ref that is pushed; `wake` is called after each line.
    """

    def __init__(self, path: Path, actions: Mapping[str, int], wake: Callable[[], None]) -> None:
        self._path, self._actions, self._wake = path, actions, wake
        self._fd: int | None = None
        self._head = ""
        self._able = True

    @classmethod
    def to_nobody(cls) -> Speaking:
        """Of a push that nobody waits for."""
        nobody = cls(Path(os.devnull), {}, lambda: None)
        nobody._able = False
        return nobody

    def about(self, refs: Iterable[str]) -> None:
        """What comes now is about these refs."""
        self._head = f"{_ABOUT}{' '.join(str(self._actions[ref]) for ref in refs if ref in self._actions)}\n"

    def say(self, line: str) -> None:
        """The remote has said this line."""
        self._write(_LINE, line)

    def show(self, line: str) -> None:
        """git has come that far."""
        self._write(_PROGRESS, line)

    def _write(self, kind: str, line: str) -> None:
        if not self._able:
            return
        text = f"{self._head}{kind}{line}\n".encode("utf-8", "replace")
        try:
            if self._fd is None:
                self._fd = files.opened(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            self._able = os.write(self._fd, text) == len(text)  # what would follow half a line would be part of it
        except OSError:
            self._able = False
        self._head = ""
        self._wake()

    def __enter__(self) -> Speaking:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._fd is not None:
            os.close(self._fd)


class Listening:
    """One such file, read by who waits for some of its `actions`. OSError where it cannot be opened."""

    def __init__(self, path: Path, actions: Collection[int]) -> None:
        self._file = os.fdopen(files.opened(path, os.O_RDONLY), "rb", buffering=0)
        self._actions = {str(action) for action in actions}
        self._rest = b""
        self._mine = False
        self.counts: Counter[str] = Counter()
        self.progress: list[str] = []  # what git has said of it, until somebody takes it out

    def more(self) -> list[str]:
        """The lines about those actions that have come since the last call; also when the file is gone by now."""
        found: list[str] = []
        while data := self._file.read(65536):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in (one.decode("utf-8", "replace") for one in lines):
                if line.startswith(_ABOUT):
                    self._mine = not self._actions.isdisjoint(line[1:].split(" "))
                elif self._mine:
                    (self.progress if line.startswith(_PROGRESS) else found).append(line[1:])
        return found

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def path_of(batches: Path, batch: str, landing: int) -> Path:
    """The file of the push of which `landing` is the first one."""
    return batches / f"{batch}.{landing}.said"


def there(batches: Path) -> list[tuple[Path, str]]:
    """The files that are there, each with the batch that it is about, the oldest push first."""
    try:
        found = [match for path in batches.iterdir() if (match := re.fullmatch(_NAME, path.name))]
    except OSError:  # taken out, or nothing was ever claimed
        return []
    return [(batches / match[0], match[1]) for match in sorted(found, key=lambda match: int(match[2]))]


def heard(batches: Path, batch: str, action: int) -> list[str]:
    """What the remote said of an action in all pushes of a batch."""
    found: list[str] = []
    told: Counter[str] = Counter()
    for path, about in there(batches):
        if about == batch:
            with suppress(OSError), Listening(path, [action]) as push:
                found += new(told, push.counts, push.more())
    return found


def new(told: Counter[str], counts: Counter[str], lines: Iterable[str]) -> list[str]:
    """Those of the `lines` that one push has said more often than any said them before.

    A landing may take several pushes, of which each says the same and something of its own. `told` counts each line as
    often as it was said most, `counts` those of this push; both count on.
    """
    found = []
    for line in lines:
        counts[line] += 1
        if counts[line] > told[line]:
            told[line] = counts[line]
            found.append(line)
    return found


def together(before: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    """What one push said, after what those before it did."""
    told: Counter[str] = Counter()
    first = new(told, Counter(), before)
    return (*first, *new(told, Counter(), lines))
