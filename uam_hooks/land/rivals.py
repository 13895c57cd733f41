"""Whose work a source conflicts with: that of an earlier source of its batch, of an earlier batch, or a stranger's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.merging import Conflict
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import shadow_ref
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Batch, Source
from uam_hooks.hot.queue.outcome import Rival
from uam_hooks.integrate.graph import parse, reachable
from uam_hooks.integrate.merge import conflicts
from uam_hooks.integrate.plan import Plan
from uam_hooks.store import views


class Rivals:
    """The rivals of one plan. What does not depend on the source that conflicts is asked once, however many do."""

    def __init__(self, repo: Repository, store: Store, batch: Batch, plan: Plan) -> None:
        self._repo, self._store, self._batch, self._plan = repo, store, batch, plan

    def of(self, source: Source, conflict: Conflict) -> Rival:
        """Who has changed the files with which a source conflicts."""
        return self._together(source, conflict.files) or self._before(source, conflict.files)

    @cached_property
    def _old(self) -> list[str]:
        """What the batch brings nothing of, as git is told to leave it out."""
        plan = self._plan
        shadow = self._repo.refs(shadow_ref(plan.action.remote, plan.action.ref)).values()
        return [f"^{oid}" for oid in (plan.old, *shadow) if oid not in ("", ZERO)]

    @cached_property
    def _brought(self) -> dict[int, set[str]]:
        """The new commits of each source that lands."""
        graph = parse(self._listed("--parents"))
        return {other.id: reachable(graph, other.tip) for other in self._plan.landed}

    def _listed(self, *args: str, without: Sequence[str] = ()) -> list[str]:
        tips = dict.fromkeys(other.tip for other in self._plan.landed)
        if not tips:
            return []
        feed = "".join(f"{oid}\n" for oid in (*tips, *self._old, *without))
        return self._repo.rev_list("--stdin", *args, feed=feed.encode())

    def _together(self, source: Source, files: Sequence[str]) -> Rival | None:
        """The first source of the batch that has changed the files, and that this one cannot be merged with."""
        changed = self._listed("--", *files, without=[f"^{source.tip}"])
        for other in self._plan.landed if changed else ():
            newest = next((oid for oid in changed if oid in self._brought[other.id]), None)
            if newest is not None and conflicts(self._repo, other.tip, source.tip):
                whose = "your own work" if other.agent == source.agent else f"the work of {other.agent}"
                words = f"{whose} in the same batch ({newest[:7]})"
                return Rival(other.agent, self._batch.number, newest, words)
        return None

    def _before(self, source: Source, files: Sequence[str]) -> Rival:
        """Whoever changed the files last of all that is there."""
        old = self._plan.old
        lines = [] if old == ZERO else self._repo.rev_list("--max-count=1", old, f"^{source.tip}", "--", *files)
        if not lines:
            return Rival("", None, old, "what is there already")
        known = views.landed_as(self._store, lines[0])
        if known is not None and known[1]:  # a local squash has no sources
            number, agents = known
            whose = "your own work" if agents == [source.agent] else f"the work of {', '.join(agents)}"
            return Rival(", ".join(agents), number, lines[0], f"{whose} in batch {number} ({lines[0][:7]})")
        author = self._repo.commit(lines[0]).author_name
        return Rival(author, None, lines[0], f"{lines[0][:7]} by {author}")
