"""The proof before every push: a landing changes exactly what its sources changed.

It looks at trees and at the sources' own commits, never at the merge that made the landing, so that it can catch
that merge: a wrong merge base that would revert somebody's work shows up as a changed path that nobody changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.outcome import Proof
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.names import check_names


class Contribution(NamedTuple):
    """What one source says it brings: its own commits, its tip, and the base that it was merged from."""

    source: int
    tip: str
    bases: tuple[str, ...]
    commits: tuple[str, ...]


class ProofFailed(UamError):
    """The landing would change what no source changed. Nothing was pushed."""


def prove(
    repo: Repository, base: str, landing: str, claims: Sequence[Contribution], differences: Differences | None = None
) -> Proof:
    """Check the landing `landing` on `base` (ZERO: none) against its sources; returns what was checked.

    Raises ProofFailed naming the paths, BadName for a name that no worktree can hold. Renames are followed on both
    sides with git's own detection.
    """
    differences = differences or Differences(repo)
    old = repo.empty_tree if base == ZERO else base
    differs = differences.between(old, landing)
    check_names(repo, old, landing, differs.directories, differences.sound)
    changed = differs.paths
    touched = {claim.source: differences.touched(claim.commits) for claim in claims}
    everything = set().union(*touched.values()) if touched else set()
    renamed = {} if changed <= everything else _renamed(repo, old, claims)
    allowed = everything | {renamed[path] for path in everything if path in renamed}
    extra = sorted(changed - allowed)
    if extra:
        raise ProofFailed(
            f"The landing would change {_some(extra)}, which no source changed; nothing was pushed.",
            "Please report this; the commits are safe in their branches and in refs/uam/pin/.",
        )
    checked = 0
    by_how_many = Counter(path for paths in touched.values() for path in paths)
    for claim in claims:
        alone = {path for path in touched[claim.source] if by_how_many[path] == 1}
        apart = differences.between(claim.tip, landing).paths
        others: set[str] = set()
        if apart & alone:
            renamed = renamed or _renamed(repo, old, claims)
            others = everything - alone
            others |= {renamed[path] for path in others if path in renamed}  # what they know by an older name
        checked += _same_content(differences, repo, old, claim, alone - others, others, apart)
    return Proof(len(changed), len(everything), checked)


def _same_content(
    differences: Differences, repo: Repository, old: str, claim: Contribution, alone: set[str], others: set[str],
    differs: frozenset[str],
) -> int:  # fmt: skip
    """Paths that this source alone touched have its content, where the remote had not changed them.

    `differs` are the paths in which the landing differs from the source's tip.
    """
    differs = differs & alone
    exempt: set[str] = set()
    if differs:
        bases = claim.bases or (repo.empty_tree,)
        moved_on = set().union(*(differences.between(b, old).paths for b in bases))
        exempt = moved_on
        for there in bases:
            for origin, path in _renames(repo, there, claim.tip).items():
                if origin in moved_on or origin in others:
                    exempt.add(path)
    wrong = sorted(differs - exempt)
    if wrong:
        raise ProofFailed(
            f"The landing would not have {_some(wrong)} as {claim.tip[:7]} has it; nothing was pushed.",
            "Please report this; the commits are safe in their branches and in refs/uam/pin/.",
        )
    return len(alone - exempt)


def _renamed(repo: Repository, old: str, claims: Sequence[Contribution]) -> dict[str, str]:
    """Where the remote has paths by now that a source still knows by their old names."""
    found: dict[str, str] = {}
    for claim in claims:
        for base in claim.bases:
            found.update(_renames(repo, base, old))
    return found


def _renames(repo: Repository, old: str, new: str) -> dict[str, str]:
    out = repo.run("diff-tree", "-r", "-z", "-M", "-l7000", "--diff-filter=R", "--name-status", old, new).out
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    return {fields[n + 1]: fields[n + 2] for n in range(0, len(fields) - 2, 3)}


def _some(paths: Sequence[str], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more
