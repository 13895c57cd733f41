"""A landing that the remote has: remember its originals, follow with the tracking ref, end the action.

Whatever happens after a plan was written down, `Landing.detail` holds what is needed to finish it, so a flush and a
recovery after a crash end a landing with the same `finish_landed`.
"""

from __future__ import annotations

from uam_hooks.git.remote import Remote
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.queue.model import Action, Landing
from uam_hooks.hot.queue.outcome import Outcomes
from uam_hooks.land.shadow import remember
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Session
from uam_hooks.store import finish


def contains(repo: Repository, there: str, landing: Landing) -> bool:
    """Whether a ref that is at `there` on the remote has had this landing."""
    if there == landing.new:
        return True
    return ZERO not in (there, landing.new) and repo.is_ancestor(landing.new, there)


def finish_landed(
    session: Session, remote: Remote, action: Action, landing: Landing, there: str, note: str = "",
    said: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """The remote is at `there` and has the landing: remember what went into it, let the tracking ref be at the landing,
    end the action. `note` is something that its agents should hear, `said` are the lines of the remote's hooks.
    """
    remember(session.repo, landing)
    reached(Step.REMEMBERED)
    remote.track(landing.ref, landing.new, there)
    reached(Step.TRACKED)
    results = noted(landing.detail.outcomes, note, said)
    finish.action(session.store, action, results, landing.id, landing.detail.commits)
    reached(Step.FINISHED)


def noted(results: Outcomes, note: str, said: tuple[str, ...]) -> Outcomes:
    """The same outcomes, with a note and the words of the remote for those who landed."""
    return {source: o if o.failure else o._replace(note=note, said=said) for source, o in results.items()}
