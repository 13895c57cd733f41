"""What git's command line says of a push."""

from __future__ import annotations

import pytest

from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.push.arguments import refspecs
from uam_hooks.hot.push.meaning import Listing, listing


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", ""),
        ("origin", ""),
        ("origin main", "main"),
        ("-u origin main -q topic", "main topic"),
        ("-o urgent origin main", "main"),
        ("-fo urgent origin main", "main"),
        ("-ourgent origin main", "main"),
        ("--push-opt urgent origin main", "main"),
        ("--push-option=urgent origin main", "main"),
        ("--receive-pack x origin main", "main"),
        ("--exec x --repo elsewhere origin main", "main"),
        ("--recurse-submodules check origin main", "main"),
        ("--signed origin main", "main"),
        ("origin -- -main", "-main"),
    ],
)
def test_h7_refspecs_are_told_from_options_and_their_values(line: str, found: str) -> None:
    assert refspecs(line.split()) == found.split()


@pytest.mark.parametrize(
    ("line", "config", "how"),
    [
        ("", {}, Listing.TRACKED),
        ("origin HEAD", {}, Listing.TRACKED),
        ("origin main", {}, Listing.TRACKED),
        ("origin --all", {}, Listing.TRACKED),
        ("origin main:refs/heads/x +@", {}, Listing.TRACKED),
        ("origin refs/heads/*:refs/heads/*", {}, Listing.TRACKED),
        ("origin", {"remote.origin.push": ["HEAD:refs/heads/x"]}, Listing.TRACKED),
        ("origin main:x", {}, Listing.GUESSED),
        ("origin refs/tags/v1", {}, Listing.GUESSED),
        ("origin refs/*:refs/*", {}, Listing.GUESSED),
        ("origin tag v1", {}, Listing.GUESSED),
        ("origin", {"remote.origin.push": ["HEAD:refs/for/main"]}, Listing.GUESSED),
        ("origin main", {"remote.origin.push": ["refs/heads/main:x"]}, Listing.GUESSED),
        (None, {}, Listing.GUESSED),
        ("origin :", {}, Listing.NAMED),
        ("origin +:", {}, Listing.NAMED),
        ("origin", {"remote.origin.push": [":"]}, Listing.NAMED),
        ("origin", {"push.default": ["matching"]}, Listing.NAMED),
        ("origin main", {"push.default": ["matching"]}, Listing.TRACKED),
        ("origin main", {"push.followtags": ["true"]}, Listing.NAMED),
        ("origin main", {"push.followtags": ["no"]}, Listing.TRACKED),
        ("origin --tags", {}, Listing.NAMED),
        ("origin --prune refs/heads/*:refs/heads/*", {}, Listing.NAMED),
        ("origin :refs/heads/x", {}, Listing.NAMED),
        ("origin --mirror", {}, Listing.REAL),
        ("origin", {"remote.origin.mirror": ["true"]}, Listing.REAL),
        ("origin --force-with-lease main", {}, Listing.REAL),
    ],
)
def test_h7_what_git_is_to_judge_by(line: str | None, config: dict[str, list[str]], how: Listing) -> None:
    given = None if line is None else line.split()
    assert listing(given, Settings(config), "origin")[0] == how
