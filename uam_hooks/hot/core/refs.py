"""Names of refs: uam's own under refs/uam/, and the short names of branches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from uam_hooks.hot.core.object_format import SHA1

HEADS = "refs/heads/"
OURS = "refs/uam/"
ORIGINALS = "refs/uam/original/"
OBSERVED = "refs/uam/remote/"
DEFAULTS = "refs/uam/default/"
NEXT = "refs/uam/next/"
SHADOWS = "refs/uam/shadow/"
# What every file system has room for in one part of a path, with git's `.lock` behind it.
_PART_BYTES = 240
# A remote that can be part of a ref's name unchanged; for a URL its hash is used.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_./-]*[A-Za-z0-9_-]|[A-Za-z0-9_]"


def short_target(ref: str) -> str:
    """A ref as the queue names targets: branches by their short name, anything else in full.

    A branch whose short name looks like a ref (refs/heads/refs/heads/main) keeps its full name.
    """
    short = ref.removeprefix(HEADS)
    return ref if short.startswith("refs/") else short


def named_by(branch: str, patterns: Iterable[str]) -> bool:
    """Whether any pattern is about a branch: as in the shell, where a star stands for slashes, too."""
    return any(fnmatchcase(branch, pattern) for pattern in patterns)


def full_target(target: str) -> str:
    """The ref that a target of the queue names: the inverse of `short_target`."""
    return target if target.startswith("refs/") else HEADS + target


def shadow_ref(remote: str, ref: str) -> str:
    """The ref of the shadow of `ref` on `remote`: the memory of what has landed there."""
    return f"{SHADOWS}{_part(remote)}/{short_target(ref)}"


def shared_shadow_ref(ref: str) -> str:
    """The ref of a remote that has the shadow of its branch `ref`, for all machines of a fleet."""
    return f"{SHADOWS}{ref.removeprefix(HEADS)}"


def next_ref(remote: str, ref: str) -> str:
    """The ref that says what is expected in `ref` of `remote` once all that waits has landed, as of the last look."""
    return f"{NEXT}{_part(remote)}/{short_target(ref)}"


def _part(remote: str) -> str:
    """A remote as a part of a ref's name."""
    if not re.fullmatch(_NAME, remote) or ".." in remote or "//" in remote:
        return f"url-{_number('url', remote)[:16]}"
    return remote


def observed_ref(remote: str, ref: str) -> str:
    """The ref that says, and holds, what a flush last saw in `ref` of `remote`.

    It is named by number: a remote that had topic may have topic/more by now.
    """
    return f"{OBSERVED}{_number('ref', f'{remote} {ref}')[:20]}"


def defaults(remote: str) -> str:
    """What the refs begin with that say which branch is the default one of `remote`; nothing else begins with it.

    A ref that is this and nothing more is one of an earlier version, whose blob had the name and may be lost.
    """
    return f"{DEFAULTS}{_number('ref', f'{remote} HEAD')[:20]}"


def default_ref(remote: str, branch: str) -> str | None:
    """The ref whose name says that the branch, a full ref, is the default one of `remote`; None for too long a name.

    What it is at means nothing, so that no object has to be made for it. The name is in hex, as one part of the ref's:
    the default branch may have been topic, and be topic/more or Topic by now.
    """
    name = f"{defaults(remote)}-{short_target(branch).encode('utf-8', 'surrogateescape').hex()}"
    return name if len(name) - len(DEFAULTS) <= _PART_BYTES else None


def default_in(remote: str, refs: Iterable[str]) -> str:
    """The default branch of `remote` that the one of these refs says which is such a ref; "" where it is not one."""
    start = defaults(remote) + "-"
    said = [ref.removeprefix(start) for ref in refs if ref.startswith(start)]
    try:
        (name,) = said
        return full_target(bytes.fromhex(name).decode("utf-8", "surrogateescape"))
    except ValueError:
        return ""


def _number(kind: str, text: str) -> str:
    """A number for a text that is no name of a ref: the same one in every repository."""
    return SHA1.object_name(kind, text.encode("utf-8", "surrogateescape"))


def originals_ref(ref: str) -> str:
    """The ref of a remote for the originals of what has landed on its branch `ref`."""
    return f"refs/uam/originals/{ref.removeprefix(HEADS)}"


def pin_ref(tip: str) -> str:
    """The ref that keeps a queued tip reachable; it is named after the object, so that pinning is idempotent."""
    return f"refs/uam/pin/{tip}"


def original_ref(now: float, tip: str) -> str:
    """The ref that keeps commits which live on in another form without a landing of their own.

    Newer commits that a settle has put on top of a landing, and commits whose change the remote had already. The time,
    in seconds since 1970, is in the name: `original_since` reads it.
    """
    return f"{ORIGINALS}{int(now)}/{tip}"


def original_since(name: str) -> float:
    """When a ref of `original_ref` was made; 0 for a name that is none."""
    seconds = name.removeprefix(ORIGINALS).partition("/")[0]
    return float(seconds) if seconds.isdecimal() else 0.0


def landing_ref(batch_id: str, landing_id: int) -> str:
    """The ref that keeps a landing and all of its originals reachable."""
    return f"refs/uam/landing/{batch_id}/{landing_id}"
