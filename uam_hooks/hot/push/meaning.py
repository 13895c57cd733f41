"""Which pushes are ours to integrate: updates of branches and tags. Whatever else git pushes is left to git.

git answers for what we would only repeat, and its remote for what we cannot know. What git is to judge by is decided
before it says what it pushes, from its command line and its configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum, auto

from uam_hooks.hot.core.refs import HEADS
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.values import boolean
from uam_hooks.hot.push import arguments
from uam_hooks.hot.push.request import Request, Spec

TAGS = "refs/tags/"


class Listing(Enum):
    """What git is told that the remote has."""

    TRACKED = auto()  # the branches that were last seen there: enough for a push of branches by their full names
    GUESSED = auto()  # what it has now; that of TRACKED where it does not answer
    NAMED = auto()  # what it has now, and of branches nothing but their names, so that git judges none of them
    REAL = auto()  # what it has now, by which git judges


def listing(given: list[str] | None, settings: Settings, remote: str) -> tuple[Listing, list[str]]:
    """What git is to judge by in a push to `remote` with the arguments `given` (None: nobody knows).

    TRACKED holds only if each of the names that come along is that of a branch here, and of no tag.
    """
    known = given or []
    if arguments.wants_lease(known) or arguments.is_mirror(known) or _is_on(settings, f"remote.{remote}.mirror"):
        return Listing.REAL, []
    configured = settings.all(f"remote.{remote}.push")
    named = arguments.refspecs(known)
    used = named or configured
    matching = any(spec in (":", "+:") for spec in used)
    matching = matching or (not used and settings.all("push.default")[-1:] == ["matching"])
    if matching or _is_on(settings, "push.followtags") or arguments.wants_everything(known):
        return Listing.NAMED, []
    # a name alone is sent to where the configuration says
    names = [_branch_only(spec) for spec in (*named, *configured)]
    if given is None or None in names:
        return Listing.GUESSED, []
    return Listing.TRACKED, [name for name in names if name]


def _is_on(settings: Settings, key: str) -> bool:
    values = settings.all(key)
    try:
        return bool(values) and boolean(values[-1])
    except ValueError:
        return True  # git says what is wrong with it


def _branch_only(spec: str) -> str | None:
    """ "" for a refspec that can only be about branches, None for one that need not be.

    Else the name without a destination that it is, which has to be that of a branch here.
    """
    src, colon, dst = spec.removeprefix("+").partition(":")
    where = dst if colon else src
    if where.startswith(HEADS):
        return ""
    if colon or where.startswith(("refs/", "^")) or "*" in where or where == "tag":
        return None
    return "" if where in ("HEAD", "@") else where


def are_branches(names: Sequence[str], refs: Collection[str]) -> bool:
    """Whether each of the names is, among the `refs` of this repository, that of a branch and of no tag."""
    return all(f"{HEADS}{name}" in refs and f"{TAGS}{name}" not in refs for name in names)


def leaves_the_hook_alone(given: list[str], settings: Settings, refs: Sequence[str]) -> bool:
    """Whether a push that meets the pre-push hook goes straight as a whole: a hook cannot take a part of it."""
    signed = _is_on(settings, "push.gpgsign")
    for argument in given:
        signed = arguments.signs(argument, signed)
    return signed or not all(ref.startswith((HEADS, TAGS)) for ref in refs)


def parted(request: Request, lines: list[str], there: Mapping[str, str] | None) -> tuple[Request, list[str]]:
    """What of a push is ours, and the `push` lines of what goes straight to the remote.

    `there` are the refs that the remote has, None where it was not asked. What is atomic goes one way; and so does what
    could not be integrated anyway, for the remote's hooks are told of a push as a whole.
    """
    straight = [line for spec, line in zip(request.specs, lines, strict=True) if _goes_straight(spec, there)]
    if straight and (request.atomic or all(_is_verbatim(spec, there) for spec in request.specs)):
        straight = list(lines)
    ours = [spec for spec, line in zip(request.specs, lines, strict=True) if line not in straight]
    return request._replace(specs=tuple(ours)), straight


def _is_verbatim(spec: Spec, there: Mapping[str, str] | None) -> bool:
    """Whether this can only become what was pushed: there is nothing on the remote that it could be put on."""
    new = there is not None and spec.dst not in there
    return new or spec.force or not spec.src or not spec.dst.startswith(HEADS)


def judged_by_git(refs: Collection[str]) -> list[str]:
    """Those of the remote's refs of which git may judge by what they are at: tags.

    Branches are ours to judge. Anything else the remote may list, and hide from who pushes (receive.hideRefs): there it
    would say no where git finds nothing to do.
    """
    return [ref for ref in refs if ref.startswith(TAGS)]


def _goes_straight(spec: Spec, there: Mapping[str, str] | None) -> bool:
    """Whether there is nothing of this spec that we could land.

    What is neither a branch nor a tag may be anything to the remote, also a name for something else (proc-receive). Of
    a ref that is to be deleted and is not there it warns.
    """
    if not spec.dst.startswith((HEADS, TAGS)):
        return True
    return not spec.src and there is not None and spec.dst not in there
