r"""Names as others read them: git, in the C style of its quote.c (`"a\tb"`; names are bytes), and the shell of somebody
who copies a command from a message.
"""

from __future__ import annotations

import re

from uam_hooks.hot.core.refs import short_target

_ESCAPE = rb'\\(?:([abfnrtv"\\])|([0-3][0-7]{2}))'
_WHOLE = rb'"((?:[^"\\]|\\[abfnrtv"\\]|\\[0-3][0-7]{2})*)"'
_LETTERS = dict(zip(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))
_SPECIAL = rb'[\x00-\x1f"\\\x7f]'


def word(name: str) -> str:
    """`name` as one word of a command that a message names: a ref or a path may hold what acts in a shell."""
    from shlex import quote  # messages that name a command are rare, and its import is not for every push

    return quote(name)


def pull_rebase(remote: str, ref: str) -> tuple[str, ...]:
    """The command that puts a branch on top of what `ref` of `remote` has by now, as an argument list."""
    return ("git", "pull", "--rebase", remote, short_target(ref))


def shown(command: tuple[str, ...]) -> str:
    """A command as a message names it."""
    return f"`{' '.join(map(word, command))}`"


def quoted(name: bytes) -> bytes:
    """`name` between quotes, whatever it contains."""
    return b'"' + re.sub(_SPECIAL, lambda found: b"\\%03o" % found[0][0], name) + b'"'


def unquoted(text: bytes) -> tuple[bytes, bytes] | None:
    """The quoted name that `text` begins with, and what follows it; None where it begins with none that is valid."""
    found = re.match(_WHOLE, text)
    if found is None:
        return None
    name = re.sub(_ESCAPE, lambda e: bytes([_LETTERS[e[1][0]]]) if e[1] else bytes([int(e[2], 8)]), found[1])
    return name, text[found.end() :]
