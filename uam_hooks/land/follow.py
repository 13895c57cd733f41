"""What follows what: a push by name its branch, and a branch that nobody waits for what has landed of it."""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.hot.core.errors import GitFailed, last_line
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import pin_ref, shadow_ref, short_target
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, ActionType, Source, SourceStatus
from uam_hooks.hot.worktree.landed import Landed
from uam_hooks.hot.worktree.settle import obstacle, settle
from uam_hooks.integrate.plan import Plan
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.commits import taken_from
from uam_hooks.land.retention import drop_pins
from uam_hooks.session import Session
from uam_hooks.store import claim, gathered


def follow(session: Session, pushes: Sequence[Action]) -> None:
    """Let pushes that were asked for by name bring their branch as it is now."""
    tips: dict[int, str] = {}
    before: set[str] = set()
    for sources in gathered.sources_of(session.store, [action.id for action in pushes]).values():
        for source, now in zip(sources, followed(sources, Tips(session.repo)), strict=True):
            if now != source:
                tips[source.id] = now.tip
                before.add(source.tip)
    if tips:
        session.repo.pin({pin_ref(tip): tip for tip in tips.values()})
        claim.follow(session.store, tips)
        drop_pins(session, before)


def followed(sources: Sequence[Source], tips: Tips) -> list[Source]:
    """The sources of one action, those that follow their branch at where that is."""
    found = []
    for source in sources:
        now = tips.at(source.branch) if source.tracks_branch else ZERO
        if now == ZERO:  # a branch that is yet to begin: with the commits that are carried
            now = source.tip or next((other.tip for other in sources if other.tip), "")
        found.append(source._replace(tip=now) if source.tracks_branch else source)
    return found


def settle_unattended(session: Session, action: Action, sources: Sequence[Source]) -> None:
    """Branches whose push nobody waits for: they follow where neither index nor files need anything.

    `sources` are all of the action, with what has become of them.
    """
    if session.settings["uam.settle"] == "off":
        return
    seen: set[tuple[str, str]] = set()
    # a push that waits settles its branch itself, with the commits that it carried: two settles would collide
    attended = {source.branch for source in sources if source.is_waited_for}
    for source in sources:
        as_it_was = source.verbatim and action.action_type != ActionType.MERGE
        if source.status != SourceStatus.LANDED or as_it_was or not source.branch or source.branch in attended:
            continue
        # of many commits by name from one place, the branch follows once
        if (source.base or source.tracks_branch) and source.key in seen:
            continue
        seen.add(source.key)
        if not source.base and action.action_type != ActionType.MERGE and source.tip == source.outcome.new:
            continue  # it has all of that already
        paths = session.repo.paths.seen_from(source.worktree)
        try:
            what = _landed(session, action, source, sources)
            if what.tip != what.landing:  # else it has all of that already
                settle(session.repo, paths, what, files=False)
        except (GitFailed, OSError) as error:  # it has landed all the same, and `git uam sync` brings the branch over
            say(f"{short_target(source.branch)} stays where it is: {last_line(str(error))}")


def _landed(session: Session, action: Action, source: Source, others: Sequence[Source]) -> Landed:
    """What the branch of a source is to follow. A commit by name is on no branch yet: its branch follows from where
    it is, if all of that has landed.
    """
    tip, keep = source.tip, source.outcome.keep
    if source.base or action.action_type == ActionType.MERGE:
        now = session.repo.refs(source.branch).get(source.branch, ZERO)
        tip = now if now != ZERO and session.repo.is_ancestor(now, keep) else tip
    landed = [o for o in others if o.worktree == source.worktree and o.status == SourceStatus.LANDED and o.tip]
    mine = taken_from(session, landed)
    return Landed(source.branch, tip, source.outcome.new, keep, mine, shadow_ref(action.remote, action.ref))


def would_follow(session: Session, plan: Plan, sources: Sequence[Source], tips: Tips) -> Tips:
    """The tips once the branches that nobody waits for have followed a push, as `settle_unattended` lets them.

    What a push that waits does with its own branch is not foreseen, nor are commits that would be carried.
    """
    if session.settings["uam.settle"] == "off":
        return tips
    landed = {source.id for source in plan.landed}
    attended = {source.branch for source in sources if source.is_waited_for}
    for source in sources:
        as_it_was = source.verbatim and plan.action.action_type != ActionType.MERGE
        if source.id not in landed or as_it_was or not source.branch or source.branch in attended:
            continue
        now = tips.at(source.branch)
        if now in (ZERO, plan.new) or not _would_keep(session, plan, source, now):
            continue
        mine = taken_from(session, [s for s in plan.landed if s.worktree == source.worktree and s.tip])
        paths = session.repo.paths.seen_from(source.worktree)
        if not obstacle(session.repo, paths, source.branch, now, plan.new, mine):
            tips = tips.moved(source.branch, plan.new)
    return tips


def _would_keep(session: Session, plan: Plan, source: Source, now: str) -> bool:
    """Whether the branch of a source is still its own at `now`, and all of it is in the landing or kept with it."""
    named = source.base or plan.action.action_type == ActionType.MERGE  # these are on no branch yet
    if not named and not session.repo.is_ancestor(source.tip, now):
        return False
    shadow = shadow_ref(plan.action.remote, plan.ref)
    kept = (plan.new, plan.keep, *session.repo.refs(shadow).values())
    return not session.repo.rev_list("--max-count=1", now, *(f"^{oid}" for oid in kept))
