"""The message and the author of a squash: pure text from the members' facts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uam_hooks.hot.core.objects import Commit
from uam_hooks.integrate import squash

ADA = b"Ada <ada@example.invalid>"
BOB = b"Bob <bob@example.invalid>"
ORIGINAL = f"Uam-Original: {'1' * 40}\n"
BATCH = "3f6b8a52-0000-4000-8000-000000000000"


def commit(text: str, author: bytes = ADA, encoding: bytes = b"") -> Commit:
    data = text.encode(encoding.decode() or "utf-8")
    return Commit("1" * 40, "2" * 40, ("3" * 40,), author + b" 1 +0000", ADA + b" 2 +0000", data, encoding)


def message(*commits: Commit, style: str = "count") -> str:
    return squash.message(commits, BATCH, style).decode()


def test_the_form_is_the_originals() -> None:
    members = [commit("Add a\n\nbecause\n"), commit("Fix b\n"), commit("Drop c")]
    block = "Squashed 3 commits:\n\n1. Add a\n2. Fix b\n3. Drop c\n"
    trailers = f"{ORIGINAL * 3}Uam-Batch: {BATCH}\n"
    assert message(*members) == f"{block}\n{trailers}"
    assert message(*members, style="own") == f"Add a (+2 more)\n\n{block}\n{trailers}"


@pytest.mark.parametrize(
    ("subjects", "first"),
    [
        (["fixup! Add a", "Add a", "Add b"], "Add a (+2 more)"),
        (["fixup! Add a", "squash! Add a"], "fixup! Add a (+1 more)"),
        (["docs: say so", "fix(api): count", "fix: round"], "fix(api): count (+2 more)"),
        (["chore: tidy", "Merge branch 'x'"], "chore: tidy (+1 more)"),
        (["Merge branch 'x'", "fix: a"], "fix: a (+1 more)"),
        (["fix(api): a", "refactor!: b"], "fix(api)!: a (+1 more)"),
        (["fix: a", "Add b"], "fix: a (+1 more)"),
        (["Add " + "long " * 30, "b"], "Add " + "long " * 11 + "lo\N{HORIZONTAL ELLIPSIS} (+1 more)"),
    ],
)
def test_the_first_line_is_a_subject_of_ones_own(subjects: list[str], first: str) -> None:
    lines = message(*map(commit, subjects), style="own").splitlines()
    assert (lines[0], len(lines[0]) <= 72) == (first, True)
    assert lines[2] == f"Squashed {len(subjects)} commits:"
    assert squash.members_of(commit("\n".join(lines))) == [subject.strip() for subject in subjects]


def test_every_other_author_is_named_once() -> None:
    text = "Add d\n\nCo-authored-by: Cy <cy@example.invalid>\nco-authored-by:  Bob <bob@example.invalid>\n"
    members = [commit("Add a"), commit("Add b", BOB), commit("Add c", BOB), commit(text)]
    assert message(*members).splitlines()[-8:] == [
        "",
        "Co-authored-by: Bob <bob@example.invalid>",
        "Co-authored-by: Cy <cy@example.invalid>",
        *[ORIGINAL.strip()] * 4,
        f"Uam-Batch: {BATCH}",
    ]
    assert squash.author(members) == ADA + b" 1 +0000"


def test_the_authors_own_name_is_no_co_author() -> None:
    assert squash.co_authors([commit("Add a\n\nCo-authored-by: Ada <ada@example.invalid>")]) == []
    assert squash.co_authors([]) == []


def test_a_list_of_subjects_as_the_first_line() -> None:
    assert message(commit("Add a"), commit("Fix b"), style="list").splitlines()[:4] == [
        "Add a; Fix b", "", "1. Add a", "2. Fix b",
    ]  # fmt: skip
    long = message(*(commit(f"A subject with some words in it, number {n}") for n in range(5)), style="list")
    first = long.splitlines()[0]
    assert len(first) <= 72
    assert first.startswith("A subject with some words in it, number 0; A subject")
    assert first.endswith("\N{HORIZONTAL ELLIPSIS}")


def test_subjects_over_several_lines_and_in_other_encodings() -> None:
    assert "1. one two" in message(commit("\n\none\ntwo\n\nbody")).splitlines()
    assert "1. Müll raus" in message(commit("Müll raus", encoding=b"ISO-8859-1")).splitlines()
    assert "1. x" in message(commit("x")._replace(encoding=b"no-such-encoding")).splitlines()
    broken = commit("x")._replace(message=b"\xff\xfe bytes")
    assert message(commit("a"), broken).startswith("Squashed 2 commits:\n\n1. a\n2. ")


# -- CI ------------------------------------------------------------------------------------------------------

SPELLINGS = [
    "[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "[Skip CI]", "[CI SKIP]", "[skip-ci]",
    "[ci-skip]", "[skip travis]", "[travis skip]", "[skip azp]", "[azp skip]", "[skip azurepipelines]",
    "[azurepipelines skip]", "[skip appveyor]", "[appveyor skip]", "[skip netlify]", "[netlify skip]",
    "[skip circleci]", "[ci:skip]", "[skip checks]", "***NO_CI***", "***no_ci***",
]  # fmt: skip


@pytest.mark.parametrize("order", SPELLINGS)
def test_one_member_cannot_silence_the_others(order: str) -> None:
    assert squash.silences_ci(f"Add a {order}")
    for style in ("count", "list", "conventional"):
        text = message(commit(f"Add a {order}"), commit("Add b"), style=style)
        assert not squash.silences_ci(text)
        assert order.lower() not in text.lower()
        # the words stay readable
        word = re.sub(r"[^a-z]", "", order.lower())
        assert word in re.sub(r"[^a-z]", "", text.lower())


@pytest.mark.parametrize("order", SPELLINGS)
def test_what_all_of_them_want_is_done(order: str) -> None:
    assert squash.silences_ci(message(commit(f"Add a {order}"), commit("Add b\n\n[skip ci]")))
    assert squash.silences_ci(message(commit(f"Add a\n\n{order}"), commit("Add b [no ci]")))


@pytest.mark.parametrize("trailer", ["skip-checks: true", "Skip-Checks:true", "ci-skip: true"])
def test_trailers_count_too(trailer: str) -> None:
    text = f"Add a\n\nbecause\n\n{trailer}\n"
    assert squash.silences_ci(text)
    assert not squash.silences_ci(message(commit(text), commit("Add b")))
    assert squash.silences_ci(message(commit(text), commit("Add b [skip ci]")))


@pytest.mark.parametrize("text", ["Skip CI for docs", "[skip] ci", "Explain [skipping ci]", "[ci] skip", "no ci", ""])
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert not squash.silences_ci(text)
    assert squash.neutralised(text) == text


def test_an_order_among_the_co_authors_silences_nobody() -> None:
    odd = b"[skip ci] Bot <bot@example.invalid>"
    assert not squash.silences_ci(message(commit("Add a"), commit("Add b", odd)))
    trailer = "Add c\n\nCo-authored-by: [ci skip] <x@example.invalid>"
    assert not squash.silences_ci(message(commit("Add a"), commit(trailer), commit("Add b")))


WORDS = [*"[]* \n:-a", "skip", "ci", "no", "NO_CI", "***NO_CI***", "[skip ci]", "\nskip-checks: true\n", "\n\n"]


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map("".join), min_size=1, max_size=4))
def test_the_whole_silences_exactly_when_every_member_does(texts: list[str]) -> None:
    members = [commit(text) for text in texts]
    assert squash.silences_ci(message(*members)) is all(squash.silences_ci(text) for text in texts)


@given(st.text())
def test_neutralising_is_final_and_keeps_the_lines(text: str) -> None:
    once = squash.neutralised(text)
    assert squash.neutralised(once) == once
    assert len(once.split("\n")) == len(text.split("\n"))


# -- conventional commits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subjects", "first"),
    [
        (["fix: one", "fix: two"], "fix: squash 2 commits"),
        (["docs(api): one", "fix(api): two", "feat(api): three"], "feat(api): squash 3 commits"),
        (["docs(api): one", "test(cli): two"], "docs: squash 2 commits"),
        (["fix: one", "chore(db)!: two"], "fix!: squash 2 commits"),
        (["fix: one\n\nBREAKING CHANGE: all of it", "fix: two"], "fix!: squash 2 commits"),
        (["fix: one", "Merge branch 'main'"], "fix: squash 2 commits"),
        (["fix: one", "Add two"], "Squashed 2 commits:"),
        (["fix: one", "FIX: two"], "Squashed 2 commits:"),
        (["Merge branch 'main'", 'Revert "x"'], "Squashed 2 commits:"),
    ],
)
def test_d8_where_every_subject_is_conventional_that_of_the_squash_is(subjects: list[str], first: str) -> None:
    lines = message(*map(commit, subjects), style="conventional").splitlines()
    assert lines[0] == first
    again = message(commit("\n".join(lines)), commit("docs: more"), style="conventional").splitlines()[
        0
    ]  # and of a squash of squashes
    if not first.startswith("Squashed"):
        assert again == first.replace("docs(api)", "docs").replace("feat(api)", "feat").replace(
            str(len(subjects)), str(len(subjects) + 1)
        )


def test_d8_lines_are_no_longer_than_commitlint_accepts() -> None:
    lines = message(*(commit(f"fix: {'x' * 95}") for _ in range(12)), style="conventional").splitlines()
    assert len(lines) == 28
    assert max(map(len, lines)) == 100
