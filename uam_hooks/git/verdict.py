"""What git, gh and servers say of a push, as types: the one place where their words are matched."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import redact


class Pushed(StrEnum):
    """What became of one ref of a push."""

    LANDED = "landed"
    RENAMED = "renamed"  # taken under another name: the ref itself is as it was
    CONTENDED = "contended"
    UNPINNED = "unpinned"  # not sent: what was made for it has to be made once more
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class RefOutcome(NamedTuple):
    """What became of one ref; `transient` where it may be something else on another try.

    `words` is why in git's words, `said` are the lines of the remote's hooks, which are about the whole push. `name` is
    what a remote has called it that gives refs names of its own (its proc-receive hook), `created` if it is new there.
    It was the `same` before where the remote had it already, so that nothing was sent.
    """

    pushed: Pushed
    words: str
    transient: bool = False
    said: tuple[str, ...] = ()
    name: str = ""
    created: bool = False
    same: bool = False

    @property
    def stale(self) -> bool:
        """Whether the lease did not hold, so that nothing was sent."""
        return self.pushed == Pushed.CONTENDED and self.words == "[rejected] (stale info)"

    @property
    def collateral(self) -> bool:
        """Whether the ref is as it was because of another one of the same atomic push, and for no other reason."""
        return self.words in ("[rejected] (atomic push failed)", "atomic push failure")


class PushLine(NamedTuple):
    """A line of `git push --porcelain`: what was pushed ("" for a deletion), its flag and reason."""

    source: str
    flag: str
    why: str


def porcelain(out: str) -> dict[str, PushLine]:
    """The lines of `git push --porcelain`, by their refs."""
    found = {}
    for line in out.splitlines():
        fields = line.split("\t")
        if len(fields) >= 3 and ":" in fields[1]:
            source, _, ref = fields[1].partition(":")
            found[ref] = PushLine(source, fields[0], fields[2])
    return found


def renamed(lines: dict[str, PushLine], source: str, refs: Collection[str], said: tuple[str, ...]) -> RefOutcome | None:
    """What became of one of the `refs`, which no line names: None unless a line names another ref with its `source`.

    That line is taken out.
    """
    for ref, line in lines.items():
        if line.source == source and line.flag != "!" and ref not in refs:
            del lines[ref]
            return RefOutcome(Pushed.RENAMED, "", said=said, name=ref, created=line.flag == "*")
    return None


# What git says when another push came first: our side of it by the lease, the other side by the ref's lock.
_OUR_SIDE = ("stale info", "fetch first", "non-fast-forward", "atomic push failed")
_THEIR_SIDE = (
    "cannot lock ref", "data is locked", "data concurrently modified", "failed to update ref", "incorrect old value",
    "failed to lock", "reference already exists", "atomic transaction failed", "transaction failed",
)  # fmt: skip


def outcome_of(flag: str, why: str, said: tuple[str, ...]) -> RefOutcome:
    """What became of a ref, by its `flag` and reason in `porcelain`, "" where git printed no line for it."""
    if flag in (" ", "+", "-", "*", "="):
        return RefOutcome(Pushed.LANDED, "", said=said, same=flag == "=")
    if flag != "!" and "does not support --atomic push" in why:  # nothing was sent
        return RefOutcome(Pushed.REJECTED, redact(why), said=said)
    if flag != "!":
        return RefOutcome(Pushed.UNKNOWN, redact(why), said=said)
    theirs = why.startswith("[remote ")
    if any(word in why for word in (_THEIR_SIDE if theirs else _OUR_SIDE)):
        return RefOutcome(Pushed.CONTENDED, why, said=said)
    if "remote failed to report status" in why or "remote end hung up" in why:
        return RefOutcome(Pushed.UNKNOWN, why, said=said)
    reason = re.search(r"\((.*)\)$", why)
    words = reason[1] if reason else why
    if words.startswith("unpacker error"):  # what was sent did not arrive whole, or there was no room for it
        return RefOutcome(Pushed.UNKNOWN, redact(words), said=said)
    return RefOutcome(Pushed.REJECTED, redact(words), is_transient(" ".join((words, *said))), said)


_STATUS = re.compile(r"(?:HTTP|status code:|returned error:) (\d{3})\b")
_TRANSIENT = re.compile(
    r"connection (?:refused|reset|timed out|closed)|could(?:n't| not) connect|could not resolve host|: EOF\b"
    r"|error connecting to|operation timed out|unexpected (?:EOF|disconnect)|internal server error"
    r"|i/o timeout|TLS handshake timeout|rate limit|Base branch was modified|index\.lock|cannot lock ref"
    r"|unable to lock|temporary failure|network is unreachable|no route to host|\.lock': File exists"
    r"|hung up unexpectedly",
    re.IGNORECASE,
)


def is_transient(words: str) -> bool:
    """Whether what git, gh or a server said is about the network, a lock, or a server that has trouble.

    What a hook of the remote says is its judgement, whatever words it finds for it.
    """
    if "hook declined" in words:
        return False
    status = status_is_transient(words)
    return bool(_TRANSIENT.search(words)) if status is None else status


def status_is_transient(words: str) -> bool | None:
    """Whether the HTTP status that is named in `words` may be another one next time; None where none is named."""
    found = _STATUS.search(words)
    return None if found is None else found[1][0] == "5" or found[1] == "429" or "rate limit" in words
