"""What waits and what runs in the queue: that somebody ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext

from uam_hooks.doctor.finding import BY_FIX, Code, Finding, Fix, error, warning
from uam_hooks.doctor.seen import Seen, held
from uam_hooks.hot.core.errors import Advice, Locked, NotInstalled, UsageError
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import Action, Batch, Status, iso, names_of, seconds_of, where
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.store import checks, journal, owners

# How long after its time an entry is nobody's, and how long one may be that a living process is to execute.
OVERDUE_SECONDS, STUCK_SECONDS = 60.0, 900.0
# How long whoever claims batches may take before they are not looked at.
_LOOK_SECONDS = 1.0


def check_entries(seen: Seen) -> Iterator[Finding]:
    """Every entry can be read, and what is being executed is in a batch that somebody ends."""
    if seen.store is None:
        return
    for number, fault in checks.faults(seen.store):
        yield error(
            Code.ENTRY_UNREADABLE, f"#{number}", f"It does not land: {fault}.",
            "The next flush ends it with that reason; push again what it was about.", Fix.END, (str(number),),
        )  # fmt: skip
    for action in checks.adrift(seen.store):
        yield error(
            Code.ENTRY_ADRIFT, _name(action), f"It is {action.status.value} in a batch that has ended, so nobody ends"
            " it, and nothing lands where it was to.", f"Run {BY_FIX}.", Fix.REOPEN, (str(action.id),),
        )  # fmt: skip


def _name(action: Action) -> str:
    return f"#{action.id} {action.action_type.value} {where(action)}"


def check_batches(seen: Seen) -> Iterator[Finding]:
    """Whoever executes a batch lives."""
    if seen.store is None or not _left_open(seen):
        return
    lockable = os.access(seen.paths.flush_lock, os.W_OK)  # else nobody claims anything here
    guard = owners.deciding(seen.paths, _LOOK_SECONDS) if lockable else nullcontext()
    try:
        with guard:
            found = [batch for batch in _left_open(seen) if not held(owners.lock_of(seen.paths, batch))]
    except (Locked, NotInstalled):  # somebody is at work on just that
        return
    for batch in found:
        what = ", ".join(names_of([batch])) or "nothing"
        yield error(
            Code.BATCH_ABANDONED, f"batch {batch.number}", f"The process that executed it is gone, and what became of"
            f" {what} is not known; nothing else lands there until it is.",
            "Run any command, as `git uam status`: it asks the remote.", Fix.RECOVER, (batch.id,),
        )  # fmt: skip


def _left_open(seen: Seen) -> list[Batch]:
    assert seen.store is not None
    found = journal.open_batches(seen.store)
    return [batch for batch in found if not (batch.by_hand and batch.status == Status.PENDING)]


def check_overdue(seen: Seen) -> Iterator[Finding]:
    """What is due is being executed, or is about to be."""
    if seen.store is None or seen.identity is None:
        return
    try:
        if seen.settings["uam.push.mode"] == "manual" or not seen.settings["uam.enabled"]:
            return  # then it waits for a flush by hand
    except UsageError:  # told by who checks the settings
        return
    busy = bool(journal.open_batches(seen.store))
    for one in checks.overdue(seen.store, iso(seen.now - OVERDUE_SECONDS)):
        late = seen.now - seconds_of(one.since) if is_moment(one.since) else STUCK_SECONDS
        about, since = f"pushes to {one.remote}" if one.remote else "actions of no remote", f"since {one.since}"
        lock = seen.paths.lane_lock(Lane(one.identity, one.remote).key)
        if one.identity not in ("", seen.identity.id):
            if not held(lock):
                yield warning(
                    Code.ENTRY_APART, about, f"They are due {since}, and wait for an agent with the settings they were"
                    " queued with: nobody acts as somebody else.",
                    Advice.of("{} names what differs.", "git", "uam", "status"),
                )  # fmt: skip
        elif not held(seen.paths.lane_lock(Lane(seen.identity.id, one.remote).key)):
            if one.pushed:
                means, find = f"They are due {since}, and no process is there to land them.", error
            else:
                means, find = f"They are due {since}, and wait for somebody to flush.", warning
            how = "Run any command, as `git uam status`: it starts who executes them."
            yield find(Code.ENTRY_OVERDUE, about, means, how, Fix.START)
        elif late > STUCK_SECONDS and not busy:
            yield error(
                Code.FLUSHER_STUCK, about, f"They are due {since}, and the process that is to land them does nothing:"
                f" it holds {lock.name}.", "See flush.log, and end that process: `git uam status` starts another one.",
            )  # fmt: skip
