"""Commits and merges onto a branch of this repository: made in memory, written down, and then the branch moves.

Both go through the same journal as a landing, with an empty remote; recovery looks at the branch instead of a remote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Failure, GitFailed, UamError
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import EMPTY_TREE, ZERO
from uam_hooks.hot.core.refs import landing_ref, short_target
from uam_hooks.hot.queue.model import Action, Batch, Landing, Source
from uam_hooks.hot.queue.outcome import Detail, How, Outcome, Outcomes
from uam_hooks.hot.worktree.settle import Settled, advance
from uam_hooks.integrate import squash
from uam_hooks.integrate.merge import Conflict, merge_trees, shadow_of
from uam_hooks.integrate.proof import Contribution, prove
from uam_hooks.land.retry import fail_or_requeue
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, views
from uam_hooks.store.claim import NewLanding


class Made(NamedTuple):
    """A commit for a branch that was at `old`, with what of it each source has brought."""

    old: str
    new: str
    landed: tuple[Source, ...]
    how: How
    refused: dict[int, str]


def land_commits(session: Session, batch: Batch, action: Action) -> None:
    """Put the commits that were asked for by name onto their branch, several as one."""
    sources = claim.sources(session.store, action.id)
    made = _compose(session, batch, action, sources)
    refused = [source for source in sources if source.id in made.refused]
    failed = {s.id: Outcome(failure=Failure(made.refused[s.id])) for s in refused}
    if not made.landed:
        finish.action(session.store, action, failed)
        return
    here = made.landed[0].worktree
    mine = taken_from(session, [s for s in made.landed if s.worktree == here])
    move(session, batch, action, made, failed, mine)


def taken_from(session: Session, sources: Iterable[Source]) -> dict[str, tuple[str, str]]:
    """What these commits by name took from their worktree: each path with its mode and object, newest last."""
    found = {}
    for source in sources:
        for path in views.files(session.store, source.id):
            entry = session.repo.entry(session.repo.commit(source.tip).tree, path)
            found[path] = ("000000", ZERO) if entry is None else (f"{entry[0]:06o}", entry[1])
    return found


def move(
    session: Session,
    batch: Batch,
    action: Action,
    made: Made,
    failed: Outcomes,
    mine: Mapping[str, tuple[str, str]],
) -> None:
    """Write down what is to happen to the branch, pin it, move the branch, and end the action."""
    repo, first = session.repo, made.landed[0]
    tips = [s.tip for s in made.landed]
    before = [made.old] if made.old != ZERO else []
    keep = made.new if made.new in tips else shadow_of(repo, made.new, *tips, *before)
    done = {
        s.id: Outcome(
            batch=batch.number,
            how=made.how,
            ref=action.ref,
            old="" if made.old == ZERO else made.old,
            new=made.new,
            keep=keep,
            commits=1,
            company=tuple(sorted({o.agent for o in made.landed} - {s.agent})),
        )
        for s in made.landed
    }
    detail = Detail(made.how, {**done, **failed}, tuple(tips), worktree=first.worktree)
    entry = NewLanding(action.id, "", action.ref, made.old, made.new, keep, tuple(done), detail)
    landing = claim.write_plan(session.store, batch, [entry])[0]
    reached(Step.PLANNED)
    repo.move_refs([(landing_ref(landing.batch_id, landing.id), keep, ZERO)], "uam: pin")
    reached(Step.PINNED)
    paths = repo.paths.seen_from(first.worktree)
    try:
        settled = advance(repo, paths, action.ref, made.old, made.new, mine)
    except GitFailed as error:
        settled = Settled(made.old, why=error.what, transient=error.transient)
    reached(Step.PUSHED)
    if not end(session, action, landing):
        finish.failed(session.store, failed)
        why = settled.why or f"it was moved to {settled.at[:7]} at the same moment"
        what = f"{short_target(action.ref)} stays where it is: {why}"
        fail_or_requeue(session, action, Failure(what, settled.transient or not settled.why))


def end(session: Session, action: Action, landing: Landing) -> bool:
    """End an action by what its branch is now; gives whether the branch has the landing."""
    now = session.repo.refs(landing.ref).get(landing.ref, ZERO)
    if now == ZERO or not session.repo.is_ancestor(landing.new, now):
        return False
    finish.on_branch(session.store, action, landing, session.settings["uam.window.commit"])
    reached(Step.FINISHED)
    return True


def _compose(session: Session, batch: Batch, action: Action, sources: list[Source]) -> Made:
    """The commit that stands for all of `sources` that apply to their branch as it is now."""
    repo = session.repo
    old = repo.refs(action.ref).get(action.ref, ZERO)
    base = old if old != ZERO else next((s.base for s in sources if s.base != ZERO), ZERO)
    landed: list[Source] = []
    refused: dict[int, str] = {}
    tip, tree = base, EMPTY_TREE if base == ZERO else repo.commit(base).tree
    with Attributes(repo, base) as attributes:
        for source in sources:
            commit = repo.commit(source.tip)
            tree_now = _applied(repo, tip, tree, commit, attributes)
            if isinstance(tree_now, Conflict):
                files = ", ".join(tree_now.files[:5])
                refused[source.id] = f"conflict in {files} with what {short_target(action.ref)} has by now"
                continue
            tree = tree_now
            tip = _step(repo, commit, tree, tip)
            landed.append(source)
    if not landed:
        return Made(old, old, (), How.NOTHING_NEW, refused)
    commits = [repo.commit(source.tip) for source in landed]
    parents = (base,) if base != ZERO else ()
    if len(landed) == 1 or not session.settings["uam.squash"]:
        new, how = tip, How.AS_IS if tip == landed[-1].tip else How.MOVED
    else:
        text = squash.message(commits, batch.id, session.settings["uam.squash.subject"])
        whole = Commit("", tree, parents, squash.author(commits), repo.committer(), text)
        new, how = repo.store_commit(whole), How.SQUASHED
    claims = [Contribution(s.id, s.tip, repo.commit(s.tip).parents, (s.tip,)) for s in landed]
    prove(repo, base, new, claims)
    return Made(old, new, tuple(landed), how, refused)


def _applied(repo: Repository, tip: str, tree: str, commit: Commit, attributes: Attributes) -> str | Conflict:
    """The tree with the commit's own change on top."""
    if not commit.parents:
        fits = tip == ZERO or tree == EMPTY_TREE
        return commit.tree if fits else Conflict(("everything",), "the branch has begun meanwhile")
    if commit.parents[0] == tip or repo.commit(commit.parents[0]).tree == tree:
        return commit.tree
    return merge_trees(repo, tip, commit, attributes)


def _step(repo: Repository, commit: Commit, tree: str, tip: str) -> str:
    """The commit itself where it stands on `tip`, else one with its message, author and date that does."""
    parents = () if tip == ZERO else (tip,)
    return commit.oid if commit.parents == parents else repo.store_commit(commit._replace(tree=tree, parents=parents))


def start_of(session: Session, ref: str, remote: str) -> str:
    """Where a branch is, or would begin: at its remote-tracking ref; ZERO where it can only begin anew.

    Raises UamError when there is no such branch and HEAD does not name it.
    """
    for name in (ref, session.settings.tracking_ref(remote, ref) if remote else None):
        if name and (oid := session.repo.name_of(name)[0]):
            return oid
    if session.repo.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text == ref:
        return ZERO
    raise UamError(f"There is no branch {short_target(ref)} here.", f"Make it with `git branch {short_target(ref)}`.")
