"""What the agent of a push reads whose work fails a gate."""

from __future__ import annotations

from uam_hooks.gate.judge import Verdict
from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import visible
from uam_hooks.hot.queue.model import Action, Source
from uam_hooks.hot.queue.outcome import Outcome, Rival

# how many of the last lines of a gate a pusher reads
SAID_LINES = 20


class Suspect(NamedTuple):
    """A source that fails on top of what had landed `before` since the branch was at `base`; what the gate said."""

    source: Source
    verdict: Verdict
    before: tuple[Source, ...]
    base: str


def failed_by(action: Action, suspect: Suspect, alone: bool | None) -> Outcome:
    """What the agent of a source reads that fails a gate; `alone` tells whether it passes so, None: nobody knows."""
    source, verdict = suspect.source, suspect.verdict
    rivals = suspect.before if alone else ()
    where = f"{action.remote}/{short_target(action.ref)}"
    names = ", ".join(f"{one.agent} ({one.tip[:7]})" for one in rivals[:3]) + (" ..." if len(rivals) > 3 else "")
    whose = f"it passes alone and fails together with the work of {names}" if rivals else "it fails by itself"
    if alone is None:
        whose = "and it could not be tried alone"
    why = f"the gate {verdict.gate} fails" + (f" together with the work of {names}" if rivals else "")
    rival = None
    if rivals:
        rival = Rival(rivals[-1].agent, None, rivals[-1].tip, f"the work of {names}")
    return Outcome(
        failure=Failure(why),
        rival=rival,
        advice=(
            f"{source.tip[:7]} was not landed on {where}: the gate {verdict.gate} fails, {whose};"
            " your commits are untouched",
            *(f"| {visible(line)}" for line in [one for one in verdict.said.splitlines() if one][-SAID_LINES:]),
            f"`git uam gate run {source.tip[:7]}` runs it again; `git uam log {action.id}` shows all of it",
        ),
    )
