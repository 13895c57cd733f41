"""Whether this process may do an action: it acts as who asked for it, and its remote leads where it led then."""

from __future__ import annotations

import os

from uam_hooks.hot.core.errors import Failure
from uam_hooks.hot.core.identity import Place, place_of
from uam_hooks.hot.queue.model import Action, ActionType, Status
from uam_hooks.session import Session
from uam_hooks.store import views


def is_ours(session: Session, action: Action) -> bool:
    """Whether the action acts as who runs this process; one from before identities were recorded is everybody's."""
    return action.identity in ("", session.identity.id)


def leads_elsewhere(session: Session, action: Action) -> Failure | None:
    """Why the action must not be done here: its remote leads to another place than when it was asked for."""
    here = _place(session, action)
    if action.place.id in ("", here.id):
        return None
    shown = f" ({here.url}, and then {action.place.url})" if action.place.url != here.url else ""
    return Failure(f"{action.remote} leads elsewhere than when this was queued{shown}: nothing was sent, do it again")


def may_ask(session: Session, action: Action) -> bool:
    """Whether what this process finds at the action's remote says what became of the action.

    For another identity only where the remote leads to the same place: then it is asked with credentials of one's own.
    """
    return action.place.id == _place(session, action).id if action.place.id else is_ours(session, action)


def left_to_others(session: Session) -> int:
    """How many actions wait for a process that has the settings they were queued with."""
    waiting = views.actions(session.store, Status.PENDING)
    return sum(not is_ours(session, a) for a in waiting if a.explicit or a.action_type != ActionType.COMMIT)


def _place(session: Session, action: Action) -> Place:
    return place_of(session.identity, session.settings, os.environ, action.remote)


def differences(session: Session, action: Action) -> list[str]:
    """The names of the settings in which an action of another identity differs from this process; never values."""
    found = session.identity.differs(views.facts(session.store, action.identity))
    moved = action.place.id and action.place.id != _place(session, action).id
    return [*found, *([f"url of {action.remote}"] if moved else [])]
