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

from uam_hooks.git.remote import RefUpdate, Remote, Seen
from uam_hooks.git.repo import Repository
from uam_hooks.git.verdict import Pushed, RefOutcome
from uam_hooks.hot.core.errors import Advice, UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, SHADOWS, shared_shadow_ref
from uam_hooks.hot.core.sideband import Speaking
from uam_hooks.hot.queue.model import Landing
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.plan import Plan, living_shadow
from uam_hooks.integrate.tips import Tips
from uam_hooks.land.shadow import memories
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
    if own is None or _holds(repo, theirs, own):
        return theirs
    return own if _holds(repo, own, theirs) else shadow_of(repo, there, own, theirs)


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
        what = "This clone is shallow: it cannot tell what of other machines' work has landed."
        raise UamError(what, Advice.of("Run {}.", "git", "fetch", "--unshallow"))
    return False


def _holds(repo: Repository, one: str, other: str) -> bool:
    """Whether a shadow knows of all that another one does: also where that was made anew since, with less in it."""
    return set(repo.rev_list("--max-count=2", other, f"^{one}")) <= {other}


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


def judged(remote: Remote, along: Sequence[RefUpdate], results: Mapping[str, RefOutcome]) -> dict[str, RefOutcome]:
    """What became of branches, and of the shadows that went along with them: a branch shares what befell its shadow."""
    found = dict(results)
    for update in along:
        branch = HEADS + update.ref.removeprefix(SHADOWS)
        found[branch] = _judged(remote, update, results[branch], results[update.ref])
    return found


def _judged(remote: Remote, update: RefUpdate, branch: RefOutcome, own: RefOutcome) -> RefOutcome:
    if own.pushed == Pushed.LANDED or branch.pushed in (Pushed.UNKNOWN, Pushed.RENAMED):
        return branch
    if branch.pushed == Pushed.LANDED:
        # somebody else has landed the very commit, and it is to be seen what else
        return branch._replace(pushed=Pushed.CONTENDED) if branch.same else branch
    if not branch.collateral and branch.words != own.words:
        return branch
    if own.stale and update.hidden:
        return _refused(remote, update, own, f"{remote.name} does not show that ref to those who fetch as it is")
    if own.pushed == Pushed.CONTENDED and not own.collateral:
        return branch._replace(pushed=Pushed.CONTENDED)
    if own.pushed != Pushed.REJECTED or own.collateral:
        return branch
    return _refused(remote, update, own, own.words)


def _refused(remote: Remote, update: RefUpdate, own: RefOutcome, why: str) -> RefOutcome:
    words = (
        f"{why} (with the branch goes {update.ref}, because of uam.fleet: where {remote.name} does not take that,"
        " allow it there, or leave the fleet)"
    )
    return own._replace(pushed=Pushed.REJECTED, words=words)


def make_room(
    remote: Remote, along: Sequence[RefUpdate], results: Mapping[str, RefOutcome], speaking: Speaking
) -> None:
    """Drop those of the remote's shadows whose names are in the way of new ones: of topic, now that it has topic/more.

    Their branches are not there any more, so they count for nothing. Only looked for where the remote could not make
    the ref.
    """
    new = [update.ref for update in along if update.old == ZERO and _could_not_be_made(results[update.ref])]
    if not new:
        return
    try:
        listed = remote.refs()
    except UamError:  # it is contended, and will be asked again
        return
    drop = [
        RefUpdate(ref, oid, ZERO) for ref, oid in listed.items()
        if ref.startswith(SHADOWS) and HEADS + ref.removeprefix(SHADOWS) not in listed
        and any(name.startswith(f"{ref}/") or ref.startswith(f"{name}/") for name in new)
    ]  # fmt: skip
    if drop:
        remote.push(drop, (), False, speaking)


def _could_not_be_made(outcome: RefOutcome) -> bool:
    return outcome.pushed == Pushed.CONTENDED and not outcome.stale and not outcome.collateral


# -- what is remembered of the remote --------------------------------------------------------------------------


def seen(session: Session, landings: Sequence[Landing]) -> list[Seen]:
    """What the remote has in the shadows of landings that it has, for the next one, which has it as its lease."""
    return [
        Seen(name, one.keep, one.keep) for one in landings if one.keep not in (one.new, ZERO)
        for name in refs_of(session, [one.ref])
    ]  # fmt: skip
