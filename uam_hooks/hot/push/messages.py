"""The sentences that a pushing agent reads.

They were tried on agents that had never heard of the tool: what landed as what, with whom, and where the branch
is now. A landing that changed nothing is not mentioned.
"""

from __future__ import annotations

from typing import Any

from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.queue.model import Source
from uam_hooks.hot.worktree.settle import Settled


def landed(source: Source, remote: str) -> str | None:
    """What a landed push says of itself; None when it went out exactly as it was."""
    facts: dict[str, Any] = source.outcome
    if facts.get("how") in (None, "as-is", "exact") or source.tip == facts["new"]:
        return None
    where = f"{remote}/{short_target(facts['ref'])}"
    number, new, tip = facts["batch"], facts["new"][:7], source.tip[:7]
    count = facts["commits"]
    originals = f"(originals: git uam show {number})"
    company = f", together with {_names(facts['with'])}" if facts["with"] else ""
    if facts["how"] == "nothing-new":
        return f"nothing to land: what your commits change ({tip}) is on {where} already, at {new}"
    if facts["how"] == "moved":
        return f"landed on {where} as {new}: your commit {tip} moved on top of others' work, message and date kept"
    if facts["how"] == "kept" and not count:
        return f"landed on {where}, now at {new}: what you pushed ({tip}) as it is, merged{company} {originals}"
    if facts["how"] == "kept":
        return f"landed on {where}, now at {new}: your {_commits(count)} ({tip}) one by one{company} {originals}"
    if count == 0:
        return f"landed on {where} as {new}: what you pushed ({tip}){company} {originals}"
    if count == 1:
        return f"landed on {where} as {new}: your commit ({tip}){company} {originals}"
    return f"landed on {where} as {new}: your {_commits(count)} ({tip}) as one{company} {originals}"


def settled(result: Settled, branch: str, where: str) -> str | None:
    """Where the branch is now; None when it already was there."""
    name = f"branch {short_target(branch)}" if branch else "HEAD"
    if result.why:
        return f"{name} stays at {result.at[:7]}: {result.why}; `git uam sync` brings it to what {where} has"
    if not result.moved:
        return None
    files = " and its files are" if result.files else " is"
    return f"{name}{files} now at {result.at[:7]}, what {where} has"


def queued(action: int, where: str, due: float, mode: str) -> str:
    """A push that is not waited for."""
    when = "`git uam flush` lands it" if mode == "manual" else f"it lands within {max(due, 0):.0f} s"
    return f"queued as #{action} for {where}; {when} (git uam status)"


def _commits(count: int) -> str:
    return "1 commit" if count == 1 else f"{count} commits"


def _names(agents: list[str]) -> str:
    if len(agents) <= 3:
        return " and ".join([", ".join(agents[:-1]), agents[-1]] if len(agents) > 1 else agents)
    return f"{', '.join(agents[:3])} and {len(agents) - 3} more"
