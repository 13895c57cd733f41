"""The values of a fleet and its errors, and how both are written to its database and read from there.

What is there was written by another machine: whatever is read passes the checks of `hot.core.gate`, and what does not
is no value. Texts are stored as JSON writes them, in ASCII: a name may hold any bytes, and a server any encoding.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence

from uam_hooks.hot.core import gate
from uam_hooks.hot.core.errors import ExitCode, UamError, UsageError
from uam_hooks.hot.core.typed import Any, NamedTuple

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LONGEST = 10 * 366 * 86_400.0  # seconds of a window: timestamps end somewhere


class FleetAway(UamError):
    """The database does not answer, or cannot now: it is worth another try."""

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what, do or "Your pushes stay queued here; it is tried again.", transient=True)


class FleetRefused(UamError):
    """The database answers, and says no until somebody does something."""

    code = ExitCode.REFUSED


class Branch(NamedTuple):
    """One branch of a fleet: what all its machines call the remote, and the full name of the ref there."""

    remote: str
    ref: str


class Machine(NamedTuple):
    """One clone of a fleet: the text of a UUID that is its own, and the name that people read."""

    id: str
    name: str


class Entry(NamedTuple):
    """One source that was handed over to whoever lands its branch.

    `id` is the text of a UUID, made by who hands it over: entering it twice changes nothing. The ref `hidden` of the
    remote has its `tip`. `terms` is what it asks of who lands it ("" for nothing). `window` are the seconds until it is
    due, counted by the clock of the server. `facts` is what else is to be known. `machine` has handed it over, and it
    is due in `due_in` seconds: both are filled in where it is read.
    """

    id: str
    branch: Branch
    tip: str
    hidden: str
    agent: str
    terms: str
    urgent: bool
    window: float
    facts: Mapping[str, Any]
    machine: str = ""
    due_in: float = 0.0


class Ended(NamedTuple):
    """An entry that waits no more: `landed`, `failed` or taken `home`, and the text of its Outcome.

    `outcome` is "" where there is none, or none that can be read.
    """

    id: str
    state: str
    outcome: str


class Verdict(NamedTuple):
    """What a gate has said of a tree, somewhere in the fleet; `number` counts the verdicts of a fleet."""

    gate: str
    fingerprint: str
    tree: str
    green: bool
    sure: bool
    said: str
    number: int = 0


# -- written -------------------------------------------------------------------------------------------------


def packed(text: str) -> str:
    """`text` in ASCII, as JSON writes it."""
    return json.dumps(text)[1:-1]


def json_of(facts: Mapping[str, Any]) -> str:
    """`facts` as they are stored."""
    return json.dumps(dict(facts))


def is_uuid(value: Any) -> bool:
    """Whether `value` is a UUID, in the one spelling that is used here."""
    return isinstance(value, str) and re.fullmatch(_UUID, value) is not None


def checked_ids(ids: Sequence[str]) -> list[str]:
    """`ids` if they are names of entries; UsageError if they are not."""
    for found in ids:
        if not is_uuid(found):
            raise UsageError(f"{gate.shown(found)} is not the id of an entry of a fleet.")
    return list(ids)


def checked_machine(machine: Machine) -> Machine:
    """`machine` if it can be stored; UsageError if not."""
    if not is_uuid(machine.id):
        raise UsageError(f"{gate.shown(machine.id)} is not the id of a clone.")
    gate.name(machine.name, "name of this clone")
    return machine


def checked_branch(branch: Branch) -> Branch:
    """`branch` if it can be stored; UsageError if not."""
    gate.name(branch.remote, "remote of a branch of a fleet")
    if not gate.is_ref(branch.ref):
        raise UsageError(f"{gate.shown(branch.ref)} is not the name of a ref that a fleet can land.")
    return branch


def checked(entry: Entry) -> Entry:
    """`entry` if it can be stored and be read again; UsageError if not."""
    checked_ids([entry.id])
    checked_branch(entry.branch)
    if not (isinstance(entry.tip, str) and gate.is_oid(entry.tip)):
        raise UsageError(f"{gate.shown(entry.tip)} is not the name of a commit.")
    if not (isinstance(entry.hidden, str) and gate.is_ref(entry.hidden)):
        raise UsageError(f"{gate.shown(entry.hidden)} is not the name of a ref.")
    gate.name(entry.agent, "agent's name")
    gate.text(entry.terms, "terms of an entry", gate.NAME_BYTES)
    if not (math.isfinite(entry.window) and abs(entry.window) <= _LONGEST):
        raise UsageError(f"A window of {entry.window} seconds is none.")
    gate.payload(entry.facts)
    return entry


def checked_outcome(outcome: str) -> str:
    """The text of an Outcome in ASCII; UsageError where it is none, or too long."""
    return json.dumps(gate.payload(gate.parsed(outcome, "The outcome")))


def digest_of(verdict: Verdict) -> str:
    """One name for the gate, its fingerprint and the tree of a verdict."""
    name = json.dumps([verdict.gate, verdict.fingerprint, verdict.tree])
    return hashlib.sha256(name.encode()).hexdigest()


def key_of(fleet: int, branch: Branch) -> int:
    """The number of a branch, under which its lock is taken: the same on every machine."""
    name = json.dumps(["uam", fleet, branch.remote, branch.ref]).encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)


def channel(fleet: int, kind: str, of: int | str) -> str:
    """Where is told what came for a machine (`m`) or for a branch (`e`: was entered, `f`: is free to be held)."""
    name = f"{of & (1 << 64) - 1:016x}" if isinstance(of, int) else of.replace("-", "")
    return f"uam_{fleet}_{kind}_{name}"


# -- read ----------------------------------------------------------------------------------------------------


def unpacked(value: Any) -> str:
    """The text that `packed` has made; UsageError where it is none."""
    try:
        found = json.loads(f'"{value}"') if isinstance(value, str) else None
    except ValueError:
        found = None
    if not isinstance(found, str):
        raise UsageError(f"{gate.shown(value)} is no text of a fleet.")
    return found


def branch_of(remote: Any, ref: Any) -> Branch:
    """The branch of a row; UsageError where it is none."""
    return checked_branch(Branch(unpacked(remote), unpacked(ref)))


def entry_of(branch: Branch, row: Sequence[Any]) -> Entry | None:
    """The entry of a row of `statements.WAITING`; None where it cannot be read."""
    id, tip, hidden, agent, terms, urgent, window, facts, machine, due_in = row
    try:
        found = Entry(
            str(id), branch, tip, unpacked(hidden), unpacked(agent), unpacked(terms), bool(urgent), float(window),
            gate.parsed(facts, "What is said of an entry"), str(machine), float(due_in),
        )  # fmt: skip
        checked(found)
    except (UsageError, ValueError, TypeError):
        return None
    return found if is_uuid(found.machine) and math.isfinite(found.due_in) else None


def ended_of(row: Sequence[Any]) -> Ended | None:
    """How an entry has ended; None where the row says nothing of it that is known here."""
    id, state, outcome = row
    if not is_uuid(id) or state not in ("landed", "failed", "home"):
        return None
    try:
        return Ended(id, state, checked_outcome(outcome) if outcome else "")
    except (UsageError, TypeError):
        return Ended(id, state, "")


def verdict_of(row: Sequence[Any]) -> Verdict | None:
    """A verdict of another machine; None where it cannot be read."""
    gate_name, fingerprint, tree, green, sure, said, number = row
    try:
        found = Verdict(
            unpacked(gate_name), unpacked(fingerprint), tree, bool(green), bool(sure), unpacked(said), int(number)
        )
        return checked_verdict(found)
    except (UsageError, ValueError, TypeError):
        return None


def checked_verdict(verdict: Verdict) -> Verdict:
    """`verdict` if it can be stored and be read again; UsageError if not."""
    gate.name(verdict.gate, "name of a gate")
    gate.name(verdict.fingerprint, "fingerprint of a gate")
    if not (isinstance(verdict.tree, str) and gate.is_oid(verdict.tree)):
        raise UsageError(f"{gate.shown(verdict.tree)} is not the name of a tree.")
    if not isinstance(verdict.said, str) or gate.size_of(verdict.said) > gate.PAYLOAD_BYTES:
        raise UsageError("The output of a gate is too long for others to read.")
    return verdict


def is_readable(row: Sequence[Any]) -> bool:
    """Whether an entry can be read, from a row of `statements.ALL_WAITING`."""
    *entry, _, remote, ref = row
    try:
        return entry_of(branch_of(remote, ref), entry) is not None
    except UsageError:
        return False


def name_of(value: Any) -> str:
    """A name that another machine has written, to be shown."""
    try:
        return gate.name(unpacked(value), "name")
    except UsageError:
        return "?"
