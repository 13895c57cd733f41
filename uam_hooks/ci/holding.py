"""How long a push is held because CI works on its branch. Pure: no database, no process, and the clock is handed in.

All times are in seconds since some moment, the same for all of them. A scheduler that wants to know what is due asks
`due_at` for each waiting push, and `ask_at` for when somebody has to be asked again.
"""

from __future__ import annotations

from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.ci import CiState, Sight

# For how long an answer that nobody watches CI is believed: a gh that is not logged in now is so for a while.
OFF_SECONDS = 600.0
# For how long it is believed at least that CI is idle: what it lets go of has to be claimed meanwhile.
IDLE_SECONDS = 2.0


class Waiting(NamedTuple):
    """A push in the queue: since when, when its window ends, and until when it may be held (None: not at all). While it
    is `held`, the end of its window is not known any more, and is that of its hold.
    """

    queued: float
    window_end: float
    hold_until: float | None
    held: bool = False


class Due(NamedTuple):
    """When a push is due, and whether it is held until then."""

    at: float
    held: bool = False


def current(sight: Sight | None, landed: float | None, poll: float, now: float) -> Sight | None:
    """The answer as it counts `now`, for a branch whose newest landing was at `landed`; None for one that is too old.

    That landing has started CI, and an answer from before it cannot know: the branch is busy until somebody asks.
    """
    if (
        sight is None
        or sight.asked > now
        or (sight.state is CiState.IDLE and sight.asked + max(poll, IDLE_SECONDS) < now)
    ):
        return None
    if landed is None or landed < sight.asked:
        return sight
    if sight.state in (CiState.IDLE, CiState.BUSY) and sight.has_runs:
        return sight._replace(state=CiState.BUSY, since=landed, until=None, run="")
    return sight


def due_at(push: Waiting, sight: Sight | None, now: float) -> Due:
    """When a push is due, as far as it is known at `now`.

    While nobody has answered, and while nobody watches CI, its window counts. An idle branch takes it at once, as one
    does whose CI cannot be told. A busy one takes it when CI is idle: at the end of its hold, unless that is known to
    be earlier.
    """
    if push.hold_until is None or push.queued > now:  # the clock was set back: nothing is held by a moment that is gone
        return Due(push.window_end)
    if sight is None:
        return Due(push.hold_until, held=True) if push.held or push.window_end <= now else Due(push.window_end)
    if sight.state is CiState.BUSY:
        return Due(push.hold_until if sight.until is None else min(push.hold_until, sight.until), held=True)
    if sight.state is CiState.OFF and not push.held:
        return Due(push.window_end)
    return Due(min(push.window_end, now))


def ask_at(sight: Sight | None, poll: float, now: float) -> float:
    """When somebody may be asked again about a branch that a push waits for."""
    # an answer from the future was given before the clock was set back
    if sight is None or sight.asked > now:
        return now
    return sight.asked + (max(poll, OFF_SECONDS) if sight.state is CiState.OFF else poll)


def of_landings(landed: float | None, busy_for: float, now: float) -> Sight:
    """What is known where each landing keeps CI busy for `busy_for` seconds, and the newest was at `landed`."""
    if landed is None or not landed <= now < landed + busy_for:
        return Sight(CiState.IDLE, now, "duration")
    return Sight(CiState.BUSY, now, "duration", landed, landed + busy_for)
