"""One long-lived `git cat-file` that answers for objects, one question at a time.

Not GitPython's own: to that a process that ended is "no such object", and a short read is the whole object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from uam_hooks.git.answering import Process
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import Git, refuse_damaged, starting
from uam_hooks.hot.core.typed import NoReturn

# how many questions are asked before the first answer is read: all of them, and the answers, fit into a pipe
_AT_ONCE = 100
# the same where answers are objects: the questions fit into the smallest pipe, whatever git has to wait for
_OBJECTS_AT_ONCE = 40


class ObjectReader:
    """Answers from `git cat-file --batch-command` (git 2.36), which `start` starts. Not for several threads."""

    def __init__(self, git: Git, start: Callable[[], Process]) -> None:
        self._git, self._start = git, start
        self._process: Process | None = None

    def look_up(self, name: str) -> tuple[str, str]:
        """Object and type that `name` is, empty strings where there is none; GitFailed where git cannot tell."""
        if not name:  # no object is called that, and git would end
            return "", ""
        oid, kind, _ = self._ask("info", name)
        return oid, kind

    def kinds(self, oids: Sequence[str]) -> list[str]:
        """The type of each of these object names, "" where there is none; GitFailed where git cannot tell.

        Several are asked before the first is answered, as many as a pipe takes. What is not there is asked for once
        more by itself: what git then says on stderr is about that one.
        """
        found: list[str] = []
        for start in range(0, len(oids), _AT_ONCE):
            some = oids[start : start + _AT_ONCE]
            self._send("".join(f"info {oid}\n" for oid in some), some[0])
            answers = [self._answer(oid) for oid in some]
            if None in answers:
                self._complaints()
            found += [answer[1] if answer else self.look_up(oid)[1] for answer, oid in zip(answers, some, strict=True)]
        return found

    def size(self, oid: str) -> int:
        """How many bytes the object `oid` has; GitFailed where there is none that can be read."""
        found, _, size = self._ask("info", oid)
        if not found:
            raise _absent(oid)
        return size

    def read(self, name: str) -> tuple[str, bytes]:
        """Type and contents of an object; GitFailed where there is none that can be read."""
        oid, kind, size = self._ask("contents", name)
        if not oid:
            raise _absent(name)
        return kind, self._data(name, size)

    def read_all(self, oids: Sequence[str]) -> list[tuple[str, bytes]]:
        """What `read` gives of each of these objects, several asked before the first is answered."""
        found: list[tuple[str, bytes] | None] = []
        for start in range(0, len(oids), _OBJECTS_AT_ONCE):
            some = oids[start : start + _OBJECTS_AT_ONCE]
            self._send("".join(f"contents {oid}\n" for oid in some), some[0])
            for oid in some:
                answer = self._answer(oid)
                found.append(answer and (answer[1], self._data(oid, answer[2])))
            if None in found[start:]:
                self._complaints()
        # what is not there is asked for once more by itself: what git then says is about that one
        return [one or self.read(oid) for one, oid in zip(found, oids, strict=True)]

    def close(self) -> None:
        """End the process, if one was needed."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def _ask(self, what: str, name: str) -> tuple[str, str, int]:
        if "\n" in name:  # no object is called that, and git would take it for two questions
            return "", "", 0
        self._send(f"{what} {name}\n", name)
        if answer := self._answer(name):
            return answer
        # of a damaged object git says so on stderr, and then answers "missing" like of any other (2.39, 2.55)
        if err := self._complaints():
            refuse_damaged(self._git, name, err)
        return "", "", 0

    def _send(self, questions: str, name: str) -> None:
        if self._process is None:
            with starting(["cat-file", "--batch-command"]):
                self._process = self._start()
            assert self._process.stderr is not None
            os.set_blocking(self._process.stderr.fileno(), False)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(questions.encode("utf-8", "surrogateescape"))
            self._process.stdin.flush()
        except BrokenPipeError:
            self._ended(name)

    def _complaints(self) -> str:
        """What git has said on stderr since it was asked for that."""
        assert self._process is not None and self._process.stderr is not None
        return (self._process.stderr.read() or b"").decode("utf-8", "replace")

    def _answer(self, name: str) -> tuple[str, str, int] | None:
        """Object, type and size that are the answer to a question; None where git says that there is none."""
        process = self._process
        assert process is not None and process.stdout is not None
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            self._ended(name)
        words = line.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
        if len(words) == 3 and words[2].isdigit():
            return words[0], words[1], int(words[2])
        return None

    def _data(self, name: str, size: int) -> bytes:
        """The object that follows its answer."""
        assert self._process is not None and self._process.stdout is not None
        data = self._process.stdout.read(size + 1)
        if len(data) != size + 1:
            self._ended(name)
        return data[:-1]

    def _ended(self, name: str) -> NoReturn:
        """The process is gone before it has answered; the next question starts another one."""
        process, self._process = self._process, None
        assert process is not None
        process.communicate()
        raise GitFailed(["cat-file", "--batch-command", name], process.returncode or 0, "", "")


def _absent(name: str) -> GitFailed:
    return GitFailed(["cat-file", "-p", name], 128, "", f"fatal: there is no object {name}")
