"""The sentences that a pushing agent reads.

They were tried on agents that did not know the tool: what landed as what, with whom, and where the branch is now. A
landing that changed nothing is not mentioned.
"""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.hot.core.quoting import pull_rebase, shown, word
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.push.rewritten import Change, Dropped
from uam_hooks.hot.queue.model import Source, SourceStatus
from uam_hooks.hot.queue.outcome import How
from uam_hooks.hot.queue.reasons import Reason, handed_over, place
from uam_hooks.hot.worktree.landed import Settled

UNINSTALLED = "uam was uninstalled while this push waited; nothing of it landed: push again"
UNINSTALLED_UNDER_WAY = (
    "uam was uninstalled after a process died that was landing this push; see with `git fetch` whether it landed"
)


def landed(source: Source, remote: str) -> str | None:
    """What landed, and as what; None for a push that landed unchanged."""
    facts = source.outcome
    if facts.how in (None, How.EXACT) or source.tip == facts.new or (facts.how == How.AS_IS and not facts.own):
        return None
    where = f"{remote}/{short_target(facts.ref)}"
    new, tip = facts.new[:7], source.tip[:7]
    if facts.own and facts.how != How.NOTHING_NEW:
        return _of_its_own(source, where)
    if facts.how == How.NOTHING_NEW:
        return f"nothing to land: what your commits change ({tip}) is on {where} already, at {new}"
    if facts.how == How.MOVED:
        return f"landed on {where} as {new}: your commit {tip} moved on top of others' work, message and date kept"
    company = f", together with {_names(facts.company)}" if facts.company else ""
    rest = f"{company} (originals: git uam show {facts.batch})"
    if facts.how == How.KEPT and not facts.commits:
        return f"landed on {where}, now at {new}: what you pushed ({tip}) as it is, merged{rest}"
    if facts.how == How.KEPT:
        return f"landed on {where}, now at {new}: your {_commits(facts.commits)} ({tip}) one by one{rest}"
    if facts.commits == 0:
        return f"landed on {where} as {new}: what you pushed ({tip}){rest}"
    if facts.commits == 1:
        return f"landed on {where} as {new}: your commit ({tip}){rest}"
    return f"landed on {where} as {new}: your {_commits(facts.commits)} ({tip}) as one{rest}"


def gathered(source: Source, remote: str) -> str | None:
    """What CI being busy was good for; None where nobody waited for it, or nobody came meanwhile."""
    facts = source.outcome
    if facts.pushes < 2 or not facts.held:
        return None
    where = f"{remote}/{short_target(facts.ref)}"
    return f"landed {facts.pushes} pushes on {where} in one push ({waited(facts.pushes, facts.held)})"


def waited(pushes: int, held: int) -> str:
    """How many of the pushes in a landing had waited for CI, where some had."""
    return "all had waited for CI" if pushes == held else f"{held} of them had waited for CI"


def _of_its_own(source: Source, where: str) -> str:
    """What landed beside others' work, in commits of its own."""
    facts = source.outcome
    new, own, tip = facts.new[:7], facts.own[:7], source.tip[:7]
    yours = f"your {_commits(facts.commits)}" if facts.commits else "what you pushed"
    if facts.how == How.AS_IS:
        as_what, and_how = "", "as pushed"
    elif facts.how == How.MOVED:
        as_what, and_how = f" as {own}", "moved on top of others' work, message and date kept"
    elif facts.how == How.KEPT:
        as_what, and_how = f" as {own}", "one by one" if facts.commits else "merged"
    else:
        as_what, and_how = f" as {own}", "as one" if facts.commits > 1 else ""
    which = "your commit" if facts.commits == 1 else yours
    line = f"landed on {where}{as_what}: {which} ({tip}) {and_how}".rstrip()
    line += f" (originals: git uam show {facts.batch})" if facts.how not in (How.AS_IS, How.MOVED) else ""
    others = f"; {_names(facts.company)} landed in the same push" if facts.company else ""
    at = f"{', and' if others else ';'} {where} is now at {new}" if new != own else ""
    return line + others + at


def dropped(branch: str, remote: str, ref: str, what: Dropped, change: Change) -> list[str]:
    """A push that git rejects, because the branch was rewritten or set back behind what has landed of it."""
    name = short_target(branch) or "HEAD"
    where = f"{remote}/{short_target(ref)}"
    was, landing = what.was[:7], what.landing[:7]
    there = word(where)
    as_what = f" as {landing}" if landing != was else ""
    done = "set back" if change == Change.SET_BACK else "rewritten"
    ways = {
        Change.SET_BACK: f"`git uam sync {there}` brings it back here; then `git revert {landing}` and a push undo it",
        Change.REWORDED: f"what it changes is there, and a message stays as it landed: `git uam sync {there}` takes it",
        Change.AMENDED: f"`git reset --soft {was}`, `git commit`, `git push` land what is new as a commit of its own",
        Change.REWRITTEN: f"{shown(pull_rebase(remote, ref))} puts your commits on top of what landed",
    }
    return [
        f"{name} was at {was}, which has landed on {where}{as_what}, and has been {done} since; nothing was moved",
        ways[change],
        f"`git push --force-with-lease` overwrites what {where} has",
    ]


def settled(result: Settled, branch: str, where: str) -> str | None:
    """Where the branch is now; None when it was there before."""
    name = f"branch {short_target(branch)}" if branch else "HEAD"
    if result.why:
        return f"{name} stays at {result.at[:7]}: {result.why}; `git uam sync` brings it to what {where} has"
    if not result.moved:
        return None
    files = " and its files are" if result.files else " is"
    return f"{name}{files} now at {result.at[:7]}, what {where} has"


def queued(action: int, where: str, due: float, mode: str) -> str:
    """A push that was queued and is not waited for; `due` is in seconds from now."""
    when = "`git uam flush` lands it" if mode == "manual" else f"it lands within {max(due, 0):.0f} s"
    return f"queued as #{action} for {where}; {when} (git uam status)"


def lands_by_itself(action: int, where: str, why: Reason | None) -> str:
    """A push whose wait is over, because of `why` as far as that is known."""
    if why is not None and why.error:
        return f"#{action} for {where} waits: {why.error} Pushing again waits on."
    if why is not None and why.entrusted:
        return f"#{action} for {where} is {handed_over(why.entrusted)}. Pushing again waits on."
    return f"#{action} for {where} lands by itself; pushing again waits on."


def not_landed_yet(action: int, wait: str = "", entrusted: str = "") -> str:
    """The reason that git prints for a push whose wait is over; `wait` is what to do, if not `git uam wait`."""
    at = f"in the hands of {place(entrusted)}" if entrusted else "queued"
    return f"not landed yet, nothing is wrong: #{action} is {at}; {wait or f'git uam wait {action}'}"


def left(actions: Sequence[int]) -> str:
    """The last words of a push whose process is told to end."""
    numbers = ", ".join(f"#{action}" for action in actions)
    ids = " ".join(str(action) for action in actions)
    one = len(actions) == 1
    return f"{'it stays' if one else 'they stay'} queued as {numbers} and land{'s' * one}; git uam wait {ids}"


def elsewhere(actions: Sequence[int]) -> str:
    """What is left to do with an interrupted push that another queue has."""
    lands = "it lands" if len(actions) == 1 else "they land"
    return f"{lands} there, unless `git uam cancel {' '.join(map(str, actions))}` comes in time"


def may_land(actions: Sequence[int]) -> str:
    """What is added to a fault that ended a wait."""
    numbers = ", ".join(f"#{action}" for action in actions)
    return f"The push is queued as {numbers} all the same, and may land; git uam wait {' '.join(map(str, actions))}"


def unrecorded(action: int, where: str, new: str, full: bool) -> str:
    """What is added to a landing that the remote has and the queue does not know of; `new` is "" for a deletion."""
    done = f"is on {where} as {new[:7]}" if new else f"has deleted {where}"
    why = "the disk is full" if full else "see `git uam status`"
    return f"#{action} {done}, but that could not be recorded here ({why}); the next command does it once it can"


def unknown(actions: Sequence[int]) -> tuple[str, str]:
    """What happened to a push of which nobody knows whether it has landed, and what to do."""
    numbers = ", ".join(f"#{action}" for action in actions)
    return f"{numbers} may have landed: nobody could record it;", "`git uam status` asks the remote once it can"


def tried_again(source: Source) -> str:
    """What to do about something that failed, where nothing else is known to help."""
    number = source.action_id
    return f"`git uam log {number}` shows what is known of it, `git uam retry {number}` tries it again"


def ended(source: Source, remote: str, *, earlier: bool = False, mine: bool = True, called: str = "") -> str:
    """What became of a source, for whom `landed` may not be enough: who waited for its number, or comes back later.

    `earlier` if its agent is doing something else by now, `mine` if the reader is who pushed it. `called` is what it is
    if it is no push.
    """
    number = f"#{source.action_id}{' from before' * earlier}"
    facts = source.outcome
    if source.status == SourceStatus.WITHDRAWN:
        return f"{number} was taken out of the queue, nothing of it lands: {facts.error or 'cancelled'}"
    if source.status != SourceStatus.LANDED:
        if called:
            return f"{number}, {called}, has failed: {facts.error}"
        return f"{number} did not land: {facts.error}"
    said = landed(source, remote) if mine else None
    if said is not None:
        return f"{number}: {said}" if facts.how == How.NOTHING_NEW else f"{number} has {said}"
    where = f"{remote}/{short_target(facts.ref)}"
    return f"{number} has landed on {where} as {facts.landed_as[:7]}" if facts.new else f"{number}: {where} is deleted"


def _commits(count: int) -> str:
    return "1 commit" if count == 1 else f"{count} commits"


def _names(agents: Sequence[str]) -> str:
    if len(agents) <= 3:
        return " and ".join([", ".join(agents[:-1]), agents[-1]] if len(agents) > 1 else agents)
    return f"{', '.join(agents[:3])} and {len(agents) - 3} more"
