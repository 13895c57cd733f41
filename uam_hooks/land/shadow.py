"""The shadow of a ref: the memory of what has landed on it, which tells git that these originals are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import shadow_ref, short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Landing
from uam_hooks.integrate.merge import shadow_of
from uam_hooks.integrate.tips import Tips
from uam_hooks.session import Session
from uam_hooks.store import remains


def memories(
    session: Session, remote: str, ref: str, tips: Tips | None = None, shadows: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """What has landed on a ref, newest first, as `plan.living_shadow` takes it.

    First what plans would land there, then the shadow and the journal's. A landing that is newer in the journal than
    the shadow's is one whose shadow could not be moved: it comes first, or its originals would conflict with it.
    `shadows` are those of the remote, where they were asked for already.
    """
    if tips is not None:
        yield from tips.memories(remote, ref)
    name = shadow_ref(remote, ref)
    shadow = (session.repo.refs(name) if shadows is None else shadows).get(name)
    known: int | None = None
    # one that is no commit, or stands on none, is none of ours
    if shadow is not None and session.repo.kind(shadow) == "commit" and (at := session.repo.commit(shadow).parents):
        known = remains.newest_as(session.store, remote, ref, at[0])
        for number, new, keep in (
            remains.memories(session.store, remote, ref, others=False) if known is not None else ()
        ):
            if known is not None and number <= known:
                break
            yield new, keep
        yield at[0], shadow
    for _, new, keep in remains.memories(session.store, remote, ref, known, others=False):
        yield new, keep


# How far back it is looked for a shadow below another one without asking git.
_NEAR = 100


class Memory(NamedTuple):
    """What the shadow of a ref is to hold."""

    remote: str
    ref: str
    keep: str


def remember(repo: Repository, landings: Iterable[Landing]) -> None:
    """Move the shadows to those of landings; landings that are their own originals need none."""
    move_shadows(repo, [Memory(one.remote, one.ref, one.keep) for one in landings if one.keep not in (one.new, ZERO)])


def move_shadows(repo: Repository, memories: Iterable[Memory]) -> None:
    """Let the shadow of each ref be what it is to hold, unless it holds that already.

    A memory that cannot be written does not hold up what has landed: the landing's pin keeps the originals.
    """
    wanted = {shadow_ref(one.remote, one.ref): one for one in memories}
    if not wanted:
        return
    failed: dict[str, GitFailed] = {}
    moves = []
    try:
        there = repo.refs(*dict.fromkeys(shadow_ref(one.remote, "") for one in wanted.values()))
    except GitFailed as error:
        there, failed = {}, dict.fromkeys(wanted, error)
    for name, one in wanted.items():
        now = there.get(name, ZERO)
        try:
            if name not in failed and now != one.keep and not (now != ZERO and repo.is_ancestor(one.keep, now)):
                _make_room(repo, one, there)
                moves.append((name, _joined(repo, one, now), now))
        except GitFailed as error:
            failed[name] = error
    failed |= repo.move_each(moves, "uam: landed")
    for name, why in failed.items():
        where = short_target(wanted[name].ref)
        say(f"{why.what} What has landed on {where} stays landed; its originals stay in refs/uam/.")


def _joined(repo: Repository, new: Memory, now: str) -> str:
    """What the shadow that is at `now` becomes: what is new, and what only this one knows, as long as that counts.

    Who lands for others, and has it from them what landed before, may know less than this repository.
    """
    # as a rule the landing was planned with this one, and no process is needed to see that
    if now == ZERO or repo.descends(new.keep, now, _NEAR) or repo.kind(now) != "commit" or holds(repo, new.keep, now):
        return new.keep
    landing, before = repo.commit(new.keep).parents[:1], repo.commit(now).parents[:1]
    if not landing or not before or not repo.is_ancestor(before[0], landing[0]):
        return new.keep
    return shadow_of(repo, landing[0], new.keep, now)


def holds(repo: Repository, one: str, other: str) -> bool:
    """Whether a shadow knows of all that another one does: also where that was made anew since, with less in it."""
    return set(repo.rev_list("--max-count=2", other, f"^{one}")) <= {other}


def _make_room(repo: Repository, new: Memory, there: Mapping[str, str]) -> None:
    """Drop those of the shadows `there` whose branches cannot be on the remote any more: of topic, now that it has
    topic/more.

    What they hold is pinned by its landings until its retention ends.
    """
    own, first = shadow_ref(new.remote, new.ref), len(shadow_ref(new.remote, ""))
    above = [own[:n] for n in range(first, len(own)) if own[n] == "/"]
    drop = [(name, ZERO, oid) for name, oid in there.items() if name in above or name.startswith(own + "/")]
    repo.move_refs(drop, f"uam: {short_target(new.ref)} took its name")
