"""The shadow of a ref: the memory of what has landed on it, which tells git that these originals are there."""

from __future__ import annotations

from collections.abc import Iterator

from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import shadow_ref, short_target
from uam_hooks.hot.core.words import say
from uam_hooks.hot.queue.model import Landing
from uam_hooks.integrate.tips import Tips
from uam_hooks.session import Session
from uam_hooks.store import views


def memories(session: Session, remote: str, ref: str, tips: Tips | None = None) -> Iterator[tuple[str, str]]:
    """What has landed on a ref, newest first, as `plan.living_shadow` takes it.

    First what plans would land there, then the shadow and the journal's. A landing that is newer in the journal than
    the shadow's is one whose shadow could not be moved: it comes first, or its originals would conflict with it.
    """
    if tips is not None:
        yield from tips.memories(remote, ref)
    name = shadow_ref(remote, ref)
    shadow = session.repo.refs(name).get(name)
    recorded = list(views.memories(session.store, remote, ref))
    # one that is no commit, or stands on none, is none of ours
    if shadow is not None and session.repo.kind(shadow) == "commit" and (at := session.repo.commit(shadow).parents):
        landing = at[0]
        landings = [new for new, _ in recorded]
        newer = landings.index(landing) if landing in landings else 0
        recorded.insert(newer, (landing, shadow))
    yield from recorded


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
    """Drop shadows of branches that cannot be on the remote any more: of topic, now that it has topic/more.

    What they hold is pinned by its landings until its retention ends.
    """
    own, first = shadow_ref(remote, ref), len(shadow_ref(remote, ""))
    above = [own[:n] for n in range(first, len(own)) if own[n] == "/"]
    there = repo.refs(own + "/", *above)
    drop = [(name, ZERO, oid) for name, oid in there.items() if name in above or name.startswith(own + "/")]
    repo.move_refs(drop, f"uam: {short_target(ref)} took its name")
