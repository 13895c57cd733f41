"""Leaving a fleet: what was handed over comes home, nothing of this clone is left there, and the settings go."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from uam_hooks.fleet import address, hidden, homeward, joining
from uam_hooks.fleet.clone import clone_of
from uam_hooks.hot.core.errors import Advice, Refused, UamError
from uam_hooks.hot.core.typed import TYPE_CHECKING, NamedTuple
from uam_hooks.hot.queue.model import where
from uam_hooks.session import Session
from uam_hooks.store import entrusted, guests, views
from uam_hooks.store.entrusted import Entrusted

if TYPE_CHECKING:
    from uam_hooks.fleet.database import Fleet

FORCE = (*joining.LEAVE, "--force")


class Left(NamedTuple):
    """The fleet that was left, the actions that land from here again, how many hidden refs went, and what did not."""

    name: str
    home: tuple[int, ...]
    cleared: int
    said: tuple[str, ...]


def leave(session: Session, *, force: bool, dropping: bool = False) -> Left:
    """Leave the fleet; with `force` also where something is handed over, or its database does not answer.

    `dropping` if nothing of the queue is to land any more. UamError, and nothing has changed, where something is in the
    way. Each step can be repeated: a clone that died on the way leaves once more.
    """
    name, url = str(session.settings["uam.fleet"]), str(session.settings["uam.fleet.url"])
    handed = _handed(session)
    if not (name or url or handed):
        return _rest(session)
    if handed and not force:
        raise _still_there(handed)
    said: list[str] = []
    with ExitStack() as held:
        db = _connected(session, name, url, force, said, held)
        if not force:
            _refuse_guests(session, name)
        # the settings go first: a flusher that sees something come home is not to hand it over again
        before = joining.unset(session.repo)
        try:
            said += _home(session, db, handed, dropping)
        except UamError:
            joining.write(session.repo, before)
            raise
        # a flusher that had read the settings before may have handed over something meanwhile
        handed += (more := _handed(session))
        said += _home(session, db, more, dropping)
        _guests_go(session, db, name)
    if db is not None:
        from uam_hooks.fleet import database

        try:  # from here on nothing can be entered for this clone, and what it had entered is its own
            database.leave(url, name, clone_of(session.repo.paths).id)
        except UamError as error:
            said.append(f"this clone is still listed in the fleet's database: {error.what}")
    # what has lost its name cannot be handed over any more by who was about to, and what was is seen here
    cleared, left = hidden.clear_all(session)
    handed += (more := _handed(session))
    if more:
        entrusted.bring_home(session.store, [one.action for one in more], waits=False)
        again, left = hidden.clear_all(session)
        cleared += again
    home = sorted({one.action.id for one in handed if _is_home(session, one)})
    return Left(name, tuple(home), cleared, (*said, *left))


def _rest(session: Session) -> Left:
    """What is to be done for a clone that is in no fleet: to clear what an earlier leave could not."""
    if session.settings["uam.fleet.onLoss"] == "local":
        joining.unset(session.repo)
    cleared, left = hidden.clear_all(session)
    if not cleared and not left:
        raise Refused("This clone is in no fleet.", "There is nothing to leave.")
    return Left("", (), cleared, tuple(left))


def _handed(session: Session) -> list[Entrusted]:
    return homeward.handed_over(session)


def _is_home(session: Session, one: Entrusted) -> bool:
    action = views.action(session.store, one.action.id)
    return action is not None and not action.entrusted


def _still_there(handed: Sequence[Entrusted]) -> Refused:
    which = ", ".join(f"#{one.action.id} for {where(one.action)} by {one.action.agent_id}" for one in handed[:5])
    more = f" and {len(handed) - 5} more" if len(handed) > 5 else ""
    are = "1 push is" if len(handed) == 1 else f"{len(handed)} pushes are"
    return Refused(
        f"{are} in the hands of the fleet: {which}{more}.",
        Advice.of(
            "{} waits until they have ended; `git uam fleet leave --force` takes home what nobody has landed.",
            "git", "uam", "wait", *(str(one.action.id) for one in handed[:20]),
        ),
    )  # fmt: skip


def _connected(session: Session, name: str, url: str, force: bool, said: list[str], held: ExitStack) -> Fleet | None:
    """The database, None where it cannot be asked and nobody minds."""
    try:
        address.checked_url(url)
        return held.enter_context(homeward.connected(session, url, name))
    except UamError as error:
        if not force:
            raise Refused(error.what, Advice.of("{} leaves all the same.", *FORCE)) from error
        said.append(f"the fleet's database was not asked: {error.what}")
        return None


def _home(session: Session, db: Fleet | None, handed: Sequence[Entrusted], dropping: bool) -> list[str]:
    if not handed:
        return []
    if db is not None:
        homeward.from_fleet(session, db, handed)
        handed = _handed(session)
    return homeward.without_fleet(session, handed, dropping=dropping)


def _refuse_guests(session: Session, name: str) -> None:
    begun = guests.begun(session.store, name)
    if begun:
        are = "1 push" if len(begun) == 1 else f"{len(begun)} pushes"
        raise Refused(
            f"{are} of other machines of the fleet are being landed here.",
            Advice.of("Try again when that has ended, see {}.", "git", "uam", "status"),
        )


def _guests_go(session: Session, db: Fleet | None, name: str) -> None:
    """Tell what became of what was landed here for others, and leave to them what was not."""
    if db is not None:
        from uam_hooks.fleet import handing

        handing.tell(session, db, guests.ended(session.store, name))
    staying = guests.staying(session.store, name)
    guests.send_away(session.store, [one.source for one in staying], "this clone has left the fleet")
