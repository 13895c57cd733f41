"""What git did, as it tells by itself (GIT_TRACE2_EVENT): the processes it started, and the connections to remotes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.scenes import Scene

_SERVERS = {"git-upload-pack": "look", "git-receive-pack": "push"}


class Trace:
    """The git commands that ran while it was open, in the order in which they began; what servers start is left out."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    @property
    def connections(self) -> list[str]:
        """What each connection to a remote was for: `look` (a fetch, too) or `push`."""
        return [_SERVERS[name] for name in map(_name, self.commands) if name in _SERVERS]

    @property
    def here(self) -> list[str]:
        """The commands on this side, without the servers."""
        return [" ".join(command) for command in self.commands if _name(command) not in _SERVERS]


@contextmanager
def traced(scene: Scene) -> Iterator[Trace]:
    """Note what every git of the scene does, until no background process is left."""
    directory = scene.root / "trace"
    directory.mkdir()
    scene.env["GIT_TRACE2_EVENT"] = str(directory)
    found = Trace()
    try:
        yield found
        scene.idle()
        found.commands += _started(directory)
    finally:
        del scene.env["GIT_TRACE2_EVENT"]
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


def _started(directory: Path) -> list[list[str]]:
    events = [json.loads(line) for path in directory.iterdir() for line in path.read_text().splitlines()]
    starts = sorted((e for e in events if e["event"] == "start"), key=lambda event: str(event["time"]))
    servers = tuple(f"{event['sid']}/" for event in starts if _name(event["argv"]) in _SERVERS)
    return [event["argv"] for event in starts if not event["sid"].startswith(servers)]


def _name(command: list[str]) -> str:
    return command[0].rpartition("/")[2]
