"""A `git push` as it reached a door."""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.model import Wish
from uam_hooks.hot.queue.windows import URGENT_OPTION

# The push options that are for us: the remote might refuse them, and never sees them.
OWN_OPTIONS = (URGENT_OPTION, Wish.SQUASH.value, Wish.KEEP.value)


def wish_of(options: Sequence[str]) -> Wish:
    """What a push with these options wants of its commits; the last word counts."""
    found = [Wish(option) for option in options if option in (Wish.SQUASH.value, Wish.KEEP.value)]
    return found[-1] if found else Wish.NONE


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
    """One `git push`. `-o urgent` sets `urgent`, `-o squash` and `-o keep` the `wish`; they are not among the
    `push_options` that the remote receives.

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
    wish: Wish = Wish.NONE
