"""A merge that was asked for by name, made in memory: one branch into another, with a commit, squashed, or forward.

One function plans it, whether the merge stays on the branch here or is what a push brings.
"""

from __future__ import annotations

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import full_target, pin_ref, short_target
from uam_hooks.hot.queue.model import FAST_FORWARD, Action, Batch, NewSource, Source
from uam_hooks.hot.queue.outcome import How, Outcome
from uam_hooks.integrate import squash
from uam_hooks.integrate.merge import merge_tree, remembering
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land import shared_shadow
from uam_hooks.land.branch import conflict_words, land_here
from uam_hooks.land.starts import start_of
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, gathered

STRATEGIES = ("no-ff", "squash", "ff-only")


def merge_here(session: Session, batch: Batch, action: Action) -> None:
    """Merge into the branch of this repository. Raises UamError where that cannot be."""
    plan = _without_conflict(plan_merge(session, batch, action, Tips(session.repo), None))
    if plan.new == plan.old:
        finish.action(session.store, action, Outcome(batch=batch.number, how=plan.how, new=plan.new))
    else:
        land_here(session, batch, plan)


def merge_to_push(session: Session, batch: Batch, action: Action) -> None:
    """Make the merge on what the remote has, and let it be what this action pushes.

    Raises UamError where that cannot be, Unreachable when the remote does not answer.
    """
    shadows = shared_shadow.refs_of(session, [action.ref])
    found = Remote(session.repo, session.settings, action.remote).observe([action.ref, *shadows])
    tips = Tips(session.repo).seen(action.remote, {ref: found[ref] for ref in shadows})
    plan = _without_conflict(plan_merge(session, batch, action, tips, found[action.ref]))
    made = plan.landed[0]
    session.repo.pin({pin_ref(plan.new): plan.new})
    claim.bring(session.store, action, NewSource(
        action.remote, action.ref, made.agent, made.worktree, made.branch, made.tip,
        verbatim=made.verbatim, expect=made.expect, base=made.base,
    ))  # fmt: skip


def plan_merge(session: Session, batch: Batch, action: Action, tips: Tips, there: str | None) -> Plan:
    """Plan a merge into the branch of this repository; with `there`, into what the remote has in that branch.

    `there` is ZERO where the remote has no such branch. A local branch that has more than the remote is then merged
    into as it is: its commits are carried. The source that the plan lands is what the action would push.

    Writes objects and nothing else. Raises UamError where no merge can be made, as with ff-only when the lines have
    parted; a conflict is part of the plan.
    """
    source = gathered.sources(session.store, action.id)[0]
    strategy, here = How(action.payload["strategy"]), tips.at(action.ref)
    old = here if there is None else there
    base = there or ZERO
    if there in (None, ZERO) or (here != ZERO and not session.repo.is_ancestor(here, base)):
        base = start_of(session, action.ref, action.remote, tips)
    tip = source_tip(session, str(action.payload["source"]), action.remote, tips)
    new = _merged(session, batch, action, source, base, tip, tips)
    local = there is None
    if isinstance(new, Conflict):
        return Plan(action, old, old, base, strategy, (), {source.id: new}, {}, (), None, here=local)
    made = source._replace(tip=new) if local else _to_push(action, source, new, tip, here)
    how = How.NOTHING_NEW if new == old else strategy
    return Plan(
        action, old, new, new, how, (made,), {}, {source.id: 1}, (new,), None, here=local, worktree=source.worktree
    )


def _without_conflict(plan: Plan) -> Plan:
    """The plan itself; a merge has one source, so with a conflict there is nothing to execute."""
    for conflict in plan.conflicts.values():
        raise UamError(conflict_words(plan.action, conflict))
    return plan


def _to_push(action: Action, source: Source, new: str, tip: str, here: str) -> Source:
    """The merge as a source of a push; a fast-forward is pushed as it is, or not at all."""
    forward = action.payload["strategy"] == "ff-only"
    return source._replace(
        tip=new, branch=action.ref if here != ZERO else "", verbatim=forward, expect=FAST_FORWARD if forward else None,
        base=tip,
    )  # fmt: skip


def _merged(
    session: Session, batch: Batch, action: Action, asked: Source, base: str, tip: str, tips: Tips
) -> str | Conflict:
    """The commit that the branch at `base` becomes."""
    repo, strategy = session.repo, action.payload["strategy"]
    if base == ZERO:
        return tip
    if repo.is_ancestor(tip, base):
        return base
    if strategy == "ff-only":
        if repo.is_ancestor(base, tip):
            return tip
        raise UamError(f"{action.payload['source']} is not ahead of {short_target(action.ref)}: no fast-forward")
    with Attributes(repo, base) as attributes:
        tree = merge_tree(attributes, _with_memory(session, action, base, tips), tip)
    if isinstance(tree, Conflict):
        return tree
    if strategy == "squash" and tree == repo.commit(base).tree:
        return base
    if strategy == "squash":
        return _squashed(session, batch, action, asked, base, tip, tree)
    author, committer = repo.author(asked.author), repo.committer(asked.committer)
    text = f"{action.payload.get('message') or _default(action)}\n"
    return repo.store_commit(Commit("", tree, (base, tip), author, committer, text.encode("utf-8", "replace")))


def _with_memory(session: Session, action: Action, base: str, tips: Tips) -> str:
    """The commit to merge into: `base`, with what of others' work has landed in it squashed."""
    shadow = shared_shadow.living(session, action.remote, action.ref, base, tips)
    return base if shadow is None else remembering(session.repo, base, shadow)


def _default(action: Action) -> str:
    return f"Merge branch '{action.payload['source']}' into {short_target(action.ref)}"


def _squashed(
    session: Session, batch: Batch, action: Action, asked: Source, base: str, tip: str, tree: str
) -> str:  # fmt: skip
    repo = session.repo
    listed = repo.rev_list("--reverse", "--topo-order", "--no-merges", tip, f"^{base}")
    commits = [repo.commit(oid) for oid in listed]
    if action.payload.get("message"):
        text = f"{action.payload['message']}\n".encode("utf-8", "replace")
    else:
        text = squash.message(commits, batch.id, squash.by_name(session.settings["uam.squash.subject"]))
    committer = repo.committer(asked.committer)
    author = squash.author(commits) if commits else committer
    return repo.store_commit(Commit("", tree or repo.empty_tree, (base,), author, committer, text))


def source_tip(session: Session, name: str, remote: str, tips: Tips | None = None) -> str:
    """What is to be merged: a branch here, a branch of the remote, or any commit. UamError where there is none."""
    seen = tips or Tips(session.repo)
    branch = full_target(name)
    for ref in (branch, session.settings.tracking_ref(remote, branch) if remote else None):
        if ref and (found := seen.name_of(ref))[1] == "commit":
            return found[0]
    found_commit = seen.commit(name)
    if not found_commit:
        raise UamError(f"There is no branch or commit '{name}' here to merge.", "See `git branch -a`.")
    return found_commit
