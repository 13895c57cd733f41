"""The fleet of this clone: its settings are whole, its database answers, and nothing of an earlier one is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec

from uam_hooks.doctor.finding import Code, Finding, error, warning
from uam_hooks.doctor.seen import Seen
from uam_hooks.fleet import address
from uam_hooks.hot.core.errors import Advice, UamError, UsageError
from uam_hooks.hot.queue.reasons import place
from uam_hooks.store import entrusted, traces


def check_fleet(seen: Seen) -> Iterator[Finding]:
    """A fleet has a name and a database without a password in its URL, which answers."""
    name, url = seen.settings.text("uam.fleet"), seen.settings.text("uam.fleet.url")
    if not (name or url):
        return
    if not (name and url):
        missing = "uam.fleet.url" if name else "uam.fleet"
        yield error(
            Code.FLEET_HALF, missing, "Only half of a fleet is set, so nothing is landed by it, and nothing for it.",
            Advice.of("Run {} once more, or `git uam fleet leave`.", "git", "uam", "fleet", "join", "URL"),
        )  # fmt: skip
        return
    if address.holds_password(url):
        yield error(
            Code.FLEET_SECRET, "uam.fleet.url", "It holds a password, which every process that reads it can show.",
            "Set it without one, and let ~/.pgpass or the service file hold the password.",
        )  # fmt: skip
        return
    try:
        address.checked_name(name)
        address.checked_url(url)
    except UsageError as wrong:
        yield error(Code.FLEET_REFUSED, name, f"{wrong.what} Pushes wait.", wrong.do)
        return
    yield from _answers(name, url)


def _answers(name: str, url: str) -> Iterator[Finding]:
    if find_spec("psycopg") is None:
        yield error(
            Code.FLEET_EXTRA_MISSING, "psycopg", "The database of the fleet cannot be asked without it. Pushes wait.",
            "Install it: `pip install 'uam-hooks[fleet]'` in the environment of git uam, or `install.sh --fleet URL`.",
        )  # fmt: skip
        return
    from uam_hooks.fleet.values import FleetRefused

    try:
        from uam_hooks.fleet.fleet_schema import opened
        from uam_hooks.fleet.link import Link

        with closing(Link(url)) as link:
            opened(link, make=False)
    except FleetRefused as wrong:
        yield error(Code.FLEET_REFUSED, name, f"{wrong.what} Pushes wait.", wrong.do)
    except UamError as wrong:
        yield error(
            Code.FLEET_AWAY, name, f"{wrong.what} Pushes wait, or land from here alone: see uam.fleet.onLoss.",
            "Nothing, if it comes back: it is asked again and again.",
        )  # fmt: skip


def check_left(seen: Seen) -> Iterator[Finding]:
    """Nothing is in the hands of a fleet that this clone is not in, and nothing is left over on a remote."""
    if seen.store is None:
        return
    name = seen.settings.text("uam.fleet")
    for hands in entrusted.places(seen.store):
        if hands in (name, seen.settings.text("uam.queue")):
            continue
        yield error(
            Code.FLEET_LOST, hands, f"Pushes of this clone are in the hands of {place(hands)}, and it is not in there.",
            Advice.of("Run {}, which takes them home.", "git", "uam", "fleet", "leave", "--force"),
        )  # fmt: skip
    if name:
        return
    for remote, entries in traces.left_over(seen.store).items():
        yield warning(
            Code.FLEET_REFS_LEFT, remote, f"Hidden refs of {len(entries)} pushes of this clone are left there.",
            Advice.of("Run {}, which removes them.", "git", "uam", "fleet", "leave"),
        )  # fmt: skip
