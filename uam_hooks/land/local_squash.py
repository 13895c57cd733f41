"""Ready commits that no push asks for: those on top of a branch become one local commit.

It happens where `uam.commit.onWindow` is `squash`, or when somebody runs `git uam flush`. The tree stays the same, so
index and files need nothing; the branch moves by the settle rules, and the originals stay in the batch's pin.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from functools import partial

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.identity import ident
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.refs import OBSERVED
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, Batch, BatchResult
from uam_hooks.hot.queue.outcome import How
from uam_hooks.integrate import squash
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.branch import move_branch
from uam_hooks.session import Session
from uam_hooks.store import claim, finish, owners, returns, views
from uam_hooks.store.views import QueuedCommit

_OURS = b"\nUam-Batch: "


class Ready(NamedTuple):
    """The noted commits of one branch that wait, as the action that they have gathered in."""

    action: Action
    commits: tuple[QueuedCommit, ...]

    @property
    def branch(self) -> str:
        return self.commits[0].branch


def squash_ready(session: Session, now: float | None, timeout: float) -> list[BatchResult]:
    """Squash the ready commits of every branch (all that wait when `now` is None); returns a result for each batch.
    Raises Locked when the flush lock is not free in `timeout` seconds.

    A branch whose newest commits are fewer than two, whose push is still open, or that cannot be moved now, is left
    as it is.
    """
    results: list[BatchResult] = []
    if session.settings["uam.squash"] == Squash.NEVER:
        return results
    failed = failed_tips(session)
    on_their_way = views.pending_branches(session.store)
    for one in ready(session, now):
        run = () if one.branch in on_their_way else run_on_top(session, one, failed, Tips(session.repo))
        if len(run) < 2:
            continue
        claimed = partial(claim.one, session.store, one.action)
        with owners.claimed(session.repo.paths, session.store, timeout, claimed) as batch:
            if batch is not None and (result := _squashed(session, batch, one, run)) is not None:
                results.append(result)
    return results


def _squashed(session: Session, batch: Batch, one: Ready, run: Sequence[Commit]) -> BatchResult | None:
    """Execute the squash of `run`; None where the branch does not move."""
    began = time.monotonic()
    plan = plan_squash(session, batch, one._replace(action=batch.actions[0]), run)
    failure = move_branch(session, batch, plan, {})
    if failure is not None:
        if not failure.transient:  # otherwise the next flush tries again
            say(failure.what)
        returns.release(session.store, plan.action)
    took = (time.monotonic() - began) * 1000
    finish.close(session.store, batch, took)
    return BatchResult(batch.id, True, 1, 0, (), took) if failure is None else None


def ready(session: Session, now: float | None) -> list[Ready]:
    """The branches whose noted commits are ready at `now`, or that have any when it is None."""
    waiting = views.commits(session.store)
    found = []
    for action in views.waiting_commits(session.store, now):
        own = tuple(commit for commit in waiting if commit.action_id == action.id and commit.branch)
        if own:
            found.append(Ready(action, own))
    return found


def failed_tips(session: Session) -> set[str]:
    """Commits that wait and whose push failed: their agents still have to do something about them."""
    return views.failed_tips(session.store)


def run_on_top(session: Session, one: Ready, failed: Collection[str], tips: Tips) -> tuple[Commit, ...]:
    """The noted commits at the very top of their branch, oldest first, up to the first one that is not.

    Where commits are signed, those of others end the run: nobody's work is to carry the signature of somebody else.
    """
    repo, mine = session.repo, ident(session.settings, os.environ, "committer")
    alone = _alone(repo, one.branch, tips)
    waiting = {commit.oid for commit in one.commits if commit.oid in alone and commit.oid not in failed}
    oid = tips.at(one.branch)
    run: list[Commit] = []
    while oid in waiting:
        commit = repo.commit(oid)
        if len(commit.parents) != 1 or _OURS in commit.message or (repo.signs and commit.committer_name != mine):
            break
        run.append(commit)
        oid = commit.parents[0]
    return tuple(run[::-1])


def _alone(repo: Repository, branch: str, tips: Tips) -> set[str]:
    """The commits that nothing but `branch` contains: what another branch, a tag or a detached HEAD stands on stays."""
    there = tips.under("refs/heads/", "refs/tags/", "refs/remotes/", OBSERVED)
    if branch not in there:
        return set()
    detached = [at for git_dir in repo.paths.git_dirs() if (at := head_of(repo, git_dir)[1])]
    others = {oid for ref, oid in there.items() if ref != branch} | set(detached)
    feed = "".join(f"{line}\n" for line in (there[branch], *(f"^{oid}" for oid in others)))
    return set(repo.rev_list("--stdin", feed=feed.encode()))


def plan_squash(session: Session, batch: Batch, one: Ready, run: Sequence[Commit]) -> Plan:
    """Plan one commit in the place of `run`, the commits on top of a branch. Writes objects and nothing else."""
    repo, top, first = session.repo, run[-1], one.commits[0]
    text = squash.message(run, batch.id, squash.by_name(session.settings["uam.squash.subject"]))
    new = repo.store_commit(
        Commit("", top.tree, run[0].parents, squash.author(run), repo.committer(run[-1].committer_name), text)
    )
    return Plan(
        one.action, top.oid, new, shadow_of(repo, new, top.oid), How.SQUASHED, (), {}, {},
        tuple(commit.oid for commit in run), None, here=True, worktree=first.worktree,
    )  # fmt: skip
