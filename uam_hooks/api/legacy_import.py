"""`git uam import`: import the queue of the tool that this one replaces; each action is checked like a new one."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path

from uam_hooks.api import submit
from uam_hooks.api.request import action_request
from uam_hooks.hot.core.errors import UamError, UsageError
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.model import iso
from uam_hooks.session import Session
from uam_hooks.store import legacy

_WAITING = ("pending", "batched")
_LONGEST_WINDOW = 300.0
_FIELDS = {
    "commit": ("message", "files"),
    "push": ("remote", "force"),
    "merge": ("source", "strategy", "message", "remote"),
    "workflow": ("ref", "inputs"),
}


class Imported(NamedTuple):
    """The result for one action: its id there, its id here (None when it was skipped), and why it was skipped or which
    parts of it were left out.
    """

    there: int
    here: int | None
    words: str


def take_over(session: Session, path: Path, at: Path) -> list[Imported]:
    """Queue what waits in the original's database `path`; what was imported before is skipped.

    Files of a commit are read as they are now: the original stored only their names. Relative names count from `at`.
    Raises UsageError for a file that is not such a database.
    """
    if path.resolve() == session.repo.paths.database.resolve():
        raise UsageError(f"{path} is the queue of this repository itself.", "Name the database to import.")
    origin = str(path.resolve())
    known = legacy.taken(session.store, origin)
    found = legacy.rows(path)
    states = {row.id: str(row.status) for row in found}
    report = []
    for row in found:
        try:
            report.append(_one(session, row, states, known, origin, at))
        except UamError as error:
            report.append(Imported(row.id, None, " ".join(part for part in (error.what, error.do) if part)))
    return report


def _one(
    session: Session, row: legacy.Row, states: Mapping[int, str], known: dict[int, int], origin: str, at: Path
) -> Imported:
    if row.id in known:
        return Imported(row.id, None, f"imported before, as #{known[row.id]}")
    if row.status == "executing":
        return Imported(row.id, None, "it was being executed, and its outcome is unknown")
    if row.status not in _WAITING:
        return Imported(row.id, None, f"it is {row.status}")
    if not isinstance(row.payload, dict) or not isinstance(row.dependencies, list):
        return Imported(row.id, None, "its payload or its dependencies cannot be read")
    needs = []
    for name in row.dependencies:
        number = int(name) if re.fullmatch(r"[0-9]{1,18}", str(name)) else -1
        if number in known:
            needs.append(known[number])
        elif states.get(number) != "completed":
            return Imported(row.id, None, f"it depends on {name!r}, which was not imported")
    kind = str(row.action_type)
    payload, left = _payload(kind, row.payload)
    options: dict[str, Any] = {"dependencies": needs}
    if isinstance(row.priority, int):
        options["priority"] = row.priority
    # one column held the end of the window as well as a requested time; no window is hours long
    if isinstance(row.execute_after, str) and row.execute_after > iso(time.time() + _LONGEST_WINDOW):
        options["execute_after"] = row.execute_after
    wanted = action_request(row.agent_id, kind, row.target, payload, options)
    known[row.id] = submit.enter(session, [wanted], at, origin=(origin, row.id))[0]
    return Imported(row.id, known[row.id], f"without {', '.join(left)}" if left else "")


def _payload(kind: str, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The fields of a payload that exist here, and the names of those that do not.

    A deploy keeps all fields but its command: only git config determines what is run.
    """
    if kind == "deploy":
        left = [name for name in ("command",) if name in given]
        return {name: value for name, value in given.items() if name not in left}, left
    fields = _FIELDS.get(kind, ())
    left = sorted(set(given) - {*fields, "squashedFrom"})
    payload = {name: given[name] for name in fields if given.get(name) is not None}
    return payload, left
