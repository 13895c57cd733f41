"""A plan that was refused because others were quicker, put over what they pushed in no time.

A full plan takes longer than somebody who pushes without a pause leaves between two pushes. Where what is new there
touches no path of the landing, the landing is the same change on another base, and no merge and no other proof is
needed: what the first plan proved holds for each of its paths, and every other path is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping

from uam_hooks.git import trees
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Became, Plan

# How many commits may have come in between, and how many a landing may have.
FAR = 1000
_LONG = 50

_Entry = tuple[int, str]


class Ready(NamedTuple):
    """A plan that can be put onto a newer tip: what each commit of its landing changes, first to last, by path, with
    mode and object afterwards; and what all of these paths were before the first.
    """

    plan: Plan
    before: Mapping[str, _Entry | None]
    steps: tuple[tuple[str, Mapping[str, _Entry | None]], ...]


def ready(repo: Repository, plan: Plan) -> Ready | None:
    """`plan`, prepared; None where the landing is not a line on what was there, or its own original."""
    if ZERO in (plan.old, plan.new) or plan.proof is None or plan.conflicts or plan.refused:
        return None
    if plan.how == How.EXACT or plan.keep == plan.new:
        return None
    line = _line(repo, plan)
    if not line:
        return None
    differences = Differences(repo)
    pairs = list(zip([plan.old, *line], line, strict=False))
    differences.prepare(pairs, ())
    before: dict[str, _Entry | None] = {}
    steps = []
    for old, new in pairs:
        was, now = repo.commit(old).tree, repo.commit(new).tree
        paths = differences.between(was, now).paths
        before |= {path: trees.entry(repo, was, path) for path in paths if path not in before}
        steps.append((new, {path: trees.entry(repo, now, path) for path in paths}))
    return Ready(plan, before, tuple(steps))


def _line(repo: Repository, plan: Plan) -> list[str]:
    """The commits of a landing by first parents, oldest first; none where they do not lead to what was there."""
    found: list[str] = []
    oid = plan.new
    while oid != plan.old:
        parents = repo.commit(oid).parents
        if not parents or len(found) == _LONG:
            return []
        found.append(oid)
        oid = parents[0]
    return found[::-1]


def onto(repo: Repository, what: Ready, there: str, landed: str | None = None) -> Plan | None:
    """The plan over `there`, a commit that is here; None where only a full one is safe. Starts no process.

    What is new there must descend from what the plan was made for, and have nothing in its paths or in place of their
    directories. `landed` is the shadow of what has landed from here in between, if anything: the one of this landing
    has to hold it, or its originals would conflict with themselves later.
    """
    plan = what.plan
    if not repo.descends(there, plan.old, FAR):
        return None
    was, now = repo.commit(plan.old).tree, repo.commit(there).tree
    for path, before in what.before.items():
        if trees.entry(repo, now, path) != before or not _same_directories(repo, was, now, path):
            return None
    at, moved = there, {}
    for oid, after in what.steps:
        commit = repo.commit(oid)
        tree = trees.edit(repo, repo.commit(at).tree, dict(after))
        at = moved[oid] = repo.store_commit(commit._replace(tree=tree, parents=(at, *commit.parents[1:])))
    originals = [*repo.commit(plan.keep).parents[1:], *([landed] if landed else [])]
    became = {number: _moved(one, moved, plan.counts[number]) for number, one in plan.became.items()}
    return plan._replace(old=there, new=at, keep=shadow_of(repo, at, *originals), became=became)


def _moved(one: Became, moved: Mapping[str, str], count: int) -> Became:
    """What a source became: nothing stays as it was pushed, on another base."""
    how = one.how
    if how == How.AS_IS:
        how = How.MOVED if count == 1 else How.KEPT
    return Became(how, moved.get(one.commit, one.commit))


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
