"""Asking whether CI works on a branch: the command for it, run in a thread of its own, and what its end means."""

from __future__ import annotations

import os
import time
from threading import Thread

from uam_hooks.command import github
from uam_hooks.command.process import Command, Ended, Running
from uam_hooks.hot.core.errors import UamError, UsageError
from uam_hooks.hot.core.identity import reduced
from uam_hooks.hot.core.refs import short_target
from uam_hooks.hot.core.typed import NamedTuple
from uam_hooks.hot.queue.ci import CiState, Sight
from uam_hooks.hot.queue.lane import Lane
from uam_hooks.hot.queue.model import iso, seconds_of
from uam_hooks.session import Session
from uam_hooks.store.ci_states import LISTED, Landed, Run

# A command that has not answered by then is ended, with all that it started.
TIME_LIMIT_SECONDS = 20.0
# How long after a landing its run may not be listed yet.
LATE_SECONDS = 15.0
_FIELDS = ("databaseId", "status", "headSha", "event", "createdAt", "startedAt", "updatedAt")


class Answer(NamedTuple):
    """What is known now, and of which runs."""

    sight: Sight
    runs: tuple[Run, ...] = ()


class Question:
    """One question about one branch, `how` is `gh` or `command`; where gh was a guess (`may_be_off`) it may not be
    there, or not logged in. `log` is added to the name of its log, where two may ask at the same time.
    """

    def __init__(
        self, session: Session, running: Running, remote: str, ref: str, how: str, landed: Landed | None,
        may_be_off: bool, log: str = "",
    ) -> None:  # fmt: skip
        self.how, self.landed, self.may_be_off = how, landed, may_be_off
        self._ended: Ended | None = None
        self._running = running
        self._log = session.repo.paths.logs / f"ci-{Lane(ref, remote).key}{log}.log"
        try:
            make = self._gh if how == "gh" else self._command
            self._thread = Thread(target=self._run, args=(make(session, remote, ref),), daemon=True)
        except (UamError, OSError) as error:
            self._ended = Ended(2, error.what if isinstance(error, UamError) else str(error), "")
            self._thread = Thread()
        self._thread.start()

    def _command(self, session: Session, remote: str, ref: str) -> Command:
        words: list[str] = session.settings["uam.ci.command"]
        if not words:
            raise UsageError("uam.ci is 'command', and uam.ci.command is not set.", "Set it, or `uam.ci off`.")
        facts = {"UAM_REMOTE": remote, "UAM_BRANCH": short_target(ref)}
        facts["UAM_SHA"] = self.landed.sha if self.landed else ""
        env = {**reduced(os.environ, session.settings), **facts}
        return Command(words, env, b"", session.repo.paths.worktree, TIME_LIMIT_SECONDS, self._log, watched=True)

    def _gh(self, session: Session, remote: str, ref: str) -> Command:
        repository = github.repository(session, remote)
        shown = f".[] | [{', '.join(f'.{name}' for name in _FIELDS)}] | @tsv"
        words = ["gh", "run", "list", "--repo", repository, f"--branch={short_target(ref)}", "--limit", str(LISTED)]
        words += ["--json", ",".join(_FIELDS), "--jq", shown]
        env = github.environment(session, self._log)
        return Command(words, env, b"", session.repo.paths.worktree, TIME_LIMIT_SECONDS, self._log, watched=True)

    def _run(self, command: Command) -> None:
        try:
            self._ended = self._running.run(command)
        except Exception as error:  # whatever it is: an answer that never comes would be waited for
            self._ended = Ended(2, str(error), "")

    def answer(self) -> Answer | None:
        """The answer; None while there is none."""
        if self._ended is None:
            return None
        github.forget(self._log)
        ended, now = self._ended, time.time()
        if self.how == "gh":
            if self.may_be_off and ended.code in (127, github.NOT_LOGGED_IN):
                return Answer(Sight(CiState.OFF, now, self.how, said=ended.error))
            if ended.code == 0:
                return _of_runs(self.landed, ended.tail, now)
        elif ended.code in (0, 1) and not ended.by_us:
            state = CiState.BUSY if ended.code else CiState.IDLE
            since = self.landed.at if self.landed and ended.code else None
            runs = (Run(self.landed.sha, busy=bool(ended.code)),) if self.landed else ()
            return Answer(Sight(state, now, self.how, since), runs)
        return Answer(Sight(CiState.UNKNOWN, now, self.how, said=ended.error or "it has failed"))

    def join(self) -> None:
        """Wait until the command has ended."""
        if self._thread.ident is not None:
            self._thread.join()
        github.forget(self._log)

    def forget(self) -> None:
        """Delete the log of a question that has ended."""
        self._log.unlink(missing_ok=True)


def _of_runs(landed: Landed | None, listed: str, asked: float) -> Answer:
    """What the list of gh says. Runs of a timer, and of pull requests from the branch, are none of its landings."""
    sha = landed.sha if landed else ""
    runs = []
    for line in listed.splitlines():
        fields = line.split("\t")
        if len(fields) == len(_FIELDS) and (fields[3] == "push" or fields[2] == sha):
            number, status, commit, _, created, started, updated = fields
            busy = status != "completed"
            runs.append(Run(commit, number, _moment(started or created), "" if busy else _moment(updated), busy))
    working = [run for run in runs if run.busy]
    if working:
        first = working[-1]
        since = seconds_of(first.started) if first.started else None
        return Answer(Sight(CiState.BUSY, asked, "gh", since, run=first.number), tuple(runs))
    if runs and landed and asked - landed.at < LATE_SECONDS and sha not in {run.sha for run in runs}:
        return Answer(Sight(CiState.BUSY, asked, "gh", landed.at), tuple(runs))
    return Answer(Sight(CiState.IDLE, asked, "gh", has_runs=bool(runs)), tuple(runs))


def _moment(text: str) -> str:
    """A time of GitHub as the queue writes it; "" for what is none."""
    try:
        return iso(seconds_of(text))
    except ValueError:
        return ""
