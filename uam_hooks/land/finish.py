"""A landing that the remote has: remember its originals, follow with the tracking ref, end the action.

Whatever happens after a plan was written down, `Landing.detail` holds what is needed to finish it, so a flush and a
recovery after a crash end a landing with the same `finish_landed`.
"""

from __future__ import annotations

from uam_hooks.git.remote import Remote
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed, say
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.push.intake import shadow_ref
from uam_hooks.hot.queue.model import Action, Landing, SourceStatus, short_target
from uam_hooks.land import outcomes
from uam_hooks.land.steps import Step, reached
from uam_hooks.session import Flush
from uam_hooks.store import finish


def landing_ref(landing: Landing) -> str:
    """The ref that pins a landing and all that went into it."""
    return f"refs/uam/landing/{landing.batch_id}/{landing.id}"


def contains(repo: Repository, there: str, landing: Landing) -> bool:
    """Whether a ref that is at `there` on the remote has had this landing."""
    if there == landing.new:
        return True
    return ZERO not in (there, landing.new) and repo.is_ancestor(landing.new, there)


def finish_landed(
    flush: Flush, remote: Remote, action: Action, landing: Landing, there: str, note: str = ""
) -> None:
    """The remote is at `there` and has the landing: remember what went into it, follow with the tracking ref, end
    the action. `note` is something that its agents should hear.
    """
    remember(flush.repo, landing)
    reached(Step.REMEMBERED)
    remote.track(landing.ref, there)
    reached(Step.TRACKED)
    finish.action(
        flush.store, action, noted(recorded_outcomes(landing), note), landing.id, landing.detail.get("commits", ())
    )
    reached(Step.FINISHED)


def recorded_outcomes(landing: Landing) -> outcomes.Outcomes:
    """The outcomes that the journal holds for a landing."""
    recorded = landing.detail["outcomes"].items()
    return {int(source): (SourceStatus(status), outcome) for source, (status, outcome) in recorded}


def remember(repo: Repository, landing: Landing) -> None:
    """Move the shadow to a landing's; landings that are their own originals need none."""
    if landing.keep not in (landing.new, ZERO):
        move_shadow(repo, landing.remote, landing.ref, landing.keep, f"uam: landed {landing.new[:7]}")


def move_shadow(repo: Repository, remote: str, ref: str, keep: str, why: str) -> None:
    """Let the shadow of a ref be `keep`, unless it holds that already.

    A memory that cannot be written does not hold up what has landed: the landing's pin keeps the originals.
    """
    name = shadow_ref(remote, ref)
    try:
        now = repo.refs(name).get(name, ZERO)
        if now != keep and not (now != ZERO and repo.is_ancestor(keep, now)):
            _make_room(repo, remote, ref)
            repo.move_refs([(name, keep, now)], why)
    except GitFailed as error:
        say(f"{error.what} What has landed on {short_target(ref)} stays landed; its originals stay in refs/uam/.")


def _make_room(repo: Repository, remote: str, ref: str) -> None:
    """Let go of shadows of branches that cannot be on the remote any more: of topic, now that it has topic/more.

    What they hold is pinned by its landings until its retention ends.
    """
    own, first = shadow_ref(remote, ref), len(shadow_ref(remote, ""))
    above = [own[:n] for n in range(first, len(own)) if own[n] == "/"]
    there = repo.refs(own + "/", *above)
    drop = [(name, ZERO, oid) for name, oid in there.items() if name in above or name.startswith(own + "/")]
    repo.move_refs(drop, f"uam: {short_target(ref)} took its name")


def noted(results: outcomes.Outcomes, note: str) -> outcomes.Outcomes:
    """The same outcomes, with a note for those who landed."""
    if not note:
        return results
    return {
        source: (status, {**outcome, "note": note} if status == SourceStatus.LANDED else outcome)
        for source, (status, outcome) in results.items()
    }
