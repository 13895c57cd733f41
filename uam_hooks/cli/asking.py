"""What `git uam queue` does with what was said on the command line. It loads no click: that takes longer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from uam_hooks.api import submit
from uam_hooks.api.request import action_request
from uam_hooks.cli.opened import opened
from uam_hooks.cli.program import tell
from uam_hooks.flush.starting import ensure_flush
from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import show_line
from uam_hooks.hot.queue.model import seconds_of, where
from uam_hooks.report.next_step import wait_for
from uam_hooks.session import agent_here
from uam_hooks.store import views

_TEXTS = ("message", "ref", "source", "strategy", "method", "remote")


def queue_action(said: dict[str, Any], *, starting: bool) -> int:
    """Queue the action that the options of `git uam queue` name; with `starting`, flushers are started for it."""
    with opened() as session:
        agent = said["agent_id"] or agent_here(session)
        options = {
            "urgent": said["urgent"], "priority": said["priority"], "dependencies": said["depends_on"],
            "execute_after": said["execute_after"],
        }  # fmt: skip
        request = action_request(agent, said["action_type"], said["target"], _payload(said), options)
        number = submit.enter(session, [request], Path.cwd())[0]
        runs = starting and ensure_flush(session)
        action = views.action(session.store, number)
        do = wait_for(session, [number], starting=starting)
    assert action is not None
    due = max(action.execute_after, action.not_before)
    if said["as_json"]:
        tell({"id": number, "type": action.action_type.value, "where": where(action), "due": due}, do, indent=None)
        return ExitCode.OK
    left = max(0.0, seconds_of(due) - time.time())
    when = f"it is due in {left:.0f} s" if runs else f"it is due in {left:.0f} s, and `git uam flush` executes it"
    show_line(f"queued as #{number}: {action.action_type.value} {where(action)}; {when}")
    return ExitCode.OK


def _payload(said: dict[str, Any]) -> dict[str, Any]:
    payload = {} if said["payload"] is None else gate.parsed(said["payload"], "--payload")
    payload |= {name: said[name] for name in _TEXTS if said[name] is not None}
    if said["inputs"] is not None:
        payload["inputs"] = gate.parsed(said["inputs"], "--inputs")
    if said["pr"] is not None:
        payload["pr"] = said["pr"]
    payload |= {name: True for name in ("push", "force") if said[name]}
    files = [name for given in said["files"] for name in _split(given)] + list(said["more"])
    if files:
        payload["files"] = files
    return payload


def _split(given: str) -> list[str]:
    """Split at commas, unless a file has exactly this name."""
    try:
        whole = "," not in given or Path(given).exists()
    except OSError:  # together they are too long for a file name
        whole = False
    if whole:
        return [given]
    return [name for name in given.split(",") if name]
