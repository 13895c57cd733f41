"""A merge that was asked for by name, made in memory: one branch into another, with a commit, squashed, or forward."""

from __future__ import annotations

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.remote import Remote
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import EMPTY_TREE, ZERO
from uam_hooks.hot.core.refs import pin_ref, short_target
from uam_hooks.hot.queue.model import FAST_FORWARD, Action, Batch, NewSource
from uam_hooks.hot.queue.outcome import How, Outcome
from uam_hooks.integrate import squash
from uam_hooks.integrate.merge import Conflict, merge_tree, remembering
from uam_hooks.integrate.plan import living_shadow
from uam_hooks.land.commits import Made, move, start_of
from uam_hooks.land.shadow import memories
from uam_hooks.session import Session
from uam_hooks.store import claim, finish

STRATEGIES = ("no-ff", "squash", "ff-only")


def merge_here(session: Session, batch: Batch, action: Action) -> None:
    """Merge into the branch of this repository. Raises UamError where that cannot be."""
    base = start_of(session, action.ref, action.remote)
    source = claim.sources(session.store, action.id)[0]
    new = _merged(session, batch, action, base)
    if new == base and session.repo.name_of(action.ref)[0]:
        finish.command(session.store, action, Outcome(batch=batch.number, how=How.NOTHING_NEW, new=new))
        return
    old = session.repo.refs(action.ref).get(action.ref, ZERO)
    made = Made(old, new, (source._replace(tip=new),), How(action.payload["strategy"]), {})
    move(session, batch, action, made, {}, {})


def merge_to_push(session: Session, batch: Batch, action: Action) -> None:
    """Make the merge on what the remote has, and let it be what this action pushes.

    A local branch that has more than the remote is merged into as it is: its commits go along.
    """
    there = Remote(session.repo, session.settings, action.remote).observe([action.ref])[action.ref]
    here = session.repo.name_of(action.ref)[0]
    base = there
    if there == ZERO or (here and not session.repo.is_ancestor(here, there)):
        base = start_of(session, action.ref, action.remote)
    new = _merged(session, batch, action, base)
    session.repo.pin({pin_ref(new): new})
    forward = action.payload["strategy"] == "ff-only"
    source = claim.sources(session.store, action.id)[0]
    claim.bring(session.store, action, NewSource(
        action.remote, action.ref, source.agent, source.worktree, action.ref if here else "", new,
        exact=forward, expect=FAST_FORWARD if forward else None,
        base=source_tip(session, str(action.payload["source"]), action.remote),
    ))  # fmt: skip


def _merged(session: Session, batch: Batch, action: Action, base: str) -> str:
    """The commit that the branch at `base` becomes."""
    repo, strategy = session.repo, action.payload["strategy"]
    tip = source_tip(session, str(action.payload["source"]), action.remote)
    if base == ZERO:
        return tip
    if repo.is_ancestor(tip, base):
        return base
    if strategy == "ff-only":
        if repo.is_ancestor(base, tip):
            return tip
        raise UamError(f"{action.payload['source']} is not ahead of {short_target(action.ref)}: no fast-forward")
    with Attributes(repo, base) as attributes:
        tree = merge_tree(attributes, _with_memory(session, action, base), tip)
    if isinstance(tree, Conflict):
        files = ", ".join(tree.files[:5])
        raise UamError(f"conflict in {files} between {action.payload['source']} and {short_target(action.ref)}")
    if strategy == "squash" and tree == repo.commit(base).tree:
        return base
    if strategy == "squash":
        return _squashed(session, batch, action, base, tip, tree)
    ident = repo.committer()
    text = f"{action.payload.get('message') or _default(action)}\n"
    return repo.store_commit(Commit("", tree, (base, tip), ident, ident, text.encode("utf-8", "replace")))


def _with_memory(session: Session, action: Action, base: str) -> str:
    """The commit to merge into: `base`, with what of others' work has landed in it squashed."""
    shadow = living_shadow(session.repo, memories(session, action.remote, action.ref), base)
    return base if shadow is None else remembering(session.repo, base, shadow)


def _default(action: Action) -> str:
    return f"Merge branch '{action.payload['source']}' into {short_target(action.ref)}"


def _squashed(session: Session, batch: Batch, action: Action, base: str, tip: str, tree: str) -> str:
    repo = session.repo
    listed = repo.rev_list("--reverse", "--topo-order", "--no-merges", tip, f"^{base}")
    commits = [repo.commit(oid) for oid in listed]
    text = f"{action.payload.get('message', '')}\n".encode() if action.payload.get("message") else squash.message(
        commits, batch.id, session.settings["uam.squash.subject"]
    )  # fmt: skip
    author = squash.author(commits) if commits else repo.committer()
    return repo.store_commit(Commit("", tree or EMPTY_TREE, (base,), author, repo.committer(), text))


def source_tip(session: Session, name: str, remote: str) -> str:
    """What is to be merged: a branch here, a branch of the remote, or any commit. UamError where there is none."""
    branch = name if name.startswith("refs/") else f"refs/heads/{name}"
    for ref in (branch, session.settings.tracking_ref(remote, branch) if remote else None):
        if ref and (found := session.repo.name_of(ref))[1] == "commit":
            return found[0]
    answer = session.repo.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1))
    if answer.code:
        raise UamError(f"There is no branch or commit '{name}' here to merge.", "See `git branch -a`.")
    return answer.text
