"""A push without us: the shim's own way to the real remote."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import Answer
from uam_hooks.hot.core.words import visible
from uam_hooks.hot.push.protocol import GitDied, read_listed, refused
from uam_hooks.hot.push.request import OWN_OPTIONS

DIED = 128  # git's exit code after "fatal:"


def push_straight(
    shim: str, remote: str, options: Sequence[str], lines: Sequence[str], known: Mapping[str, str]
) -> list[str]:
    """Let the shim push what the `push` lines name; returns its answers to git.

    `known` has the old values of the remote's refs that were listed to git, which the shim does not know. Raises
    GitDied where there is no answer, because git died.
    """
    own = [f"push-option {option}" for option in OWN_OPTIONS]
    told = [f"option {option}" for option in options if option not in own]
    feed = "\n".join([*told, *lines, "", ""]).encode("utf-8", "surrogateescape")
    done = _shim(shim, remote, feed)
    said = done.out.decode("utf-8", "surrogateescape").split("\n")
    if done.code == DIED:
        raise GitDied(visible(next(reversed(done.lines), f"the push to {remote} got no answer")))
    answers: list[str] = []
    tells = any(answer.startswith("option old-oid ") for answer in said)  # an older shim does not know
    open_ = dict.fromkeys(line.rpartition(":")[2] for line in lines)
    for answer in filter(None, said[len(told) :]):
        what, _, ref_and_why = answer.partition(" ")
        ref, blank, why = ref_and_why.partition(" ")
        if what in ("ok", "error"):
            open_.pop(ref, None)
        answers.append(f"{what} {ref}{blank}{visible(why)}")  # what the remote said is part of it
        dst = answer.removeprefix("ok ")
        if answer != dst and dst in known and not tells:
            answers.append(f"option old-oid {known[dst]}")
    # a ref without an answer is up to date to git; a shim that was killed gives none
    return answers + [refused(ref, "it is not known whether this reached the remote; push again") for ref in open_]


def list_straight(shim: str, remote: str) -> dict[str, str]:
    """The refs that the remote has now, as the shim lists them; UamError when it cannot."""
    done = _shim(shim, remote, b"list for-push\n\n")
    if done.code:
        raise UamError(f"The refs of {remote} could not be listed.")
    return read_listed(done.lines)


def _shim(shim: str, remote: str, feed: bytes) -> Answer:
    done = subprocess.run(
        ["sh", shim, remote, remote],
        input=feed,
        stdout=subprocess.PIPE,
        env={**os.environ, "UAM": "off"},
        check=False,
    )
    return Answer(done.returncode, done.stdout, "")
