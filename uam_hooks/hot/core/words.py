"""What people read: the one way out for text, on which nothing of it acts on a terminal and no URL keeps its secret.

Names, subjects, file names and the output of remotes and commands are written by others, and stored as they are. Here
they become harmless, whoever prints them: `say` on stderr, `show_line` and its brothers on stdout, `visible` for what
somebody else prints for us (git, a table, JSON). `redact` is also for what is stored.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from uam_hooks.hot.core.typed import TextIO

# What git puts behind each line of a remote, to be read where more was, as in a progress that goes on.
PADDING = " " * 8
_TO_THE_END = "\x1b[K"
# Colours and "erase to the end of the line", with which git ends each line of a remote: dropped, not shown.
_COLOUR = r"\x1b\[[0-9;]*[mK]"
# C0, DEL and C1; what turns the direction of writing or hides text; separators of lines; bytes that are no UTF-8.
_ACTING = (
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str, *, lines: bool = False) -> str:
    """`text` without anything that acts on a terminal, and without the secrets of URLs.

    It is one line, unless `lines` are meant: then line ends and tabs stay.
    """
    text = redact(re.sub(_COLOUR, "", text)) if "\x1b" in text else redact(text)
    if text.isprintable():
        return text  # none of what acts is: it is of Unicode's kinds Cc, Cf, Cs, Zl and Zp, or unassigned
    if lines:
        text = re.sub(r"\r\n?", "\n", text)
        return re.sub(_ACTING, lambda found: found[0] if found[0] in "\n\t" else _harmless(found), text)
    return re.sub(_ACTING, _harmless, text)


def _harmless(found: re.Match[str]) -> str:
    character = found[0]
    if character in "\r\n\t":
        return " "
    # a byte that is no UTF-8, as Python reads it
    return f"\\x{ord(character) - 0xDC00:02x}" if "\udc80" <= character <= "\udcff" else "?"


def say(text: str) -> None:
    """Print one line of ours on stderr; a closed stderr is not an error."""
    with suppress(OSError, ValueError):
        _put(sys.stderr, f"uam: {visible(text)}\n")
        sys.stderr.flush()


def on_terminal() -> bool:
    """Whether stderr is a terminal that knows colours, as git sees it."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def from_remotes(pushes: Iterable[tuple[str, ...]]) -> list[str]:
    """The same lines with the prefix that git gives them."""
    return [f"remote: {line}" for line in each_once(pushes)]


def each_once(pushes: Iterable[tuple[str, ...]]) -> list[str]:
    """The lines that hooks of remotes said about some pushes; what is the same is there once."""
    return [line for said in dict.fromkeys(pushes) for line in said]


def pass_on(lines: Iterable[str], coloured: Callable[[str], str]) -> None:
    """Print on stderr lines that hooks of a remote said, as git does there; a closed stderr is not an error."""
    with suppress(OSError, ValueError):
        end = _TO_THE_END if on_terminal() else PADDING
        shown = ("\t".join(visible(part) for part in line.split("\t")) for line in lines)
        _put(sys.stderr, "".join(f"remote: {coloured(line)}{end if line else ''}\n" for line in shown))
        sys.stderr.flush()


def complain(text: str) -> None:
    """Print lines on stderr, as they are laid out."""
    _put(sys.stderr, _whole_lines(text))


def show_line(line: str) -> None:
    """Print one line on stdout."""
    _put(sys.stdout, visible(line) + "\n")


def show_painted(parts: Iterable[tuple[str, str]]) -> None:
    """Print one line on stdout of parts, each with the code of its colour, "" for none."""
    shown = (f"\x1b[{code}m{visible(text)}\x1b[m" if code else visible(text) for text, code in parts)
    _put(sys.stdout, "".join(shown) + "\n")


def show_lines(text: str) -> None:
    """Print lines on stdout, as they are laid out: help, or the output of a command."""
    _put(sys.stdout, _whole_lines(text))


def _whole_lines(text: str) -> str:
    shown = visible(text, lines=True)
    return shown if shown.endswith("\n") else shown + "\n"


def _put(stream: TextIO, text: str) -> None:
    """Write `text`; what the encoding of the stream does not have is shown by its number."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


# -- URLs ----------------------------------------------------------------------------------------------------

# Strings, which re compiles when they are needed: few pushes print a URL, and each one pays for what it imports.
# A URL ends at a blank: a password may hold any other character, also a slash, an @ or a quote.
_WORD = r"\S+"
_AUTHORITY = r"[^/?#]*"
_HOST = r"(?i)\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\.?|localhost"
# git's other spellings: as for scp, with [] around it where there is a port, and <helper>::<address>
_LIKE_SCP = r"\A(['\"(<=,\[]*)[^:/@\[]+:(?!//).*@(?=[\w.-]+[\]:])"
_HELPER = r"\A(['\"(<]*[A-Za-z][A-Za-z0-9+.-]*::).*@"
# a command with blanks in it: to the quote that ends it, else to the end of the line
_EXT = r"(?i)(?<![\w.+-])(['\"]?)(ext::)(?!\*\*\*)(?:[^\n]*(?=\1)|[^\n]*)"
# what ssh says of the user of a URL
_DENIED = r"(?<!\S)(?!git@)[^\s@]+@(?=[\w.-]+: Permission denied)"
_PARAMETER = r"([?&;#])([^\s=&;#?'\"]+)=([^\s&;#'\"]+)"
_TELLING = r"(?i)token|secret|pass|pwd|auth|key|sig|cred|jwt|session"
_BYTE = r"%([0-9a-fA-F]{2})"


def redact(text: str) -> str:
    """`text` without the user names, passwords and tokens of URLs, so that it may be stored and printed.

    The user `git` stays, which is nobody. What cannot be told apart from a password (an @ behind a port) goes.
    """
    if ":" not in text and "%" not in text and "=" not in text:
        return text
    if "::" in text:
        text = re.sub(_EXT, r"\1\2***", text)
    if "@" in text or "%40" in text:
        text = re.sub(_DENIED, "***@", re.sub(_WORD, _without_users, text))
    return re.sub(_PARAMETER, _without_value, text) if "=" in text else text


def has_secret(url: str) -> bool:
    """Whether `url` carries what may be a password or a token (`git@host` carries neither)."""
    return redact(url) != url


def _without_users(found: re.Match[str]) -> str:
    word = found[0]
    if "@" in word:
        if "://" in word:
            word = _without_userinfo(word)
        else:
            word = re.sub(_HELPER, r"\1***@", re.sub(_LIKE_SCP, r"\1***@", word, count=1), count=1)
    folded = word.lower()
    begin, end = folded.find("%3a%2f%2f"), folded.rfind("%40")
    return f"{word[: begin + 9]}***{word[end:]}" if 0 <= begin < end else word


def _without_userinfo(word: str) -> str:
    """`word` without what stands between `://` and the @ of a URL, or of several."""
    last = word.rfind("@")
    parts, done = [], 0
    while (begin := word.find("://", done, last)) >= 0:
        begin += 3
        found = re.compile(_AUTHORITY).match(word, begin)
        assert found is not None
        authority = found[0]
        parts.append(word[done:begin])
        done = found.end()
        user, at, _ = authority.partition("@")
        if ":" in user if at else authority and not re.fullmatch(_HOST, authority):
            # a password, in which there may be a slash or another @
            return f"{''.join(parts)}***{word[last:]}"
        plain = not at or user == "git"  # else a name without a password, which is where a token stands, too
        parts.append(authority if plain else f"***@{authority.rpartition('@')[2]}")
    return "".join(parts) + word[done:]


def _without_value(found: re.Match[str]) -> str:
    name = re.sub(_BYTE, lambda byte: chr(int(byte[1], 16)), found[2])
    return f"{found[1]}{found[2]}=***" if re.search(_TELLING, name) else found[0]
