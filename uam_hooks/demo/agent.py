"""An agent of the demo: a process of its own that commits and pushes with ordinary git, in its own worktree.

`orders.json` says what to commit, and whether this agent has to fetch, rebase and try again by itself. It prints
"ready", begins when its stdin ends, and prints its results as one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from uam_hooks.hot.core.plumbing import Answer, HotGit

# Limit of rejected pushes; three agents stay far below it.
MAX_TRIES = 200
# How long CI may take to say what it has found, and how often it is looked whether it has.
CI_SECONDS, NAP_SECONDS = 120.0, 0.02


class Failed(Exception):
    """A git command failed in a way that the agent cannot handle."""

    def __init__(self, command: str, answer: Answer) -> None:
        super().__init__(f"`git {command}` exited {answer.code}: {' '.join((answer.err or answer.text).split())}")


class Agent:
    """One agent in its worktree. `verdicts` is where it reads what CI says of what it has pushed.

    One that is `hooked` is told by `git push` whatever is wrong with a push; any other has to find out.
    """

    def __init__(self, worktree: Path, *, hooked: bool, verdicts: Path) -> None:
        self.worktree, self.hooked, self.verdicts = worktree, hooked, verdicts
        self._git = HotGit(worktree / ".git", worktree)
        self.rejected = 0
        self.behind = 0
        self.pushes: list[float] = []
        self.told: list[str] = []
        self.conflicts: list[dict[str, Any]] = []
        self.combinations: list[dict[str, Any]] = []

    def git(self, *args: str) -> None:
        """Run a command that must succeed; raises Failed."""
        answer = self._try(*args)
        if answer.code:
            raise Failed(" ".join(args[:3]), answer)

    def _try(self, *args: str) -> Answer:
        return self._git.run(*args, ok=None, at=self.worktree)

    def play(self, order: dict[str, Any]) -> None:
        """One round: some commits, and a push until all of it is on the remote; raises Failed."""
        for commit in order["commits"]:
            self.commit(commit)
        began = time.monotonic()
        self.push(order)
        self.pushes.append(time.monotonic() - began)

    def commit(self, order: dict[str, str]) -> None:
        path = self.worktree / order["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(order["contents"])
        self.git("add", "--", order["file"])
        self.git("commit", "-q", "-m", order["message"])

    def push(self, order: dict[str, Any]) -> None:
        """Push, and do what has to be done when that is rejected, or when CI fails for it."""
        mend = order["mend"]
        for _ in range(MAX_TRIES):
            began = time.monotonic()
            answer = self._try("push", "origin", "HEAD:main")
            told, knows = [line for line in answer.err.splitlines() if line.startswith("uam: ")], time.monotonic()
            if not answer.code:
                self.told = told
                if mend is None or self.hooked or self._passed():
                    return
            elif "rejected]" not in answer.err:
                break
            else:
                self.rejected += 1
                self.behind += not self.hooked or "! [rejected]" in answer.err
                if files := self._catch_up():
                    # who is not told has to find out
                    knows = knows if self.hooked else time.monotonic()
                    self.conflicts.append({"seconds": knows - began, "files": files, "told": told})
                    self._resolve(files, order["resolved"])
                    continue
                if not self.hooked:
                    continue
                if mend is None:
                    break
            knows = knows if self.hooked else time.monotonic()
            self.combinations.append({"seconds": knows - began, "files": [mend["file"]], "told": told})
            self.commit(mend)
            mend = None
        self.told = told
        raise Failed("push", answer)

    def _catch_up(self) -> list[str]:
        """Put the branch on top of what others have pushed; returns the files with a conflict, where that stops it."""
        if self.hooked:
            self._try("uam", "sync", "--queued", "origin/main")
        # two fetches at the same time in one repository may fail; the next round fetches again
        elif not self._try("fetch", "-q", "origin").code:
            self._try("rebase", "-q", "origin/main")
        return self._try("diff", "--name-only", "--diff-filter=U").lines

    def _resolve(self, files: list[str], resolved: dict[str, str]) -> None:
        for file in files:
            if file not in resolved:
                raise Failed("rebase", Answer(1, b"", f"nobody knows how to resolve {file}"))
            (self.worktree / file).write_text(resolved[file])
        self.git("add", "--", *files)
        self.git("-c", "core.editor=true", "rebase", "--continue")

    def _passed(self) -> bool:
        """What CI says of the commit that was pushed; raises Failed where it says nothing."""
        pushed = self._try("rev-parse", "HEAD").text
        deadline = time.monotonic() + CI_SECONDS
        while time.monotonic() < deadline:
            for line in self.verdicts.read_text().splitlines():
                if line.startswith(pushed):
                    return line.endswith(" pass")
            time.sleep(NAP_SECONDS)
        raise Failed("push", Answer(1, b"", "CI says nothing"))


def _meet(mine: int, everybodys: int) -> None:
    """Wait until everybody has come here, or is gone: a pipe ends when the last one has closed its end."""
    os.close(mine)
    while os.read(everybodys, 1):
        pass
    os.close(everybodys)


def main() -> None:
    """`python -c ... orders.json`: wait for the start, carry out the orders, report."""
    orders: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    for number in (number for meeting in orders["meetings"] for number in meeting):
        os.set_inheritable(number, False)
    agent = Agent(Path(orders["worktree"]), hooked=orders["hooked"], verdicts=Path(orders["verdicts"]))
    print("ready", flush=True)
    sys.stdin.buffer.read()
    failed = ""
    try:
        for number, rounds in enumerate(orders["acts"]):
            if number:
                _meet(*orders["meetings"][number - 1])
            for order in rounds:
                agent.play(order)
    except (Failed, OSError) as error:
        failed = str(error)
    names = ("rejected", "behind", "told", "pushes", "conflicts", "combinations")
    print(json.dumps({**{name: getattr(agent, name) for name in names}, "failed": failed}), flush=True)
