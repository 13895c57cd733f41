"""A fleet as its database has it, as data: its machines, who lands which branch, and what waits."""

from __future__ import annotations

import os

from uam_hooks.fleet import homeward, joining
from uam_hooks.fleet.clone import clone_of, terms_of
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import TYPE_CHECKING, Any
from uam_hooks.session import Session

if TYPE_CHECKING:
    from uam_hooks.fleet.standing import Status
    from uam_hooks.fleet.values import Branch


def look(session: Session) -> dict[str, Any]:
    """What `git uam fleet status --json` prints of a clone that is in a fleet; UamError where that cannot be asked."""
    name, url = joining.in_fleet(session)
    with homeward.connected(session, url, name) as db:
        status = db.status()
    here, own = clone_of(session.repo.paths).id, terms_of(session.settings, os.environ)
    return {
        "fleet": name,
        "requires": bool(status.terms),
        "agrees": own == status.terms if status.terms else all(one.terms == own for one in status.machines),
        "machines": [
            {"id": one.machine.id, "name": one.machine.name, "here": one.machine.id == here,
             "seen": round(max(one.seen, 0.0), 1), "agrees": one.terms == own}
            for one in status.machines
        ],
        "branches": _branches(status),
        "handed_over": [one.action.id for one in homeward.handed_over(session) if one.action.entrusted == name],
        "unreadable": status.unreadable,
    }  # fmt: skip


def nothing() -> dict[str, Any]:
    """The same of a clone that is in no fleet."""
    return {"fleet": None, "requires": False, "agrees": True, "machines": [], "branches": [], "handed_over": [],
            "unreadable": 0}  # fmt: skip


def _branches(status: Status) -> list[dict[str, Any]]:
    found: dict[Branch, dict[str, Any]] = {}

    def of(branch: Branch) -> dict[str, Any]:
        where = f"{branch.remote}/{short_target(branch.ref)}"
        return found.setdefault(branch, {"where": where, "holder": None, "since": None, "heard": None, "waiting": []})

    for holder in status.holders:
        of(holder.branch).update(
            holder=holder.machine, since=round(max(holder.since, 0.0), 1), heard=round(max(holder.beat, 0.0), 1)
        )
    for waits in status.waiting:
        row = {"machine": waits.machine, "pushes": waits.entries, "seconds": round(max(waits.oldest, 0.0), 1)}
        of(waits.branch)["waiting"].append(row)
    return list(found.values())
