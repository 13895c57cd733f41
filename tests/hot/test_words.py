"""What a pushing agent reads, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from uam_hooks.hot.push import messages
from uam_hooks.hot.queue.model import Source, SourceStatus
from uam_hooks.hot.queue.outcome import Outcome
from uam_hooks.hot.worktree.landed import Settled

NEW, TIP = "740b1cf" + "0" * 33, "b92ab88" + "0" * 33


def source(how: str | None = "squashed", **more: Any) -> Source:
    facts = {"batch": 12, "ref": "refs/heads/main", "old": "1" * 40, "new": NEW, "keep": NEW, "how": how}
    facts |= {"commits": 2, "with": [], **more}
    return Source(
        1, 1, "me", "/w", "refs/heads/me", TIP, False, None, "", False, 0, "", SourceStatus.LANDED, None,
        Outcome.of(facts),
    )  # fmt: skip


@pytest.mark.parametrize("how", ["as-is", "exact", None])
def test_what_changed_nothing_is_not_mentioned(how: str | None) -> None:
    assert messages.landed(source(how), "origin") is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "landed on origin/main as 740b1cf: your 2 commits (b92ab88) as one (originals: git uam show 12)"),
        (
            {"with": ["agent-b"]},
            "landed on origin/main as 740b1cf: your 2 commits (b92ab88) as one, together with agent-b"
            " (originals: git uam show 12)",
        ),
        (
            {"commits": 1, "with": ["a", "b"]},
            "landed on origin/main as 740b1cf: your commit (b92ab88), together with a and b"
            " (originals: git uam show 12)",
        ),
        (
            {"commits": 0, "with": ["a", "b", "c"]},
            "landed on origin/main as 740b1cf: what you pushed (b92ab88), together with a, b and c"
            " (originals: git uam show 12)",
        ),
        (
            {"with": ["a", "b", "c", "d", "e"]},
            "landed on origin/main as 740b1cf: your 2 commits (b92ab88) as one, together with a, b, c and 2 more"
            " (originals: git uam show 12)",
        ),
        (
            {"ref": "refs/heads/feature/x"},
            "landed on origin/feature/x as 740b1cf: your 2 commits (b92ab88) as one (originals: git uam show 12)",
        ),
    ],
)
def test_a_squash_says_what_landed_as_what_and_with_whom(facts: dict[str, Any], said: str) -> None:
    assert messages.landed(source(**facts), "origin") == said


def test_a_single_commit_that_had_to_move_is_called_moved() -> None:
    assert messages.landed(source("moved", commits=1), "origin") == (
        "landed on origin/main as 740b1cf: your commit b92ab88 moved on top of others' work, message and date kept"
    )


def test_kept_commits_and_nothing_new() -> None:
    assert messages.landed(source("kept"), "origin") == (
        "landed on origin/main, now at 740b1cf: your 2 commits (b92ab88) one by one (originals: git uam show 12)"
    )
    assert messages.landed(source("nothing-new"), "origin") == (
        "nothing to land: what your commits change (b92ab88) is on origin/main already, at 740b1cf"
    )


@pytest.mark.parametrize(
    ("result", "branch", "said"),
    [
        (Settled(NEW), "refs/heads/me", None),
        (
            Settled(NEW, moved=True, files=True),
            "refs/heads/me",
            "branch me and its files are now at 740b1cf, what origin/main has",
        ),
        (Settled(NEW, moved=True), "refs/heads/me", "branch me is now at 740b1cf, what origin/main has"),
        (Settled(NEW, moved=True, files=True), "", "HEAD and its files are now at 740b1cf, what origin/main has"),
        (
            Settled(TIP, why="a rebase is under way there"),
            "refs/heads/me",
            "branch me stays at b92ab88: a rebase is under way there; `git uam sync` brings it to what origin/main has",
        ),
    ],
)
def test_where_the_branch_is_now(result: Settled, branch: str, said: str | None) -> None:
    assert messages.settled(result, branch, "origin/main") == said


@pytest.mark.parametrize(
    ("mode", "due", "said"),
    [
        ("queue", 4.6, "queued as #7 for origin/main; it lands within 5 s (git uam status)"),
        ("queue", -3.0, "queued as #7 for origin/main; it lands within 0 s (git uam status)"),
        ("manual", 4.6, "queued as #7 for origin/main; `git uam flush` lands it (git uam status)"),
    ],
)
def test_a_push_that_nobody_waits_for(mode: str, due: float, said: str) -> None:
    assert messages.queued(7, "origin/main", due, mode) == said
