"""An agent of the demo: a process of its own that commits and pushes with ordinary git, in its own worktree.

`orders.json` says what to commit, and whether this agent has to fetch, rebase and try again by itself. It prints
"ready", begins when its stdin ends, and prints its results as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from uam_hooks.hot.core.plumbing import Answer, HotGit

# Limit of rejected pushes; three agents stay far below it.
MAX_TRIES = 200


class Failed(Exception):
    """A git command failed in a way that the agent cannot handle."""

    def __init__(self, command: str, answer: Answer) -> None:
        super().__init__(f"`git {command}` exited {answer.code}: {' '.join((answer.err or answer.text).split())}")


class Agent:
    """One agent in its worktree."""

    def __init__(self, worktree: Path) -> None:
        self.worktree = worktree
        self._git = HotGit(worktree / ".git", worktree)
        self.rejected = 0
        self.pushes: list[float] = []
        self.told: list[str] = []

    def git(self, *args: str) -> None:
        """Run a command that must succeed; raises Failed."""
        answer = self._try(*args)
        if answer.code:
            raise Failed(" ".join(args[:3]), answer)

    def _try(self, *args: str) -> Answer:
        return self._git.run(*args, ok=None, at=self.worktree)

    def commit(self, order: dict[str, str]) -> None:
        path = self.worktree / order["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(order["contents"])
        self.git("add", "--", order["file"])
        self.git("commit", "-q", "-m", order["message"])

    def push(self) -> None:
        """What an agent runs in a hooked repository."""
        answer = self._try("push", "origin", "HEAD:main")
        self.told = [line for line in answer.err.splitlines() if line.startswith("uam: ")]
        if answer.code:
            self.rejected += "rejected]" in answer.err
            raise Failed("push", answer)

    def push_until_it_works(self) -> None:
        """What an agent has to run without git uam: push, and while another agent was first, fetch, rebase, repeat."""
        for _ in range(MAX_TRIES):
            answer = self._try("push", "origin", "HEAD:main")
            if not answer.code:
                return
            if "rejected]" not in answer.err:
                break
            self.rejected += 1
            # two fetches at the same time in one repository may fail; the next round fetches again
            if not self._try("fetch", "-q", "origin").code:
                self.git("rebase", "-q", "origin/main")
        raise Failed("push", answer)


def main() -> None:
    """`python -c ... orders.json`: wait for the start, carry out the orders, report."""
    orders: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    agent = Agent(Path(orders["worktree"]))
    print("ready", flush=True)
    sys.stdin.buffer.read()
    failed = ""
    try:
        for commits in orders["rounds"]:
            for order in commits:
                agent.commit(order)
            began = time.monotonic()
            if orders["retry"]:
                agent.push_until_it_works()
            else:
                agent.push()
            agent.pushes.append(time.monotonic() - began)
    except (Failed, OSError) as error:
        failed = str(error)
    report = {"rejected": agent.rejected, "told": agent.told, "pushes": agent.pushes, "failed": failed}
    print(json.dumps(report), flush=True)
