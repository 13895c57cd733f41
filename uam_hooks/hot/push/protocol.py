"""What a remote helper says to git, and how git writes what it says to a helper."""

from __future__ import annotations

from uam_hooks.hot.core.plumbing import ZERO


def unquoted(value: str) -> str:
    """A value as it was before git quoted it in C style, which it does where there are special characters."""
    if not (len(value) > 1 and value.startswith('"') and value.endswith('"')):
        return value
    raw = value[1:-1].encode("utf-8", "surrogateescape").decode("unicode_escape")
    return raw.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def there_already(dst: str, tip: str, there: str) -> str:
    """The answer that makes git say "Everything up-to-date".

    "up to date" proper makes git write the pushed tip into the tracking ref, which is a lie unless the remote has
    just that; "no match" leaves the tracking ref alone (transport-helper.c, git 2.39 and 2.55).
    """
    return f"error {dst} {'up to date' if tip == there else 'no match'}"


def ok(dst: str, old: str, new: str) -> list[str]:
    """The answer that makes git report `old..new` for `dst` and write the tracking ref accordingly."""
    return [f"ok {dst}", f"option refname {dst}", f"option old-oid {old or ZERO}", f"option new-oid {new or ZERO}"]
