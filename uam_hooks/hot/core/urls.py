"""Where the pushes to a remote go, as git itself resolves it (remote.c), and how git is told to talk to that place.

git rewrites each URL once: an explicit pushurl by insteadOf alone; a url, where there is no pushurl, by pushInsteadOf,
else by insteadOf. A landing looks at the place that it pushes to.
"""

from __future__ import annotations

import re

from uam_hooks.hot.core.errors import Advice, Refused
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.words import redact

SCHEME = "uam::"
# A URL of one of these becomes uam-https://... instead: git shows no name and password of a URL that has a scheme, and
# all of one that begins with `uam::` (transport_anonymize_url, git 2.39).
SCHEMES = ("https://", "http://", "ssh://")
# The remote that git is told about on its command line; no other can have this name, for git refuses its colons.
NAME = "uam::there"
# Given as false where packs for that remote are to stand alone: git has an option for it, and no setting.
THIN = f"remote.{NAME}.uam-thin"
# How git talks to a remote, besides its URLs.
_MANNERS = ("receivepack", "uploadpack", "proxy", "proxyauthmethod", "serveroption")
_HELPER = r"[A-Za-z0-9+.-]*::"


def has_helper(url: str) -> bool:
    """Whether the URL names a remote helper (`<helper>::<address>`), a program that git starts for it."""
    return "::" in url and re.match(_HELPER, url) is not None


def push_urls(settings: Settings, remote: str) -> list[str]:
    """Where git would push for `remote`, a name or a URL, if we were not here; the deciding one first."""
    explicit = _explicit(settings, remote)
    if explicit:
        return [_rewritten(settings, url, ".insteadof") or url for url in explicit]
    urls = (settings.all(f"remote.{remote}.url") if remote in settings.remotes() else []) or [remote]
    # git pushes to all that pushInsteadOf fits, and only where there is none to the URLs themselves
    fitting = [found for url in urls if (found := _rewritten(settings, url, ".pushinsteadof")) is not None]
    return fitting or [_rewritten(settings, url, ".insteadof") or url for url in urls]


def pushes_elsewhere(settings: Settings, remote: str) -> bool:
    """Whether a pushurl of `remote` is another than those it fetches from."""
    explicit = _explicit(settings, remote)
    return bool(explicit) and explicit[0] not in settings.all(f"remote.{remote}.url")


def own_helper(settings: Settings, remote: str) -> bool:
    """Whether pushes to `remote` are made by a remote helper of its own, so that they are none of our business."""
    return bool(settings.all(f"remote.{remote}.vcs")) or any(
        has_helper(url) and not url.startswith(SCHEME) for url in push_urls(settings, remote)
    )


def unwired(settings: Settings) -> list[str]:
    """The remotes whose pushes would go through us if they had been there at the install; none without the wired door.

    Some may be unfit for it: that is found out when they are wired.
    """
    given = any(key.startswith("remote.") for key, _ in settings.given)
    if given or not settings.all("alias.remote-uam"):  # what is given for one command is not for the config file
        return []
    found = [r for r in settings.remotes() if settings.all(f"remote.{r}.pushurl") != [SCHEME + r]]
    return [remote for remote in found if not own_helper(settings, remote)]


def at(settings: Settings, remote: str, url: str) -> list[str]:
    """The options for git with which the remote `NAME` is at `url`, one of `push_urls` of `remote`.

    The URL is not rewritten once more, not looked up as the name of a remote, and talked to as the remote is. Refused
    where git cannot be kept from rewriting it.
    """
    pairs = [(f"remote.{NAME}.url", url), (f"remote.{NAME}.pushurl", url)]
    manners = [key for key in _MANNERS if not settings.all(f"remote.{NAME}.{key}")]  # given: git push --receive-pack
    pairs += [(f"remote.{NAME}.{key}", value) for key in manners for value in settings.all(f"remote.{remote}.{key}")]
    if _rewritten(settings, url, ".insteadof") is not None:
        if "=" in url or _is_replaced(settings, url):
            raise Refused(
                f"git would rewrite {redact(url)} once more, by url.<base>.insteadOf.",
                Advice.of("See {}.", "git", "config", "-l"),
            )
        pairs.append((f"url.{url}.insteadOf", url))  # the longest one wins
    return [word for key, value in pairs for word in ("-c", f"{key}={value}")]


def _explicit(settings: Settings, remote: str) -> list[str]:
    if remote not in settings.remotes():
        return []
    found = settings.all(f"remote.{remote}.uam-pushurl")
    return found or [url for url in settings.all(f"remote.{remote}.pushurl") if not url.startswith(SCHEME)]


def _rewritten(settings: Settings, url: str, kind: str) -> str | None:
    """`url` with its longest prefix replaced that a url.<base>.<kind> names, of equally long ones the first."""
    best, base = "", None
    for name, prefix in settings.rewriting(kind):
        if name == f"uam-{prefix}":  # ours, as that with the empty prefix is
            continue
        if len(prefix) > len(best) and url.startswith(prefix):
            best, base = prefix, name
    return None if base is None else base + url[len(best) :]


def _is_replaced(settings: Settings, url: str) -> bool:
    """Whether an insteadOf names just this URL, so that no longer one can be put before it."""
    return any(prefix == url and base != url for base, prefix in settings.rewriting(".insteadof"))
