"""The .gitattributes that count in a merge: those of what is merged into, whatever any worktree has checked out.

git reads them from a worktree (git 2.39 has no --attr-source, and its merge-tree looks into no index), so it is given
one that holds a single file: the top .gitattributes, with what those of subdirectories say below it, their patterns
written from the top. So no name that a tree has is ever the name of a file here. That worktree is made when the first
merge needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO, Answer
from uam_hooks.hot.core.quoting import quoted, unquoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tempfile

_NAME = b".gitattributes"
# git ignores what is larger (attr.h, since 2.38.1)
MOST_BYTES = 100 * 1024 * 1024
_BLANK = b" \t\r\n"
_GLOB = re.compile(rb"[*?\[\\]")


class Attributes:
    """The attributes of one commit's tree (ZERO: none)."""

    def __init__(self, repo: Repository, commit: str) -> None:
        self._repo, self._commit = repo, commit
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def run(self, *args: str) -> Answer:
        """Run git where these attributes count; exit codes 0 and 1 are answers, as for merge-tree."""
        if self._directory is None:
            import tempfile  # most landings need no merge of git's

            self._directory = tempfile.TemporaryDirectory(prefix="uam-")
            if self._commit != ZERO and (text := self._text()):
                (Path(self._directory.name) / ".gitattributes").write_bytes(text)
        where = self._directory.name
        env = {"GIT_DIR": str(self._repo.paths.common_dir), "GIT_WORK_TREE": where}
        return self._repo.run(*args, ok=(0, 1), at=Path(where), env=env)

    def _text(self) -> bytes:
        """All .gitattributes of the tree as one file; a deeper one comes later, and so takes precedence."""
        files = sorted(self._files(), key=lambda file: file[0].count(b"/"))
        parts: list[bytes] = []
        size = 0
        for directory, oid in files:
            if size + self._repo.size(oid) > MOST_BYTES:
                continue
            raw = self._repo.blob(oid)
            size += len(raw)
            parts.append(below(directory, raw) if directory else raw + b"\n")
        return b"".join(parts)

    def _files(self) -> Iterator[tuple[bytes, str]]:
        """The directory ("" for the top) and the object of each .gitattributes that is a plain file."""
        nothing = self._repo.empty_tree
        fields = self._repo.run(
            "diff-tree", "-r", "-z", "--no-renames", nothing, self._commit, "--", ":(glob)**/.gitattributes"
        ).out.split(b"\0")[:-1]
        for facts, name in zip(fields[::2], fields[1::2], strict=True):
            _, mode, _, oid, _ = facts.split(b" ")
            directory, _, last = name.rpartition(b"/")
            if last == _NAME and mode.startswith(b"100"):
                yield directory, oid.decode()

    def __enter__(self) -> Attributes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._directory is not None:
            self._directory.cleanup()


def below(directory: bytes, raw: bytes) -> bytes:
    """The .gitattributes `raw` of a subdirectory, as the top one would say it (gitattributes(5), attr.c of git 2.39).

    Macros, which only count at the top, are left out.
    """
    prefix = b"/" + _GLOB.sub(lambda found: b"\\" + found[0], directory) + b"/"
    lines = []
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        text = line.partition(b"\0")[0].lstrip(_BLANK)
        if not text or text.startswith(b"#"):
            continue
        pattern, states = unquoted(text) or _first_word(text)
        if pattern.startswith((b"!", b"[attr]")) or not pattern.strip(b"/"):
            continue
        # without a slash before its end, a pattern is for names at any depth
        deep = b"" if b"/" in pattern[:-1] else b"**/"
        lines.append(quoted(prefix + deep + pattern.removeprefix(b"/")) + b" " + states.strip(_BLANK) + b"\n")
    return b"".join(lines)


def _first_word(text: bytes) -> tuple[bytes, bytes]:
    word = re.match(rb"[^ \t\r\n]*", text)
    assert word is not None
    return word[0], text[word.end() :]
