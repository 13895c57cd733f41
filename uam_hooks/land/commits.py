"""Commits that were asked for by name, planned onto a branch of this repository; see branch for how that moves."""

from __future__ import annotations

from collections.abc import Iterable

from uam_hooks.git import trees
from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.queue.model import Action, Batch, Source
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate import squash
from uam_hooks.integrate.merge import merge_trees, shadow_of
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.proof import Contribution, prove
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.branch import land_here, left_out
from uam_hooks.session import Session
from uam_hooks.store import finish, gathered, views


class _Applied(NamedTuple):
    """The result of applying sources one after the other: the tree, and the last commit that has it."""

    tree: str
    tip: str
    landed: tuple[Source, ...]
    conflicts: dict[int, Conflict]


def land_commits(session: Session, batch: Batch, action: Action) -> None:
    """Put the commits that were asked for by name onto their branch, several as one."""
    plan = plan_commits(session, batch, action, Tips(session.repo))
    if plan.landed:
        land_here(session, batch, plan)
    else:
        finish.action(session.store, action, left_out(plan))


def plan_commits(session: Session, batch: Batch, action: Action, tips: Tips) -> Plan:
    """Plan the commit that stands for all sources of `action` that apply to their branch as it is now.

    Writes objects and nothing else.
    """
    repo, sources = session.repo, gathered.sources(session.store, action.id)
    old = tips.at(action.ref)
    base = old if old != ZERO else next((s.base for s in sources if s.base != ZERO), ZERO)
    made = _apply(repo, base, sources)
    if not made.landed:
        return Plan(action, old, old, old, How.NOTHING_NEW, (), made.conflicts, {}, (), None, here=True)
    new, how = _composed(session, batch, base, made)
    tips_of = tuple(source.tip for source in made.landed)
    before = [old] if old != ZERO else []
    claims = [Contribution(s.id, s.tip, repo.commit(s.tip).parents, (s.tip,)) for s in made.landed]
    here = made.landed[0].worktree
    return Plan(
        action, old, new,
        new if new in tips_of else shadow_of(repo, new, *tips_of, *before),
        how, made.landed, made.conflicts, dict.fromkeys((s.id for s in made.landed), 1), tips_of,
        prove(repo, base, new, claims),
        here=True, worktree=here, mine=taken_from(session, [s for s in made.landed if s.worktree == here]),
    )  # fmt: skip


def taken_from(session: Session, sources: Iterable[Source]) -> dict[str, tuple[str, str]]:
    """What these commits by name took from their worktree: each path with its mode and object, newest last."""
    found = {}
    for source in sources:
        for path in views.files(session.store, source.id):
            entry = trees.entry(session.repo, session.repo.commit(source.tip).tree, path)
            found[path] = ("000000", ZERO) if entry is None else (f"{entry[0]:06o}", entry[1])
    return found


def _apply(repo: Repository, base: str, sources: Iterable[Source]) -> _Applied:
    """Apply each source's own change to what those before it left; one that conflicts is left out."""
    landed: list[Source] = []
    conflicts: dict[int, Conflict] = {}
    tip, tree = base, repo.empty_tree if base == ZERO else repo.commit(base).tree
    with Attributes(repo, base) as attributes:
        for source in sources:
            commit = repo.commit(source.tip)
            applied = _applied(repo, tip, tree, commit, attributes)
            if isinstance(applied, Conflict):
                conflicts[source.id] = applied
                continue
            tree = applied
            tip = _step(repo, commit, tree, tip)
            landed.append(source)
    return _Applied(tree, tip, tuple(landed), conflicts)


def _applied(repo: Repository, tip: str, tree: str, commit: Commit, attributes: Attributes) -> str | Conflict:
    """The tree with the commit's own change on top."""
    if not commit.parents:
        fits = tip == ZERO or tree == repo.empty_tree
        return commit.tree if fits else Conflict(("everything",), "the branch has begun meanwhile")
    if commit.parents[0] == tip or repo.commit(commit.parents[0]).tree == tree:
        return commit.tree
    return merge_trees(repo, tip, commit, attributes)


def _step(repo: Repository, commit: Commit, tree: str, tip: str) -> str:
    """The commit itself where it stands on `tip`, else one with its message, author and date that does."""
    parents = () if tip == ZERO else (tip,)
    return commit.oid if commit.parents == parents else repo.store_commit(commit._replace(tree=tree, parents=parents))


def _composed(session: Session, batch: Batch, base: str, made: _Applied) -> tuple[str, How]:
    """The commit that goes onto the branch, and what it is: as it was asked for, moved, or a squash."""
    repo = session.repo
    if len(made.landed) == 1 or session.settings["uam.squash"] == Squash.NEVER:
        return made.tip, How.AS_IS if made.tip == made.landed[-1].tip else How.MOVED
    commits = [repo.commit(source.tip) for source in made.landed]
    text = squash.message(commits, batch.id, squash.by_name(session.settings["uam.squash.subject"]))
    parents = (base,) if base != ZERO else ()
    committer = repo.committer(next((s.committer for s in made.landed if s.committer), ""))
    whole = Commit("", made.tree, parents, squash.author(commits), committer, text)
    return repo.store_commit(whole), How.SQUASHED
