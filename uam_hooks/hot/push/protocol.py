"""gitremote-helpers(7), line by line: what git sends to a remote helper, and what the helper answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.object_format import SHA1, format_of
from uam_hooks.hot.core.plumbing import ZERO, Git, oid_of
from uam_hooks.hot.core.quoting import unquoted
from uam_hooks.hot.core.words import visible
from uam_hooks.hot.push.request import OWN_OPTIONS, Request, Spec, wish_of
from uam_hooks.hot.queue.windows import URGENT_OPTION

# The words by which git knows this rejection, and prints it as its own (transport-helper.c, git 2.39 and 2.55).
NON_FAST_FORWARD = "non-fast forward"


class GitDied(UamError):
    """The remote could not be asked, which has been said on stderr: there git dies, and so does the git that asks us.

    It does at an answer that is none (transport-helper.c, git 2.39 and 2.55), and prints that: `what`.
    """


def read_request(remote: str, options: Sequence[str], lines: Sequence[str], there: Mapping[str, str]) -> Request:
    """The push that git described by `option` lines (without that word) and `push` lines.

    `there` are the refs by which git has judged. It says of no deletion that it is forced, but drops one whose lease
    does not hold: what comes all the same is.
    """
    leases = dict(o[len("cas ") :].rpartition(":")[::2] for o in options if o.startswith("cas "))
    specs = []
    for line in lines:
        text = line[len("push ") :]
        src, _, dst = text.removeprefix("+").partition(":")
        lease = leases.get(dst)
        lease, force = "" if lease and oid_of(lease) == ZERO else lease, text.startswith("+")
        force = force or (not src and lease is not None and lease != there.get(dst, lease))
        specs.append(Spec(src, dst, force, *((None, lease) if force else (lease, None))))
    given = [_unquoted(o[len("push-option ") :]) for o in options if o.startswith("push-option ")]
    return Request(
        remote,
        tuple(specs),
        atomic="atomic true" in options,
        dry_run="dry-run true" in options,
        push_options=tuple(option for option in given if option not in OWN_OPTIONS),
        urgent=URGENT_OPTION in given,
        quiet="verbosity 0" in options,
        progress="progress true" in options,
        wish=wish_of(given),
    )


def _unquoted(value: str) -> str:
    """`value` without the C-style quoting that git adds where there are special characters."""
    found = unquoted(value.encode("utf-8", "surrogateescape"))
    return value if found is None or found[1] else found[0].decode("utf-8", "surrogateescape")


_FORMAT = ":object-format "
# What git takes for something else than a reason, when it is all that an answer says (transport-helper.c, git 2.39).
_WORDS_OF_GIT = ("no match", "up to date", "forced update", "expecting report")


def refused(dst: str, why: str) -> str:
    """The answer that makes git print `[remote rejected] (why)`, whatever a remote or a file name has put into `why`.

    git undoes C-style quoting: what begins with a quote could become a control character after we have looked.
    """
    shown = " ".join(visible(why).split())
    plain = shown and not shown.startswith('"') and shown not in _WORDS_OF_GIT
    return f"error {dst} {shown if plain else f'({shown})'}"


def passed_over(dst: str) -> str:
    """The answer that makes git say nothing of a ref, and "Everything up-to-date" if there is nothing to say of any."""
    return f"error {dst} no match"


def there_already(git: Git, dst: str, oid: str) -> list[str]:
    """The answer that makes git report that `dst` is up to date, at `oid`, and write that into the tracking ref.

    With the last line alone git would write there what the branch was at when git began, which the remote may not have.
    What a success has reported is kept (transport-helper.c, git 2.39 and 2.55).
    """
    return [*ok(git, dst, oid, oid), f"error {dst} up to date"]


def ok(git: Git, dst: str, old: str, new: str, name: str = "") -> list[str]:
    """The answer that makes git report `old..new` for `dst`, and write the tracking ref accordingly.

    `name` is what the remote has called it, where that is something else.
    """
    # what one of them tells need not be asked: nothing may fail here that is not needed
    names = format_of((old, new)) if old or new else git.object_format
    old, new = names.written(old), names.written(new)
    return [f"ok {dst}", f"option refname {name or dst}", f"option old-oid {old}", f"option new-oid {new}"]


def listed(refs: Mapping[str, str]) -> list[str]:
    """The answer to `list`: refs with what they are, or "?". git takes names for SHA-1 where it is not told."""
    names = format_of(refs.values())
    head = [] if names == SHA1 else [f"{_FORMAT}{names.name}"]
    return head + [f"{oid} {ref}" for ref, oid in refs.items()]


def read_listed(lines: Sequence[str]) -> dict[str, str]:
    """The refs of such an answer."""
    return {ref: oid for oid, _, ref in (line.partition(" ") for line in lines if not line.startswith(_FORMAT))}
