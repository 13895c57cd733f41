"""A machine that holds a branch, as a process of its own: it says so, and stays until it is ended.

python -m tests.fleet.stays URL FLEET NUMBER REMOTE REF
"""

from __future__ import annotations

import sys

from tests.fleet.conftest import machine
from uam_hooks.fleet.database import Fleet
from uam_hooks.fleet.values import Branch


def main() -> None:
    url, name, number, remote, ref = sys.argv[1:]
    fleet = Fleet(url, name, machine(int(number)))
    print("held" if fleet.hold(Branch(remote, ref)) else "refused", flush=True)
    while fleet.held:
        try:
            fleet.wait(60, sys.stdin.fileno())
        except Exception as error:
            print(type(error).__name__, flush=True)
        if not fleet.held:
            print("lost", flush=True)


if __name__ == "__main__":
    main()
