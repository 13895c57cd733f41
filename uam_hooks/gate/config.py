"""The gates that git config names, in the order in which they run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, named_by, short_target
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple

# What a command needs to run at all. Nothing of git's, of ours or of a forge's is among it: no token, no identity.
_KEPT = re.compile(r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|TEMP|TMP|XDG_[A-Z_]+")


class Gate(NamedTuple):
    """A gate: its argument list, how many seconds it may take, which changed `paths` (git's pathspecs) and `branches`
    (patterns) it is about (none: all), which gates have to pass before it, how often a failure is run once more before
    anybody is blamed, and the environment that it was given by name.
    """

    name: str
    words: tuple[str, ...]
    timeout: float
    paths: tuple[str, ...]
    branches: tuple[str, ...]
    needs: tuple[str, ...]
    retries: int
    env: tuple[tuple[str, str], ...]

    @property
    def fingerprint(self) -> str:
        """What its verdicts depend on besides the tree."""
        from hashlib import sha256  # it loads OpenSSL, which a push without gates does not need

        return sha256(repr((self.words, self.env)).encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def guards(self, ref: str) -> bool:
        """Whether it has to pass before this ref of a remote moves: it is a branch, and one of its own."""
        return ref.startswith(HEADS) and (not self.branches or named_by(short_target(ref), self.branches))

    def concerns(self, repo: Repository, old: str, new: str) -> bool:
        """Whether any path that differs between two commits is one of its own."""
        if not self.paths or old in (ZERO, new):
            return True
        return bool(repo.run("diff-tree", "--quiet", "-r", old, new, "--", *self.paths, ok=(0, 1)).code)


def gates_of(settings: Settings, environ: Mapping[str, str]) -> list[Gate]:
    """All gates, each after those that it needs; UsageError where the settings make no sense together."""
    if "setup" in settings.gates():
        raise UsageError("A gate cannot be called setup.", "uam.gate.setup makes a slot ready; use another name.")
    found = {name: _gate(settings, name, environ) for name in settings.gates()}
    for gate in found.values():
        for name in gate.needs:
            if name not in found:
                raise UsageError(f"The gate {gate.name} needs {name}, which is none.", f"Set uam.gate.{name}.command.")
    try:
        order = TopologicalSorter({name: gate.needs for name, gate in found.items()}).static_order()
        return [found[name] for name in order]
    except CycleError as error:
        raise UsageError(f"The gates {', '.join(error.args[1])} need each other.", "Change uam.gate.*.needs.") from None


def _gate(settings: Settings, name: str, environ: Mapping[str, str]) -> Gate:
    def of(key: str) -> list[str]:
        return [str(value) for value in settings.values(f"uam.gate.{name}.{key}")]

    timeout, key = f"uam.gate.{name}.timeout", f"uam.gate.{name}.retries"
    return Gate(
        name,
        tuple(settings[f"uam.gate.{name}.command"]),
        settings[timeout if settings.all(timeout) else "uam.gate.timeout"],
        tuple(of("paths")),
        tuple(of("branches")),
        tuple(of("needs")),
        settings[key],
        tuple(sorted((one, environ[one]) for one in of("env") if one in environ)),
    )


def environment(environ: Mapping[str, str], own: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The environment of a gate: what a command needs to run, and what it was given by name."""
    return {name: value for name, value in environ.items() if _KEPT.fullmatch(name)} | dict(own)
