"""What to do next: decided from the queue, for people in a sentence and for programs as a command."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from uam_hooks.hot.core.errors import Advice
from uam_hooks.hot.core.quoting import pull_rebase
from uam_hooks.hot.queue.model import Action, ActionType, Source, Status, seconds_of
from uam_hooks.hot.queue.rows import is_moment
from uam_hooks.session import Session, agent_here
from uam_hooks.store import entrusted, journal, views

# Failures older than this are history, not news.
FAILED_FOR_SECONDS = 24 * 3600.0


class Step(NamedTuple):
    """What people are told, and what to `do`; None where nothing has to be done, or not by whoever asks."""

    said: str
    do: str | None = None


def of_queue(session: Session, found: dict[str, Any], waiting: views.Waiting) -> Step:
    """The one thing to do next, for somebody who reads nothing else of a `state`."""
    manual = session.settings["uam.push.mode"] == "manual"
    if not session.settings["uam.enabled"]:
        return Step(
            "pushes go straight to the remote (uam.enabled is false); `git config uam.enabled true` queues them"
        )
    if any(row["status"] == Status.BATCHED for row in found["running"]):
        for batch in journal.made_by_hand(session.store):
            return _step(execute(batch.number, "the batch that was made, and so does any flush"))
    if found["running"]:
        return Step("nothing: a batch is being executed")
    if waiting.due is not None and (manual or waiting.by_hand):
        return _step(Advice.of("{} executes what waits", "git", "uam", "flush"))
    if any(row["error"] and not row["attempts"] for row in found["waiting"]):
        return _step(Advice.of("{} says why what waits cannot land", "git", "uam", "doctor"))
    if waiting.due is not None:
        left = max(seconds_of(waiting.due) - time.time(), 0.0) if is_moment(waiting.due) else 0.0
        return Step(f"nothing: it is executed within {max(left, 1.0):.0f} s, or now with `git uam flush`")
    if there := [where for where in entrusted.places(session.store) if entrusted.is_directory(where)]:
        shown = " and ".join(where.removesuffix("/.git") for where in there)
        return Step(f"nothing: it lands in the queue of {shown}, or now with `git uam flush`")
    if waiting.elsewhere:
        return Step("nothing: what waits was handed over, and is landed elsewhere")
    if waiting.actions:
        return Step("nothing here: `git uam flush` with the settings that it was queued with executes what waits")
    failed = of_failed(session, views.failed_sources(session.store, time.time() - FAILED_FOR_SECONDS))
    if failed is not None:
        return _step(failed)
    return _of_commits(session) if waiting.total else Step("nothing")


def _step(do: str) -> Step:
    return Step(do, do)


def _of_commits(session: Session) -> Step:
    """What waits are commits that nobody has pushed; whose they are decides whether a push from here does it."""
    agent, words = agent_here(session), "{} the waiting commits when they are done"
    if any(one.agent == agent for one in views.commits(session.store)):
        return _step(Advice.of(words, "git", "push"))
    return _step(words.replace("{}", "`git push`"))


def of_failed(session: Session, failed: Sequence[tuple[Action, Source]], *, seen: bool = False) -> Advice | None:
    """What to do about the first of these that failed, before others what is of this agent; None where there is none.

    With `seen`, all that is known of it is on the screen already.
    """
    here, agent = str(session.repo.git_dir), agent_here(session)
    own = [one for one in failed if one[1].worktree == here or one[1].agent == agent]
    for action, source in own:
        outcome, number = source.outcome, str(action.id)
        if outcome.failure is not None and (outcome.failure.transient or outcome.failure.unreachable):
            return Advice.of("{} tries it again", "git", "uam", "retry", number)
        if outcome.files and action.action_type == ActionType.PUSH and source.worktree == here:
            return Advice.of("it conflicts: {}, resolve, and push again", *pull_rebase(action.remote, action.ref))
        if seen:
            return Advice.of("mend what failed and push again, or {}", "git", "uam", "retry", number)
        words = f"{{}} shows what failed; mend it and push again, or `git uam retry {number}`"
        return Advice.of(words, "git", "uam", "log", number)
    for action, _ in failed[:1]:
        return Advice.of("{} shows what failed for another agent", "git", "uam", "log", str(action.id))
    return None


def of_action(session: Session, action: Action) -> Advice | None:
    """What to do about an action of which everything is on the screen."""
    if action.status in (Status.PENDING, Status.BATCHED, Status.EXECUTING):
        if action.action_type == ActionType.COMMIT and not action.explicit:
            return Advice.of("{} lands these commits", "git", "push")
        return wait_for(session, [action.id])
    return of_failed(session, views.failed_in(session.store, [action.id]), seen=True)


def of_waited(session: Session, actions: Sequence[Action]) -> Advice | None:
    """What to do about actions that were waited for: on with those that have not ended, or about those that failed."""
    going = [action.id for action in actions if action.status in (Status.PENDING, Status.BATCHED, Status.EXECUTING)]
    return wait_for(session, going) if going else of_actions(session, (action.id for action in actions))


def of_actions(session: Session, action_ids: Iterable[int]) -> Advice | None:
    """What to do about those of these actions that failed."""
    return of_failed(session, views.failed_in(session.store, action_ids))


def wait_for(session: Session, ids: Iterable[int], *, starting: bool = True) -> Advice:
    """What hears the end of these actions: nobody else executes them in manual mode, or without `starting`."""
    if not starting or session.settings["uam.push.mode"] == "manual":
        return Advice.of("{} executes what waits", "git", "uam", "flush")
    return Advice.of("{} waits until it has ended", "git", "uam", "wait", *map(str, ids))


def execute(number: int, what: str = "it, and so does any flush") -> Advice:
    """What executes a batch that was made by hand."""
    return Advice.of(f"{{}} executes {what}", "git", "uam", "execute", "--batch-id", str(number))
