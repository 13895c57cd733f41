"""Becoming a machine of a fleet: what has to be there is tried first, and the settings are written last."""

from __future__ import annotations

import os
from collections.abc import Mapping

from uam_hooks.fleet import address, hidden
from uam_hooks.fleet.clone import clone_of, terms_of
from uam_hooks.git.remote import Remote
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import Advice, Refused, UamError, UsageError
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.session import Session

LEAVE = ("git", "uam", "fleet", "leave")


class Wanted(NamedTuple):
    """What somebody asks for who joins: empty texts for what is to be found out."""

    url: str
    name: str = ""
    remote: str = ""
    on_loss: str = ""
    require: bool = False


class Joined(NamedTuple):
    """The fleet, what this clone is called in it, the remote that was tried, and whether it was in there before."""

    name: str
    machine: str
    remote: str
    before: bool


def join(session: Session, wanted: Wanted) -> Joined:
    """Make this clone a machine of a fleet; UamError, with nothing written here, where something is in the way.

    Doing it again changes nothing.
    """
    url = address.checked_url(wanted.url)
    name, before = _name(session, wanted, url)
    remote = wanted.remote or address.pushed_to(session.repo, session.settings)
    session.settings.check_remote(remote)
    name = address.checked_name(name or address.called_after(session.settings, remote))
    if session.settings["uam.queue"]:
        raise Refused(
            "The pushes of this clone go into the queue of another clone (uam.queue).",
            "A clone is in one or the other: let that clone join.",
        )
    address.require_extra()
    from uam_hooks.fleet import database
    from uam_hooks.fleet.values import FleetAway, Machine

    clone = clone_of(session.repo.paths)
    if not before:
        hidden.probe(session, Remote(session.repo, session.settings, remote))
    machine = Machine(clone.id, clone.name)
    try:
        database.join(url, name, machine, terms_of(session.settings, os.environ), wanted.require)
    except FleetAway as error:
        raise UamError(error.what, "Nothing was changed here.") from error
    settings = {"uam.fleet.onLoss": wanted.on_loss, "uam.fleet.url": url, "uam.fleet": name}
    write(session.repo, {key: value for key, value in settings.items() if session.settings.text(key) != value})
    return Joined(name, clone.name, remote, before)


def _name(session: Session, wanted: Wanted, url: str) -> tuple[str, bool]:
    """The name of the fleet as far as it is known, and whether this clone is in there; Refused if it is in another."""
    now, at = str(session.settings["uam.fleet"]), str(session.settings["uam.fleet.url"])
    name = wanted.name or now
    if at not in ("", url):
        raise Refused("This clone is in a fleet in another database already.", Advice.of("Run {} first.", *LEAVE))
    if now not in ("", name):
        raise Refused(f"This clone is in the fleet {now} already.", Advice.of("Run {} first.", *LEAVE))
    return name, bool(now and at)


def unset(repo: Repository) -> dict[str, str]:
    """Take the settings of a fleet out of the repository's config file, that which counts first; returns what they
    were there.
    """
    before = {}
    for key in ("uam.fleet", "uam.fleet.url", "uam.fleet.onLoss"):
        found = repo.run("config", "--local", "--get", key, ok=(0, 1)).text
        if found:
            before[key] = found
            repo.run("config", "--local", "--unset-all", key, ok=(0, 5))
    return before


def write(repo: Repository, settings: Mapping[str, str]) -> None:
    """Write settings into the repository's config file, that which counts last."""
    for key in ("uam.fleet.onLoss", "uam.fleet.url", "uam.fleet"):
        if settings.get(key):
            repo.run("config", "--local", "--replace-all", key, settings[key])


def in_fleet(session: Session) -> tuple[str, str]:
    """The fleet that this clone is in and the URL of its database; Refused where it is in none, or half of one."""
    name, url = str(session.settings["uam.fleet"]), str(session.settings["uam.fleet.url"])
    join = ("git", "uam", "fleet", "join", "URL")
    if not name:
        raise Refused("This clone is in no fleet.", Advice.of("{} makes it a machine of one.", *join))
    if not url:
        raise Refused(
            f"This clone is in the fleet {name}, and nothing says where its database is (uam.fleet.url).",
            Advice.of("Run {} once more.", *join),
        )
    try:
        return address.checked_name(name), address.checked_url(url)
    except UsageError as error:
        raise Refused(error.what, error.do) from None
