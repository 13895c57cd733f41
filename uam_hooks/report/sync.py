"""`git uam sync`: move the branch that is checked out to what the remote has, with its unlanded commits on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import Remote
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, Refused, UsageError
from uam_hooks.hot.core.head import head_of
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.worktree.settle import bring_over
from uam_hooks.integrate.graph import parse
from uam_hooks.integrate.replay import own_work, replay
from uam_hooks.integrate.tips import Tips
from uam_hooks.land import shared_shadow
from uam_hooks.session import Session
from uam_hooks.store import views


class Synced(NamedTuple):
    """The old and new commit of the branch, the remote branch `where`, and the number of unlanded commits on top."""

    branch: str
    where: str
    old: str
    new: str
    unlanded: int


class Place(NamedTuple):
    """A `branch` that is checked out at `now` ("" for a detached HEAD), and the `ref` of a remote, which has `there`
    and the `memory` of what has landed in it.
    """

    paths: RepoPaths
    branch: str
    now: str
    remote: str
    ref: str
    there: str
    memory: str | None

    @property
    def name(self) -> str:
        return short_target(self.branch) or "HEAD"

    @property
    def where(self) -> str:
        return f"{self.remote}/{short_target(self.ref)}"

    @property
    def kept(self) -> list[str]:
        """Commits that hold everything that has landed."""
        return [oid for oid in (self.there, self.memory) if oid]


def sync(session: Session, git_dir: Path, target: str | None) -> Synced:
    """Move the branch of the worktree `git_dir` to `target` (`<remote>/<branch>`), else to where it last landed.

    Local modifications are kept, and unlanded commits are put on top. Raises Refused, with nothing changed, where that
    is impossible.
    """
    here = place_of(session, git_dir, target)
    there, now, where = here.there, here.now, here.where
    moved = on_top(session.repo, here.kept, there, now)
    new, unlanded = moved.new, moved.unlanded
    if new is None:
        raise Refused(
            f"Your unlanded commits conflict with {there[:7]}; nothing was touched.",
            Advice.of("{} lets you resolve it.", "git", "rebase", "--onto", there[:7], moved.fork[:7]),
        )
    name = here.name
    if new != now:
        if not set(unlanded).isdisjoint(views.pending_tips(session.store)):
            raise Refused(
                f"{name} has commits that are queued, and would conflict with what they land as. Nothing was touched.",
                Advice.of("{} lands them; then sync.", "git", "uam", "flush"),
            )
        settled = bring_over(session.repo, here.paths, here.branch, now, new, here.kept, unlanded)
        if settled.why:
            raise Refused(f"{name} stays at {now[:7]}: {settled.why}.", "Nothing was touched.")
    return Synced(short_target(here.branch), where, now, new, moved.own)


def place_of(session: Session, git_dir: Path, target: str | None) -> Place:
    """What is checked out in the worktree `git_dir`, and what the remote has, which is asked, where it is to go."""
    paths = RepoPaths.of(git_dir)
    branch, detached = head_of(session.repo, git_dir)
    remote, ref = _split(session, target) if target else _follows(session, paths, branch)
    now = detached or session.repo.refs(branch).get(branch, "")
    if not now:
        raise Refused("There is no commit here yet.", "Commit first.")
    known = Remote(session.repo, session.settings, remote)
    found = known.observe([ref, *shared_shadow.refs_of(session, [ref])])
    there = found.pop(ref)
    known.memory.track([Seen(ref, there, there)])  # whoever asks for it sees it, as after a fetch
    place = Place(paths, branch, now, remote, ref, there, None)
    if there == ZERO:
        raise Refused(f"{place.where} does not exist on the remote.", "Push to it, or name another one.")
    tips = Tips(session.repo).seen(remote, found)
    return place._replace(memory=shared_shadow.living(session, remote, ref, there, tips))


def _split(session: Session, target: str) -> tuple[str, str]:
    for remote in session.settings.remotes():
        if target.startswith(f"{remote}/"):
            return remote, HEADS + target[len(remote) + 1 :]
    raise UsageError(f"'{target}' does not name a branch of a remote.", "Write it as origin/main.")


def _follows(session: Session, paths: RepoPaths, branch: str) -> tuple[str, str]:
    """Where this worktree's branch last landed, else its upstream."""
    landed = views.last_landed(session.store, str(paths.git_dir), branch)
    if landed is not None:
        return landed
    name = short_target(branch)
    remote = session.repo.config(f"branch.{name}.remote")[-1:]
    merge = session.repo.config(f"branch.{name}.merge")[-1:]
    if not (branch and remote and merge):
        raise UsageError(
            "Nothing of this branch has landed, and it has no upstream.", "Run `git uam sync origin/main`."
        )
    session.settings.check_remote(remote[0])
    return remote[0], merge[0]


class OnTop(NamedTuple):
    """Commits put onto another one: the `new` tip, None where they conflict; which commits are in it in another form,
    or not at all because they brought nothing (`unlanded`); how many brought something (`own`), and what those stood
    on, where they are one line (`fork`).
    """

    new: str | None
    unlanded: list[str]
    own: int
    fork: str


def on_top(repo: Repository, landed: Sequence[str], there: str, now: str) -> OnTop:
    """Replay the commits of `now` that are not in `landed` onto `there`. Raises Refused where they are no line."""
    graph = parse(repo.rev_list("--parents", "--topo-order", "--reverse", now, *(f"^{oid}" for oid in landed)))
    if repo.is_ancestor(there, now) and len(graph) > 0:
        return OnTop(now, list(graph), len(graph), there)
    with Attributes(repo, there) as attributes:
        commits = own_work([repo.commit(oid) for oid in graph], attributes)
    merges = [c for c in commits if len(c.parents) > 1]
    if merges:
        raise Refused(
            f"{now[:7]} has an unlanded merge ({merges[0].oid[:7]}), which cannot be put on top of {there[:7]}.",
            "Run `git rebase` onto it yourself, or push: pushing integrates merges.",
        )
    roots = [c for c in commits if not c.parents]
    if roots:
        raise Refused(
            f"{now[:7]} has a root commit of its own ({roots[0].oid[:7]}), which cannot be put on top of {there[:7]}.",
            "Nothing was touched; pushing it merges unrelated histories.",
        )
    with Attributes(repo, there) as attributes:
        new = replay(repo, there, commits, attributes, repo.store_commit)
    return OnTop(new, list(graph), len(commits), commits[0].parents[0] if commits else there)
