"""`git uam sync --queued`: put the branch that is checked out behind what waits for the branch it is pushed to.

What is expected to land is one commit (`refs/uam/next/<remote>/<branch>`): what the remote has, with what waits merged
into it in the order in which it lands. A branch that stands on it holds the queued commits themselves, so that its
push goes in behind them, and brings nothing but its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Refused, UamError, last_line
from uam_hooks.hot.core.identity import asker
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import next_ref, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue import enqueue, expected
from uam_hooks.hot.queue.model import NewSource, Source
from uam_hooks.hot.worktree.checkouts import unfinished
from uam_hooks.hot.worktree.settle import bring_over
from uam_hooks.integrate.merge import merge_tree, remembering
from uam_hooks.report.sync import Place, on_top, place_of
from uam_hooks.session import Session


class Next(NamedTuple):
    """The commit that is expected, the sources that it holds besides what the remote has, and those that it leaves out:
    they conflict, or are not merged as they are.
    """

    commit: str
    sources: tuple[Source, ...]
    left_out: tuple[Source, ...]


class Behind(NamedTuple):
    """The branch of `place` is at `new`, on top of `next`, with `own` commits of its own."""

    place: Place
    next: Next
    new: str
    own: int


class Stopped(UamError):
    """The rebase that was begun has to be gone on with by hand."""


def go_behind(session: Session, git_dir: Path, target: str | None) -> Behind:
    """Move the branch of the worktree `git_dir` on top of what is expected on `target`, else where it last landed.

    Local modifications are kept where nothing conflicts. Where the branch's own commits do, a `git rebase` is begun
    and stops there, and Stopped is raised. Raises Refused, with nothing changed, where neither is possible.
    """
    here = place_of(session, git_dir, target)
    repo, now = session.repo, here.now
    found = _next(session, here)
    _name(session, here, found.commit)
    kept = [*here.kept, found.commit]
    moved = on_top(repo, kept, found.commit, now)
    new = moved.new or _rebased(session, here, found.commit, moved.fork)
    if moved.new not in (None, now):
        settled = bring_over(repo, here.paths, here.branch, now, new, kept, moved.unlanded)
        if settled.why:
            raise Refused(f"{here.name} stays at {now[:7]}: {settled.why}.", "Nothing was touched.")
    return Behind(here, found, new, moved.own)


def _next(session: Session, here: Place) -> Next:
    """What is expected: one of the queued tips where that has everything, and else merges of them."""
    repo = session.repo
    given_up = _given_up(session, here)
    waiting = [
        one
        for one in expected.waiting(session.store, here.remote, here.ref, _where(session, here))
        if one.source.id not in given_up
    ]
    tips = [one.source.tip for one in waiting if one.plain]
    at = here.there
    if here.memory and _stand_on(repo, here.memory, here.there, [*tips, here.now]):
        at = remembering(repo, here.there, here.memory)
    held: list[Source] = []
    left_out: list[Source] = []
    with Attributes(repo, here.there) as attributes:
        for one in waiting:
            merged = _merged(repo, attributes, here, at, one.source) if one.plain else None
            at = merged or at
            (held if merged else left_out).append(one.source)
    return Next(at, tuple(held), tuple(left_out))


def _merged(repo: Repository, attributes: Attributes, here: Place, at: str, source: Source) -> str | None:
    """`at` with a source in it; None where that conflicts."""
    if repo.is_ancestor(source.tip, at):
        return at
    if repo.is_ancestor(at, source.tip):
        return source.tip
    tree = merge_tree(attributes, at, source.tip)
    if isinstance(tree, Conflict):
        return None
    youngest = max(repo.commit(parent).committed for parent in (at, source.tip))
    who = b"uam <uam@localhost> %d +0000" % youngest  # the same commit each time, and never older than what it has
    text = f"Merge {source.tip[:7]} of {source.agent}, which waits for {here.where}\n"
    return repo.write_commit(Commit("", tree, (at, source.tip), who, who, text.encode("utf-8", "replace")))


def _stand_on(repo: Repository, memory: str, there: str, tips: Sequence[str]) -> bool:
    """Whether any of the tips has commits that landed as others: what they are merged into has to have them, too."""
    without = [f"^{there}", "--not", memory]
    return repo.rev_list("--count", *tips, f"^{there}") != repo.rev_list("--count", *tips, *without)


def _where(session: Session, here: Place) -> str:
    """What remote of this name is meant here and now."""
    return asker(session.identity, session.settings, os.environ, here.remote).place.id


def _given_up(session: Session, here: Place) -> set[int]:
    """The pushes of this branch whose commits it has in another form, which take their place when it is pushed."""
    repo = session.repo
    own = NewSource(here.remote, here.ref, "", str(here.paths.git_dir), here.branch, here.now)
    return {
        number
        for number, tips in enqueue.older(session.store, own)
        if any(repo.kind(tip) == "commit" and repo.is_ancestor(tip, here.now) for tip in tips[1:])
    }


def _name(session: Session, here: Place, commit: str) -> None:
    """Let refs/uam/next/ say what is expected; who cannot have that name now has the commit in the branch."""
    name = next_ref(here.remote, here.ref)
    session.repo.move_each([(name, commit, session.repo.refs(name).get(name, ZERO))], "uam: expected")


def _rebased(session: Session, here: Place, onto: str, since: str) -> str:
    """Begin the rebase that stops where the commits conflict: raises Stopped, unless it gets through after all."""
    repo, at = session.repo, here.paths.worktree
    answer = repo.run("rebase", "--merge", "--onto", onto, since, at=at, ok=(0, 1, 128))
    if not answer.code:
        return repo.run("rev-parse", "HEAD", at=at).text
    if not unfinished(repo, here.paths.git_dir):
        raise Refused(f"{here.name} stays at {here.now[:7]}: {last_line(answer.err)}.", "Nothing was touched.")
    listed = repo.run("diff", "--name-only", "--diff-filter=U", "-z", at=at).out.decode("utf-8", "replace")
    files = listed.split("\0")[:-1]
    where = f"{here.name} is being put behind what waits for {here.where}, and stops"
    if not files:  # at a hook, or at an editor
        raise Stopped(f"{where}: {last_line(answer.err)}.", "See `git status`; `git rebase --abort` goes back.")
    raise Stopped(
        f"{where} at a conflict in {', '.join(files[:5])}{' ...' if len(files) > 5 else ''}.",
        "Resolve it, `git add`, `git rebase --continue`, and push again; `git rebase --abort` goes back.",
    )


def words(done: Behind) -> list[str]:
    """What was done, for whoever asked."""
    here, found = done.place, done.next
    count = len(found.sources)
    what = f"the {count} pushes that wait" if count != 1 else "the push that waits"
    what = f"{what} for {here.where}" if count else f"what {here.where} has: nothing waits for it"
    own = f", with {done.own} commit{'s' * (done.own != 1)} of its own" if done.own else ""
    lines = [f"branch {short_target(here.branch)}" if here.branch else "HEAD"]
    lines[0] += f" is at {done.new[:7]}, behind {what}{own}"
    for source in found.left_out:
        lines.append(
            f"#{source.action_id} of {source.agent} is left out: it cannot be merged with what waits before it"
        )
    if done.new != here.now:
        lines.append(f"undo: git reset --keep {here.now[:7]}")
    return lines
