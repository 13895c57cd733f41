"""What plans have made, pinned before it is pushed."""

from __future__ import annotations

from collections.abc import Sequence

from uam_hooks.git.repo import Repository
from uam_hooks.git.scratch import FEW
from uam_hooks.hot.core.errors import GitFailed
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import landing_ref
from uam_hooks.hot.queue.model import Landing
from uam_hooks.integrate.merge import held_together


def not_pinned(repo: Repository, landings: Sequence[Landing]) -> str | None:
    """Pin what plans have made. Why it has to be made once more; None when all of it is there, and stays.

    Until it was pinned, a `git gc --prune=now` beside us could take it, or a part of it.
    """
    try:
        pins = _pins(repo, landings)
        repo.move_refs(pins, "uam: pin")
    except GitFailed as error:
        repo.look_again()
        return error.what
    gone = repo.gone()
    if not gone:
        return None
    repo.look_again()
    repo.move_refs([(name, ZERO, oid) for name, oid, _ in pins], "uam: incomplete")
    return f"{gone[0][:7]}, which was just written, has been collected"


def _pins(repo: Repository, landings: Sequence[Landing]) -> list[tuple[str, str, str]]:
    """The pins of landings, as moves; of many, one for all whose commits can have a commit on top."""
    pins = [(landing_ref(one.batch_id, one.id), one.keep, ZERO) for one in landings if one.keep != ZERO]
    if len(pins) <= FEW:
        return pins
    kinds = repo.kinds(keep for _, keep, _ in pins)
    several = [pin for pin in pins if kinds[pin[1]] == "commit"]
    if len(several) <= FEW:
        return pins
    whole = held_together(repo, list(dict.fromkeys(keep for _, keep, _ in several)))
    return [(several[0][0], whole, ZERO), *(pin for pin in pins if kinds[pin[1]] != "commit")]
