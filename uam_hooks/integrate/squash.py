"""Facts about commits in, the landing's message and author out. Pure: no git, no clock, no files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.words import visible

# What makes GitHub, GitLab, Bitbucket, Azure, CircleCI, Travis and others run nothing for a push.
_SKIP = re.compile(
    r"\[(?:skip[ -](?:ci|actions|checks)|(?:ci|actions)[ -]skip|no[ -]ci|skip-ci|skip (?:travis|azp|azurepipelines|"
    r"appveyor|cd|netlify|vercel|render|circleci)|(?:travis|azp|azurepipelines|appveyor|netlify|vercel|render) skip|"
    r"ci:skip|skip:ci)\]",
    re.IGNORECASE,
)
_SKIP_WORDS = re.compile(r"\*\*\*NO_CI\*\*\*", re.IGNORECASE)
_SKIP_TRAILER = re.compile(r"^(?:skip-checks|ci-skip):[ \t]*true[ \t]*$", re.IGNORECASE | re.MULTILINE)
_CO_AUTHOR = re.compile(r"^Co-authored-by:[ \t]*(.+>)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_BATCH = re.compile(r"^Uam-Batch: \S+\s*\Z", re.MULTILINE)
_MEMBER = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
# The header of https://www.conventionalcommits.org: type, scope, and ! for a breaking change.
_HEADER = re.compile(r"^([a-z]+)(?:\(([^()\s][^()]*)\))?(!?): \S")
_FIXES = re.compile(r"^(?:fixup|squash|amend)! ")
_NO_HEADER = re.compile(r"^(?:Merge|Revert) \S")  # git's own, which tools that check subjects pass over
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE: ", re.MULTILINE)
# What a release is made of, the most important first; others count alike.
_TYPES = ("feat", "fix", "perf")
_LINE = 100  # body-max-line-length of commitlint's conventional rules


def silences_ci(text: str) -> bool:
    """Whether a forge would run nothing for a commit with this message."""
    return bool(_SKIP.search(text) or _SKIP_WORDS.search(text) or _SKIP_TRAILER.search(text))


def neutralised(text: str) -> str:
    """`text` with the same words, but such that no forge takes them for an order."""
    text = _SKIP.sub(lambda found: f"({found.group()[1:-1]})", text)
    return _SKIP_WORDS.sub("NO_CI", text)


def message(commits: Sequence[Commit], batch_id: str, style: str) -> bytes:
    """The message of a landing that squashes `commits`, oldest first.

    With the `style` "count" the form is the original's: `Squashed 3 commits:`, a blank line, a numbered list of
    subjects. With "list" the first line names the subjects instead; with "own" it is a subject of the members, and the
    original's form follows. With "conventional" it is that of a Conventional Commit, where every subject is. Where it
    is that, no line is longer than commitlint accepts. The ids of the members follow, for whoever has them. A wish to
    skip CI counts only when every member has it.
    """
    silent = bool(commits) and all(silences_ci(commit.text) for commit in commits)
    subjects = [subject for commit in commits for subject in members_of(commit)]
    if not silent:
        subjects = [neutralised(subject) for subject in subjects]
    kind = _conventional(commits, subjects) if style in ("conventional", "own") else ""
    count = f"Squashed {len(subjects)} commits:"
    heads = [count]
    if style == "list":
        heads = [_shortened("; ".join(subjects))]
    elif style == "own":
        heads = [_own(subjects, kind), "", count]
    elif kind:
        heads = [f"{kind}: squash {len(subjects)} commits"]
    members = [f"{n}. {subject}" for n, subject in enumerate(subjects, 1)]
    lines = [*heads, "", *(_shortened(line, _LINE) if kind else line for line in members), ""]
    if silent and not any(silences_ci(line) for line in lines):
        lines += ["[skip ci]", ""]
    lines += [f"Co-authored-by: {name if silent else neutralised(name)}" for name in co_authors(commits)]
    lines += [f"Uam-Original: {commit.oid}" for commit in commits]
    lines.append(f"Uam-Batch: {batch_id}")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def by_name(style: str) -> str:
    """The style of what is made for actions by name, and for several pushes in one: without a wish the original's."""
    return "count" if style == "own" else style


def _own(subjects: Sequence[str], kind: str) -> str:
    """The subject that says most: the first one, which the others go on from, and of Conventional Commits the first
    of the most important type. `kind` is what a Conventional Commit of all of them begins with, "" for none.
    """
    told = [subject for subject in subjects if not _FIXES.match(subject)] or list(subjects)
    first = told[0]
    if kind:
        headers = [subject for subject in told if _HEADER.match(subject)]
        wanted = kind.rstrip("!").partition("(")[0]
        first = next((one for one in headers if re.match(rf"{wanted}\W", one)), first)
        if kind.endswith("!"):  # what breaks, breaks, whichever of them it was
            first = re.sub(r"^([a-z]+(?:\([^()]*\))?)!?:", r"\1!:", first)
    more = f" (+{len(subjects) - 1} more)" if len(subjects) > 1 else ""
    return f"{_shortened(first, 72 - len(more))}{more}"


def _conventional(commits: Sequence[Commit], subjects: Sequence[str]) -> str:
    """What stands before the colon where `subjects` keep to Conventional Commits, else ""."""
    found = [_HEADER.match(subject) for subject in subjects if not _NO_HEADER.match(subject)]
    headers = [one.groups("") for one in found if one]
    if not headers or len(headers) < len(found):
        return ""
    types = dict.fromkeys(kind for kind, _, _ in headers)
    scopes = {scope for _, scope, _ in headers}
    kind = next((one for one in _TYPES if one in types), next(iter(types)))
    breaking = any(mark for _, _, mark in headers) or any(_breaks(commit) for commit in commits)
    return kind + (f"({scope})" if len(scopes) == 1 and (scope := scopes.pop()) else "") + ("!" if breaking else "")


def _breaks(commit: Commit) -> bool:
    own = _HEADER.match(commit.subject)  # of a squash of ours, too, which has no footers of its members
    return bool((own and own[3]) or _BREAKING.search(commit.text))


def members_of(commit: Commit) -> list[str]:
    """The subject of a commit; of a squash of ours, the subjects that it stands for."""
    if not _BATCH.search(commit.text):
        return [visible(commit.subject)]
    return [visible(subject) for subject in _MEMBER.findall(commit.text) or [commit.subject]]


def _shortened(text: str, most: int = 72) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def co_authors(commits: Sequence[Commit]) -> list[str]:
    """Everybody who wrote one of `commits` besides the squash's own author, each once, in order."""
    names = [visible(commit.author_name) for commit in commits]
    for commit in commits:
        names += [visible(name.strip()) for name in _CO_AUTHOR.findall(commit.text)]
    own = names[0] if names else ""
    return [name for name in dict.fromkeys(names) if name != own]


def author(commits: Sequence[Commit]) -> bytes:
    """The author line of a squash: the only author, else the first one."""
    return commits[0].author
