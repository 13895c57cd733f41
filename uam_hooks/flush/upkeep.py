"""What keeps a history small: folding what has ended, and giving its room back, in bites that hold nobody up.

`retention.prune` says from when on that may be done. A flusher that has nothing else to do takes one bite after the
other, `git uam prune` takes all of them.
"""

from __future__ import annotations

import time
from contextlib import suppress

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.refs import HEADS, shadow_ref
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.connection import Store
from uam_hooks.land.retention import expired
from uam_hooks.session import Session
from uam_hooks.store import history, remains, space, views
from uam_hooks.store.history import Living

_SHADOWS = "refs/uam/shadow/"
# How many logs a flusher deletes in a day; `git uam prune` all.
SOME_LOGS = 1000


class Upkeep:
    """The bites that a flusher takes while it stays."""

    def __init__(self, known: Repository, store: Store) -> None:
        self._known, self._store = known, store
        self._expired = ""
        self._living: Living | None = None
        self._ended = False

    def bite(self) -> bool:
        """Take one; returns whether there is more. What fails is left to another time."""
        if self._ended:
            return False
        try:
            self._ended = not (self._fold() or space.give_back(self._store))
        except (UamError, OSError) as error:
            say(f"what has ended is not folded now: {error}")
            self._ended = True
        return not self._ended

    def _fold(self) -> bool:
        self._expired = self._expired or expired(Settings.read(self._known)["uam.retention"])
        if not history.is_due(self._store, self._expired):
            return False
        if self._living is None:
            space.keep_log_short(self._store)
            space.write_anew(self._store, space.SMALL_BYTES)
            with self._known.anew() as repo:
                self._living = living(repo, self._store)
        return bool(history.fold(self._store, self._living, self._expired))


class Folded(NamedTuple):
    """How many actions, and trees of gates, were looked at; by how many bytes the queue is smaller, and whether it is
    one that cannot get smaller now.
    """

    rows: int
    freed: int
    stiff: bool


def fold_all(session: Session) -> Folded:
    """Fold everything that is due, and give its room back."""
    store = session.store
    space.keep_log_short(store)
    before, rows = space.size(store), 0
    there = living(session.repo, store)
    ended = expired(session.settings["uam.retention"])
    while some := history.fold(store, there, ended):
        rows += some
    stiff = not space.write_anew(store, space.LARGE_BYTES)
    while space.give_back(store):
        pass
    return Folded(rows, max(0, before - space.size(store)), stiff)


def living(repo: Repository, store: Store) -> Living:
    """What is there in git that something in the queue may still be about."""
    refs = repo.refs(HEADS, _SHADOWS)
    shadows = [place for place in remains.landed_refs(store) if shadow_ref(*place) in refs]
    worktrees = [str(path) for path in RepoPaths.of(repo.paths.common_dir).git_dirs()]
    return Living(frozenset(worktrees), frozenset(ref for ref in refs if ref.startswith(HEADS)), frozenset(shadows))


def delete_logs(session: Session, retention: float, most: int | None = None) -> None:
    """Delete what commands of actions have printed more than `retention` seconds ago, unless an action still runs."""
    open_ = {f"{number}.log" for number in views.unended(session.store)}
    left = most
    for path in session.repo.paths.logs.glob("*.log"):
        if left is not None and left <= 0:
            return
        with suppress(OSError):  # somebody else has done it, or can
            if path.name not in open_ and path.lstat().st_mtime < time.time() - retention:
                path.unlink()
                left = None if left is None else left - 1
