"""Long-lived processes of git that are asked one thing after the other, where one for each question would be slow."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import starting
from uam_hooks.hot.core.typed import IO, NoReturn, Protocol


class Process(Protocol):
    """A child with three pipes, as `subprocess.Popen` is one."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    @property
    def stderr(self) -> IO[bytes] | None: ...

    @property
    def returncode(self) -> int | None: ...

    def communicate(self) -> tuple[bytes, bytes]: ...


class Answering:
    """A `git args` that reads questions on stdin, and answers each before it reads the next.

    `start` starts it, for the first question and after it has ended. Not for several threads.
    """

    def __init__(self, args: Sequence[str], start: Callable[[Sequence[str]], Process]) -> None:
        self._args, self._start = args, start
        self._process: Process | None = None

    def ask(self, question: bytes) -> None:
        """Ask; the answer is to be read before anything that does not fit into the smallest pipe, with what was asked.

        GitFailed where git has ended, here and below.
        """
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except BrokenPipeError:
            self._ended()
        except BaseException:  # interrupted: what was asked is not known
            self.close()
            raise

    def answer(self, many: int, ends: bytes = b"\0") -> list[bytes]:
        """Read an answer of so many fields, each of which `ends`."""
        process = self._process
        assert process is not None and process.stdout is not None and process.stderr is not None
        found: list[bytes] = []
        try:
            rest = b""
            while len(found) < many:
                read = process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
                if not read:
                    self._ended()
                *whole, rest = (rest + read).split(ends)
                found += whole
            process.stderr.read()  # or git would wait once that pipe is full
        except BaseException:  # interrupted: the rest of the answer would be taken for the next one
            self.close()
            raise
        return found

    def close(self) -> None:
        """End the process, if one was needed."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def _running(self) -> Process:
        if self._process is None:
            with starting(self._args):
                self._process = self._start(self._args)
            assert self._process.stderr is not None
            os.set_blocking(self._process.stderr.fileno(), False)
        return self._process

    def _ended(self) -> NoReturn:
        process, self._process = self._process, None
        assert process is not None and process.stderr is not None
        os.set_blocking(process.stderr.fileno(), True)
        _, err = process.communicate()
        raise GitFailed(self._args, process.returncode or 0, "", err.decode("utf-8", "replace"))
