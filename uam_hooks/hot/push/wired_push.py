"""One `git push` through the queue: decide what needs no landing, queue the rest, wait for it, answer."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import GitFailed, StoreError, UamError
from uam_hooks.hot.core.words import say
from uam_hooks.hot.push import arguments, messages, unrecorded, waiting
from uam_hooks.hot.push.answers import Answers
from uam_hooks.hot.push.intake import TRIES, BranchMoved, enter
from uam_hooks.hot.push.protocol import ok, refused
from uam_hooks.hot.push.request import Request
from uam_hooks.hot.push.resolve import ResolvedSpec, judged_by, resolve
from uam_hooks.hot.push.session import PushSession
from uam_hooks.hot.queue import enqueue


class GoStraight(Exception):
    """The queue cannot take this push to an end, so it goes to the remote without us; the text says so, and why."""


def land(session: PushSession, request: Request, known: Mapping[str, str], answers: Answers) -> list[str]:
    """The answers to git for every spec of `request`, when its work has landed or, without waiting, is queued.

    `known` maps refs of the remote to the objects they named when they were last seen. Raises GoStraight when a fault
    of ours keeps the push out of the queue.
    """
    try:
        gate.push_options(request.push_options)
        gate.refs((spec.dst for spec in request.specs), at_once=request.atomic)
        mode = _mode(session)
        for left in reversed(range(TRIES)):
            decided, fresh = _decide(session, request, resolve(session, request, known), answers)
            if not fresh:
                waiting.until_settled(session, request.remote)  # the next command does, even an empty push
                return decided
            # a signal that arrives while the push is being queued waits until it is known what to take back
            with suppress(BranchMoved), waiting.holding_signals():
                entered = enter(session, fresh, urgent=request.urgent, waits=mode == "wait", last=not left)
                decided += answers.refused(entered.refused)
                queued = entered.queued
                ended = _wait(session, queued, request) if queued and mode == "wait" else None
                break
    except (GitFailed, StoreError, OSError) as error:
        raise GoStraight(
            f"{error.what if isinstance(error, UamError) else error} This push goes straight to the remote."
        ) from error
    except UamError as error:
        why = " ".join(part for part in (error.what, error.do) if part)
        return [refused(spec.dst, why) for spec in request.specs]
    if not queued:
        return decided
    if mode != "wait":
        return decided + answers.queued(queued, mode)
    if ended is None:
        raise GoStraight(f"no flusher could run, see {session.paths.log}; this push goes straight to the remote.")
    with waiting.holding_signals():  # or a branch would be left half moved
        return decided + answers.outcomes(ended)


def _mode(session: PushSession) -> str:
    """uam.push.mode, but a push that the superproject's push began is waited for: git looks at what landed next."""
    mode: str = session.settings["uam.push.mode"]
    if mode == "queue" and arguments.is_for_superproject(arguments.push_arguments()):
        return "wait"
    return mode


def _decide(
    session: PushSession, request: Request, specs: list[ResolvedSpec], answers: Answers
) -> tuple[list[str], list[ResolvedSpec]]:
    """The answers that need no landing, and the specs that remain to be queued."""
    wrong = [refused(one.spec.dst, one.error) for one in specs if one.error]
    if wrong:
        rest = [one for one in specs if not one.error]
        return wrong + [refused(one.spec.dst, "not pushed, see the other refs") for one in rest], []
    open_ = [one for one in specs if one.dropped or not one.new]
    there = session.ask_remote(request.remote, *(one.spec.dst for one in open_)) if open_ else {}
    specs = [judged_by(session, one, there.get(one.spec.dst, "")) if one.dropped else one for one in specs]
    decided = [answers.rejected(one, one.dropped) for one in specs if one.dropped]
    specs = [one for one in specs if not one.dropped]
    if decided and request.atomic:
        return decided + [f"error {one.spec.dst} atomic push failed" for one in specs], []
    stale = [one for one in specs if not one.new and there.get(one.spec.dst) != one.known]
    for one in specs:
        if not one.new and one not in stale:
            decided += answers.up_to_date(one)
    fresh = [one for one in specs if one.new or one in stale]
    if request.dry_run:
        told = [ok(session.git, one.spec.dst, one.known, one.source.tip) for one in fresh]
        return decided + [line for lines in told for line in lines], []
    return decided, fresh


def _wait(session: PushSession, specs: list[ResolvedSpec], request: Request) -> list[ResolvedSpec] | None:
    """`waiting.wait`, with its exceptions put into words; an interrupted push ends the process here."""
    try:
        timeout = session.settings["uam.push.waitTimeout"]
        return waiting.wait(session, specs, timeout, request.quiet, request.progress)
    except waiting.Stuck:
        raise UamError(
            f"no flusher could finish this push, see {session.paths.log};",
            "it stays in the queue, and `git uam status` shows what becomes of it",
        ) from None
    except unrecorded.Unknown:
        raise UamError(*messages.unknown(_actions(specs))) from None
    except (StoreError, OSError) as error:
        ids = [one.ticket.source for one in specs if one.ticket is not None]
        if waiting.takes_back(session.store, ids, "taken back: the push could not wait for it"):
            raise  # out of the queue, so it may go straight
        what = error.what if isinstance(error, StoreError) else f"{error}."
        raise UamError(what, messages.may_land(_actions(specs))) from error
    except waiting.Interrupted as stopped:
        if stopped.taken_back and stopped.older:
            say(f"interrupted: this push is taken back. What was pushed before it: {messages.left(stopped.older)}")
        elif stopped.taken_back:
            say("interrupted: this push is taken back, nothing of it will land.")
        elif stopped.replaced:
            say("interrupted, but another push of this branch contains this work and continues.")
        elif enqueue.elsewhere(session.store, _actions(specs)):
            say(f"interrupted, but another queue has this push; {messages.elsewhere(_actions(specs))}")
        else:
            say("interrupted, but this push is landing already; `git uam status` shows how it ends.")
        number: int = signal.SIGINT
    except waiting.Ended as ended:
        say(messages.left(_actions(specs)))
        number = ended.number
    sys.stderr.flush()
    os._exit(128 + number)


def _actions(specs: list[ResolvedSpec]) -> list[int]:
    return sorted({one.ticket.action for one in specs if one.ticket is not None})
