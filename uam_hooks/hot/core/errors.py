"""One family of errors, printed in one place (`report`).

Every error says in one sentence what happened and in one what to do about it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from enum import IntEnum

from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.core.words import redact, say


class ExitCode(IntEnum):
    """What a uam command's exit status means. Documented in docs/commands.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    LOCKED = 3
    REFUSED = 4
    BROKEN = 5


class Failure(NamedTuple):
    """What went wrong, in one sentence. A `transient` one may pass by itself, so that another try makes sense.

    `unreachable` where the remote could not be asked, so that nothing was sent.
    """

    what: str
    transient: bool = False
    unreachable: bool = False


class Advice(str):
    """What to do next, in a sentence. `command` is what does it, as an argument list; () where no single one does."""

    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: str, *command: str) -> Advice:
        """The sentence `words` with the command where it has `{}`, quoted as for a shell."""
        import shlex  # only where something went wrong, or is asked for by a command

        told = cls(redact(words.replace("{}", f"`{shlex.join(command)}`", 1)))
        told.command = command
        return told


def next_action(do: str | None) -> dict[str, Any] | None:
    """What to do next as every `--json` has it: the sentence, and the command where one does it; see Advice."""
    return {"words": str(do), "command": list(do.command) or None if isinstance(do, Advice) else None} if do else None


class UamError(Exception):
    """Something that a person should read: `what` happened, and what to `do`; see Advice."""

    code = ExitCode.FAILED

    def __init__(self, what: str, do: str = "", *, transient: bool = False) -> None:
        super().__init__(what)
        self.what = redact(what)
        self.do = do if isinstance(do, Advice) else redact(do)
        self.transient = transient

    @property
    def failure(self) -> Failure:
        """The error as a fact that can be stored."""
        return Failure(self.what, self.transient)


class UsageError(UamError):
    """The request itself is wrong; nothing was changed."""

    code = ExitCode.USAGE


class Locked(UamError):
    """Another flush is at work for longer than we may wait."""

    code = ExitCode.LOCKED


class Refused(UamError):
    """The state of the repository does not allow it; nothing was changed."""

    code = ExitCode.REFUSED


class NotInstalled(Refused):
    """git uam is not enabled in this repository; by default, not any more."""

    def __init__(self, what: str = "git uam is no longer enabled here.") -> None:
        super().__init__(what, Advice.of("Run {}.", "git", "uam", "install"))


class StoreError(UamError):
    """The queue's database cannot be read or written."""

    code = ExitCode.BROKEN


# what git says (2.39, 2.55) of trouble that is over some time later
_PASSES = (
    ".lock': File exists", "cannot lock ref", "data is locked", "data concurrently modified",
    "No space left on device", "Disk quota exceeded", "Out of memory",
    "Cannot allocate memory", "Resource temporarily unavailable", "died of signal",
)  # fmt: skip


class GitFailed(UamError):
    """A git command ended with an exit code that its caller did not expect."""

    def __init__(self, command: Sequence[str], code: int, stdout: str, stderr: str) -> None:
        words = reason(stderr) or last_line(stdout) or "no output"
        # it was killed, or for a moment there was no room, or another git held a lock of this repository
        passes = code < 0 or any(word in stderr for word in _PASSES)
        super().__init__(f"{_shown(command)} failed with exit code {code}: {words}.", transient=passes)
        self.command = [redact(part) for part in command]
        self.returncode = code
        self.stdout = redact(stdout)
        self.stderr = redact(stderr)


def _shown(command: Sequence[str]) -> str:
    """The beginning of a command of git: without its settings, and with the URL of a remote that is one of them."""
    named, urls = list(command), {}
    while named[:1] == ["-c"]:
        key, _, value = "".join(named[1:2]).partition("=")
        if key.startswith("remote.") and key.endswith(".url"):
            urls[key[len("remote.") : -len(".url")]] = value
        del named[:2]
    # what is cut off may be by what a secret is known
    return f"`{' '.join(redact(urls.get(part, part))[:60] for part in ['git', *named][:4])}`"


class GitNotStarted(GitFailed):
    """A git command that could not be started: it has done nothing, for sure. What is scarce may be there next time."""

    def __init__(self, command: Sequence[str], error: OSError | ValueError) -> None:
        words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        super().__init__(command, 127, "", words)
        self.what = redact(f"{_shown(command)} could not be started: {words}.")
        self.transient = isinstance(error, OSError) and error.errno in _SCARCE


_SCARCE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def last_line(text: str) -> str:
    """The last line of `text` that is not empty, without git's `fatal:` or `error:`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^(fatal|error): ", "", lines[-1]).rstrip(".") if lines else ""


def reason(err: str) -> str:
    """Why git could not talk to a remote: the first line of `err` that is git's own error."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("remote:", "warning:", "hint:"))]
    return re.sub(r"^(fatal|error): ", "", told[0]).rstrip(".") if told else last_line(err)


def report(error: UamError) -> ExitCode:
    """Print `error` on one line of stderr, and return its exit status."""
    text = " ".join(part for part in (error.what, error.do) if part)
    say(text)
    return error.code
