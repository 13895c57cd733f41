"""The background process of a lane: it sleeps until a window ends and then flushes for everybody.

It inherits the lane's lock from the process that starts it (see leader), and imports everything before it sleeps, so
that a landing costs only its own work when the window ends. It exits when its lane has nothing left to wait for.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from contextlib import ExitStack
from errno import EDQUOT, ENOSPC
from functools import partial
from pathlib import Path

from uam_hooks.ci.watch import Watch
from uam_hooks.fleet.abroad import Elsewhere
from uam_hooks.flush import notices
from uam_hooks.flush.flush import flush, prune
from uam_hooks.flush.noted_commits import refresh
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.flush.staying import Ground, begin_anew, stay
from uam_hooks.flush.upkeep import SOME_LOGS, Upkeep, delete_logs
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core import files
from uam_hooks.hot.core.errors import GitFailed, Locked, NotInstalled, StoreError, UamError
from uam_hooks.hot.core.identity import key_of, reduced
from uam_hooks.hot.core.interrupts import collect_garbage
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.bell import FLUSHERS, WAITERS, Bell
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.lane import Lane, Mark, due_at, mark, unfinished, unsettled, waiting_for_others
from uam_hooks.hot.queue.leader import begun, ensure_flusher, try_lock
from uam_hooks.hot.queue.model import iso, seconds_of
from uam_hooks.land.ahead import Ahead
from uam_hooks.session import Session, background
from uam_hooks.store import claim, entrusted, remains

# What changes the queue wakes a flusher that sleeps; an answer of CI does not, and a clock that jumps does not.
NAP_SECONDS = 0.1
LONG_NAP_SECONDS = 1.0
# Rounds in which the outcome of a batch stayed unknown, after which the flusher leaves recovery to the next command.
MAX_IDLE_ROUNDS = 20
PRUNE_SECONDS = 24 * 3600.0
# How long to wait for the flush lock, which others hold for moments.
LOCK_SECONDS = 60.0
# How often it is looked what became of what other queues land, where none of them has told.
ABROAD_SECONDS = 5.0


def main(common_dir: str, lock: int, identity: str = "", remote: str | None = None) -> None:
    """Entry of the background process; `lock` is the inherited descriptor of the lock of its lane.

    A push that has waited since before there were lanes names none, and starts a process that starts those of all.
    """
    collect_garbage()
    os.set_inheritable(lock, False)
    # the process that started this one may have blocked signals, and the mask is inherited
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # as sh starts what runs in the background, with SIGINT ignored; that would be inherited by every command
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.environ["GIT_TERMINAL_PROMPT"] = "0"  # nobody is there to answer
    try:
        paths = RepoPaths.of(Path(common_dir))
        if remote is None:
            with Repository(paths.common_dir, brief=True) as repo:
                _serve_every_lane(repo)
        else:
            begun(lock)
            with Bell(paths.bells, FLUSHERS) as bell:
                _serve(paths, Lane(identity, remote), lock, bell)
    except NotInstalled:
        return  # uninstalled while the flusher slept
    except UamError as error:
        say(f"{iso(time.time())} {error.what}")
        sys.exit(error.code)
    except Exception:
        say(f"{iso(time.time())} the flusher failed:")
        import traceback  # with what it loads a tenth of all that a flusher does before its first landing

        traceback.print_exc()
        sys.exit(1)


def _serve_every_lane(repo: Repository) -> None:
    """See that every lane has a flusher, as long as anything waits."""
    with Store(repo.paths.database, make=False) as store:
        session = background(repo, store, key_of(repo.paths))  # the pushes that started this one know of no key
        while lanes := unfinished(session.store, session.identity.id):
            for lane in lanes:
                ensure_flusher(repo.paths, lane, partial(reduced, os.environ, session.settings))
            time.sleep(LONG_NAP_SECONDS)


def _serve(paths: RepoPaths, lane: Lane, lock: int, bell: Bell) -> None:
    key = key_of(paths, make=False)
    held: int | None = lock
    with Elsewhere(flusher=True) as elsewhere:
        while held is not None:
            held = _work(paths, lane, key, held, bell, elsewhere)


def _work(
    paths: RepoPaths, lane: Lane, key: bytes, lock: int, bell: Bell, elsewhere: Elsewhere
) -> int | None:  # fmt: skip
    """Flush until nothing of the lane waits for its window, stay for more, and let go of its lock; what is returned
    holds it again, because more was queued meanwhile.

    One connection to the queue is open all the while: with every new one SQLite makes files, and whoever has an answer
    may be removing the repository.
    """
    idle = 0
    ground, known = Ground(paths, lane, lock), Repository(paths.common_dir, brief=True)
    while True:
        with ExitStack() as opened:
            try:
                store = opened.enter_context(Store(paths.database, make=False, rings=(FLUSHERS, WAITERS)))
                upkeep = Upkeep(known, store).bite
                while stay(
                    store, lane, bell, ground, _rounds(known, store, lane, key, bell, elsewhere, ground), upkeep
                ):
                    pass
            except (StoreError, OSError) as error:
                # what has landed is to be recorded once there is room; what has not begun is better off without us
                if not _without_room(error) or idle >= MAX_IDLE_ROUNDS or not _has_begun(paths, lane):
                    raise
                say(f"{iso(time.time())} {error}")
                idle += 1
                time.sleep(_pause(idle))
                continue
            if ground.is_ours() and ground.is_old() and _is_left(store, lane):
                begin_anew(paths, lane, lock)
            os.close(lock)
            # whoever queued while the lock was held relied on this process: look now that others can take it
            if not ground.has_lock() or (ground.has_queue() and due_at(store, lane) is None):
                return None
            return _taken_again(paths, lane)


def _is_left(store: Store, lane: Lane) -> bool:
    """Whether something of the lane waits, here or in another queue."""
    return due_at(store, lane) is not None or entrusted.any_handed_over(store, lane)


def _taken_again(paths: RepoPaths, lane: Lane) -> int | None:
    try:
        return try_lock(paths.lane_lock(lane.key), make=False)
    except FileNotFoundError:
        raise NotInstalled from None


def _rounds(
    known: Repository, store: Store, lane: Lane, key: bytes, bell: Bell, elsewhere: Elsewhere, ground: Ground
) -> float:  # fmt: skip
    """Flush until nothing of the lane waits for its window; returns how long to stay then, in seconds.

    The repository is opened for these rounds alone: what was read of it is not true for ever. Its settings are `known`
    until a file of theirs changes.
    """
    while True:
        idle: int | None = 0
        with known.anew() as repo, Watch(lane) as watch, Ahead() as ahead:
            while idle is not None:
                session, tried = background(repo, store, key, lane.identity or ""), idle
                idle = _round(session, watch, bell, ahead, tried, elsewhere)
        abroad = elsewhere.now(session)
        if not abroad.waits(session, lane):
            break
        if not ground.is_ours() or ground.is_old() or bell.asked_to_leave:
            return 0.0
        abroad.wait(bell, ABROAD_SECONDS)
    # what has led to nothing so often is left to the next command
    return session.settings["uam.flusher.linger"] if tried <= MAX_IDLE_ROUNDS else 0.0


def _round(
    session: Session, watch: Watch, bell: Bell, ahead: Ahead, idle: int, elsewhere: Elsewhere
) -> int | None:  # fmt: skip
    """One flush of the lane when it is due; returns how many have led to nothing since `idle` did, None at the end."""
    lane = watch.lane
    elsewhere.now(session).exchange(session, lane)
    watch.look(session)
    due = due_at(session.store, lane)
    # of a process that is gone, of a remote that does not answer, or of a flush by hand that holds our refs
    open_batch = unsettled(session.store, lane)
    held = lane in waiting_for_others(session.store, lane.identity or "")
    if due is None and (not (open_batch or held) or idle > MAX_IDLE_ROUNDS):
        refresh(session.repo, session.store)
        notices.tell(session)  # of a push whose process died with what it was about to hear
        return None
    if due is not None and not open_batch:
        refresh(session.repo, session.store)  # while nobody waits for it
        _prune_daily(session)
        _sleep_until(session, watch, bell, due, elsewhere)
        # where a remote leads may have changed meanwhile
        session = session._replace(settings=Settings.read(session.repo))
    since = mark(session.store)
    look = partial(watch.look, session)
    done = flush(session, due_only=True, timeout=LOCK_SECONDS, lane=lane, before_claim=look, ahead=ahead,
                 elsewhere=elsewhere)  # fmt: skip
    if done:
        ensure_flush(session)  # what waited in other lanes for something of this one may go on
    left = due_at(session.store, lane)
    # what is due and cannot be claimed yet is tried again, at growing intervals
    stuck = not done and left is not None and seconds_of(left) <= time.time()
    idle = idle + 1 if stuck or held or unsettled(session.store, lane) else 0
    if idle:
        abroad = elsewhere.now(session).waits(session, lane)  # its end lets go on what waits for it here
        pause = min(_pause(idle), ABROAD_SECONDS if abroad else math.inf)
        _rest(session, bell, pause if left is None or stuck else min(pause, seconds_of(left) - time.time()), since)
    return idle


def _pause(idle: int) -> float:
    """How long to wait after so many rounds that led to nothing, in seconds."""
    return min(30.0, 0.5 * 2.0**idle)


def _without_room(error: StoreError | OSError) -> bool:
    return error.transient if isinstance(error, StoreError) else error.errno in (ENOSPC, EDQUOT)


def _has_begun(paths: RepoPaths, lane: Lane) -> bool:
    """Whether a batch of the lane has not ended; true where there is no room even to look."""
    try:
        with Store(paths.database, make=False) as store:
            return unsettled(store, lane)
    except (StoreError, OSError):
        return True


def _rest(session: Session, bell: Bell, seconds: float, since: Mark) -> None:
    """Wait for `seconds`, or until something is queued, begun or ended after `since`."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and mark(session.store) == since:
        _see_installed(session)
        bell.wait(min(left, NAP_SECONDS))


def _see_installed(session: Session) -> None:
    """NotInstalled once the repository was taken out, or moved: what is slept for does not come here any more."""
    if not session.repo.paths.env_file.exists():
        raise NotInstalled


def _prune_daily(session: Session) -> None:
    """Prune once a day: refs below refs/uam would grow without bound where nobody runs `git uam prune`.

    Before a landing: after it, nothing may appear in the repository.
    """
    stamp = session.repo.paths.uam / "pruned"
    if stamp.exists() and 0 <= time.time() - stamp.stat().st_mtime < PRUNE_SECONDS:
        return
    if not remains.has_ended(session.store, iso(time.time() - session.settings["uam.retention"])):
        return
    try:
        prune(session, LOCK_SECONDS)
        delete_logs(session, session.settings["uam.retention"], SOME_LOGS)
    except (Locked, GitFailed) as error:  # a ref was moved by a flush beside this one: another time
        say(error.what)
        return
    os.close(files.opened(stamp, os.O_WRONLY | os.O_CREAT))
    os.utime(stamp)


def _sleep_until(session: Session, watch: Watch, bell: Bell, due: str | None, elsewhere: Elsewhere) -> None:
    """Sleep until something of the lane is due, by the monotonic clock: the other one may jump. What is to land
    elsewhere is handed over meanwhile.
    """
    ends: dict[str, float] = {}  # of each moment that was due, when that is by the monotonic clock
    abroad = elsewhere.now(session)
    while due is not None and (left := seconds_of(due) - time.time()) > 0 and (others := abroad.due_in()) > 0:
        _see_installed(session)
        left = min(left, ends.setdefault(due, time.monotonic() + left) - time.monotonic())
        if left <= 0 and not claim.put_right(session.store, time.time(), waited_out=due):
            ends[due] = math.inf  # set with --execute-after: what counts is what the clock says
        elif left > 0 and abroad.wait(bell, min(left, others, NAP_SECONDS if watch.holds else LONG_NAP_SECONDS)):
            session = session._replace(settings=Settings.read(session.repo))  # the clone may have left a fleet
            abroad = elsewhere.now(session)
            abroad.exchange(session, watch.lane)
        claim.put_right(session.store, time.time())
        watch.look(session)
        due = due_at(session.store, watch.lane)
