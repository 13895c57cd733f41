"""The shadow of a branch on its remote, where several machines land on it (uam.fleet): refs/uam/shadow/<branch> there.

A landing pushes the branch and this ref in one atomic push, with a lease on each. So what has landed can be told from
the remote alone, by any machine, whatever its queue knows: what the branch or its shadow contains is there. A landing
that was planned before another machine's has one lease too few, and lands nothing.

What is in that ref comes from outside. It is believed by the rule for the shadow of this repository: its landing is on
the branch. Anything else in it is passed over, and the next landing writes over it. It can make a landing change
nothing that the proof before each push does not allow. But who may write it can say of commits that they have landed,
and then these land no more; they are lost nowhere. Whoever may do that may as well rewind the branch: a fleet trusts
those who may push to its remote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uam_hooks.git.memory import Seen
from uam_hooks.git.remote import RefUpdate, Remote
from uam_hooks.git.repo import Repository
from uam_hooks.git.verdict import Pushed, RefOutcome
from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, SHADOWS, shared_shadow_ref
from uam_hooks.hot.queue.model import Landing
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Plan, living_shadow
from uam_hooks.integrate.tips import Tips
from uam_hooks.land import originals
from uam_hooks.land.originals import Results, Sending
from uam_hooks.land.shadow import holds, memories
from uam_hooks.session import Session


def are_shared(session: Session) -> bool:
    """Whether shadows go to remotes."""
    return bool(session.settings["uam.fleet"])


def refs_of(session: Session, refs: Sequence[str]) -> list[str]:
    """The refs for the shadows of `refs` on their remote; none where they stay here."""
    return [shared_shadow_ref(ref) for ref in refs if ref.startswith(HEADS)] if are_shared(session) else []


# -- what has landed -------------------------------------------------------------------------------------------


def living(
    session: Session, remote: str, ref: str, there: str, tips: Tips, shadows: Mapping[str, str] | None = None
) -> str | None:
    """The shadow that counts of a ref which the remote has at `there`: what is remembered here (see `memories`), and
    what the remote has, where `tips` have seen that.

    Where both know something, they are one commit: a clone may have had a history of its own before it joined.
    """
    repo = session.repo
    own = living_shadow(repo, memories(session, remote, ref, tips, shadows), there)
    theirs = ZERO
    if remote and refs_of(session, [ref]):
        theirs = tips.there(remote, shared_shadow_ref(ref), ZERO)
    if theirs in (ZERO, own) or not _counts(repo, theirs, there):
        return own
    if own is None or holds(repo, theirs, own):
        return theirs
    return own if holds(repo, own, theirs) else shadow_of(repo, there, own, theirs)


def _counts(repo: Repository, shadow: str, there: str) -> bool:
    """Whether this is the shadow of a landing that a branch at `there` has. UamError where that cannot be known."""
    if there == ZERO or repo.kind(shadow) != "commit":
        return False
    commit = repo.commit(shadow)
    landing = commit.parents[0] if commit.parents else ""
    if not landing or repo.kind(landing) != "commit" or repo.commit(landing).tree != commit.tree:
        return False
    if repo.is_ancestor(landing, there):
        return True
    if repo.run("rev-parse", "--is-shallow-repository").text == "true":
        what = "this clone is shallow, and cannot tell what of other machines' work has landed"
        raise UamError(f"{what}: `git fetch --unshallow` brings the rest")
    return False


# -- the push --------------------------------------------------------------------------------------------------


def updates(
    session: Session, plans: Sequence[Plan], there: Mapping[str, str], hidden: Mapping[str, str], *, asked: bool
) -> list[RefUpdate]:
    """What goes along with a push of plans, over what the remote has `there`; `hidden` is what a ref was listed at when
    its lease did not hold.

    Where the remote was not `asked` what it has, a lease has to prove that of each shadow, also of one that stays.
    """
    found = []
    for plan in plans if are_shared(session) else ():
        name = shared_shadow_ref(plan.ref)
        if not plan.ref.startswith(HEADS) or ZERO in (plan.new, plan.keep):
            continue
        if plan.keep != plan.new or not asked:
            new = there[name] if plan.keep == plan.new else plan.keep
            found.append(RefUpdate(name, there[name], new, hidden.get(name) == there[name]))
    return found


def push(session: Session, sending: Sending, there: Mapping[str, str], *, apart: bool) -> tuple[Results, Results]:
    """Push plans with the shadows that go along, as `originals.push` does; a branch shares what befalls its shadow."""
    if not sending.along:
        return originals.push(session, sending, there, apart=apart)
    along, refused = _begun(session, sending)
    if refused:
        return refused, {}
    results, kept = originals.push(session, sending._replace(along=along), there, apart=apart)
    for update in along:
        ref = _branch_of(update)
        results[ref] = _judged(sending.remote, update, results[ref], results[update.ref])
    return results, kept


def unseen(along: Sequence[RefUpdate], results: Results) -> dict[str, str]:
    """The shadows whose leases alone did not hold, with what they were seen at: who lists that again hides the ref."""
    return {
        one.ref: one.old for one in along if (own := results.get(one.ref)) is not None and own.stale
        and not results[_branch_of(one)].stale
    }  # fmt: skip


def _branch_of(update: RefUpdate) -> str:
    return HEADS + update.ref.removeprefix(SHADOWS)


def _begun(session: Session, sending: Sending) -> tuple[list[RefUpdate], Results]:
    """Make the shadows that the remote has not, with nothing in them yet; gives the updates over these, and what
    becomes of the whole push where one of them cannot be made.

    A remote that refuses a ref because it is hidden takes the branch of the same atomic push (git 2.39), so that is
    found out before.
    """
    remote, plans = sending.remote, {plan.ref: plan for plan in sending.plans}
    outcomes = {one.ref: _hidden(remote, one) for one in sending.along if one.hidden}
    starts = {}
    for one in sending.along if not outcomes else ():
        if one.old == ZERO:
            plan = plans[_branch_of(one)]
            starts[one.ref] = plan.keep if plan.old == ZERO else shadow_of(session.repo, plan.old)
    if starts:
        new = [RefUpdate(ref, ZERO, start) for ref, start in starts.items()]
        outcomes = remote.push((), sending.options, True, sending.speaking, new)
        _make_room(sending, outcomes)
    failed = {ref for ref, one in outcomes.items() if one.pushed != Pushed.LANDED and not one.collateral}
    bad = next((one for one in sending.along if one.ref in failed), None)
    if bad is None:
        return [one._replace(old=starts.get(one.ref, one.old)) for one in sending.along], {}
    own = outcomes[bad.ref]
    if own.pushed == Pushed.REJECTED:
        branch = _refused(remote, bad, own, own.words)
    else:
        branch = own._replace(words=f"{bad.ref}: {own.words}")
    return [], {**dict.fromkeys(plans, branch), **outcomes}


def _hidden(remote: Remote, update: RefUpdate) -> RefOutcome:
    return RefOutcome(Pushed.REJECTED, f"{remote.name} shows {update.ref} otherwise to those who fetch")


def _judged(remote: Remote, update: RefUpdate, branch: RefOutcome, own: RefOutcome) -> RefOutcome:
    if own.pushed == Pushed.LANDED or branch.pushed in (Pushed.UNKNOWN, Pushed.RENAMED):
        return branch
    if branch.pushed == Pushed.LANDED:
        if branch.same:  # somebody else has landed the very commit, and it is to be seen what else
            return branch._replace(pushed=Pushed.CONTENDED)
        return branch._replace(words=f"{remote.name} did not take {update.ref} ({own.words})")
    if not branch.collateral and branch.words != own.words:
        return branch
    if own.pushed == Pushed.CONTENDED and not own.collateral:
        return branch._replace(pushed=Pushed.CONTENDED)
    if own.pushed != Pushed.REJECTED or own.collateral:
        return branch
    return _refused(remote, update, own, own.words)


def _refused(remote: Remote, update: RefUpdate, own: RefOutcome, why: str) -> RefOutcome:
    words = (
        f"{why}; with the branch goes {update.ref}, because of uam.fleet: where {remote.name} does not take that,"
        " allow it there, or leave the fleet"
    )
    return own._replace(pushed=Pushed.REJECTED, words=words)


def _make_room(sending: Sending, outcomes: Results) -> None:
    """Drop those of the remote's shadows whose names are in the way of new ones: of topic, now that it has topic/more.

    Their branches are not there any more, so they count for nothing. Only looked for where the remote could not make
    the ref.
    """
    new = [ref for ref, one in outcomes.items() if one.pushed == Pushed.CONTENDED and not one.stale]
    if not new:
        return
    try:
        listed = sending.remote.refs()
    except UamError:  # it is contended, and will be asked again
        return
    drop = [
        RefUpdate(ref, oid, ZERO) for ref, oid in listed.items()
        if ref.startswith(SHADOWS) and HEADS + ref.removeprefix(SHADOWS) not in listed
        and any(name.startswith(f"{ref}/") or ref.startswith(f"{name}/") for name in new)
    ]  # fmt: skip
    if drop:
        sending.remote.push(drop, (), False, sending.speaking)


# -- what is remembered of the remote --------------------------------------------------------------------------


def seen(session: Session, landings: Sequence[Landing]) -> list[Seen]:
    """What the remote has in the shadows of landings that it has, for the next one, which has it as its lease."""
    return [
        Seen(name, one.keep, one.keep) for one in landings if one.keep not in (one.new, ZERO)
        for name in refs_of(session, [one.ref])
    ]  # fmt: skip
