"""A machine that is interrupted in a statement, as a process of its own: it says what it holds then.

python -m tests.fleet.interrupted URL FLEET NUMBER REMOTE REF
"""

from __future__ import annotations

import sys

from tests.fleet.conftest import machine
from uam_hooks.fleet.database import Fleet
from uam_hooks.fleet.values import Branch, FleetAway


def main() -> None:
    url, name, number, remote, ref = sys.argv[1:]
    fleet, branch = Fleet(url, name, machine(int(number))), Branch(remote, ref)
    print("held" if fleet.hold(branch) else "refused", flush=True)
    try:
        fleet.link.ask("SELECT pg_sleep(4)")
    except KeyboardInterrupt:
        print("interrupted", len(fleet.held), flush=True)
    try:
        fleet.hold(branch)
    except FleetAway:
        print("away", flush=True)


if __name__ == "__main__":
    main()
