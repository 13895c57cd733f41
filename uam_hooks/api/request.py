"""Requests for actions by name, parsed: the same from Python, from the command line and from another queue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.model import PRIORITY, ActionType, iso

_MOST = 999_999_999
_YEAR_10000 = 253402300800.0
OPTIONS = ("urgent", "priority", "dependencies", "execute_after", "name")


class ActionRequest(NamedTuple):
    """An action as it was requested. `execute_after` is in seconds since 1970; `dependencies` are ids of actions in the
    queue, or the `name` of another request of the same bulk.
    """

    agent: str
    kind: ActionType
    target: str
    payload: Mapping[str, Any]
    urgent: bool = False
    priority: int = PRIORITY
    dependencies: tuple[int | str, ...] = ()
    execute_after: float | None = None
    name: str = ""


def action_request(
    agent: str, kind: str, target: str, payload: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> ActionRequest:
    """Parse a request; raises UsageError for an invalid value."""
    if kind not in list(ActionType):
        raise UsageError(f"There is no action type '{kind}'.", f"Use one of {', '.join(ActionType)}.")
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise UsageError(f"There is no option '{sorted(unknown)[0]}' for an action.")
    given = gate.payload({} if payload is None else payload)
    priority = options.get("priority")
    if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > _MOST):
        raise UsageError(f"The priority is {priority!r}, which is not a whole number up to {_MOST}.")
    urgent = options.get("urgent") or False
    if not isinstance(urgent, bool):
        raise UsageError(f"urgent is {urgent!r}, which is neither true nor false.")
    name = options.get("name") or ""
    if name:
        gate.name(name, "name of an action")
    if not isinstance(name, str) or re.fullmatch(r"#?[0-9]+", name):
        raise UsageError(f"{name!r} is not a valid name for an action: it looks like an id.")
    return ActionRequest(
        _agent(agent), ActionType(kind), gate.name(target, "target"), given, urgent,
        PRIORITY if priority is None else priority, _dependencies(options.get("dependencies") or ()),
        _moment(options.get("execute_after")), name,
    )  # fmt: skip


def _agent(agent: str) -> str:
    if not isinstance(agent, str) or not agent or not agent.isprintable():
        raise UsageError(f"{gate.shown(agent)} is not a valid agent name.", "Use printable text.")
    return gate.name(agent, "agent's name")


def _dependencies(given: Sequence[Any]) -> tuple[int | str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise UsageError(f"{given!r} is not a list of dependencies.")
    for one in given:
        if (
            isinstance(one, bool)
            or not isinstance(one, int | str)
            or one == ""
            or (isinstance(one, int) and not 0 < one <= _MOST)
        ):
            raise UsageError(f"{one!r} is not a valid dependency.", "Use the id of a queued action.")
    for one in given:
        if isinstance(one, str):
            gate.name(one, "dependency")
    return tuple(
        int(one.removeprefix("#")) if isinstance(one, str) and re.fullmatch(r"#?[0-9]{1,9}", one) else one
        for one in given
    )


def _moment(given: Any) -> float | None:
    """Seconds since 1970 from such a number, a datetime, or an ISO 8601 text (UTC unless it has an offset)."""
    if given is None or given == "":
        return None
    try:
        if isinstance(given, str):
            given = datetime.fromisoformat(given)
        if isinstance(given, datetime):
            given = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
        moment = float(given)
        iso(moment)
        # as texts, later times would not sort in order
        if isinstance(given, bool) or not 0 <= moment < _YEAR_10000:
            raise ValueError
    except (TypeError, ValueError, OverflowError, OSError):
        raise UsageError(f"{given!r} is not a valid time.", "Write it as 2026-05-06T07:08:09Z.") from None
    return moment
