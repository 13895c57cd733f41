"""What follows what: a push by name its branch, and a branch that nobody waits for what has landed of it."""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.hot.core.errors import GitFailed, last_line, say
from uam_hooks.hot.core.paths import process_alive
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import pin_ref, shadow_ref, short_target
from uam_hooks.hot.queue.model import Action, ActionType, Source, SourceStatus
from uam_hooks.hot.worktree.settle import Landed, settle
from uam_hooks.land.commits import taken_from
from uam_hooks.land.retention import drop_pins
from uam_hooks.session import Session
from uam_hooks.store import claim


def follow(session: Session, pushes: Sequence[Action]) -> None:
    """Let pushes that were asked for by name bring their branch as it is now."""
    tips: dict[int, str] = {}
    before: set[str] = set()
    for action in pushes:
        sources = claim.sources(session.store, action.id)
        for source in sources:
            if not source.follow:
                continue
            now = session.repo.refs(source.branch).get(source.branch, "")
            if not now and not source.tip:  # a branch that is yet to begin: with the commits that are taken along
                now = next((other.tip for other in sources if other.tip), "")
            if now and now != source.tip:
                tips[source.id] = now
                before.add(source.tip)
    if tips:
        session.repo.pin({pin_ref(tip): tip for tip in tips.values()})
        claim.follow(session.store, tips)
        drop_pins(session, before)


def settle_unattended(session: Session, action: Action) -> None:
    """Branches whose push nobody waits for: they follow where neither index nor files need anything."""
    if session.settings["uam.settle"] == "off":
        return
    seen: set[tuple[str, str]] = set()
    sources = claim.with_carried(session.store, action.id)
    # a push that waits settles its branch itself, with the commits that it carried: two settles would collide
    attended = {source.branch for source in sources if source.waiter and process_alive(source.waiter)}
    for source in sources:
        as_it_was = source.exact and action.action_type != ActionType.MERGE
        if source.status != SourceStatus.LANDED or as_it_was or not source.branch or source.branch in attended:
            continue
        # of many commits by name from one place, the branch follows once
        if (source.base or source.follow) and source.key in seen:
            continue
        seen.add(source.key)
        paths = session.repo.paths.seen_from(source.worktree)
        try:
            settle(session.repo, paths, _landed(session, action, source, sources), files=False)
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
