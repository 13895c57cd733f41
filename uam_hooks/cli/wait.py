"""`git uam wait`."""

from __future__ import annotations

import click

from uam_hooks.cli.live import voice_of
from uam_hooks.cli.opened import opened
from uam_hooks.cli.parameters import Duration, Id
from uam_hooks.cli.program import tell
from uam_hooks.hot.core.errors import ExitCode
from uam_hooks.report.log import of_id
from uam_hooks.report.next_step import of_waited
from uam_hooks.report.waited import wait_for
from uam_hooks.store import views


@click.command()
@click.argument("ids", nargs=-1, required=True, type=Id())
@click.option("--timeout", type=Duration(), help="How long to wait, instead of uam.push.waitTimeout.")
@click.option("--json", "as_json", is_flag=True, help="For programs: all that is known of them then.")
def wait(ids: tuple[int, ...], timeout: float | None, as_json: bool) -> int:
    """Wait until actions have ended, and say what became of them, as the push itself would have.

    The branch that was pushed from here is settled. Exit status: 0 all landed, 1 one failed, was cancelled, or has not
    ended yet: then it stays queued, and waiting again is fine.
    """
    with opened(news=False) as session:
        done = wait_for(session, ids, timeout, voice_of)
        if as_json:
            now = [action for number in ids if (action := views.current(session.store, number)) is not None]
            tell({"done": done, "actions": [of_id(session, action) for action in now]}, of_waited(session, now))
    return ExitCode.OK if done else ExitCode.FAILED
