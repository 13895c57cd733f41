"""The order of one batch: each action once everything before it has ended, all ready pushes together.

git's own work (commits, merges, pushes) is done here, one action at a time; commands of others run in parallel to it
(see external). An action whose dependency failed fails without being run, and one whose dependency was put back into
the queue is put back, too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from graphlib import TopologicalSorter

from uam_hooks.flush.batch_run import BatchRun, Tell
from uam_hooks.flush.external import ExternalCommands
from uam_hooks.flush.result import result_of
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, ActionType, Batch, BatchResult, is_external
from uam_hooks.land.ahead import Ahead
from uam_hooks.land.commits import land_commits
from uam_hooks.land.follow import follow
from uam_hooks.land.merges import merge_here, merge_to_push
from uam_hooks.land.pushes import land_pushes
from uam_hooks.land.retry import failure_of
from uam_hooks.session import Session
from uam_hooks.store import finish, gathered, journal


def execute(session: Session, batch: Batch, tell: Tell | None = None, ahead: Ahead | None = None) -> BatchResult:
    """Execute a batch and close it. `tell` is called with every action: `running`, then its status; what the next batch
    brings may be tested `ahead`.
    """
    began = time.monotonic()
    pending = gathered.sources_of(session.store, [action.id for action in batch.actions])
    asked = {source.id for sources in pending.values() for source in sources}
    _execute_in_order(BatchRun(session, batch, tell or (lambda _action, _state: None), ahead))
    took = (time.monotonic() - began) * 1000
    result = result_of(session, batch, took, asked)
    finish.close(session.store, batch, took, result.deferred_actions, result.errors)
    return result


def _execute_in_order(run: BatchRun) -> None:
    sorter = TopologicalSorter(run.graph())
    sorter.prepare()
    pushes: list[Action] = []
    with ExternalCommands(run) as commands:
        while sorter.is_active():
            ready = run.by_priority(sorter.get_ready())
            for action in ready:
                if run.held_back(action):
                    sorter.done(action.id)
                elif is_external(action):
                    commands.add(action)
                elif _is_pushed(action):
                    _prepare_push(run, action)
                    pushes.append(action)
                else:
                    _land_here(run, action)
                    sorter.done(action.id)
            sorter.done(*commands.start())
            if ready:
                continue  # what has just ended may have freed more, and all pushes go out together
            if pushes:
                _land_pushes(run, pushes)
                sorter.done(*(action.id for action in pushes))
                pushes = []
            else:
                sorter.done(*commands.wait())


def _is_pushed(action: Action) -> bool:
    """Whether the action lands on a remote; other commits and merges land on a branch of this repository."""
    if action.action_type == ActionType.MERGE:
        return bool(action.payload.get("push"))
    return action.action_type == ActionType.PUSH


def _prepare_push(run: BatchRun, action: Action) -> None:
    """Make the merge that is to be pushed; where that fails, the action has ended before the push."""
    if action.action_type != ActionType.MERGE:
        return
    try:
        merge_to_push(run.session, run.batch, action)
    except Exception as error:
        run.fail(action, failure_of(error))


def _land_here(run: BatchRun, action: Action) -> None:
    """Land a commit or a merge on a branch of this repository."""
    run.tell(action, "running")
    try:
        land = land_commits if action.action_type == ActionType.COMMIT else merge_here
        land(run.session, run.batch, action)
    except Exception as error:
        landing = journal.planned(run.session.store, action)
        if landing is None or landing.batch_id != run.batch.id:
            run.fail(action, failure_of(error))
        else:  # the branch may have moved: recovery looks
            say(f"batch {run.batch.number}: {failure_of(error).what}")
    run.ended(action)


def _land_pushes(run: BatchRun, pushes: Sequence[Action]) -> None:
    """Land all pushes that are ready, together."""
    waiting = run.pending(pushes)
    for action in waiting:
        run.tell(action, "running")
    follow(run.session, waiting)
    land_pushes(run.session, run.batch, waiting, run.ahead)
    run.ended(*pushes)
