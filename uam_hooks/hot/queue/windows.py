"""How long an action waits for others to join it, and whether there are others."""

from __future__ import annotations

import os
import time
from collections.abc import Collection

from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.identity import mail_of
from uam_hooks.hot.core.paths import RepoPaths, worktree_name
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.values import boolean
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import URGENT_WINDOWS, ActionType

URGENT_OPTION = "urgent"
# How long the first push to a branch with gates waits for others: a gate's run gathers more.
GATED_SECONDS = 1.0
# By whether the push is waited for: the shells of agents end a command after a minute or two.
HOLD_SECONDS = {True: 60.0, False: 600.0}


class Company(NamedTuple):
    """Who else is at work. `seconds` is how far back activity counts, None when uam.window.company is off."""

    others: list[str]
    seconds: float | None

    @property
    def alone(self) -> bool:
        """Whether a push that is waited for gains nothing from its window."""
        return self.seconds is not None and not self.others


def window(settings: Settings, store: Store, kind: ActionType, urgent: bool) -> float:
    """How long an action of this type waits from now, in seconds."""
    usual: float = settings[f"uam.window.{kind.value}"]
    if urgent or enqueue.urgent_mode(store, time.time()) is not None:
        return min(usual, URGENT_WINDOWS[kind.value])
    return usual


def hold(settings: Settings, store: Store, waits: bool, urgent: bool) -> float | None:
    """How long a push may be held while CI works on its branch, in seconds; None for not at all.

    Whether anybody knows that CI does is the flusher's question. A push that is waited for `waits`.
    """
    if settings["uam.ci"] == "off" or urgent or enqueue.urgent_mode(store, time.time()) is not None:
        return None
    given: float | None = settings["uam.ci.hold"]
    return HOLD_SECONDS[waits] if given is None else given


def before_gates(settings: Settings, store: Store, remote: str, targets: Collection[str], usual: float) -> float:
    """The window of a push to these branches, where all of them have gates: pushes gather while one runs anyway.

    Where one runs for all of them it is none, and else no longer than GATED_SECONDS.
    """
    if not usual or not all(settings.guards(target) for target in targets):
        return usual
    marks = ",".join("?" * len(targets))
    with store.reading() as db:
        row = db.execute(
            f"SELECT count(*) FROM gate_running g WHERE remote = ? AND target IN ({marks}) AND EXISTS (SELECT 1"  # noqa: S608 - marks only
            " FROM deploy_queue q WHERE q.remote = g.remote AND q.target = g.target"
            " AND q.status IN ('batched', 'executing'))",
            (remote, *targets),
        ).fetchone()
    return 0.0 if row[0] == len(targets) else min(usual, GATED_SECONDS)


def urgent_here() -> bool:
    """Whether the environment asks for urgency: UAM_URGENT."""
    text = os.environ.get("UAM_URGENT", "")
    try:
        return boolean(text)
    except ValueError:
        raise UsageError(f"UAM_URGENT is '{text}', which is neither true nor false.", "Set it to 1 or 0.") from None


def who_else(settings: Settings, store: Store, paths: RepoPaths, agent: str) -> Company:
    """Who else was active within uam.window.company: another worktree than that of `paths`, or another agent in it."""
    seconds: float | None = settings["uam.window.company"]
    if seconds is None:
        return Company([], None)
    email = mail_of(settings, os.environ, "committer") or "somebody"
    here = os.path.realpath(paths.git_dir)
    found = []
    for name, git_dir in enqueue.at_work(store, time.time() - seconds):
        place = worktree_name(git_dir)
        if os.path.realpath(git_dir) == here:
            # without a name of its own, an agent is called after the worktree, with the mail address of the commit
            unnamed = name.endswith((f"@{place}", f"@{worktree_name(here)}", f"@{paths.worktree.name}"))
            if name in ("", agent) or unnamed:
                continue
        found.append(name or f"{email}@{place}")
    return Company(list(dict.fromkeys(found)), seconds)
