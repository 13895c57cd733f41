"""Where a branch is, or would begin, when something is asked for by name. It loads nothing of a landing."""

from __future__ import annotations

from uam_hooks.hot.core.errors import Advice, UamError
from uam_hooks.hot.core.plumbing import ZERO
from uam_hooks.hot.core.refs import short_target
from uam_hooks.integrate.tips import Tips
from uam_hooks.session import Session


def start_of(session: Session, ref: str, remote: str, tips: Tips | None = None) -> str:
    """Where a branch is, or would begin: at its remote-tracking ref; ZERO where it can only begin with a root commit.

    Raises UamError when there is no such branch and HEAD does not name it.
    """
    seen = tips or Tips(session.repo)
    for name in (ref, session.settings.tracking_ref(remote, ref) if remote else None):
        if name and (found := seen.name_of(name))[1] == "commit":
            return found[0]
    if session.repo.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text == ref:
        return ZERO
    name = short_target(ref)
    raise UamError(f"There is no branch {name} here.", Advice.of("Make it with {}.", "git", "branch", name))
