"""`uam deploy ...`: the commands under the names of the original tool."""

from __future__ import annotations

import click

from uam_hooks.cli.batch import batch, execute
from uam_hooks.cli.flush import flush
from uam_hooks.cli.queue import queue
from uam_hooks.cli.status import status


@click.group()
def deploy() -> None:
    """The queue under its older name: queue, batch, execute, status, flush.

    Actions queued here do not run by themselves: they wait for `flush`, or for `batch` and `execute`.
    """


for command in (queue, batch, execute, status, flush):
    deploy.add_command(command)
