"""The steps between the queue here and a fleet: tell, hear, hand over, take in. Each can be repeated after a crash.

What is handed over gets its name first, then its hidden ref on the remote, then its row in the database, and at last
nobody here claims it any more. What is taken in is pinned before it is queued, once for each name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from math import inf

from uam_hooks.fleet.clone import clone_of
from uam_hooks.fleet.database import Fleet
from uam_hooks.fleet.ended import end
from uam_hooks.fleet.hidden import hidden_ref
from uam_hooks.fleet.steps import Handing, reached
from uam_hooks.fleet.values import Branch, Entry
from uam_hooks.git.remote import RefUpdate, Remote, Unreachable
from uam_hooks.git.verdict import Pushed
from uam_hooks.hot.core.errors import Failure, GitFailed, UamError
from uam_hooks.hot.core.identity import asker
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import full_target, observed_ref, pin_ref, shadow_ref, shared_shadow_ref
from uam_hooks.hot.core.sideband import Speaking
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import NewSource, Source, SourceStatus, Wish, seconds_of
from uam_hooks.hot.queue.outcome import Outcome, Outcomes
from uam_hooks.land.shadow import holds
from uam_hooks.session import Session
from uam_hooks.store import entrusted, guests, traces
from uam_hooks.store.entrusted import Entrusted
from uam_hooks.store.guests import Guest, Staying

# How often what has joined a push while it was handed over is handed over with it, before others have their turn.
_ATTEMPTS = 5
# How long what could not be brought here is left alone.
_AGAIN_SECONDS = 5.0


class NotTaken(UamError):
    """The remote answers, and does not take a hidden ref."""


def tell(session: Session, db: Fleet, ended: Sequence[Staying]) -> None:
    """Tell what became of what was landed here for others."""
    by_branch: dict[Branch, dict[str, tuple[bool, str]]] = {}
    for one in ended:
        source = one.source
        outcome = source.outcome
        if source.status not in (SourceStatus.LANDED, SourceStatus.FAILED):  # somebody has cancelled it here
            outcome = Outcome(failure=Failure("it was taken back where it was to land", transient=True))
        told = source.status == SourceStatus.LANDED, outcome.text()
        by_branch.setdefault(Branch(one.remote, full_target(one.target)), {})[_entry(source)] = told
    for branch, outcomes in by_branch.items():
        db.report(branch, outcomes)
        reached(Handing.TOLD)
    if ended:
        guests.told(session.store, [one.source.id for one in ended])


def _entry(source: Source) -> str:
    return source.origin.rpartition("/")[2]


def take_back(session: Session, db: Fleet, remote: str) -> None:
    """Let nobody land what has ended here otherwise: a newer push has taken its place, or it landed from here."""
    past = traces.to_take_back(session.store, remote)
    if past:
        db.take_home(past)
        traces.taken_back(session.store, past)


def hear(session: Session, db: Fleet, remote: str, handed: Sequence[Entrusted]) -> None:
    """Write down what has become of what was handed over. What nobody lands any more comes home, as does what is said
    to have landed and has not, and what another machine could not land for now.
    """
    if not handed:
        return
    ended = {one.id: one for one in db.ended([source.entry for one in handed for source in one.pending])}
    for one in handed:
        told = {source: ended[source.entry] for source in one.pending if source.entry in ended}
        outcomes = {source: _outcome(entry.outcome) for source, entry in told.items() if entry.state != "home"}
        said = {source.id: found for source, found in outcomes.items() if not _may_pass(found)}
        home = {source.entry for source in told if source.id not in said}
        left = {source.entry for source in one.pending if source.id not in said}
        if (said and not _write_down(session, remote, one, said)) or (left and left <= home):
            entrusted.bring_home(session.store, [one.action], waits=False)
        entrusted.end_empty(session.store, one.action)
    traces.over(session.store, [s.id for one in handed for s in one.pending if s.entry in ended])


def come_home(session: Session, db: Fleet, handed: Sequence[Entrusted]) -> None:
    """Take back what still waits of these pushes: this machine lands their branches now."""
    wanted = [source.entry for one in handed for source in one.pending]
    home = db.take_home(wanted) if wanted else set()
    reached(Handing.HOME)
    whole = [one.action for one in handed if one.pending and all(s.entry in home for s in one.pending)]
    entrusted.bring_home(session.store, whole, waits=False)


def _may_pass(outcome: Outcome) -> bool:
    """Whether another try may end otherwise."""
    return outcome.failure is not None and outcome.failure.transient


def _outcome(text: str) -> Outcome:
    """What another machine has written; a failure that cannot be read is one all the same."""
    try:
        return Outcome.parse(text)
    except (ValueError, TypeError, AttributeError):
        return Outcome(failure=Failure("another machine of the fleet could not land it, and says nothing readable"))


def _write_down(session: Session, name: str, one: Entrusted, said: Outcomes) -> bool:
    """Whether what is said of a push could be written down; where the remote or git does not answer, that is left for
    later.
    """
    there, ref = ZERO, one.action.ref
    remote = Remote(session.repo, session.settings, name)
    try:
        if any(outcome.failure is None for outcome in said.values()):
            there = remote.observe([ref, shared_shadow_ref(ref)])[ref]
        return end(session, remote, one, said, there)
    except (Unreachable, GitFailed) as error:
        say(error.what)
        return True


def hand_over(session: Session, db: Fleet, remote: Remote, own: Sequence[Entrusted], terms: str) -> None:
    """Hand pushes over to whoever lands their branches, with what joins them meanwhile.

    Raises NotTaken where the remote does not take a hidden ref; Unreachable and GitFailed.
    """
    fleet = str(session.settings["uam.fleet"])
    waiting, sent = list(own), set[str]()
    for _ in range(_ATTEMPTS):
        named = entrusted.name(session.store, waiting)
        new = [source for one in named for source in one.pending if source.entry not in sent]
        if not new:
            return
        reached(Handing.NAMED)
        entrusted.offered(session.store, [source.id for source in new])
        _send(session, remote, new, {one.action.ref for one in waiting})
        reached(Handing.SENT)
        enter(session, db, remote.name, named, terms)
        reached(Handing.ENTERED)
        waiting = [one for one in named if not entrusted.entrust(session.store, one, fleet)]
        reached(Handing.ENTRUSTED)
        sent.update(source.entry for source in new)


def enter(session: Session, db: Fleet, remote: str, handed: Sequence[Entrusted], terms: str) -> None:
    """Enter what is handed over; what is there already stays as it is. So a database that has lost what it had written
    last is told again of what waits.
    """
    db.enter([
        Entry(source.entry, Branch(remote, one.action.ref), source.tip, hidden_ref(session.settings, source.entry),
              source.agent, terms, urgent=False, window=max(0.0, seconds_of(one.action.execute_after) - time.time()),
              facts=_facts(one, source))
        for one in handed for source in one.pending
    ])  # fmt: skip


def _facts(one: Entrusted, source: Source) -> dict[str, object]:
    return {
        "options": list(one.action.payload.get("push_options", ())), "wish": source.wish.value,
        "author": source.author, "committer": source.committer, "branch": source.branch,
    }  # fmt: skip


def _send(session: Session, remote: Remote, sources: Sequence[Source], refs: Collection[str]) -> None:
    """Push the tips as hidden refs, and take away those of what has ended, in one connection. The branches `refs` are
    what they are for.
    """
    past = traces.to_clear(session.store, remote.name)
    updates = [RefUpdate(hidden_ref(session.settings, one.entry), ZERO, one.tip) for one in sources]
    clearing = {hidden_ref(session.settings, entry): entry for entry in past}
    updates += [RefUpdate(ref, past[entry], ZERO) for ref, entry in clearing.items()]
    shadows = _unknown_shadows(session, remote, refs)
    results = remote.push([*updates, *shadows], (), False, Speaking.to_nobody())
    remote.memory.keep({one.ref: one.new for one in shadows if results[one.ref].pushed == Pushed.LANDED})
    done = [entry for ref, entry in clearing.items() if results[ref].pushed == Pushed.LANDED or results[ref].stale]
    if done:
        traces.cleared(session.store, done)
    wrong = {u.ref: results[u.ref] for u in updates if u.new != ZERO and results[u.ref].pushed != Pushed.LANDED}
    if not wrong:
        return
    there = remote.refs(*wrong)  # what an earlier try has sent is there
    for update in updates:
        if update.ref in wrong and there.get(update.ref) != update.new:
            raise NotTaken(f"{remote.name} does not take {update.ref}: {wrong[update.ref].words}.")


def _unknown_shadows(session: Session, remote: Remote, refs: Collection[str]) -> list[RefUpdate]:
    """What is known here to have landed on branches, where the remote's shadow was last seen without it.

    It has lost its hidden refs, or had others then: who lands this would find a conflict with what has landed of it.
    """
    shared = {ref: shared_shadow_ref(ref) for ref in refs}
    seen = {ref: observed_ref(remote.name, shared[ref]) for ref in refs}
    here = session.repo.refs(*(shadow_ref(remote.name, ref) for ref in refs), *seen.values())
    found = []
    for ref in refs:
        own, there = here.get(shadow_ref(remote.name, ref)), here.get(seen[ref], ZERO)
        if own is not None and own != there and (there == ZERO or not holds(session.repo, there, own)):
            found.append(RefUpdate(shared[ref], there, own))
    return found


def take_in(session: Session, db: Fleet, branch: Branch, terms: str, due: bool) -> float:
    """Queue what others have handed over for a branch: if something of it, or (`due`) something from here, is due.

    Returns in how many seconds there is something more to take in; infinite for nothing.
    """
    fleet = str(session.settings["uam.fleet"])
    waiting = db.waiting(branch, terms)
    soonest = min((entry.due_in for entry in waiting), default=inf)
    if not waiting or (soonest > 0 and not due):
        return soonest
    known = guests.known(session.store, [f"{fleet}/{entry.id}" for entry in waiting])
    own = clone_of(session.repo.paths).id  # what is from here lands from here, or of another identity
    new = [entry for entry in waiting if entry.machine != own and f"{fleet}/{entry.id}" not in known]
    if not new:
        return inf
    remote = Remote(session.repo, session.settings, branch.remote)
    here = _brought(session, db, remote, new)
    if here:
        session.repo.pin({pin_ref(entry.tip): entry.tip for entry in here})
        reached(Handing.BROUGHT)
        guests.take_in(session.store, [_guest(session, fleet, entry) for entry in here], time.time())
        reached(Handing.TAKEN_IN)
    return inf if here else _AGAIN_SECONDS


def _brought(session: Session, db: Fleet, remote: Remote, entries: Sequence[Entry]) -> list[Entry]:
    """Those of the entries whose tips could be brought here. Who has handed over what the remote has not is told so:
    it has lost the ref, or is another repository's.
    """
    wanted = list(entries)
    try:
        found: Mapping[str, str] = remote.bring([entry.hidden for entry in wanted])
    except (Unreachable, GitFailed):
        try:
            there = remote.refs(*(entry.hidden for entry in wanted))
            wanted = [entry for entry in entries if there.get(entry.hidden) == entry.tip]
            found = remote.bring([entry.hidden for entry in wanted]) if wanted else {}
        except (Unreachable, GitFailed):  # another time
            return []
    good = [e for e in wanted if found.get(e.hidden) == e.tip and session.repo.kind(e.tip) == "commit"]
    lost = [entry for entry in entries if entry not in good]
    if lost:
        why = Outcome(failure=Failure(f"{remote.name} has not what was handed over", transient=True)).text()
        db.report(lost[0].branch, {entry.id: (False, why) for entry in lost})
    return good


def _guest(session: Session, fleet: str, entry: Entry) -> Guest:
    facts = entry.facts
    who = asker(session.identity, session.settings, os.environ, entry.branch.remote)
    who = who._replace(author=str(facts.get("author", "")), committer=str(facts.get("committer", "")))
    # nothing here is the worktree of a guest: its branch is none of ours
    place = session.repo.paths.uam / "guests" / entry.machine
    wish = str(facts.get("wish", ""))
    options = facts.get("options", ())
    source = NewSource(
        entry.branch.remote, entry.branch.ref, entry.agent, str(place), "", entry.tip,
        options=tuple(map(str, options)) if isinstance(options, list | tuple) else (),
        asker=who, wish=Wish(wish) if wish in list(Wish) else Wish.NONE, origin=f"{fleet}/{entry.id}",
    )  # fmt: skip
    return Guest(source, max(0.0, entry.due_in))
