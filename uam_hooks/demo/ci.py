"""The CI of the demo: it runs the tests of each commit that main of a remote was at, as long as a run is to take.

The remote's post-receive hook notes each run that a forge would start. `busy` is what a repository asks, by the setting
uam.ci.command; what was found stands in `verdicts`, one line for each run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import NamedTuple

from uam_hooks.hot.core.errors import UamError
from uam_hooks.hot.core.plumbing import HotGit

NAP_SECONDS = 0.02
# A run of the tests that takes longer is none that a demo has.
PATIENCE_SECONDS = 60.0
_HOOK = """#!/bin/sh
# One line for each run that a forge would start: one for each pushed branch, none for a commit with [skip ci].
while read -r old new ref; do
	case $ref in refs/heads/*) ;; *) continue ;; esac
	case $new in *[!0]*) ;; *) continue ;; esac
	case $(git log -1 --format=%B "$new") in *"[skip ci]"*) continue ;; esac
	echo "$new $ref" >>ci.log
done
"""
_BUSY = """#!/bin/sh
# Exit status 0: CI is idle, every run that has begun has a verdict. 1: it is busy.
cd -- "$(dirname -- "$0")" && [ "$(wc -l <ci.log)" -le "$(wc -l <verdicts)" ]
"""


class Run(NamedTuple):
    """A run of CI: what it tested, when it began (of time.monotonic), and whether the tests passed."""

    commit: str
    began: float
    passed: bool


class Ci:
    """The CI of a bare repository, at work inside of `with`; at the end the runs that still work are cut short."""

    def __init__(self, remote: Path, seconds: float, tests: Sequence[str]) -> None:
        self.remote, self.seconds, self.tests = remote, seconds, tests
        self.log, self.verdicts, self.busy = remote / "ci.log", remote / "verdicts", remote / "busy"
        self.runs: list[Run] = []
        self._clone = remote.with_name("ci")
        self._failed: Exception | None = None
        self._end = Event()
        self._thread = Thread(target=self._work)

    def __enter__(self) -> Ci:
        for file, text in ((self.remote / "hooks" / "post-receive", _HOOK), (self.busy, _BUSY)):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            file.chmod(0o755)
        for file in (self.log, self.verdicts):
            file.touch()
        if self.seconds:
            self._git(self.remote.parent, "clone", "-q", "--no-checkout", str(self.remote), str(self._clone))
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: TracebackType | None) -> None:
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._failed is not None and kind is None:
            raise UamError(f"The CI of the demo failed: {self._failed}.")

    def started(self) -> list[str]:
        """What each run that was started so far tests: a commit and a ref."""
        return self.log.read_text().splitlines()

    def _work(self) -> None:
        try:
            began: list[float] = []
            while True:
                ending, listed = self._end.is_set(), self.started()
                began += [time.monotonic()] * (len(listed) - len(began))
                for line, since in list(zip(listed, began, strict=True))[len(self.runs) :]:
                    if not ending and time.monotonic() < since + self.seconds:
                        break
                    self._finish(line.split()[0], since)
                if ending and len(self.runs) == len(listed):
                    return
                self._end.wait(NAP_SECONDS)
        except Exception as error:  # whoever waits for it says so
            self._failed = error

    def _finish(self, commit: str, began: float) -> None:
        self._git(self._clone, "fetch", "-q", "origin")
        self._git(self._clone, "checkout", "-q", "--force", "--detach", commit)
        passed = True
        if self.tests:
            words = [sys.executable, *self.tests]
            done = subprocess.run(words, cwd=self._clone, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
            passed = done.returncode == 0
        self.runs.append(Run(commit, began, passed))
        with self.verdicts.open("a") as file:
            file.write(f"{commit} {'pass' if passed else 'fail'}\n")

    @staticmethod
    def _git(at: Path, *args: str) -> None:
        HotGit(at, at).run(*args, at=at)


def together(runs: Sequence[Run], seconds: float) -> int:
    """How many runs began while another one worked, of runs that take so many seconds."""
    return sum(later.began < before.began + seconds for before, later in pairwise(runs))


def broken_for(runs: Sequence[Run]) -> float:
    """For how many seconds main was at commits whose tests fail, until a run began for one whose tests pass."""
    found, since = 0.0, None
    for run in runs:
        if not run.passed:
            since = run.began if since is None else since
        elif since is not None:
            found, since = found + run.began - since, None
    return found
