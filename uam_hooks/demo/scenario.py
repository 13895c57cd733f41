"""What a demo plays, as data: who commits and pushes what, in which acts, and which tests have to pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from uam_hooks.hot.core.errors import UamError, UsageError
from uam_hooks.hot.core.values import duration

_PACKAGE = Path(__file__).resolve().parent.parent


class Commit(NamedTuple):
    """One commit of an agent: `file` gets these `contents`."""

    message: str
    file: str
    contents: str


class Round(NamedTuple):
    """Some commits, then a push.

    Where it conflicts, the files in `resolved` get these contents. Where the tests fail with it and with what others
    have pushed, `mend` is committed, and pushed as well.
    """

    commits: tuple[Commit, ...]
    resolved: dict[str, str]
    mend: Commit | None = None


class Act(NamedTuple):
    """What the agents do all at once, by agent; the next act begins when all have ended this one."""

    title: str
    rounds: dict[str, tuple[Round, ...]]


class Scenario(NamedTuple):
    """A demo: `start` has the files of the first commit, `window` is uam.window.push.

    A run of CI takes `ci_seconds`, which stand for `ci_minutes`; with 0 nothing watches CI. `tests` are the arguments
    for Python that CI runs after a push, and a gate before one; without them there is no gate.
    """

    window: str
    ci_minutes: float
    start: dict[str, str]
    acts: tuple[Act, ...]
    ci_seconds: float = 0.0
    tests: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """The scenario in the file `path`; raises UsageError where it is invalid."""
        try:
            found = json.loads(path.read_text())
            acts = tuple(
                Act(act["title"], {name: tuple(map(_round, rounds)) for name, rounds in act["rounds"].items()})
                for act in found["acts"]
            )
            seconds, tests = float(found.get("ci_seconds", 0)), tuple(map(str, found.get("tests", ())))
            scenario = cls(found["window"], float(found["ci_minutes"]), dict(found["start"]), acts, seconds, tests)
            duration(scenario.window)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not a scenario of the demo: {error!r}.", "See fixtures/demo.json.") from None
        scenario.files()
        return scenario

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of the agents, in the order in which they appear."""
        return tuple(dict.fromkeys(name for act in self.acts for name in act.rounds))

    @property
    def rounds(self) -> list[Round]:
        """All rounds of all agents."""
        return [one for act in self.acts for rounds in act.rounds.values() for one in rounds]

    def files(self) -> dict[str, str]:
        """The files on main when everything has landed; raises UsageError when that depends on the order.

        A file that two agents write ends as what they resolve it to, and one that is mended as what mends it.
        """
        found, owner = dict(self.start), dict.fromkeys(self.start, "")
        settled = {file: text for one in self.rounds for file, text in one.resolved.items()}
        settled.update({one.mend.file: one.mend.contents for one in self.rounds if one.mend})
        for name, commit in self._commits():
            if owner.setdefault(commit.file, name) not in ("", name) and commit.file not in settled:
                raise UsageError(f"Two agents of the scenario write {commit.file}.", "Give each its own files.")
            owner[commit.file] = name
            found[commit.file] = commit.contents
        return {**found, **settled}

    def _commits(self) -> Iterator[tuple[str, Commit]]:
        for act in self.acts:
            for name, rounds in act.rounds.items():
                yield from ((name, commit) for one in rounds for commit in one.commits)


def _round(found: dict[str, Any]) -> Round:
    mend = found.get("mend")
    commits = tuple(Commit(**commit) for commit in found["commits"])
    return Round(commits, dict(found.get("resolved", {})), Commit(**mend) if mend else None)


def shipped(name: str) -> Path:
    """A file of fixtures/: inside the installed package, or next to it in a checkout."""
    for directory in (_PACKAGE / "fixtures", _PACKAGE.parent / "fixtures"):
        if (directory / name).is_file():
            return directory / name
    raise UamError(f"The file fixtures/{name} is missing.", "Run install.sh again.")
