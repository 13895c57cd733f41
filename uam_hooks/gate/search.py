"""What to test next, of sources that stand on each other in queue order. Pure: verdicts in, a step out.

A batch that fails is halved from the front. What passes lands at once, because its exact tree was tested, and so do the
first few of a batch that are known to pass, where nothing is known of all of it; what is left is judged on top of that.
Verdicts belong to trees, and the tree of all is the same whatever of it has landed, so nothing is tested twice. The
first source that is red on what has landed is to blame.
"""

from __future__ import annotations

from collections.abc import Callable

from uam_hooks.hot.core.typed import NamedTuple


class Test(NamedTuple):
    """Find out the verdict on the first `size` sources."""

    size: int


class Land(NamedTuple):
    """The first `size` sources have passed."""

    size: int


class Blame(NamedTuple):
    """The first source fails on what has landed."""


Step = Test | Land | Blame


def next_step(count: int, known: Callable[[int], bool | None]) -> Step:
    """The next step for `count` sources; `known` says whether the first so many pass, None where nobody knows yet."""
    if known(count):
        return Land(count)
    red = next((size for size in range(1, count + 1) if known(size) is False), None)
    if red is None:
        green = next((size for size in range(count - 1, 0, -1) if known(size)), None)
        return Test(count) if green is None else Land(green)
    if red == 1:
        return Blame()
    half = red // 2
    return Land(half) if known(half) else Test(half)
