"""What the refs of this repository say that a remote has: remote-tracking ones, and refs of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from uam_hooks.git.arguments import that_fit
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import urls
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, SHADOWS, default_in, default_ref, defaults, observed_ref
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple


class Seen(NamedTuple):
    """A ref of a remote that was at `oid`, and is at `there` by now."""

    ref: str
    oid: str
    there: str


class Remembered(NamedTuple):
    """What a remote was last known to have in refs, and what refs here were at when that was read."""

    there: dict[str, str]
    refs: dict[str, str]


class Memory:
    """What is known here of the remote `name`, without asking it."""

    def __init__(self, repo: Repository, settings: Settings, name: str) -> None:
        self.repo, self.settings, self.name = repo, settings, name
        self._read: dict[str, str] | None = None  # refs here, as they were a moment ago
        self._is_tracked = name in settings.remotes() and not urls.pushes_elsewhere(settings, name)

    def remembered(self, refs: Sequence[str], *prefixes: str) -> Remembered | None:
        """What the remote was last known to have in each of `refs`, without asking it; None where that is not known of
        all of them, or its default branch is not. With it come the refs here that were read, those below the `prefixes`
        and the remote-tracking ones among them.

        It may be another by now, so this is only for what is pushed with its lease: that asks the remote.
        """
        own, tracking = self.refs_of(refs)
        names = [f"{defaults(self.name)}*", f"refs/remotes/{self.name}/", *prefixes, *own.values(), *tracking.values()]
        now = self._read = self.at(names)
        self.repo.heads[self.name] = self.repo.heads.get(self.name) or default_in(self.name, now)
        if not self.repo.heads.get(self.name) and self._head not in now:
            return None
        found = {ref: self._newer(now.get(own[ref]), now.get(tracking[ref] or "")) for ref in refs}
        there = {ref: oid for ref, oid in found.items() if oid}
        return Remembered(there, now) if len(there) == len(refs) else None

    def _newer(self, own: str | None, tracked: str | None) -> str | None:
        """Of what a flush last saw, and what a person last saw, the one that stands on the other: else the first."""
        if own is None or tracked is None or own == tracked:
            return own or tracked
        return tracked if self.repo.is_ancestor(own, tracked) else own

    def _default(self, at: Mapping[str, str], moves: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """The moves, besides these, with which the default branch is remembered that the remote has named, if no ref
        here says it.

        It is remembered by a ref's name, and that ref is at what another one goes to in the same transaction: an object
        of its own, between being written and being named, could be collected.
        """
        start, name, is_said = defaults(self.name), self.repo.heads.get(self.name), self._head in at
        wanted = default_ref(self.name, name) if name and not is_said else None
        known = [ref for ref in at if ref.startswith(start)]
        # one that has nothing yet names no default branch, and will: what is known stays, but what nobody reads
        drop = [(ref, ZERO, at[ref]) for ref in known if ref != wanted and (name or is_said or ref == start)]
        after = {**at, **{ref: new for ref, new, _ in moves}}
        held = {oid for ref, oid in after.items() if ref not in known and oid != ZERO}
        if wanted is None or at.get(wanted) in held:
            return drop
        there = next((new for _, new, _ in moves if new != ZERO), None)
        return [*drop, (wanted, there, at.get(wanted, ZERO))] if there else drop

    @property
    def _head(self) -> str:
        """The ref by which a clone knows the default branch of the remote."""
        return f"refs/remotes/{self.name}/HEAD"

    def keep(self, there: Mapping[str, str]) -> None:
        """Hold, and remember, what the remote has, which was fetched; `Remote.observe` does that by itself."""
        own = {ref: observed_ref(self.name, ref) for ref in there}
        now = self.at(own.values())
        moves = [(own[ref], oid, now.get(own[ref], ZERO)) for ref, oid in there.items()]
        with suppress(GitFailed):  # another flush has seen something newer
            self.repo.move_refs(moves, "uam: what the remote has")

    def track(self, seen: Iterable[Seen]) -> None:
        """Let remote-tracking refs be where these are, as git does after a fetch or a push of whom this is for.

        Where somebody has fetched since, and is between both, that stays; so it does where it moves in this moment.
        What is remembered of the remote follows, where it is not tracked as well.
        """
        seen = list(seen)
        at, self._read = self._read, None
        if at is not None:
            with suppress(GitFailed):  # one of them is not what it was a moment ago
                self.repo.move_refs(self._moves(seen, at), "uam: what the remote has")
                return
        own = [observed_ref(self.name, one.ref) for one in seen]
        names = [f"{defaults(self.name)}*", self._head, *own, *(self.tracking(one.ref) for one in seen)]
        moves = self._moves(seen, self.at(names))
        self.repo.move_each(moves, "uam: what the remote has")

    def _moves(self, seen: Sequence[Seen], at: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """The moves that `track` makes, where refs here are `at` these objects."""
        wanted = {tracking: one for one in seen if (tracking := self.tracking(one.ref)) is not None}
        own = {observed_ref(self.name, one.ref): one for one in seen}
        # what is tracked is remembered by that, and what was seen before is out of date
        moves = [(name, one.there, at.get(name, ZERO)) for name, one in own.items()
                 if at.get(name, ZERO) != one.there and (name in at or self._is_remembered(one.ref))]  # fmt: skip
        for tracking, one in wanted.items():
            now = at.get(tracking, ZERO)
            with suppress(GitFailed):  # it has landed, whatever cannot be found out or written here
                if self._follows(one, now):
                    moves.append((tracking, one.oid, now))
        return [*moves, *self._default(at, moves)]

    def _is_remembered(self, ref: str) -> bool:
        """Whether what the remote has in a ref is to be remembered from the first time that it is known."""
        return ref.startswith((HEADS, SHADOWS)) and self.tracking(ref) is None

    def _follows(self, seen: Seen, now: str) -> bool:
        """Whether the tracking ref that is at `now` goes to what was seen."""
        ref, oid, there = seen
        if now == oid or (ref.startswith(HEADS) and oid != ZERO and not self.repo.is_commit(oid)):
            return False  # a branch of theirs may be at something else: whatever reads branches expects commits
        return there == oid or ZERO in (oid, now) or not self._is_between(oid, now, there)

    def _is_between(self, old: str, now: str, new: str) -> bool:
        return self.repo.is_ancestor(old, now) and self.repo.is_ancestor(now, new)

    def refs_of(self, refs: Sequence[str]) -> tuple[dict[str, str], dict[str, str | None]]:
        """For each of the remote's `refs` the ones here that say what a flush, and what a person, last saw in it."""
        return {ref: observed_ref(self.name, ref) for ref in refs}, {ref: self.tracking(ref) for ref in refs}

    def at(self, names: Iterable[str | None]) -> dict[str, str]:
        """What each of these refs of this repository is at; one that is not there is left out, and so is None."""
        found: dict[str, str] = {}
        for some in that_fit([name for name in names if name is not None], lambda name: name):
            found |= self.repo.refs(*some)
        return found

    def tracking(self, ref: str) -> str | None:
        """The remote-tracking ref that says what the remote has in `ref`; None where there is none to keep.

        Where pushes go elsewhere than fetches come from, it follows the fetches and is none of our business.
        """
        if not self._is_tracked:
            return None
        tracking = self.settings.tracking_ref(self.name, ref)
        # a mirror fetches branches over branches: ours move by other rules
        return None if tracking is not None and tracking.startswith(HEADS) else tracking
