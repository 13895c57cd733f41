"""From rows of the database to values, whatever is in them.

An older version or another tool may have written a row that is none. It becomes a value all the same, whose `fault`
says what is wrong with it: whoever claims actions ends it with that reason (see faults), and nobody else is held up.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable

from uam_hooks.hot.core.errors import UsageError
from uam_hooks.hot.core.gate import is_oid, is_ref, payload, push_options, shown
from uam_hooks.hot.core.identity import Place
from uam_hooks.hot.core.refs import full_target
from uam_hooks.hot.core.typed import Any, Generic, TypeVar
from uam_hooks.hot.queue.model import Action, ActionType, Batch, Landing, Source, SourceStatus, Status, Wish
from uam_hooks.hot.queue.outcome import Detail, Outcome

T = TypeVar("T")
# how many rows of a kind are kept as values
MOST_KNOWN = 4000
_MOMENT = r"(?a)(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3}|\.\d{6})?Z"
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# far in the past: what is due then is taken, and ended, at once
NO_MOMENT = "1970-01-01T00:00:00.000Z"
_BRANCH_TYPES = (ActionType.COMMIT, ActionType.PUSH, ActionType.MERGE)


def is_moment(text: Any) -> bool:
    """Whether `text` is a moment as `model.iso` writes it."""
    found = re.fullmatch(_MOMENT, text) if isinstance(text, str) else None
    if found is None or found[1] == "0000":
        return False
    year, month, day = (int(part) for part in found.groups())
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= _DAYS[month - 1] + leap


class _Reader:
    """Reads the columns of one row, and keeps the first thing that is wrong."""

    def __init__(self, row: sqlite3.Row) -> None:
        self._row = row
        self.fault = ""

    def wrong(self, what: str) -> None:
        self.fault = self.fault or f"its entry in the queue cannot be read: {what}"

    def as_(self, column: str, read: Callable[[Any], T], otherwise: T) -> T:
        """The column through `read`, or `otherwise` where that raises."""
        value = self._row[column]
        try:
            return read(value)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError) as error:
            why = error.what if isinstance(error, UsageError) else shown(value)
            self.wrong(f"{column}: {why}")
            return otherwise

    def text(self, column: str) -> str:
        return self.as_(column, _text, "")

    def number(self, column: str, otherwise: int = 0) -> int:
        return self.as_(column, _number, otherwise)

    def moment(self, column: str, otherwise: str = NO_MOMENT) -> str:
        return self.as_(column, _moment, otherwise)


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError
    return value


def _moment(value: Any) -> str:
    if not is_moment(value):
        raise ValueError
    return str(value)


def _later(value: Any) -> str:
    return value if value == "" else _moment(value)


def numbers(text: Any) -> tuple[int, ...]:
    """The ids in a JSON list; ValueError or TypeError for anything else."""
    return tuple(map(_number, json.loads(text)))


def ids(text: Any) -> tuple[int, ...]:
    """`numbers`, and none where it is none."""
    try:
        return numbers(text)
    except (ValueError, TypeError, RecursionError):
        return ()


def _payload(text: Any) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError
    return payload(found)


def _check_payload(kind: ActionType, given: dict[str, Any]) -> None:
    """Raise unless the fields that executing and showing rely on are there. A commit and a deploy need none."""
    if kind == ActionType.PUSH:
        push_options([_text(option) for option in _list(given.get("push_options", []))])
    elif kind == ActionType.WORKFLOW:
        _text(given["ref"])
        if not all(isinstance(value, str) for value in given.get("inputs", {}).values()):
            raise ValueError
    elif kind == ActionType.MERGE:
        if given.get("pr"):
            _number(given["pr"])
            _text(given["method"])
        else:
            _text(given["source"])
            _text(given["strategy"])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


class _Known(Generic[T]):
    """Values of rows that were read before: one landing reads those of all its refs several times over."""

    def __init__(self, read: Callable[[sqlite3.Row], T]) -> None:
        self._read = read
        self._found: dict[tuple[Any, ...], T] = {}

    def __call__(self, row: sqlite3.Row) -> T:
        key = (*row.keys(), *row)
        if key not in self._found:
            if len(self._found) >= MOST_KNOWN:
                self._found.clear()
            self._found[key] = self._read(row)
        return self._found[key]


def action(row: sqlite3.Row) -> Action:
    """A row of deploy_queue."""
    found = _known_action(row)
    return found._replace(payload=dict(found.payload))  # whoever changes it changes a copy


def source(row: sqlite3.Row) -> Source:
    """A row of sources."""
    return _known_source(row)


def _action(row: sqlite3.Row) -> Action:
    reader = _Reader(row)
    kind = reader.as_("action_type", ActionType, ActionType.DEPLOY)
    given: dict[str, Any] = reader.as_("payload", _payload, {})
    target = reader.text("target")
    if not reader.fault:
        reader.as_("payload", lambda _: _check_payload(kind, given), None)
        if kind in _BRANCH_TYPES and (row["asked"] or kind == ActionType.PUSH) and not is_ref(full_target(target)):
            reader.wrong(f"target: {shown(target)}")
    found = Action(
        row["id"],
        reader.text("agent_id"),
        kind,
        target,
        given if not reader.fault else {},
        reader.as_("status", Status, Status.PENDING),
        row["batch_id"],
        reader.moment("queued_at"),
        reader.moment("execute_after"),
        reader.number("priority"),
        reader.as_("dependencies", numbers, ()),
        reader.text("remote"),
        row["finished_at"],
        str(row["error"]),
        bool(row["asked"]),
        row["carried_by"],
        reader.as_("not_before", _later, ""),
        reader.number("attempts"),
        reader.text("identity"),
        Place(reader.text("place"), reader.text("url")),
        entrusted=reader.text("entrusted"),
    )
    return found._replace(fault=reader.fault) if reader.fault else found


def _source(row: sqlite3.Row) -> Source:
    reader = _Reader(row)
    found = Source(
        row["id"],
        row["action_id"],
        reader.text("agent_id"),
        reader.text("worktree"),
        reader.text("branch"),
        reader.as_("tip", _oid, ""),
        bool(row["exact"]),
        row["expect"],
        reader.text("push_group"),
        bool(row["atomic"]),
        reader.number("waiter"),
        reader.moment("queued_at"),
        reader.as_("status", SourceStatus, SourceStatus.PENDING),
        row["replaced_by"],
        reader.as_("outcome", Outcome.parse, Outcome(note="what became of it cannot be read")),
        bool(row["follow"]),
        reader.as_("base", _oid, ""),
        reader.text("message"),
        reader.text("waiter_started"),
        reader.text("author"),
        reader.text("committer"),
        wish=reader.as_("wish", Wish, Wish.NONE),
        held=bool(row["held"]),
        entry=reader.text("entry"),
        origin=reader.text("origin"),
    )
    return found._replace(fault=reader.fault) if reader.fault else found


def status(row: sqlite3.Row) -> Status:
    """The status in a row of deploy_queue."""
    return _Reader(row).as_("status", Status, Status.PENDING)


_known_action = _Known(_action)
_known_source = _Known(_source)


def _oid(value: Any) -> str:
    if not isinstance(value, str) or (value and not is_oid(value)):
        raise ValueError
    return value


def batch(row: sqlite3.Row, actions: tuple[Action, ...] = ()) -> Batch:
    """A row of deploy_batches."""
    reader = _Reader(row)
    return Batch(
        row["id"],
        row["number"],
        reader.text("created_at"),
        row["executed_at"],
        reader.as_("status", Status, Status.FAILED),
        reader.as_("result", lambda text: dict(json.loads(text)), {}),
        actions,
        bool(row["by_hand"]),
    )


def landing(row: sqlite3.Row) -> Landing:
    """A row of landings. One whose detail cannot be read is finished without it."""
    reader = _Reader(row)
    return Landing(
        row["id"],
        row["batch_id"],
        row["action_id"],
        row["remote"],
        row["ref"],
        row["old"],
        row["new"],
        row["keep"],
        reader.as_("sources", numbers, ()),
        row["status"],
        reader.as_("detail", Detail.parse, Detail()),
    )
