"""Computers of a test's own: each has a network namespace, and a cable to the one in the middle that can be pulled.

A namespace has no name, and lives as long as a process in it. Those that hold it end with the process that runs the
tests, however that ends, and so do the cables: nothing is left to be removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

# In the middle: an address of its own, which all of them reach by their cables.
MIDDLE = "10.77.0.1"
NETWORK = "10.77.0.0/16"


def missing() -> str:
    """Why there can be no such computers here; "" where there can."""
    if os.geteuid() != 0:
        return "network namespaces are root's"
    for tool in ("ip", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install iproute2 util-linux"
    tried = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"network namespaces cannot be made here: {tried.stderr.strip()}" if tried.returncode else ""


class Place:
    """A network namespace."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"\n"
        self.pid = self._holder.pid
        self.do("link", "set", "lo", "up")

    @property
    def inside(self) -> Sequence[str]:
        """What starts a command there; it becomes that command."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--")

    def do(self, *words: str) -> None:
        """`ip words` there."""
        done = subprocess.run([*self.inside, "ip", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def has(self, pid: int) -> bool:
        """Whether a process is there."""
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink(f"/proc/{self.pid}/ns/net")  # noqa: PTH115 - no path

    def close(self) -> None:
        """Let go of it: it is gone with its last process."""
        self._holder.communicate()


class Middle(Place):
    """Where the database is."""

    def __init__(self) -> None:
        super().__init__()
        self.do("address", "add", f"{MIDDLE}/32", "dev", "lo")


class Computer(Place):
    """One of those around, with a number of its own."""

    def __init__(self, middle: Middle, number: int) -> None:
        super().__init__()
        self._middle, self._cable = middle, f"cable{number}"
        self.address = f"10.77.{number}.2"
        middle.do("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        middle.do("address", "add", f"10.77.{number}.1/24", "dev", self._cable)
        self.do("address", "add", f"{self.address}/24", "dev", "eth0")
        self.do("link", "set", "eth0", "up")
        self.plug_in()
        self.do("route", "add", "default", "via", f"10.77.{number}.1")

    def pull_out(self) -> None:
        """From now on packets vanish in both directions, and nobody is told."""
        self._middle.do("link", "set", self._cable, "down")

    def plug_in(self) -> None:
        """The cable is whole again."""
        self._middle.do("link", "set", self._cable, "up")

    def close(self) -> None:
        """See Place. The cable goes now: the kernel takes its time with what a namespace has."""
        self._middle.do("link", "delete", self._cable)
        super().close()
