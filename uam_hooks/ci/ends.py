"""Runs of CI whose end nobody has seen: the flusher asks only while a push waits, so the last one stays open."""

from __future__ import annotations

import os
from contextlib import suppress

from uam_hooks.ci.question import Question
from uam_hooks.command.github import is_githubs
from uam_hooks.command.process import Running
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.queue.ci import CiState
from uam_hooks.session import Session
from uam_hooks.store import ci_states


def ask(session: Session) -> None:
    """Ask gh how the newest runs of this repository have ended, where it is asked about CI at all.

    It uses the network. What gh does not answer in time, or does not list any more, stays open.
    """
    with suppress(UamError):  # a setting or a URL that is wrong: the ledger does without
        how = session.settings["uam.ci"]
        places = [
            place for place in ci_states.left_open(session.store)
            if how == "gh" or (how == "auto" and is_githubs(session.settings, place[0]))
        ]  # fmt: skip
        running, log = Running(), f"-{os.getpid()}"
        asked = {
            place: Question(session, running, *place, "gh", ci_states.newest_landing(session.store, *place), True, log)
            for place in places
        }
        try:
            for place, question in asked.items():
                question.join()
                answer = question.answer()
                if answer is not None and answer.sight.state in (CiState.IDLE, CiState.BUSY):
                    ci_states.record(session.store, *place, answer.sight, answer.runs)
        finally:
            running.end_all()
            for question in asked.values():
                question.join()
                question.forget()
