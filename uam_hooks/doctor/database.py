"""The database of the queue: whether it can be read and used, of which version it is, how large it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from uam_hooks.doctor.finding import BY_FIX, Code, Finding, Fix, error, warning
from uam_hooks.hot.core.errors import Advice, StoreError
from uam_hooks.store.looked import Damaged, Health, Looked, State

# More than what years of pushes leave.
LARGE_BYTES = 500_000_000


def look_at(database: Path, beside: bool) -> tuple[Looked | None, list[Finding]]:
    """The queue, where it can be read, and what is wrong with its file; see Looked for `beside`.

    None without a finding where there is none yet.
    """
    name = str(database)
    try:
        if not stat.S_ISREG(database.lstat().st_mode):
            return None, [error(
                Code.QUEUE_UNUSABLE, name, "It is no regular file, so nothing can be queued.",
                "Remove it; what was queued is pinned below refs/uam/pin.",
            )]  # fmt: skip
        store = Looked(database, beside)
    except FileNotFoundError:
        return None, []
    except Damaged as wrong:
        return None, _of_health(name, Health(State.CORRUPT, wrong.what))
    except (StoreError, OSError) as wrong:
        return None, [_unusable(name, str(wrong))]
    health = store.health()
    found = _of_health(name, health)
    if not found and health.state is State.USABLE:
        found = _of_file(database)
        return store, found
    store.close()
    return None, found


def _of_health(name: str, health: Health) -> list[Finding]:
    if health.state is State.CORRUPT:
        return [error(
            Code.QUEUE_CORRUPT, name, f"It is damaged ({health.why}), so pushes go straight to the remote, and what is"
            " queued does not land.", f"Run {BY_FIX}.", Fix.REBUILD,
        )]  # fmt: skip
    if health.state is State.UNUSABLE:
        return [_unusable(name, health.why)]
    if health.state is State.NEWER:
        return [error(
            Code.QUEUE_NEWER, name, f"It was written by a newer version ({health.why}); this one cannot use it.",
            "Run install.sh of that version.",
        )]  # fmt: skip
    if health.state is State.OLDER:
        return [warning(
            Code.QUEUE_OLDER, name, f"It is of an earlier version ({health.why}).",
            "Run any command, as `git uam status`: it brings it to this version.", Fix.MIGRATE,
        )]  # fmt: skip
    return []


def _unusable(name: str, why: str) -> Finding:
    return error(
        Code.QUEUE_UNUSABLE, name, f"It cannot be read ({why.rstrip('.')}), so pushes go straight to the remote.",
        "See who owns it, and whether its disk is sound.",
    )  # fmt: skip


def _of_file(database: Path) -> list[Finding]:
    found = []
    if not os.access(database, os.W_OK) and os.access(database.parent, os.W_OK):  # else that is told
        found.append(error(
            Code.QUEUE_UNUSABLE, str(database), "You cannot write to it, so your pushes go straight to the remote.",
            "See who owns it, and core.sharedRepository.",
        ))  # fmt: skip
    if (size := database.stat().st_size) > LARGE_BYTES:
        found.append(warning(
            Code.QUEUE_LARGE, str(database), f"It has {size / 1e6:.0f} MB, and whoever reads it takes its time.",
            Advice.of("Set a shorter uam.retention, and run {}.", "git", "uam", "prune"),
        ))  # fmt: skip
    return found
