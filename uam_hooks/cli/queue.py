"""`git uam queue`, as click knows it; see asking."""

from __future__ import annotations

from typing import Any

import click

from uam_hooks.cli.asking import queue_action
from uam_hooks.cli.parameters import under_deploy
from uam_hooks.hot.queue.model import ActionType


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
    return queue_action(said, starting=not under_deploy())
