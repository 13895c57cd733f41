"""One target's sources into a plan: what commit goes on its ref, over what, and what that is to each source.

A plan is data, the same for what is pushed and for what stays on a branch here. Making it writes objects and moves
nothing; a dry run stops here. Plans of pushes are made in this module, the others beside what executes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.queue.model import Action, Source
from uam_hooks.hot.queue.outcome import How, Proof
from uam_hooks.integrate import squash
from uam_hooks.integrate.differences import Differences
from uam_hooks.integrate.graph import heads, in_order, reachable
from uam_hooks.integrate.merge import Conflict, Merged, chains, merge_sources, shadow_of
from uam_hooks.integrate.proof import Contribution, prove
from uam_hooks.integrate.replay import replay
from uam_hooks.integrate.survey import Asked, Ground, News, survey
from uam_hooks.integrate.tips import Tips


class Context(NamedTuple):
    """What a plan is made with, the same for all targets of a batch.

    `tips` are the refs as planning sees them, `noted` tells whether our hooks saw all these commits,
    `memories` returns what has landed on a ref of a remote (see `living_shadow`), `around` is what was asked about it.
    `tagged` are commits that pushed tags or a superproject name: they keep their identity. Without `squash` all do.
    """

    repo: Repository
    tips: Tips
    settings: Settings
    batch_id: str
    noted: Callable[[Sequence[str]], bool]
    memories: Callable[[str, str], Iterable[tuple[str, str]]]
    around: Around
    tagged: frozenset[str] = frozenset()
    squash: bool = True


class Around(NamedTuple):
    """What was asked about the targets of a landing, for all of them at once.

    `branches` are the branches of the remote, by the refs that say where they were seen. `grounds` has by the number of
    an action what its plan stands on, where that was found out together with others. `committers` is filled as needed:
    what is made together is made at one time.
    """

    branches: Mapping[str, str]
    differences: Differences
    grounds: Mapping[int, Ground]
    committers: dict[str, bytes]

    def ground(self, action: Action, tips: tuple[str, ...]) -> Ground | None:
        """What a plan of these tips stands on; None where that has to be asked for it alone."""
        found = self.grounds.get(action.id)
        return found if found is not None and found.tips == tips else None

    def others(self, own: str | None) -> list[str]:
        """Where the branches of the remote were seen, without the one whose ref is `own`."""
        return sorted({oid for name, oid in self.branches.items() if name != own})


class Plan(NamedTuple):
    """What is to happen to one ref: `new` over `old`, nothing when they are the same.

    `keep` holds the originals; where nothing lands, it is what that was to be merged into. `how` says what the landing
    is to its sources, `counts` how many new commits each brought, `commits` are all that landed with it. Sources in
    `conflicts` are left out, as those in `refused` are, which has the reasons.

    `here` is a plan for a branch of this repository instead of the remote's. Such a branch moves as its `worktree`
    (the git directory of one) allows; `mine` are the paths that were taken from files there, with mode and object.
    """

    action: Action
    old: str
    new: str
    keep: str
    how: How
    landed: tuple[Source, ...]
    conflicts: dict[int, Conflict]
    counts: dict[int, int]
    commits: tuple[str, ...]
    proof: Proof | None
    refused: Mapping[int, Failure] = MappingProxyType({})
    here: bool = False
    worktree: str = ""
    mine: Mapping[str, tuple[str, str]] = MappingProxyType({})

    @property
    def remote(self) -> str:
        """The remote whose ref is to move; empty for a branch of this repository."""
        return "" if self.here else self.action.remote

    @property
    def ref(self) -> str:
        """The full name of the ref that is to move."""
        return self.action.ref


def verbatim_plan(action: Action, source: Source, there: str) -> Plan:
    """A source that goes to the remote as it is: a tag, a deletion, a forced update."""
    new = source.tip or ZERO
    return Plan(action, there, new, new, How.EXACT, (source,), {}, {source.id: 0}, (), None)


def make_plan(context: Context, action: Action, sources: Sequence[Source], there: str) -> Plan:
    """Plan the landing of `sources` on a branch whose tip on the remote is `there` (ZERO: no such branch)."""
    repo, around = context.repo, context.around
    ground = around.ground(action, tuple(source.tip for source in sources))
    if ground is None:
        shadow = living_shadow(repo, context.memories(action.remote, action.ref), there)
        asked = Asked(tuple(source.tip for source in sources), there, shadow, seen=False)
        ground = survey(repo, asked, around.others(context.settings.tracking_ref(action.remote, action.ref)))
    base, shadow, news = ground.base, ground.shadow, ground.news
    with Attributes(repo, base) as attributes:
        merged = merge_sources(repo, base, shadow, news.graph, news.new, sources, attributes)
    own = _shares(news, merged)
    # in queue order: what a source brings that none before it brought
    flat = [oid for source in merged.landed for oid in own[source.id] if oid in news.flat]
    landing = _compose(context, news, merged, base, there, flat)
    counts = {s.id: len([oid for oid in own[s.id] if oid in news.flat]) for s in merged.landed}
    commits = tuple(oid for oid in news.graph if oid in news.new and oid in merged.inside)
    proof: Proof | None = None
    if landing.commit != there:
        known = [oid for oid in (base, shadow) if oid not in (None, ZERO)]
        claims = [_claim(repo, s, oids, known, ground) for s, oids in _together(news, merged, own) if oids]
        proof = prove(repo, base, landing.commit, claims, around.differences)
    return Plan(action, there, landing.commit, landing.keep, landing.how, merged.landed, merged.conflicts,
                counts, commits, proof)  # fmt: skip


def living_shadow(repo: Repository, memories: Iterable[tuple[str, str]], there: str) -> str | None:
    """The newest memory whose landing the remote still has: what landed after it counts as not landed.

    `memories` are (landing, what keeps its originals), newest first; a landing that is its own original keeps the
    memory before it.
    """
    if there == ZERO:
        return None
    for landing, keep in memories:
        if keep != landing and repo.kind(keep) == "commit" and repo.is_ancestor(landing, there):
            return keep
    return None


def _shares(news: News, merged: Merged) -> dict[int, list[str]]:
    """The new commits of each landed source that no source before it brought."""
    own: dict[int, list[str]] = {}
    taken: set[str] = set()
    for source in merged.landed:
        mine = (reachable(news.graph, source.tip) & news.new) - taken
        own[source.id] = in_order(news.graph, mine)
        taken |= mine
    return own


def _together(news: News, merged: Merged, own: dict[int, list[str]]) -> list[tuple[Source, list[str]]]:
    """What each source brings; commits by name that stand on each other bring it as one, with the last of them."""
    last = chains(news.graph, merged.landed)
    brought: dict[int, list[str]] = {}
    for source in merged.landed:
        brought.setdefault(last[source.id], []).extend(own[source.id])
    return [(source, brought[source.id]) for source in merged.landed if source.id in brought]


class _Landing(NamedTuple):
    commit: str
    keep: str
    how: How


def _compose(context: Context, news: News, merged: Merged, base: str, there: str, flat: list[str]) -> _Landing:
    """Decide what commit the landing is: nothing, the tip itself, a moved commit, kept commits or a squash."""
    repo = context.repo
    if not merged.inside:
        tip = there if there != ZERO or not merged.landed else merged.landed[0].tip
        return _Landing(tip, tip, How.NOTHING_NEW if tip == there else How.AS_IS)
    kept = heads(news.graph, [o for o in news.graph if o in merged.inside and o in news.new and o not in news.flat])
    commits = [repo.commit(oid) for oid in flat]
    members = [c for c in commits if len(c.parents) < 2] or commits
    straight = merged.line is not None
    if base != ZERO and not kept and merged.tree == repo.commit(base).tree and there != ZERO:
        # an empty commit, or a change and its revert, was pushed on purpose; a merge of what is there was not
        merges_only = all(len(c.parents) > 1 for c in commits)
        on_purpose = any(len(c.parents) == 1 and c.tree == repo.commit(c.parents[0]).tree for c in commits)
        if merges_only or not (straight or on_purpose):
            return _Landing(there, shadow_of(repo, there, merged.history.commit(repo)), How.NOTHING_NEW)
    squashing = context.squash and not context.tagged & set(flat)
    # a merge of originals that have landed squashed would bring them to the remote a second time
    again = any(oid not in news.new for oid in merged.inside)
    if (
        straight
        and not (again and squashing)
        and (len(flat) <= 1 or not squashing or _predates_us(context, base, flat))
    ):
        assert merged.line is not None
        return _Landing(merged.line, merged.line, How.AS_IS)
    parents = tuple([base] * (base != ZERO) + kept)
    how, landing = _joined(context, merged, base, parents, commits, members)
    return _Landing(landing, shadow_of(repo, landing, merged.history.commit(repo)), how)


def _joined(
    context: Context, merged: Merged, base: str, parents: tuple[str, ...], commits: list[Commit],
    members: list[Commit],
) -> tuple[How, str]:  # fmt: skip
    """The one commit that stands for several, or for one that had to move."""
    if not commits:  # all that is new here is on other branches of the remote: it stays what it is
        return How.KEPT, context.repo.store_commit(_merge_commit(context, merged, base)._replace(parents=parents))
    tagged = bool(context.tagged & {commit.oid for commit in commits})
    if tagged or not context.squash:
        tip = None
        if len(parents) == 1 and not tagged:
            with Attributes(context.repo, base) as attributes:
                tip = replay(context.repo, base, commits, attributes, context.repo.store_commit)
        if tip is not None and context.repo.commit(tip).tree == merged.tree:
            return How.KEPT, tip
        return How.KEPT, context.repo.store_commit(_merge_commit(context, merged, base))
    if len(members) == 1:
        how = How.MOVED if merged.line is None else How.SQUASHED
        return how, context.repo.store_commit(members[0]._replace(tree=merged.tree, parents=parents))
    text = squash.message(members, context.batch_id, context.settings["uam.squash.subject"])
    squashed = Commit("", merged.tree, parents, squash.author(members), _committer(context, merged), text)
    return How.SQUASHED, context.repo.store_commit(squashed)


def _merge_commit(context: Context, merged: Merged, base: str) -> Commit:
    """Where commits are to be kept and cannot be replayed, a merge keeps them all as they are."""
    tips = tuple(dict.fromkeys(s.tip for s in merged.landed if s.tip in merged.inside))
    text = f"Merge {len(tips)} pushed lines of work\n\nUam-Batch: {context.batch_id}\n".encode()
    committer = _committer(context, merged)
    return Commit("", merged.tree, (base, *tips) if base != ZERO else tips, committer, committer, text)


def _committer(context: Context, merged: Merged) -> bytes:
    """Who makes the landing: the first of those who pushed it."""
    who = next((s.committer for s in merged.landed if s.committer), "")
    idents = context.around.committers
    if who not in idents:
        idents[who] = context.repo.committer(who)
    return idents[who]


def _predates_us(context: Context, base: str, flat: Sequence[str]) -> bool:
    """Whether a first push brings history that no hook of ours has seen: nobody wants that flattened."""
    return base == ZERO and not context.noted(flat)


def _claim(repo: Repository, source: Source, own: list[str], known: list[Any], ground: Ground) -> Contribution:
    """The source's word for the proof: what it brings, and what that was built on."""
    bases = ground.forks.get(source.tip, ())
    if known and not bases:
        bases = tuple(repo.run("merge-base", "--all", source.tip, *known, ok=(0, 1)).lines)
    return Contribution(source.id, source.tip, bases, tuple(own))
