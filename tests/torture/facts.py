"""What an agent has seen, one JSON line each: what the invariants are held against when everything has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Facts:
    """The diary of one agent. It lies outside of the repository, which may have no room for it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, kind: str, **more: Any) -> None:
        """Write down one thing that has happened."""
        with self.path.open("a") as out:
            out.write(json.dumps({"kind": kind, **more}) + "\n")

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """Everything of this kind, in order."""
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            fact: dict[str, Any] = json.loads(line)
            if fact["kind"] == kind:
                yield fact
