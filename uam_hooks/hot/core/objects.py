"""Commits as git stores them."""

from __future__ import annotations

from uam_hooks.hot.core.charsets import as_text
from uam_hooks.hot.core.typed import NamedTuple


class Commit(NamedTuple):
    """A commit. Author and committer are git's raw lines, with date; the message is bytes in `encoding`."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: bytes
    committer: bytes
    message: bytes
    encoding: bytes = b""

    @classmethod
    def parse(cls, oid: str, raw: bytes) -> Commit:
        """Read git's commit format; unknown headers (signatures, mergetags) are ignored."""
        head, _, message = raw.partition(b"\n\n")
        fields: dict[bytes, list[bytes]] = {}
        for line in head.split(b"\n"):
            if not line.startswith(b" "):
                name, _, value = line.partition(b" ")
                fields.setdefault(name, []).append(value)
        return cls(
            oid,
            fields[b"tree"][0].decode(),
            tuple(p.decode() for p in fields.get(b"parent", [])),
            fields[b"author"][0],
            fields[b"committer"][0],
            message,
            fields.get(b"encoding", [b""])[0],
        )

    def raw(self) -> bytes:
        """The bytes that git would store for this commit, unsigned."""
        lines = [b"tree " + self.tree.encode(), *(b"parent " + p.encode() for p in self.parents)]
        lines += [b"author " + self.author, b"committer " + self.committer]
        if self.encoding:
            lines.append(b"encoding " + self.encoding)
        return b"\n".join(lines) + b"\n\n" + self.message

    @property
    def text(self) -> str:
        """The message as text."""
        return as_text(self.message, self.encoding)

    @property
    def subject(self) -> str:
        """The first paragraph on one line, as `git log --format=%s` prints it."""
        return " ".join(line.strip() for line in self.text.strip().split("\n\n", 1)[0].splitlines())

    @property
    def author_name(self) -> str:
        """`Name <mail>` of the author, without the date."""
        return self.author.rsplit(b">", 1)[0].decode("utf-8", "replace") + ">"

    @property
    def committer_name(self) -> str:
        """`Name <mail>` of the committer, without the date."""
        return self.committer.rsplit(b">", 1)[0].decode("utf-8", "replace") + ">"

    @property
    def committed(self) -> int:
        """When it was committed, in seconds since 1970; 0 where that cannot be read, as git takes it."""
        date = self.committer.rpartition(b">")[2].split()
        return int(date[0]) if date and date[0].isdigit() else 0
