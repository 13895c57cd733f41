"""Into the queue of another clone: the commits that were pushed here, pinned there, then their sources."""

from __future__ import annotations

import time
from _blake2 import blake2b
from collections.abc import Collection, Sequence

from uam_hooks.fleet.neighbour import Berth, Neighbour
from uam_hooks.hot.core.errors import GitFailed, Refused
from uam_hooks.hot.core.paths import worktree_name
from uam_hooks.hot.core.refs import pin_ref
from uam_hooks.hot.queue import enqueue, windows
from uam_hooks.hot.queue.model import NewSource, Source, SourceStatus, seconds_of
from uam_hooks.session import Session
from uam_hooks.store import guests
from uam_hooks.store.entrusted import Entrusted
from uam_hooks.store.guests import Guest


class NotTaken(Exception):
    """The other clone could not take a push, and has nothing of it; the text says why."""


def enter(
    session: Session, there: Neighbour, berth: Berth, one: Entrusted, others: Sequence[Entrusted], own: str,
    known: Collection[str],
) -> None:  # fmt: skip
    """Enter what is missing there of a push, and let it take the place of what it replaces among `others`.

    `known` is what is there already, `own` what this clone is called there. The commits are pinned before: an entry
    never names one that git could collect.
    """
    missing = [source for source in one.pending if f"{own}/{source.entry}" not in known]
    if missing:
        pins = [pin_ref(tip) for tip in dict.fromkeys(source.tip for source in missing)]
        try:
            there.fetch_from(session.repo, [f"+{pin}:{pin}" for pin in pins])
        except (GitFailed, Refused) as error:
            if len(missing) == len(one.pending):
                raise NotTaken(error.what) from None
            raise
        now = time.time()
        guests.take_in(there.store, [_guest(there, berth, one, source, own, now) for source in missing], now)
    older = [origin for source in one.pending for origin in _replaced_by(source, others, own)]
    if older:  # what is being landed lands, and the newer one behind it; whoever cancels that does not want this back
        numbers = guests.numbers(there.store, older)
        enqueue.withdraw(there.store, list(numbers.values()), "a newer push took its place")


def _replaced_by(source: Source, others: Sequence[Entrusted], own: str) -> list[str]:
    """What the sources are called there whose work `source` contains, and that it has replaced here."""
    replaced = [one for other in others for one in other.sources if one.status == SourceStatus.REPLACED and one.entry]
    into = {one.id: one.replaced_by for one in replaced}
    found = []
    for one in replaced:
        last: int | None = one.id
        while last in into:
            last = into[last]
        if last == source.id:
            found.append(f"{own}/{one.entry}")
    return found


def _guest(there: Neighbour, berth: Berth, one: Entrusted, source: Source, own: str, now: float) -> Guest:
    """A source as it is queued there: with what is left of its window, and held as a push from there would be."""
    action, settings = one.action, there.settings
    left = max(seconds_of(max(action.execute_after, action.not_before)) - now, 0.0)
    hold = windows.hold(settings, there.store, source.is_waited_for, not one.holds)
    new = NewSource(
        berth.remote, action.ref, source.agent, _place(there, source, own), "", source.tip, message=source.message,
        options=tuple(action.payload.get("push_options", ())), wish=source.wish, origin=f"{own}/{source.entry}",
        asker=berth.asker._replace(author=source.author, committer=source.committer),
    )  # fmt: skip
    return Guest(new, windows.before_gates(settings, there.store, berth.remote, [action.target], left), hold)


def _place(there: Neighbour, source: Source, own: str) -> str:
    """A git directory that is nowhere, and has the name of the worktree that was pushed from: nothing settles there."""
    number = blake2b(f"{own}\0{source.worktree}\0{source.branch}".encode("utf-8", "surrogateescape"), digest_size=8)
    return str(there.paths.uam / "guests" / number.hexdigest() / worktree_name(source.worktree))
