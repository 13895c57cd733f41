"""A `git push` as it reached a door."""

from __future__ import annotations

from typing import NamedTuple


class Spec(NamedTuple):
    """One refspec of a push.

    `src` is a ref, an object name, or empty for a deletion. `lease` is the object that the remote's ref must name, ""
    when the ref must not exist, None when no lease was requested. `overruled` is a lease that force won over.
    """

    src: str
    dst: str
    force: bool = False
    lease: str | None = None
    overruled: str | None = None


class Request(NamedTuple):
    """One `git push`. `-o urgent` sets `urgent` and is not among the `push_options` that the remote receives.

    A `quiet` one hears nothing of what went well, one with `progress` how git comes on.
    """

    remote: str
    specs: tuple[Spec, ...]
    atomic: bool = False
    dry_run: bool = False
    push_options: tuple[str, ...] = ()
    urgent: bool = False
    quiet: bool = False
    progress: bool = False
