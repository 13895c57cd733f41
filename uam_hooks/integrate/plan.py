"""One target's sources into a plan: what commit goes on its ref, over what, and what that is to each source.

A plan is data, the same for what is pushed and for what stays on a branch here. Making it writes objects and moves
nothing; a dry run stops here. Plans of pushes are made in this module, the others beside what executes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from uam_hooks.git.attributes import Attributes
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import Squash
from uam_hooks.hot.queue.model import Action, Source
from uam_hooks.hot.queue.outcome import How, Proof
from uam_hooks.integrate.compose import Composed, compose, shares
from uam_hooks.integrate.context import Context
from uam_hooks.integrate.graph import in_order, reachable
from uam_hooks.integrate.merge import Step, merge_sources, shadow_of
from uam_hooks.integrate.proof import Contribution, prove
from uam_hooks.integrate.survey import Asked, Ground, News, survey


class Became(NamedTuple):
    """What a landing of several commits is to one of its sources, and the commit that stands for what that brought (the
    last of them).
    """

    how: How
    commit: str


class Plan(NamedTuple):
    """What is to happen to one ref: `new` over `old`, nothing when they are the same.

    `keep` holds the originals; where nothing lands, it is what that was to be merged into. `how` says what the landing
    is as a whole, and `became` what it is to each of its sources, where they have commits of their own. `counts` has
    how many new commits each brought, `commits` are all that landed with it. Sources in `conflicts` are left out, as
    those in `refused` are, which has the reasons.

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
    became: Mapping[int, Became] = MappingProxyType({})

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
        shadow = context.shadow(action.remote, action.ref, there)
        asked = Asked(tuple(source.tip for source in sources), there, shadow, seen=False)
        ground = survey(repo, asked, around.others(context.settings.tracking_ref(action.remote, action.ref)))
    base, news = ground.base, ground.news
    with Attributes(repo, base) as attributes:
        ordered = _contained_first(context, news, sources)
        merged = merge_sources(repo, base, ground.shadow, news.graph, news.new, ordered, attributes)
    landing = compose(context, news, merged, base, there)
    straight = not merged.steps or landing.commit == merged.steps[-1].tip
    keep = landing.commit if straight else shadow_of(repo, landing.commit, merged.history.commit(repo))
    proof = _proved(context, ground, landing) if landing.commit != there else None
    commits = tuple(oid for oid in news.graph if oid in news.new and oid in merged.inside)
    return Plan(action, there, landing.commit, keep, landing.how, merged.landed, merged.conflicts,
                dict(shares(news, merged)), commits, proof, became=_became(landing, merged.landed))  # fmt: skip


def _contained_first(context: Context, news: News, sources: Sequence[Source]) -> list[Source]:
    """The sources in queue order, but each before those that contain it: who pushed first what others have built on
    does not get a commit of everybody's.
    """
    if len(sources) < 2 or all(context.squash(source) == Squash.BATCH for source in sources):
        return list(sources)
    inside = {source.tip: reachable(news.graph, source.tip) for source in sources}
    placed: list[Source] = []
    for source in sources:
        over = (n for n, other in enumerate(placed) if source.tip != other.tip and source.tip in inside[other.tip])
        placed.insert(next(over, len(placed)), source)
    return placed


def _became(landing: Composed, landed: Sequence[Source]) -> dict[int, Became]:
    """What each source became; nothing where all of them became the same."""
    if len(landing.parts) < 2:
        return {}
    found = {source.id: landing.part_of(source) for source in landed}
    return {
        number: Became(How.NOTHING_NEW, landing.commit) if part is None else Became(part.how, part.commit)
        for number, part in found.items()
    }


def _proved(context: Context, ground: Ground, landing: Composed) -> Proof:
    """The proof of the landing, and of each of its commits, or lines of kept ones, over the one before it."""
    repo, differences, base = context.repo, context.around.differences, ground.base
    parts = [
        (part, [claim for step in part.group.steps if (claim := _claim(repo, step, ground)).commits])
        for part in landing.parts
    ]
    if len(parts) > 1:
        steps = [(part.before, part.commit) for part, _ in parts if part.before != ZERO]
        tips = [(one.tip, to) for part, claims in parts for one in claims for to in (part.commit, landing.commit)]
        differences.prepare([*steps, *tips], ())
    for part, claims in parts if len(parts) > 1 else ():
        if part.commit != part.before:
            prove(repo, part.before, part.commit, claims, differences)
    return prove(repo, base, landing.commit, [one for _, claims in parts for one in claims], differences)


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


def _claim(repo: Repository, step: Step, ground: Ground) -> Contribution:
    """A source's word for the proof: what it brings, and what that was built on."""
    source, news = step.sources[-1], ground.news
    known = [oid for oid in (ground.base, ground.shadow) if oid not in (None, ZERO)]
    bases = ground.forks.get(source.tip, ())
    if known and not bases:
        bases = tuple(repo.run("merge-base", "--all", source.tip, *map(str, known), ok=(0, 1)).lines)
    own = in_order(news.graph, step.inside & news.new)
    return Contribution(source.id, source.tip, bases, tuple(own))
