"""The commits that the hooks noted, completed from git: subject, parents, files, and whether a remote has them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.paths import worktree_name
from uam_hooks.hot.core.refs import OBSERVED
from uam_hooks.hot.queue.connection import Store
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.tips import Tips
from uam_hooks.store import finish, views
from uam_hooks.store.views import QueuedCommit

GONE = "gone"


def refresh(repo: Repository, store: Store) -> None:
    """Complete the noted commits, and end those that no longer need a push."""
    waiting = views.commits(store)
    if not waiting:
        return
    done = ended(repo, waiting, Tips(repo))
    facts: dict[str, tuple[str, str, str, int]] = {}
    for commit in waiting:
        if commit.subject is None and done.get(commit.oid) != GONE:
            known = repo.commit(commit.oid)
            mail = known.committer.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")
            agent = f"{mail}@{worktree_name(commit.worktree)}"
            facts[commit.oid] = agent, known.subject, " ".join(known.parents), 0
    for oid, files in _count_files(repo, list(facts)).items():
        facts[oid] = (*facts[oid][:3], files)
    if facts or done:
        finish.describe(store, facts, done)


def ended(repo: Repository, waiting: Sequence[QueuedCommit], tips: Tips) -> dict[str, str]:
    """Those of the waiting commits that need no push any more, and why: `landed` (a remote has it) or `gone`."""
    alive = [commit.oid for commit in waiting if repo.kind(commit.oid)]
    unpushed = _unpushed(repo, alive, tips)
    done = {commit.oid: GONE for commit in waiting} | dict.fromkeys(alive, "landed")
    return {oid: why for oid, why in done.items() if oid not in unpushed}


def _unpushed(repo: Repository, oids: list[str], tips: Tips) -> set[str]:
    """Those that no shadow contains, and nothing that a remote was seen to have: one may be pushed without git uam.

    One of which git cannot tell it, because something of it is damaged, counts as not pushed.
    """
    if not oids:
        return set()
    known = tips.under("refs/remotes/", "refs/uam/shadow/", OBSERVED).values()
    feed = "".join(f"{line}\n" for line in [*oids, *(f"^{oid}" for oid in known)])
    try:
        return set(repo.rev_list("--stdin", feed=feed.encode()))
    except GitFailed:
        return set(oids) if len(oids) == 1 else set().union(*(_unpushed(repo, [oid], tips) for oid in oids))


def _count_files(repo: Repository, oids: list[str]) -> dict[str, int]:
    """The number of files that each commit changed; 0 where it cannot be read."""
    differences = Differences(repo)
    with suppress(GitFailed):
        differences.prepare((), oids)
    counted = dict.fromkeys(oids, 0)
    for oid in oids:
        with suppress(GitFailed):
            counted[oid] = len(differences.touched([oid]))
    return counted
