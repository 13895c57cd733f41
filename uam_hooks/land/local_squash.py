"""Ready commits that no push asks for: those on top of a branch become one local commit.

It happens where `uam.commit.onWindow` is `squash`, or when somebody runs `git uam flush`. The tree stays the same, so
index and files need nothing; the branch moves by the settle rules, and the originals stay in the batch's pin.
"""

from __future__ import annotations

import time

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed, last_line, say
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.paths import head_of
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import landing_ref
from uam_hooks.hot.queue.model import Action, Batch, BatchResult, Landing
from uam_hooks.hot.queue.outcome import Detail, How
from uam_hooks.hot.worktree.settle import Landed, settle
from uam_hooks.integrate import squash
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, views
from uam_hooks.store.claim import NewLanding
from uam_hooks.store.views import QueuedCommit

_OURS = b"\nUam-Batch: "


def squash_ready(session: Session, now: float | None) -> list[BatchResult]:
    """Squash the ready commits of every branch (all that wait when `now` is None); gives a result for each batch.

    A branch whose newest commits are fewer than two, whose push is still open, or that cannot be moved now, is left
    as it is.
    """
    results: list[BatchResult] = []
    if not session.settings["uam.squash"]:
        return results
    members = views.commits(session.store)
    on_their_way = views.pending_branches(session.store)
    for action in views.waiting_commits(session.store, now):
        began = time.monotonic()
        mine = [commit for commit in members if commit.action_id == action.id and commit.branch]
        if not mine or mine[0].branch in on_their_way:
            continue
        run = _run_on_top(session, mine)
        if len(run) < 2:
            continue
        batch = claim.one(session.store, action)
        if batch is None:
            continue
        done = _squash(session, batch, batch.actions[0], mine[0], run)
        took = (time.monotonic() - began) * 1000
        finish.close(session.store, batch, took)
        if done:
            results.append(BatchResult(batch.id, True, 1, 0, (), took))
    return results


def _run_on_top(session: Session, members: list[QueuedCommit]) -> list[Commit]:
    """The noted commits at the very top of their branch, oldest first, up to the first one that is none of them."""
    branch = members[0].branch
    failed = {source.tip for _, source in views.failed_sources(session.store, 0.0)}
    waiting = {commit.oid for commit in members} & _alone(session.repo, branch) - failed
    oid = session.repo.refs(branch).get(branch, "")
    run: list[Commit] = []
    while oid in waiting:
        commit = session.repo.commit(oid)
        if len(commit.parents) != 1 or _OURS in commit.message:
            break
        run.append(commit)
        oid = commit.parents[0]
    return run[::-1]


def _alone(repo: Repository, branch: str) -> set[str]:
    """The commits that nothing but `branch` contains: what another branch, a tag or a detached HEAD stands on stays."""
    detached = [at for git_dir in repo.paths.git_dirs() if (at := head_of(git_dir)[1])]
    others = (f"--exclude={branch}", "--glob=refs/heads/", "--glob=refs/tags/", "--glob=refs/remotes/", *detached)
    return set(repo.rev_list(branch, "--not", *others)) if branch in repo.refs(branch) else set()


def _squash(session: Session, batch: Batch, action: Action, member: QueuedCommit, run: list[Commit]) -> bool:
    """Write the plan, pin, move the branch, finish; gives whether the branch moved."""
    repo, top = session.repo, run[-1]
    text = squash.message(run, batch.id, session.settings["uam.squash.subject"])
    new = repo.store_commit(Commit("", top.tree, run[0].parents, squash.author(run), repo.committer(), text))
    oids = [commit.oid for commit in run]
    entry = NewLanding(
        action.id, "", member.branch, top.oid, new, shadow_of(repo, new, top.oid), (),
        Detail(How.SQUASHED, commits=tuple(oids), worktree=member.worktree),
    )  # fmt: skip
    landing = claim.write_plan(session.store, batch, [entry])[0]
    repo.move_refs([(landing_ref(landing.batch_id, landing.id), landing.keep, ZERO)], "uam: pin")
    paths = repo.paths.seen_from(member.worktree)
    try:
        settle(repo, paths, Landed(member.branch, top.oid, new, landing.keep), files=False)
    except (GitFailed, OSError) as error:
        say(f"{member.branch} stays where it is: {last_line(str(error))}")
    return finish_local(session, action, landing)


def finish_local(session: Session, action: Action, landing: Landing) -> bool:
    """End a local squash by what the branch is now; gives whether it took place."""
    now = session.repo.refs(landing.ref).get(landing.ref, ZERO)
    if now != ZERO and session.repo.is_ancestor(landing.new, now):
        finish.squashed(session.store, action, landing)
        return True
    finish.release(session.store, action)
    return False
