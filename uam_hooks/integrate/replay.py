"""Commits one by one onto another base, in memory: what a rebase does, without a worktree.

`git merge-tree` takes its merge base from history (2.39 has no --merge-base), so each step merges a synthetic
commit with the new base's tree and the picked commit's parent: their merge base is that parent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.integrate.merge import merge_tree, merge_trees


def replay(
    repo: Repository, base: str, commits: Sequence[Commit], attributes: Attributes, store: Callable[[Commit], str]
) -> str | None:
    """Put `commits` (parents first) on top of `base`, each written with `store`; returns the last one, or None where
    that conflicts.

    Author, dates and messages stay, and a commit that stands there already is left as it is. Merges and commits that
    change nothing any more are left out.
    """
    tip = base
    for commit in commits:
        if len(commit.parents) != 1 or tip == ZERO:
            return None
        if commit.parents == (tip,):
            tip = commit.oid
            continue
        tree = merge_trees(repo, tip, commit, attributes)
        if isinstance(tree, Conflict):
            return None
        if tree != repo.commit(tip).tree:
            tip = store(commit._replace(tree=tree, parents=(tip,)))
    return tip


def own_work(commits: Sequence[Commit], attributes: Attributes) -> list[Commit]:
    """Those of `commits`, which are all that is not there yet, parents first, that bring something.

    A merge of two lines that are there already, in which nobody has changed anything, does not, and can be left out.
    """
    fresh = {commit.oid for commit in commits}
    found = []
    for commit in commits:
        there = len(commit.parents) == 2 and fresh.isdisjoint(commit.parents)
        if there and merge_tree(attributes, *commit.parents) == commit.tree:
            fresh.discard(commit.oid)
        else:
            found.append(commit)
    return found
