"""The background process that sleeps until a window ends and then flushes for everybody.

It was started with the flusher lock held (see leader) and imports everything before it sleeps, so that a landing
costs nothing but its own work when the window ends. It goes away when nothing is left to wait for.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

from uam_hooks.flush.flush import flush, locked
from uam_hooks.flush.noted_commits import look_up
from uam_hooks.git.repo import Repository, clear_git_environment
from uam_hooks.hot.core.errors import NotInstalled, UamError, say
from uam_hooks.hot.queue import enqueue
from uam_hooks.hot.queue.leader import try_lock
from uam_hooks.hot.queue.model import iso, seconds_of
from uam_hooks.land.retention import prune
from uam_hooks.session import Session, open_session

# A flush by hand may empty the queue, and an urgent push may shorten a window, while we sleep.
NAP_SECONDS = 0.1
LONG_NAP_SECONDS = 1.0
# Rounds in which a batch of unknown outcome could not be settled, before the next command has to go on.
MAX_IDLE_ROUNDS = 20
PRUNE_SECONDS = 24 * 3600.0


def main(common_dir: str, lock: int) -> None:
    """Entry of the background process; `lock` is the inherited descriptor of the flusher lock."""
    os.set_inheritable(lock, False)
    # whoever started us may have been holding signals back, and that is inherited
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    clear_git_environment()
    os.environ["GIT_TERMINAL_PROMPT"] = "0"  # nobody is there to answer
    try:
        with Repository(Path(common_dir)) as repo:
            _serve(repo, lock)
    except NotInstalled:
        return  # taken out while we slept
    except UamError as error:
        print(f"{iso(time.time())} {error.what}", file=sys.stderr)
        sys.exit(error.code)
    except Exception:
        say(f"{iso(time.time())} the flusher failed:")
        traceback.print_exc()
        sys.exit(1)


def _serve(repo: Repository, lock: int) -> None:
    held: int | None = lock
    while held is not None:
        _work(repo)
        os.close(held)
        # whoever queued while we held the lock relied on us: look once more now that others can take it
        with open_session(repo) as session:
            held = try_lock(repo.paths.flusher_lock) if enqueue.due_at(session.store) is not None else None


def _work(repo: Repository) -> None:
    """Session until no push waits for its window."""
    idle = 0
    while True:
        with open_session(repo) as session:
            due = enqueue.due_at(session.store)
            open_batch = enqueue.unsettled(session.store)
            if due is None and (not open_batch or idle > MAX_IDLE_ROUNDS):
                look_up(session.repo, session.store)
                _prune_daily(session)
                return
            if due is not None and not open_batch:
                look_up(session.repo, session.store)  # while nobody waits for it
                _sleep_until(session, due)
            newest = enqueue.newest(session.store)
            done = flush(session, due_only=True, timeout=60.0)
            left = enqueue.due_at(session.store)
            # what is due and cannot be claimed yet is looked at again, and again later
            stuck = not done and left is not None and seconds_of(left) <= time.time()
            idle = idle + 1 if stuck or enqueue.unsettled(session.store) else 0
            if idle:
                _rest(session, min(30.0, 0.5 * 2**idle), newest)


def _rest(session: Session, seconds: float, newest: int) -> None:
    """Wait, but keep nobody waiting who queues something meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and enqueue.newest(session.store) == newest:
        time.sleep(NAP_SECONDS)


def _prune_daily(session: Session) -> None:
    """Refs of ours would otherwise grow for ever in a repository where nobody runs `git uam prune`."""
    stamp = session.repo.paths.uam / "pruned"
    if stamp.exists() and time.time() - stamp.stat().st_mtime < PRUNE_SECONDS:
        return
    with locked(session.repo, 60.0):
        prune(session, session.settings["uam.retention"])
    stamp.touch()


def _sleep_until(session: Session, due: str | None) -> None:
    while due is not None and (left := seconds_of(due) - time.time()) > 0:
        # a moment that is hours away was asked for by name, and is no window that somebody waits in
        time.sleep(min(left, max(NAP_SECONDS, min(left / 100, LONG_NAP_SECONDS))))
        due = enqueue.due_at(session.store)
