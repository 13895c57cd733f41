"""The tools of `git uam mcp`: what each takes, checked, and the command line that does it.

The docstrings and the descriptions are what agents read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

# What clients are known to give a request is 60 s.
_WAIT_SECONDS = 45.0
_NEWEST = 20

Id = Annotated[int, Field(ge=1, lt=2**63)]
Ids = Annotated[list[Id], Field(min_length=1, description="The ids of actions: the numbers that status shows with #.")]
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Tool(ABC):
    """What all of them take."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    # what clients are told beside the words: whether anything is different afterwards, and whether that may lose work
    changes: ClassVar[bool]
    destroys: ClassVar[bool] = False

    directory: Annotated[
        Text | None,
        Field(description="A directory in the worktree that is meant, where the server runs in another one of the same"
                          " repository. Relative to where the server runs."),
    ] = None  # fmt: skip

    @abstractmethod
    def words(self) -> list[str]:
        """The command line behind `git uam`. What comes from outside is never an option by itself."""


@dataclass(frozen=True, kw_only=True)
class Status(Tool):
    """The queue of this repository: what waits and until when, what runs, what failed within a day and why, what CI
    does, and `next_action`, which is what to do now. Start here.
    """

    changes = False

    def words(self) -> list[str]:
        return ["status", "--json"]


@dataclass(frozen=True, kw_only=True)
class Log(Tool):
    """What landed and what failed, by batches, newest first; or, with an id, all that is known of that action: what
    became of it and when, its landing, the gates that ran, and what a gate or a command that failed printed. Read that
    after a failure. `retry` in an entry is the id that the tool retry takes.
    """

    changes = False

    id: Annotated[Id | None, Field(description="An action. Leave out limit, since and agent then.")] = None
    limit: Annotated[int | None, Field(ge=1, description=f"At most so many batches ({_NEWEST}).")] = None
    since: Annotated[
        Text | None, Field(description="Only batches since then: 12h, 30d, 2026-11-29 (UTC), or as for `git log`.")
    ] = None
    agent: Annotated[Text | None, Field(description="Only batches with work of the agent of this name.")] = None

    def words(self) -> list[str]:
        named = {"since": self.since, "agent": self.agent}
        chosen = _options(named) + ([] if self.limit is None else [f"-n{self.limit}"])
        return [
            "log",
            "--json",
            *(chosen or ["-n", str(_NEWEST)] * (self.id is None)),
            *([] if self.id is None else [str(self.id)]),
        ]


@dataclass(frozen=True, kw_only=True)
class Show(Tool):
    """What one batch landed: who pushed which commits from where, which commits of the remote they are now, and what
    was checked before. A batch is what was carried out together, with one push to each remote.
    """

    changes = False

    batch: Annotated[Id | Text, Field(description="Its number, its id, or the commit that it landed as.")]

    def words(self) -> list[str]:
        return ["show", "--json", "--", str(self.batch)]


@dataclass(frozen=True, kw_only=True)
class Wait(Tool):
    """Wait until actions have ended, and say what became of each. `done` is true when all of it has landed. What has
    not ended within the time stays queued and lands by itself: nothing is wrong, call this again. The branch that was
    pushed from this worktree is brought over to what landed, with local modifications kept.
    """

    changes = True

    ids: Ids
    timeout_seconds: Annotated[
        float, Field(ge=0, le=3600, description="Answer after so many seconds at the latest, whatever has ended.")
    ] = _WAIT_SECONDS

    def words(self) -> list[str]:
        return ["wait", "--json", f"--timeout={self.timeout_seconds * 1000:.0f}ms", *map(str, self.ids)]


@dataclass(frozen=True, kw_only=True)
class Retry(Tool):
    """Queue actions that failed, or were cancelled, once more. `retried` maps each id to the new one, to wait for. A
    conflict comes again until it is resolved: commit that, and `git push`, instead.
    """

    changes = True

    ids: Ids

    def words(self) -> list[str]:
        return ["retry", "--json", *map(str, self.ids)]


@dataclass(frozen=True, kw_only=True)
class Cancel(Tool):
    """Take actions out of the queue, with the work of all agents in them, so that nothing of it lands; all of them or
    none. Only what has not begun can be cancelled. The commits stay on their branches, and retry queues them again.
    """

    changes = True
    destroys = True

    ids: Ids

    def words(self) -> list[str]:
        return ["cancel", "--json", *map(str, self.ids)]


@dataclass(frozen=True, kw_only=True)
class Queue(Tool):
    """Queue an action by name: a commit of files, a push, a merge, a workflow or a deploy. For your own commits and
    pushes use plain `git commit` and `git push` in the worktree. Answers the `id`, to wait for, and when it is `due`.
    """

    changes = True
    destroys = True

    action_type: Annotated[
        Literal["commit", "push", "merge", "workflow", "deploy"], Field(description="What to do to the target.")
    ]
    target: Annotated[Text, Field(description="A branch, a workflow, or the name of a deploy.")]
    message: Annotated[Text | None, Field(description="commit, merge: the message.")] = None
    files: Annotated[
        list[Text], Field(description="commit: the files, relative to the directory; they are read now.")
    ] = field(default_factory=list)
    ref: Annotated[Text | None, Field(description="workflow, deploy: the branch it is about.")] = None
    inputs: Annotated[Text | None, Field(description="workflow: its inputs, as the text of a JSON object.")] = None
    source: Annotated[Text | None, Field(description="merge: the branch or commit to merge.")] = None
    strategy: Annotated[Literal["no-ff", "squash", "ff-only"] | None, Field(description="merge: how.")] = None
    push: Annotated[bool, Field(description="merge: push the target, too.")] = False
    pr: Annotated[Id | None, Field(description="merge: the number of a pull request, for gh.")] = None
    method: Annotated[Literal["merge", "squash", "rebase"] | None, Field(description="merge with pr: how.")] = None
    remote: Annotated[Text | None, Field(description="push, merge, workflow: the remote, if not origin.")] = None
    urgent: Annotated[bool, Field(description="Wait for company only shortly.")] = False
    priority: Annotated[int | None, Field(description="Higher ones go first where the order is free (5).")] = None
    depends_on: Annotated[list[Id], Field(description="Actions that have to complete first.")] = field(
        default_factory=list
    )
    execute_after: Annotated[Text | None, Field(description="Not before this moment: 2026-05-06T07:08:09Z.")] = None

    def words(self) -> list[str]:
        named = {
            "action-type": self.action_type, "target": self.target, "message": self.message, "ref": self.ref,
            "inputs": self.inputs, "source": self.source, "strategy": self.strategy, "pr": self.pr,
            "method": self.method, "remote": self.remote, "priority": self.priority,
            "execute-after": self.execute_after,
        }  # fmt: skip
        flags = [f"--{name}" for name, on in (("push", self.push), ("urgent", self.urgent)) if on]
        needs = [f"--depends-on={number}" for number in self.depends_on]
        return ["queue", "--json", *_options(named), *flags, *needs, *(["--", *self.files] if self.files else [])]


def _options(named: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in named.items() if value is not None]


TOOLS: dict[str, type[Tool]] = {kind.__name__.lower(): kind for kind in (Status, Log, Show, Wait, Queue, Retry, Cancel)}
