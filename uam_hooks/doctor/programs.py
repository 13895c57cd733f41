"""Versions: git, the interpreter, the program that the hooks start, and their shims."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from uam_hooks.doctor.finding import Code, Finding, Fix, error, warning
from uam_hooks.doctor.seen import SITE, Seen
from uam_hooks.git.repo import MINIMUM_GIT
from uam_hooks.hot.core.errors import Advice
from uam_hooks.install.hookdir import SHIMS
from uam_hooks.install.hookfile import shipped_dir


def check_git(seen: Seen) -> Iterator[Finding]:
    """git is not older than what merging in memory needs."""
    said = seen.repo.run("version").text
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None:
        yield warning(Code.GIT_FAILS, "git", f"`git version` says {said!r}, which names no version.", "Look at `git`.")
    elif (int(found[1]), int(found[2])) < MINIMUM_GIT:
        yield error(
            Code.GIT_OLD, "git", f"git {found[0]} cannot merge in memory, so nothing lands.", "Install a newer git."
        )


def check_program(seen: Seen) -> Iterator[Finding]:
    """What `env` names is there, and is this version."""
    now = seen.installed
    if now is None:
        return
    if not now.starts:
        yield error(
            Code.PYTHON_GONE, str(now.python or "no interpreter"),
            "The hooks find no interpreter there, so pushes go straight to the remote.",
            "Run install.sh again, or `git uam install` of a program that works.", Fix.INSTALL,
        )  # fmt: skip
    if not now.has_program:
        yield error(
            Code.PROGRAM_GONE, str(now.site or "no directory"),
            "The hooks find no uam_hooks there, so pushes go straight to the remote.",
            "Run install.sh again, or `git uam install` of a program that works.", Fix.INSTALL,
        )  # fmt: skip
    elif now.site is not None and seen.of_others and (other := _version(now.site)) != (ours := _version(SITE)):
        yield warning(
            Code.PROGRAM_OTHER, str(now.site),
            f"The hooks start version {other or 'without a name'}, and this is {ours}.",
            Advice.of("Run {} of the version that is meant.", "git", "uam", "install"),
        )  # fmt: skip


def check_shims(seen: Seen) -> Iterator[Finding]:
    """The two shims that git starts by our aliases are there, and those of this version."""
    if seen.of_others:
        return
    for name in SHIMS:
        shim = seen.paths.uam / "bin" / name
        if not shim.is_file():
            yield error(
                Code.SHIM_CHANGED, str(shim), "It is not there, so what git starts by our alias fails.",
                "Run `git uam install`.", Fix.INSTALL,
            )  # fmt: skip
        elif shim.read_bytes() != (shipped_dir() / name).read_bytes():
            yield warning(
                Code.SHIM_CHANGED, str(shim), "It is not what this version puts there.", "Run `git uam install`.",
                Fix.INSTALL,
            )  # fmt: skip


def _version(site: Path) -> str:
    try:
        found = re.search(r'^__version__ = "([^"]+)"', (site / "uam_hooks" / "__init__.py").read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""
