"""The command line of the `git push` that started this process, for what the protocol does not say.

git tells a remote helper about a lease only after the helper has listed the remote's refs, and never tells a pre-push
hook about a dry run, but both are on the command line of an ancestor process. Where that cannot be read (an alias, a
system without /proc and ps), the list of arguments is empty, or None where that makes a difference.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

MAX_LEVELS = 6


def push_arguments() -> list[str]:
    """The arguments after `push` of the nearest ancestor that is a `git push`; empty when there is none."""
    return found_arguments() or []


def found_arguments() -> list[str] | None:
    """The arguments after `push` of the nearest ancestor that is a `git push`; None when there is none."""
    pid = os.getppid()
    for _ in range(MAX_LEVELS):
        parent, argv = _process(pid)
        if argv and Path(argv[0]).name.startswith("git") and "push" in argv[1:]:
            return argv[argv.index("push", 1) + 1 :]
        if parent <= 1:
            break
        pid = parent
    return None


def _process(pid: int) -> tuple[int, list[str]]:
    """Parent and command line of a process; (0, []) when they cannot be read."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        stat = Path(f"/proc/{pid}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[1]), [os.fsdecode(a) for a in raw.split(b"\0")[:-1]]
    except (OSError, ValueError, IndexError):
        pass
    try:
        shown = subprocess.run(
            ["ps", "-o", "ppid=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        return int(shown[0]), shown[1:]
    except (OSError, ValueError, IndexError):
        return 0, []


def _is_option(argument: str, option: str, shortest: int) -> bool:
    """Whether `argument` is `option` or an abbreviation that git accepts for it."""
    name = argument.partition("=")[0]
    return len(name) >= shortest and option.startswith(name)


def wants_lease(arguments: list[str]) -> bool:
    """Whether a lease was requested: git checks it against the listed value, which then has to be real."""
    return any(_is_option(a, "--force-with-lease", 9) for a in arguments)


def wants_everything(arguments: list[str]) -> bool:
    """Whether the push depends on what the remote has (tags, deletions, a mirror), so that the remote must be asked."""
    options = (("--tags", 4), ("--follow-tags", 5), ("--delete", 4), ("--mirror", 3), ("--prune", 5))
    return any(
        any(_is_option(a, option, shortest) for option, shortest in options)
        or a.startswith((":", "+:"))
        or (a.startswith("-") and not a.startswith(("--", "-o")) and "d" in a)
        for a in arguments
    )


def is_dry_run(arguments: list[str]) -> bool:
    """Whether `--dry-run` or `-n` was given."""
    return any(
        _is_option(a, "--dry-run", 4) or (a.startswith("-") and not a.startswith(("--", "-o")) and "n" in a[1:])
        for a in arguments
    )


def signs(argument: str, before: bool) -> bool:
    """Whether the push is signed, as far as this argument tells; `before` where it says nothing of that."""
    if _is_option(argument, "--signed", 4):
        return argument.partition("=")[2].lower() not in ("no", "off", "false", "0")
    return before and argument != "--no-signed"


def is_mirror(arguments: list[str]) -> bool:
    """Whether `--mirror` was given."""
    return any(_is_option(a, "--mirror", 3) for a in arguments)


# The options of git push with a value of their own, and how short git lets them be (git 2.39 and 2.55).
_WITH_VALUE = (("--repo", 5), ("--receive-pack", 6), ("--exec", 3), ("--push-option", 4), ("--recurse-submodules", 6))


def refspecs(arguments: Sequence[str]) -> list[str]:
    """The refspecs among the arguments: what is neither an option, nor the value of one, nor the remote, the first."""
    found: list[str] = []
    rest = iter(arguments)
    for a in rest:
        if a == "--":
            found += rest
        elif not a.startswith("-") or a == "-":
            found.append(a)
        elif _takes_next(a):
            next(rest, None)
    return found[1:]


def _takes_next(option: str) -> bool:
    """Whether the next argument is the value of this option."""
    if option.startswith("--"):
        return "=" not in option and any(_is_option(option, name, shortest) for name, shortest in _WITH_VALUE)
    return option.find("o") == len(option) - 1  # of short ones together only the last, when it is -o


def receive_pack(arguments: Sequence[str]) -> str | None:
    """What `--receive-pack`, or `--exec`, says to run on the other side; None where neither was given."""
    found = None
    for a, following in pairwise([*arguments, ""]):
        name, equals, value = a.partition("=")
        if name.startswith("--") and (_is_option(name, "--receive-pack", 6) or _is_option(name, "--exec", 3)):
            found = value if equals else following
        if a == "--":
            break
    return found


def is_thin(arguments: Sequence[str]) -> bool:
    """Whether the pack may leave out what the other side has: unless `--no-thin` was the last word on it."""
    said = [a for a in arguments if _is_option(a, "--thin", 4) or _is_option(a, "--no-thin", 6)]
    return not said or not said[-1].startswith("--no-")


def is_for_superproject(arguments: list[str]) -> bool:
    """Whether git started this push because the superproject is pushed with its submodules (on-demand, or only)."""
    return "--recurse-submodules=only-is-on-demand" in arguments


def push_options(arguments: list[str]) -> list[str]:
    """What was given with `-o`, in any of its spellings."""
    found = []
    for a, following in pairwise([*arguments, ""]):
        if a in ("-o", "--push-option"):
            found.append(following)
        elif a.startswith("--push-option="):
            found.append(a.partition("=")[2])
        elif a.startswith("-o"):
            found.append(a[len("-o") :])
    return found
