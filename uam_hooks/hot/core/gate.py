"""The gate: what everything that comes from outside has to be before it enters the queue.

A request that does not pass is refused with a UsageError, and nothing has changed. The limits are far above what
people and programs need, and low enough that nothing which has passed can fail to be stored or handed to a process:
Linux starts no process with an argument of 128 KiB (MAX_ARG_STRLEN) or with more than 2 MiB of arguments and
environment in all (as a rule).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.typed import Any

# In bytes of UTF-8, where nothing else is said.
NAME_BYTES = 1024  # an agent, a remote, a target, a dependency
REF_BYTES = 4096  # a ref or a path: no file name is longer
COMPONENT_BYTES = 255  # a name within a path
TEXT_BYTES = 65_000  # a text that may become the argument of a command; GitHub takes no longer workflow input
OPTION_BYTES = 16_384  # one `git push -o`; git's protocol takes 65,516
OPTIONS_BYTES = 262_144  # all of one push
PAYLOAD_BYTES = 1_048_576  # a payload as JSON
DEPTH = 32  # objects and lists in each other
ARGUMENTS_BYTES = 1_000_000  # all arguments of one process

_CONTROL = r"[\x00-\x1f\x7f]"
# git check-ref-format: what no component of a ref contains, or begins or ends with
_NOT_IN_REF = r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|^[/.]|[/.]$"


def shown(value: Any) -> str:
    """A value in a sentence about it: in ASCII, and not longer than a line."""
    text = ascii(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def size_of(text: str) -> int:
    """How many bytes a text has; UsageError where it is neither Unicode nor a name in bytes."""
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise UsageError(f"{shown(text)} is not Unicode: a lone surrogate is in it.", "Use valid UTF-8.") from None


def text(value: Any, what: str, most: int = TEXT_BYTES) -> str:
    """`value` if it is a text that can be stored and handed on; `what` names it in the sentence if it is not."""
    if not isinstance(value, str):
        raise UsageError(f"The {what} is {shown(value)}, which is not text.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UsageError(f"The {what} is {shown(value)}, which is not valid Unicode.", "Use valid UTF-8.") from None
    if "\0" in value:
        raise UsageError(f"The {what} contains a NUL character.")
    if size > most:
        raise UsageError(f"The {what} has {size:,} bytes; at most {most:,} can be taken.")
    return value


def name(value: Any, what: str, most: int = NAME_BYTES) -> str:
    """`value` if it is a text without control characters, and not empty."""
    if not isinstance(value, str) or not value or re.search(_CONTROL, value):
        raise UsageError(f"The {what} is {shown(value)}, which is not a valid name.")
    return text(value, what, most)


def is_ref(value: str) -> bool:
    """Whether git takes `value` as the full name of a ref; its bytes need not be UTF-8."""
    return value.startswith("refs/") and not re.search(_NOT_IN_REF, value) and size_of(value) <= REF_BYTES


def is_oid(value: str) -> bool:
    """Whether `value` is the full name of an object."""
    return len(value) in (40, 64) and not value.strip("0123456789abcdef")


def payload(value: Any) -> dict[str, Any]:
    """`value` if it is an object that JSON can hold, within the limits of depth and length."""
    if not isinstance(value, Mapping):
        raise UsageError("The payload must be an object of named fields.")
    _check(value, DEPTH)
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"The payload cannot be written as JSON: {error}.") from None
    if size > PAYLOAD_BYTES:
        raise UsageError(f"The payload has {size:,} bytes; at most {PAYLOAD_BYTES:,} can be taken.")
    return dict(value)


def _check(value: Any, left: int) -> None:
    if isinstance(value, str):
        size_of(value)  # a file's name among them may be bytes
        if "\0" in value:
            raise UsageError("The payload contains a NUL character.")
    elif isinstance(value, Mapping | list | tuple):
        if not left:
            raise UsageError(f"The payload is nested more than {DEPTH} deep.", "Flatten it.")
        for inner in value:
            _check(inner, left - 1)
        if isinstance(value, Mapping):
            for inner in value.values():
                _check(inner, left - 1)


def path(value: Any) -> str:
    """`value` if it is a path that a file system can hold. Its bytes need not be UTF-8."""
    if not isinstance(value, str) or not value or re.search(_CONTROL, value):
        raise UsageError(f"{shown(value)} is not a valid file name for a commit.")
    try:
        fits = size_of(value) < REF_BYTES and all(size_of(part) <= COMPONENT_BYTES for part in value.split("/"))
    except UsageError:
        fits = False
    if not fits:
        raise UsageError(f"{shown(value)} is not a valid file name for a commit.")
    return value


def parsed(given: str, what: str) -> dict[str, Any]:
    """The JSON object that somebody wrote as `what`."""
    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} is not valid JSON: {error}.", 'Write {"env": "staging"}.') from None
    if not isinstance(found, dict):
        raise UsageError(f"{what} must be a JSON object.", 'Write {"env": "staging"}.')
    return found


def push_options(options: Sequence[str]) -> None:
    """Check the options of one push: what git's protocol, and a process, can take. Their bytes need not be UTF-8."""
    total = 0
    for option in options:
        if re.search(r"[\0\n\r]", option):
            raise UsageError(f"The push option {shown(option)} contains a line break or a NUL character.")
        size = size_of(option)
        total += size
        if size > OPTION_BYTES:
            raise UsageError(f"A push option has {size:,} bytes; at most {OPTION_BYTES:,} can be taken.")
    if total > OPTIONS_BYTES:
        raise UsageError(f"The push options have {total:,} bytes; at most {OPTIONS_BYTES:,} can be taken.")


def refs(names: Iterable[str], *, at_once: bool) -> None:
    """Check the refs that a push names; `at_once` they must fit into one command, as those of an atomic push do."""
    names = list(names)
    for ref in names:
        if not is_ref(ref):
            raise UsageError(f"{shown(ref)} is not the name of a ref that can be pushed to.")
    if at_once and not fit(names):
        raise UsageError("An atomic push of so many refs does not fit into one command.", "Push fewer of them at once.")


def fit(names: Iterable[str]) -> bool:
    """Whether one command can name all of these refs."""
    return sum(map(update_bytes, names)) <= ARGUMENTS_BYTES


def update_bytes(ref: str) -> int:
    """About how long the arguments of `git push` are that move `ref`: its lease and its refspec."""
    return 2 * len(ref) + 150
