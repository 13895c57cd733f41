"""Which pushes are ours to integrate: updates of branches and tags. Whatever else git pushes is left to git.

git answers for what we would only repeat, and its remote for what we cannot know.
"""

from __future__ import annotations

from collections.abc import Mapping

from uam_hooks.hot.push.request import Request, Spec


def parted(request: Request, lines: list[str], there: Mapping[str, str] | None) -> tuple[Request, list[str]]:
    """What of a push is ours, and the `push` lines of what goes straight to the remote.

    `there` are the refs that the remote has, None where it was not asked. What is atomic goes one way.
    """
    straight = [line for spec, line in zip(request.specs, lines, strict=True) if _goes_straight(spec, there)]
    if straight and request.atomic:
        straight = list(lines)
    ours = [spec for spec, line in zip(request.specs, lines, strict=True) if line not in straight]
    return request._replace(specs=tuple(ours)), straight


def _goes_straight(spec: Spec, there: Mapping[str, str] | None) -> bool:
    """Whether nothing of this spec can land: a remote warns of a ref that is to be deleted and is not there."""
    return not spec.src and there is not None and spec.dst not in there
