"""What another queue says became of a push from here: looked at, and written down as if it had landed from here.

Nothing that another queue says is believed of a landing but what the remote has: the landing is on the branch, and
what was pushed is in it or in what keeps its originals. So the journal here has the landing as it has those from here,
recovery asks the remote about it, and the push that waits settles its branch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uam_hooks.git.remote import Remote
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.quoting import word
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Action, Batch, Source
from uam_hooks.hot.queue.outcome import Detail as LandingDetail
from uam_hooks.hot.queue.outcome import How, Outcome, Outcomes, Rival, conflicting
from uam_hooks.land.finish import Landed, contains, finish_landed
from uam_hooks.land.pins import not_pinned
from uam_hooks.session import Session
from uam_hooks.store import claim, entrusted, finish, owners, returns
from uam_hooks.store.claim import NewLanding
from uam_hooks.store.entrusted import Entrusted
from uam_hooks.store.finish import End

# How long to wait for the flush lock, which others hold for moments.
LOCK_SECONDS = 60.0


def end(session: Session, remote: Remote, one: Entrusted, said: Outcomes, there: str) -> bool:
    """End what has ended of a push that was handed over; `said` is what the other queue has told of its sources.

    The remote's branch is at `there`, whose objects are here. Returns whether all that was said could be written down:
    where the remote has not what is said to have landed, nothing is, and it has to be landed anew.
    """
    good = {source.id: _own(one.action, source, said[source.id]) for source in one.pending
            if source.id in said and _is_so(session.repo, source, said[source.id], there)}  # fmt: skip
    if good:
        paths = session.repo.paths
        with owners.claimed(
            paths, session.store, LOCK_SECONDS, lambda: entrusted.claimed(session.store, one.action)
        ) as batch:
            if batch is not None:
                _end(session, remote, batch, one, good, there)
    return len(good) == sum(source.id in said for source in one.pending)


def _is_so(repo: Repository, source: Source, outcome: Outcome, there: str) -> bool:
    """Whether the remote, whose branch is at `there`, has all of what a source is said to have landed as; GitFailed
    where git cannot tell.
    """
    if outcome.failure is not None:
        return True
    new, keep = outcome.new, outcome.keep or outcome.new
    if repo.kind(new) != "commit" or repo.kind(keep) != "commit" or not repo.is_ancestor(new, there):
        return False
    return repo.is_ancestor(source.tip, new) or repo.is_ancestor(source.tip, keep)


def _own(action: Action, source: Source, outcome: Outcome) -> Outcome:
    """The outcome in words of this repository: what another machine says to type is not passed on."""
    if outcome.failure is None:
        return outcome._replace(ref=action.ref, keep=outcome.keep or outcome.new, advice=())
    rival = outcome.rival
    if rival is None or not outcome.files:
        return Outcome(failure=outcome.failure._replace(transient=False), said=outcome.said)
    whose = "your own work" if rival.agent == source.agent else f"the work of {rival.agent or 'somebody'}"
    known = Rival(rival.agent, None, rival.commit, f"{whose} ({rival.commit[:7]})")
    branch = short_target(action.ref)
    ways = [f"`git pull --rebase {word(action.remote)} {word(branch)}`, resolve, and push again"]
    return conflicting(source.tip, f"{action.remote}/{branch}", outcome.files, known, "landed on", ways)


def _end(
    session: Session, remote: Remote, batch: Batch, one: Entrusted, outcomes: Mapping[int, Outcome], there: str
) -> None:
    """End these sources under a batch of their own; the rest of the action goes back to where it was."""
    action = batch.actions[0]
    outcomes = {number: outcome._replace(batch=batch.number) for number, outcome in outcomes.items()}
    by_landing: dict[tuple[str, str], list[int]] = {}
    for number, outcome in outcomes.items():
        if outcome.failure is None:
            by_landing.setdefault((outcome.new, outcome.keep), []).append(number)
    failures = {number: outcome for number, outcome in outcomes.items() if outcome.failure is not None}
    left = {source.id for source in one.pending} - outcomes.keys()
    if failures and (by_landing or left):
        finish.failed(session.store, failures)
    elif failures:
        finish.actions(session.store, [End(action, failures)])
    for (new, keep), numbers in by_landing.items():
        sources = [source for source in one.pending if source.id in numbers]
        _land(session, remote, batch, action, sources, {n: outcomes[n] for n in numbers}, new, keep, there)
    if left:
        returns.release(session.store, action)
    finish.close(session.store, batch, 0.0)


def _land(
    session: Session, remote: Remote, batch: Batch, action: Action, sources: Sequence[Source], outcomes: Outcomes,
    new: str, keep: str, there: str,
) -> None:  # fmt: skip
    """Write down a landing, pin it, and finish it as one that was pushed from here."""
    old = next(outcomes[source.id].old for source in sources) or ZERO
    without = [f"^{old}"] if old != ZERO and session.repo.kind(old) else []
    commits = tuple(session.repo.rev_list(*dict.fromkeys(source.tip for source in sources), *without))
    how = next((outcome.how for outcome in outcomes.values() if outcome.how is not None), How.AS_IS)
    detail = LandingDetail(how, dict(outcomes), commits)
    entry = NewLanding(action.id, action.remote, action.ref, old, new, keep, tuple(s.id for s in sources), detail)
    (landing,) = claim.write_plan(session.store, batch, [entry])
    if (why := not_pinned(session.repo, [landing])) is not None:
        say(f"batch {batch.number}: {why}")
        return  # recovery asks the remote, and finishes it
    assert contains(session.repo, there, landing)
    told = next(iter(outcomes.values()))  # of one push to the remote: the same for all of them
    finish_landed(session, remote, [Landed(action, landing, there, told.note, told.said)])
