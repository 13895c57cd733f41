"""A plan that was refused because others were quicker, put over what they pushed in no time.

A full plan takes longer than somebody who pushes without a pause leaves between two pushes. Where what is new there
touches no path of the landing, the landing is the same change on another base, and no merge and no other proof is
needed: what the first plan proved holds for each of its paths, and every other path is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Plan

# How many commits may have come in between.
_FAR = 1000

_Entry = tuple[int, str]


class Ready(NamedTuple):
    """A plan that can be put onto a newer tip: what it changes, by path, with mode and object before and after."""

    plan: Plan
    changes: Mapping[str, tuple[_Entry | None, _Entry | None]]


def ready(repo: Repository, plan: Plan) -> Ready | None:
    """`plan`, prepared; None where the landing is more than one commit on what was there, or its own original."""
    if ZERO in (plan.old, plan.new) or plan.proof is None or plan.conflicts or plan.refused:
        return None
    if plan.how == How.EXACT or plan.keep == plan.new or repo.commit(plan.new).parents[:1] != (plan.old,):
        return None
    old, new = repo.commit(plan.old).tree, repo.commit(plan.new).tree
    paths = Differences(repo).between(old, new).paths
    return Ready(plan, {path: (trees.entry(repo, old, path), trees.entry(repo, new, path)) for path in paths})


def onto(repo: Repository, what: Ready, there: str) -> Plan | None:
    """The plan over `there`, a commit that is here; None where only a full one is safe. Starts no process.

    What is new there must descend from what the plan was made for, and have nothing in its paths or in place of their
    directories.
    """
    plan = what.plan
    if not repo.descends(there, plan.old, _FAR):
        return None
    was, now = repo.commit(plan.old).tree, repo.commit(there).tree
    for path, (before, _) in what.changes.items():
        if trees.entry(repo, now, path) != before or not _same_directories(repo, was, now, path):
            return None
    tree = trees.edit(repo, now, {path: after for path, (_, after) in what.changes.items()})
    landing = repo.commit(plan.new)
    new = repo.store_commit(landing._replace(tree=tree, parents=(there, *landing.parents[1:])))
    originals = repo.commit(plan.keep).parents[1:]
    return plan._replace(old=there, new=new, keep=shadow_of(repo, new, *originals))


def _same_directories(repo: Repository, was: str, now: str, path: str) -> bool:
    """Whether each directory above `path` is still one, or still absent: nobody renamed it or took its name."""
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        above = "/".join(parts[:count])
        before, after = trees.entry(repo, was, above), trees.entry(repo, now, above)
        if (before is not None and before[0] == trees.TREE) != (after is not None and after[0] == trees.TREE):
            return False
        if after is None:
            return True
    return True
