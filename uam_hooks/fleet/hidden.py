"""The hidden refs in which a remote has what is handed over: whether it takes them, and those that are left over."""

from __future__ import annotations

import time
from collections.abc import Mapping

from uam_hooks.git.remote import RefUpdate, Remote
from uam_hooks.git.verdict import Pushed
from uam_hooks.hot.core.errors import Refused, UamError
from uam_hooks.hot.core.objects import Commit
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import HEADS, shared_shadow_ref
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.core.sideband import Speaking
from uam_hooks.hot.core.words import say
from uam_hooks.session import Session
from uam_hooks.store import traces
from uam_hooks.store.claim import random_uuid


def hidden_ref(settings: Settings, entry: str) -> str:
    """The ref of the remote that has the tip of an entry."""
    return f"{settings['uam.fleet.refs']}{entry}"


def probe(session: Session, remote: Remote) -> None:
    """Find out whether the remote takes hidden refs, several of them in one atomic push, and shows them to others.

    Raises Refused where it does not, UamError where that cannot be told. Nothing is left there.
    """
    name = f"probe-{random_uuid()}"
    refs = (hidden_ref(session.settings, name), shared_shadow_ref(f"{HEADS}{name}"))
    oid = _nothing(session)
    outcomes = remote.push([RefUpdate(ref, ZERO, oid) for ref in refs], (), True, Speaking.to_nobody())
    wrong = {ref: one for ref, one in outcomes.items() if one.pushed != Pushed.LANDED}
    there = remote.refs(*refs)
    _take_away(remote, {ref: oid for ref in refs if there.get(ref) == oid or ref not in wrong})
    for ref, one in wrong.items():
        words = one.words.rstrip(".") or "it gives no reason"
        raise _unfit(session, remote, f"does not take hidden refs ({ref}) in an atomic push: {words}")
    missing = [ref for ref in refs if there.get(ref) != oid]
    if missing:
        raise _unfit(session, remote, f"takes hidden refs, and shows them to nobody ({missing[0]})")


def _unfit(session: Session, remote: Remote, what: str) -> UamError:
    below = session.settings["uam.fleet.refs"]
    return Refused(
        f"{remote.name} {what}. A fleet needs them.",
        f"Allow refs below {below} and refs/uam/shadow/ there, and atomic pushes; or name others with uam.fleet.refs.",
    )


def _nothing(session: Session) -> str:
    """A commit without files and parents: there is nothing in it that somebody could learn."""
    repo = session.repo
    who = f"git uam <uam@localhost> {int(time.time())} +0000".encode()
    return repo.write_commit(Commit("", repo.write("tree", b""), (), who, who, b"uam: does this remote take refs?\n"))


def _take_away(remote: Remote, refs: dict[str, str]) -> list[str]:
    """Delete refs of the remote that are at these objects; returns those that are gone. Others are told."""
    if not refs:
        return []
    outcomes = remote.push([RefUpdate(ref, oid, ZERO) for ref, oid in refs.items()], (), False, Speaking.to_nobody())
    gone = [ref for ref, one in outcomes.items() if one.pushed == Pushed.LANDED]
    if len(gone) < len(refs):
        there = remote.refs(*refs)  # also one that somebody else has deleted is gone
        gone = [ref for ref in refs if ref not in there]
    for ref in refs.keys() - set(gone):
        say(f"{ref} is left on {remote.name}: {outcomes[ref].words or 'it was not deleted'}")
    return gone


def clear(session: Session, name: str, entries: Mapping[str, str]) -> set[str]:
    """Delete the hidden refs of these entries, which are at these objects, from the remote, and forget their names.

    Returns those of which nothing is left there. UamError where the remote does not answer.
    """
    if not entries:
        return set()
    remote = Remote(session.repo, session.settings, name)
    refs = {hidden_ref(session.settings, entry): entry for entry in entries}
    there = remote.refs(*refs)
    gone = refs.keys() - there.keys()
    gone |= set(
        _take_away(remote, {ref: tip for ref, entry in refs.items() if there.get(ref) == (tip := entries[entry])})
    )
    done = {refs[ref] for ref in gone}
    traces.forgotten(session.store, done)
    return done


def clear_all(session: Session) -> tuple[int, list[str]]:
    """Delete all hidden refs of this clone from its remotes: how many, and what could not be done."""
    count, said = 0, []
    for name, entries in traces.left_over(session.store).items():
        why = ""
        try:
            done = clear(session, name, entries)
        except UamError as error:
            done, why = set(), f": {error.what}"
        count += len(done)
        if len(done) < len(entries):
            said.append(f"hidden refs of {len(entries) - len(done)} pushes are left on {name}{why}")
    return count, said
