"""What the codes of PostgreSQL mean for a fleet: whether another try makes sense, and the words for it."""

from __future__ import annotations

import re

from uam_hooks.fleet.values import FleetAway, FleetRefused

# A code, or its class, that passes: no connection, another transaction in the way, nothing left, not now, the disk
_PASSES = ("08", "40", "53", "55", "57", "58", "25006")
_STAYS = ("57P04",)  # somebody has dropped the database
_WORDS = {
    "25006": "takes no changes: it is a standby, or read-only",
    "28000": "does not let this role in", "28P01": "does not let this role in",
    "3D000": "is not there", "57P04": "is not there",
    "42501": "does not let this role do this",
    "53100": "has no room left on its disk", "53300": "has no connection left for this role",
    "57014": "takes too long", "57P03": "takes no connections now", "57P01": "was shut down, or ended this session",
}  # fmt: skip
_TO_DO = {
    "28000": "Check the role, and the password for it in ~/.pgpass or in the service file.",
    "28P01": "Check the role, and the password for it in ~/.pgpass or in the service file.",
    "3D000": "Create it, or join the fleet where it is.", "57P04": "Create it, or join the fleet where it is.",
    "42501": "Let the role own the schema uam there: CREATE SCHEMA uam AUTHORIZATION the role.",
}  # fmt: skip
# What libpq and OpenSSL say of a connection that they have refused themselves, and a server of one without TLS. A
# connection that is lost is another matter: it has the word SSL as well.
_TLS = re.compile(r"certificate|does not support SSL|alert unknown ca|no encryption")
_TLS_TO_DO = (
    "Check sslmode and sslrootcert in the URL or in the service file, what is in ~/.postgresql, and the certificate of"
    " the server."
)


def trouble(code: str, said: str, is_wrong: bool) -> FleetAway | FleetRefused:
    """The error for a SQLSTATE; without one (`code` is "") it passes, unless the statement itself `is_wrong`.

    `said` is what the server or libpq says of it.
    """
    lines = said.strip().splitlines()
    why = lines[0].strip().rstrip(".")[:300] if lines else ""
    shown = f" ({why})" if why else ""
    if code in ("", "28000") and _TLS.search(why):
        return FleetRefused(f"TLS to the fleet's database fails{shown}.", _TLS_TO_DO)
    passes = (code[:2] in _PASSES or code in _PASSES) and code not in _STAYS if code else not is_wrong
    words = _WORDS.get(code) or ("does not answer" if passes else "refuses")
    what = f"The fleet's database {words}{shown}."
    if passes:
        return FleetAway(what)
    return FleetRefused(what, _TO_DO.get(code, "Its administrator has to look at it; the server's log says more."))
