"""What fits into the arguments of one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from uam_hooks.hot.core.gate import ARGUMENTS_BYTES, update_bytes
from uam_hooks.hot.core.typed import TypeVar

T = TypeVar("T")


def that_fit(items: Sequence[T], ref_of: Callable[[T], str]) -> Iterator[list[T]]:
    """The items in their order, in parts whose refs fit into the arguments of one command."""
    part: list[T] = []
    size = 0
    for item in items:
        more = update_bytes(ref_of(item))
        if part and size + more > ARGUMENTS_BYTES:
            yield part
            part, size = [], 0
        part.append(item)
        size += more
    if part:
        yield part
