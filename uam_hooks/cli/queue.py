"""`git uam queue`: an action by name."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from uam_hooks.api import submit
from uam_hooks.api.request import action_request
from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import under_deploy
from uam_hooks.flush.flush import ensure_flush
from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.hot.core.words import show_json, show_line
from uam_hooks.hot.queue.model import ActionType, seconds_of, where
from uam_hooks.session import agent_here
from uam_hooks.store import views

_TEXTS = ("message", "ref", "source", "strategy", "method", "remote")


@click.command()
@click.option("--agent-id", help="Who asks (UAM_AGENT_ID, uam.agent, or your address).")
@click.option("--action-type", required=True, type=click.Choice([k.value for k in ActionType]), help="What to do.")
@click.option("--target", required=True, help="A branch, a workflow, or the name of a deploy.")
@click.option("--message", help="commit, merge: the message.")
@click.option("--files", multiple=True, help="commit: a file, or several with commas; may be given again.")
@click.option("--ref", help="workflow, deploy: the branch it is about.")
@click.option("--inputs", help="workflow: its inputs as a JSON object.")
@click.option("--source", help="merge: the branch or commit to merge.")
@click.option("--strategy", help="merge: no-ff, squash or ff-only.")
@click.option("--pr", type=int, help="merge: the number of a pull request, for gh.")
@click.option("--method", help="merge with --pr: merge, squash or rebase.")
@click.option("--push", is_flag=True, help="merge: push the target, too.")
@click.option("--remote", help="push, merge, workflow: the remote, if it is not origin.")
@click.option("--force", is_flag=True, help="push: over whatever the remote was last seen to have.")
@click.option("--payload", help="More of the payload, as a JSON object.")
@click.option("--urgent", is_flag=True, help="Wait for company only shortly.")
@click.option("--priority", type=int, help="Higher ones go first where the order is free (5).")
@click.option("--depends-on", multiple=True, help="The id of an action that has to complete first; may be given again.")
@click.option("--execute-after", help="Not before this moment: 2026-05-06T07:08:09Z.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.argument("more", nargs=-1, metavar="[FILES]...")
def queue(**said: Any) -> int:
    """Queue an action by name: a commit of files, a push, a merge, a workflow, a deploy."""
    with opened() as session:
        agent = said["agent_id"] or agent_here(session)
        options = {
            "urgent": said["urgent"], "priority": said["priority"], "dependencies": said["depends_on"],
            "execute_after": said["execute_after"],
        }  # fmt: skip
        request = action_request(agent, said["action_type"], said["target"], _payload(said), options)
        number = submit.enter(session, [request], Path.cwd())[0]
        runs = not under_deploy() and ensure_flush(session)
        action = views.action(session.store, number)
    assert action is not None
    due = max(action.execute_after, action.not_before)
    if said["as_json"]:
        show_json({"id": number, "type": action.action_type.value, "where": where(action), "due": due}, indent=None)
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
