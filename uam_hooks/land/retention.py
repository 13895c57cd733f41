"""How long originals of what landed are kept: their pins, and letting go of them after their retention."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from uam_hooks.git.repo import Repository
from uam_hooks.git.scratch import spent, used_up
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import (
    DEFAULTS,
    HEADS,
    NEXT,
    OBSERVED,
    ORIGINALS,
    defaults,
    landing_ref,
    next_ref,
    observed_ref,
    original_since,
    originals_ref,
    pin_ref,
    shadow_ref,
    shared_shadow_ref,
)  # fmt: skip
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.model import Source, SourceStatus, iso
from uam_hooks.integrate.graph import heads, parse
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.session import Session
from uam_hooks.store import history, remains, views

PINS = "refs/uam/pin/"
# more names than this are not asked for one by one: an argument list has an end
MANY = 500
# How long the rows of what has ended are left to those who may wait to hear of it, however short the retention is.
LEAST_SECONDS = 3600.0


class Pruned(NamedTuple):
    """How many refs expired."""

    pins: int
    landings: int
    originals: int
    shadows: int


def prune(session: Session, retention: float) -> Pruned:
    """Expire what landed more than `retention` seconds ago; call it under the flush lock.

    Nothing that has not landed expires, and a shadow keeps every original that a living branch or worktree
    still builds on: without it, the same edits would conflict with their own squash. From then on the rows of what
    ended so long ago may be folded.
    """
    before = iso(time.time() - retention)
    refs = session.repo.refs("refs/uam/")
    pins = [PINS + tip for tip in remains.landed_tips(session.store, before) if PINS + tip in refs]
    young = remains.batches_since(session.store, before)  # a pin may hold all landings of its batch
    past = remains.landings_before(session.store, before)
    old = [landing_ref(one.batch_id, one.id) for one in past if one.batch_id not in young]
    landings = [ref for ref in old if ref in refs]
    ended = time.time() - retention
    originals = [ref for ref in refs if ref.startswith(ORIGINALS) and original_since(ref) < ended]
    recent = remains.refs_since(session.store, before)
    names = {(remote, name) for remote, ref in recent for name in (ref, originals_ref(ref), shared_shadow_ref(ref))}
    wanted = {observed_ref(remote, name) for remote, name in names}
    observed = [ref for ref in refs if ref.startswith(OBSERVED) and ref not in wanted]
    named = tuple({f"{defaults(remote)}-" for remote, _ in recent})
    observed += [ref for ref in refs if ref.startswith(DEFAULTS) and not ref.startswith(named)]
    waited_for = {next_ref(*where) for where in remains.refs_since(session.store, iso(time.time()))}
    expected = [ref for ref in refs if ref.startswith(NEXT) and ref not in waited_for]
    drop = [(ref, ZERO, refs[ref]) for ref in (*pins, *landings, *originals, *observed, *expected, *spent(refs))]
    session.repo.move_refs(drop, "uam: retention ended")
    shadows = 0
    for remote, ref in {(one.remote, one.ref) for one in past}:
        name = shadow_ref(remote, ref)
        if name in refs:
            shadows += _cut(session, name, refs[name], remains.young_tips(session.store, remote, ref, before))
    history.allow(session.store, expired(retention))
    return Pruned(len(pins), len(landings), len(originals), shadows)


def expired(retention: float) -> str:
    """The moment before which something has to have ended for its rows to be folded now."""
    return iso(time.time() - max(retention, LEAST_SECONDS))


def _cut(session: Session, name: str, shadow: str, young: Iterable[str]) -> bool:
    """Rebuild a shadow from its landing, the originals within retention, and what is still built on."""
    repo = session.repo
    parents_now = repo.commit(shadow).parents if repo.kind(shadow) == "commit" else ()
    if not parents_now:  # it is none of ours
        return False
    landing = parents_now[0]
    living = {*repo.refs(HEADS, PINS).values(), *_worktree_heads(repo)}
    wanted = {tip for tip in young if repo.kind(tip) == "commit"}
    for head in living:
        if repo.kind(head) == "commit":
            wanted.update(repo.run("merge-base", "--all", head, shadow, ok=(0, 1)).lines)
    feed = "".join(f"{oid}\n" for oid in (*wanted, f"^{landing}")).encode()
    graph = parse(repo.rev_list("--parents", "--topo-order", "--reverse", "--stdin", feed=feed))
    parents = heads(graph, [oid for oid in wanted if oid in graph])
    new = shadow_of(repo, landing, *parents)
    if new == shadow or set(repo.commit(shadow).parents[1:]) == set(parents):
        return False
    repo.move_refs([(name, new, shadow)], "uam: retention ended")
    return True


def _worktree_heads(repo: Repository) -> list[str]:
    lines = repo.run("worktree", "list", "--porcelain").lines
    return [line[len("HEAD ") :] for line in lines if line.startswith("HEAD ") and line.strip("HEAD 0")]


def unpin(session: Session, sources: Sequence[Source]) -> None:
    """Drop the pins of those of all sources of an action that landed: their landing holds on to them."""
    landed = {source.tip for source in sources if source.status == SourceStatus.LANDED}
    drop_pins(session, landed, [source.id for source in sources])


def drop_pins(session: Session, tips: Iterable[str], own: Collection[int] = ()) -> None:
    """Drop the pins of these tips, unless something that waits, besides the sources `own`, has the same tip.

    One that cannot be dropped now holds nothing up: it goes when its retention has ended. So goes what else is used up.
    """
    wanted = sorted(set(tips) - {""} - set(views.pending_tips(session.store, set(own))))
    more = used_up(session.repo)
    try:
        session.repo.move_refs([*((pin_ref(tip), ZERO, tip) for tip in wanted), *more], "uam: landed")
    except GitFailed:  # some are not there, or move in this moment
        names = [pin_ref(tip) for tip in wanted] if len(wanted) < MANY else [PINS]
        with suppress(GitFailed):
            refs = session.repo.refs(*names)
            drop = [(pin_ref(tip), ZERO, tip) for tip in wanted if refs.get(pin_ref(tip)) == tip]
            session.repo.move_each([*drop, *more], "uam: landed")
