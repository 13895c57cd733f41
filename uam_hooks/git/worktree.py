"""What git makes of the files of a worktree: which it ignores, and whose content it stores as it is.

git decides both, in a process for each that stays; it remembers the files that it has read for that. So whoever asks
looks whether one of these has changed, and asks a new process then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from uam_hooks.git.answering import Answering, Process
from uam_hooks.git.stamps import Stamp, persons_file, stamp
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import Git

# The attributes that change what is stored, and those that change line endings alone.
_CONVERTING = ("text", "crlf", "eol", "ident", "filter", "working-tree-encoding")
_ENDINGS = ("text", "crlf")
_FALSE = ("false", "no", "off", "0", "")
# What git reads for each: the file of a directory, the setting that names a person's, what that is called otherwise,
# and the file of the repository.
_ATTRIBUTES = ".gitattributes", "core.attributesfile", "attributes", "attributes"
_IGNORED = ".gitignore", "core.excludesfile", "ignore", "exclude"
# As much as the smallest pipe takes.
_AT_ONCE_BYTES = 4096
_SETTINGS = "core.autocrlf", "core.safecrlf", "core.eol", "core.attributesfile", "core.excludesfile"
_SYSTEM = "/etc/gitattributes"
# More is for git, which does not need all of it in memory.
_MOST_BYTES = 1 << 20

Start = Callable[[Sequence[str], Path], Process]


class Worktree:
    """A worktree of the repository of `git`; `start` starts a git in a directory."""

    def __init__(self, git: Git, start: Start, paths: RepoPaths) -> None:
        self._git = git
        self._top = top = paths.worktree
        attributes = ("check-attr", "--stdin", "-z", *_CONVERTING)
        ignoring = ("check-ignore", "--stdin", "-z", "--verbose", "--non-matching")
        self._settings: dict[str, str] | None = None
        self._index, self._info = f"{paths.git_dir}/index", f"{paths.common_dir}/info"
        many = 3 * len(_CONVERTING)
        self._attributes = _Remembering(Answering(attributes, lambda args: start(args, top)), b"", many)
        self._ignoring = _Remembering(Answering(ignoring, lambda args: start(args, top)), b"./", 4)

    def look(self, paths: Sequence[str]) -> None:
        """Ask about these paths at once: `content` and `ignored` of them then wait for no answer of git."""
        for some in _portions(paths):
            try:
                self._attributes.ask(self._deciding(some, *_ATTRIBUTES), some)
                self._ignoring.ask(self._deciding(some, *_IGNORED), some)
                self._attributes.hear(some)
                self._ignoring.hear(some)
            except GitFailed:  # who asks about one of them by itself will hear why
                self.close()

    def content(self, path: str) -> bytes | None:
        """The content of a regular file as git stores it; None where git has to convert it.

        OSError where it cannot be read.
        """
        full = f"{self._top}/{path}"
        endings = None if os.lstat(full).st_size > _MOST_BYTES else self._endings(path)
        if endings is None:
            return None
        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            data = file.read()
        return None if endings and b"\r" in data else data

    def _endings(self, path: str) -> bool | None:
        """Whether git looks at the line endings of a file; None where it may change anything else."""
        settings = self._set()
        automatic = settings.get("core.autocrlf", "false").lower()
        if automatic not in (*_FALSE, "input"):
            return None
        states = dict(zip(_CONVERTING, self._answer(self._attributes, path)[2::3], strict=True))
        given = {name for name, state in states.items() if state not in (b"unspecified", b"unset")}
        if not given.issubset(_ENDINGS):
            return None
        endings = bool(given) or automatic == "input"
        return None if endings and ("core.safecrlf" in settings or "core.eol" in settings) else endings

    def ignored(self, path: str) -> bool:
        """Whether git ignores a path that it does not know yet."""
        source, _, pattern, _ = self._answer(self._ignoring, path)
        return bool(source) and not pattern.startswith(b"!")

    def _answer(self, asked: _Remembering, path: str) -> list[bytes]:
        if path not in asked.answers:
            asked.ask(self._deciding([path], *(_IGNORED if asked is self._ignoring else _ATTRIBUTES)), [path])
            asked.hear([path])
        return asked.answers[path]

    def _deciding(self, paths: Iterable[str], name: str, key: str, own: str, of_repository: str) -> set[str]:
        """The files on which answers about these paths rest; see _ATTRIBUTES."""
        named = self._set().get(key)
        persons = persons_file(own) if named is None else os.path.join(self._top, os.path.expanduser(named))
        found = {f"{self._info}/{of_repository}", persons, self._index, _SYSTEM, f"{self._top}/{name}"}
        for directory in {path.rpartition("/")[0] for path in paths}:
            above = directory
            while above:
                found.add(f"{self._top}/{above}/{name}")
                above = above.rpartition("/")[0]
        return found

    def rest(self) -> None:
        """Forget the answers; the processes stay."""
        self._attributes.answers.clear()
        self._ignoring.answers.clear()

    def close(self) -> None:
        """End the processes that were needed."""
        self._attributes.close()
        self._ignoring.close()

    def _set(self) -> dict[str, str]:
        if self._settings is None:
            wanted = "|".join(key.replace(".", r"\.") for key in _SETTINGS)
            out = self._git.run("config", "-z", "--get-regexp", f"^({wanted})$", ok=(0, 1), at=self._top).out
            pairs = (entry.partition("\n") for entry in out.decode("utf-8", "surrogateescape").split("\0")[:-1])
            self._settings = {key: value if newline else "true" for key, newline, value in pairs}
        return self._settings


class _Remembering:
    """A process that remembers the files that it has read, and how they were then.

    It is asked about paths, each as `prefix` and its name, and answers in `many` fields for each.
    """

    def __init__(self, process: Answering, prefix: bytes, many: int) -> None:
        self._process, self._prefix, self._many = process, prefix, many
        self._seen: dict[str, Stamp] = {}
        self.answers: dict[str, list[bytes]] = {}

    def ask(self, deciding: Iterable[str], paths: Sequence[str]) -> None:
        """Ask about paths, on which these files decide."""
        now = {file: stamp(file) for file in deciding}
        if any(self._seen.get(file, was) != was for file, was in now.items()):
            self.close()
        self._seen |= now
        self._process.ask(b"".join(self._prefix + os.fsencode(path) + b"\0" for path in paths))

    def hear(self, paths: Sequence[str]) -> None:
        """Read the answers about the paths that were asked about last."""
        fields = self._process.answer(self._many * len(paths))
        for at, path in enumerate(paths):
            self.answers[path] = fields[at * self._many : (at + 1) * self._many]

    def close(self) -> None:
        self._process.close()
        self._seen.clear()
        self.answers.clear()


def _portions(paths: Sequence[str]) -> Iterator[list[str]]:
    """The paths, as many at a time as may be asked about before the first answer is read."""
    some: list[str] = []
    room = _AT_ONCE_BYTES
    for path in dict.fromkeys(paths):
        room -= len(os.fsencode(path)) + 3
        if some and room < 0:
            yield some
            some, room = [], _AT_ONCE_BYTES - len(os.fsencode(path)) - 3
        some.append(path)
    if some:
        yield some
