"""A batch as it is shown to people: with the messages and files of the commits in it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from uam_hooks.hot.core.typed import Any
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import Action, ActionType, Batch, Status, iso
from uam_hooks.session import Session
from uam_hooks.store import claim, requests

DRY_RUN = "dry-run"


def as_shown(store: Store, batch: Batch) -> Batch:
    """The batch with the payload of its commits by name filled in."""
    return batch._replace(actions=tuple(_filled(store, action) for action in batch.actions))


def would_be_created(session: Session) -> Batch | None:
    """The batch that `flush.create_batch` would create now, unclaimed; None when nothing is due."""
    found = claim.would_be_due(session.store, time.time(), session.settings["uam.batch.size"], session.lane)
    return not_claimed(session.store, found) if found else None


def not_claimed(store: Store, actions: Sequence[Action]) -> Batch:
    """A batch of these actions as it would be if it were created now."""
    return as_shown(store, Batch(DRY_RUN, 0, iso(time.time()), None, Status.PENDING, {}, tuple(actions)))


def _filled(store: Store, action: Action) -> Action:
    """A commit by name shows the message of its squash and all of its files."""
    if action.action_type != ActionType.COMMIT or not action.explicit:
        return action
    members = requests.members(store, action.id)
    files = sorted({path for _, _, paths in members for path in paths})
    payload: dict[str, Any] = {"message": _message([text for _, text, _ in members]), "files": files}
    if len(members) > 1:
        payload["squashedFrom"] = [number for number, _, _ in members]
    return action._replace(payload=payload)


def _message(messages: list[str]) -> str:
    if len(messages) == 1:
        return messages[0]
    subjects = [message.strip().splitlines()[0] for message in messages]
    lines = [f"{n}. {subject}" for n, subject in enumerate(subjects, 1)]
    return "\n".join([f"Squashed {len(messages)} commits:", "", *lines])
