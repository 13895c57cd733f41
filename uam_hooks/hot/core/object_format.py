"""How a repository names its objects: with SHA-1 or with SHA-256. Whatever follows from that is said here."""

from __future__ import annotations

from collections.abc import Iterable

from uam_hooks.hot.core.typed import NamedTuple


class ObjectFormat(NamedTuple):
    """One of git's object formats: its `name` as git spells it, how many `digits` the full name of an object has, and
    the name of the tree without entries.
    """

    name: str
    digits: int
    empty_tree: str

    @property
    def size(self) -> int:
        """How many bytes the name of an object takes in a tree."""
        return self.digits // 2

    def written(self, oid: str) -> str:
        """`oid` as git reads it in this format; it knows an absent object ("" or zeros) by its own number of zeros."""
        return oid if oid.strip("0") else "0" * self.digits

    def object_name(self, kind: str, data: bytes) -> str:
        """The name that git gives an object of this type and content."""
        whole = b"%s %d\0" % (kind.encode(), len(data)) + data
        try:
            # hashlib loads OpenSSL, 5 ms that a push does not need for its few commits
            from _sha1 import sha1  # type: ignore[import-not-found]  # typeshed knows it from Python 3.13 on
        except ImportError:
            sha1 = None
        if sha1 is None or self.name != "sha1":
            import hashlib

            return hashlib.new(self.name, whole, usedforsecurity=False).hexdigest()
        return str(sha1(whole, usedforsecurity=False).hexdigest())


SHA1 = ObjectFormat("sha1", 40, "4b825dc642cb6eb9a060e54bf8d69288fbee4904")
SHA256 = ObjectFormat("sha256", 64, "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321")
FORMATS = {each.name: each for each in (SHA1, SHA256)}


def format_of(names: Iterable[str]) -> ObjectFormat:
    """The format that full object names are in, which their length tells. SHA-1 where there are none."""
    return SHA256 if any(len(name) == SHA256.digits for name in names) else SHA1
