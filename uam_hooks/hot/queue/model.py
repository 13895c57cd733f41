"""The contents of the queue as immutable values."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum

from uam_hooks.hot.core.identity import Asker, Place
from uam_hooks.hot.core.processes import alive
from uam_hooks.hot.core.refs import full_target, short_target
from uam_hooks.hot.core.typed import Any, NamedTuple
from uam_hooks.hot.queue.outcome import Detail, Outcome

FAST_FORWARD = "ff"


class ActionType(StrEnum):
    """What an action does. The names come from the schema of the tool that this one replaces."""

    COMMIT = "commit"
    PUSH = "push"
    MERGE = "merge"
    WORKFLOW = "workflow"
    DEPLOY = "deploy"


# How long each type of action waits for others to join it, normally and when it is urgent, in seconds.
WINDOWS = {"commit": 30.0, "push": 5.0, "merge": 10.0, "workflow": 5.0, "deploy": 60.0}
URGENT_WINDOWS = {"commit": 2.0, "push": 1.0, "merge": 2.0, "workflow": 1.0, "deploy": 5.0}
PRIORITY = 5


class Status(StrEnum):
    """The life of an action and of a batch: pending -> batched -> executing -> completed | failed, or cancelled."""

    PENDING = "pending"
    BATCHED = "batched"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SourceStatus(StrEnum):
    """What became of one source of a push."""

    PENDING = "pending"
    LANDED = "landed"
    FAILED = "failed"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"

    @classmethod
    def after(cls, outcome: Outcome) -> SourceStatus:
        """What a source is once this has become of it."""
        return cls.LANDED if outcome.failure is None else cls.FAILED


class Wish(StrEnum):
    """What a push wants of its own commits, whatever uam.squash says: `git push -o squash`, `-o keep`."""

    NONE = ""
    SQUASH = "squash"
    KEEP = "keep"


class NewSource(NamedTuple):
    """A source to be queued. `ref` is the full name of the ref on the remote.

    `verbatim` sources (tags, deletions, forced updates) go to the remote unchanged and never merge.
    `expect` is what the remote's ref must be: an object id, "" for absent, FAST_FORWARD for an ancestor of the tip,
    None for anything. `options` are those of `git push -o`; pushes with different ones do not merge.
    A source with `tracks_branch` has the tip that its branch has when the batch is executed. `base` is the tip of the
    branch that a commit by name was made for, `message` and `files` are its message and the files it was requested
    with.
    `replaces` are the ids of the pending sources whose work it contains: it takes their place.
    `asker` is who it acts as.
    `waited_for` tells whether the process `waiter` stays to hear what became of it. `wish` is what is to become of its
    commits. `by_hand` tells whether only a flush that somebody asks for lands it (the mode `manual`). `origin` is what
    another queue calls it, for which it is landed here; "" for what was pushed here.
    """

    remote: str
    ref: str
    agent: str
    worktree: str
    branch: str
    tip: str
    verbatim: bool = False
    expect: str | None = None
    group: str = ""
    atomic: bool = False
    waiter: int = 0
    options: tuple[str, ...] = ()
    tracks_branch: bool = False
    base: str = ""
    message: str = ""
    files: tuple[str, ...] = ()
    replaces: tuple[int, ...] = ()
    asker: Asker = Asker()
    waited_for: bool = False
    wish: Wish = Wish.NONE
    by_hand: bool = False
    origin: str = ""


class NewAction(NamedTuple):
    """An action to be queued. `window` is in seconds, `not_before` a moment or empty.

    Actions with the same `merge_key`, identity and place become one while the first of them is pending. `asked` is
    true for one that was requested by name, through the API or a command. `hold` is for how many
    seconds it may wait for CI, None for not at all.
    """

    agent: str
    action_type: ActionType
    target: str
    remote: str
    payload: dict[str, Any]
    window: float
    merge_key: str | None = None
    priority: int = PRIORITY
    dependencies: tuple[int, ...] = ()
    not_before: str = ""
    explicit: bool = False
    hold: float | None = None
    by_hand: bool = False


class Source(NamedTuple):
    """One line of work in the queue (see NewSource); `tip` is empty for a deletion.

    `author` and `committer` are who commits that are made of it name, `Name <mail>`; empty where that is not known.
    `held` if it has waited for CI. `entry` is its name in the queue that it was handed over to, `origin` the one in the
    queue that has handed it over to this one. `fault` is why its entry cannot be read; empty as a rule.
    """

    id: int
    action_id: int
    agent: str
    worktree: str
    branch: str
    tip: str
    verbatim: bool
    expect: str | None
    group: str
    atomic: bool
    waiter: int
    queued_at: str
    status: SourceStatus
    replaced_by: int | None
    outcome: Outcome
    tracks_branch: bool = False
    base: str = ""
    message: str = ""
    waiter_started: str = ""
    author: str = ""
    committer: str = ""
    fault: str = ""
    wish: Wish = Wish.NONE
    held: bool = False
    entry: str = ""
    origin: str = ""

    @property
    def by_name(self) -> bool:
        """Whether it was asked for by name, through the API or a command, and not by `git push`."""
        return self.tracks_branch or bool(self.base)

    @property
    def is_waited_for(self) -> bool:
        """Whether the process that pushed it still waits for it, and will settle its branch."""
        return bool(self.waiter) and alive(self.waiter, self.waiter_started)

    @property
    def key(self) -> tuple[str, str]:
        """What makes a newer push "the same source" as an older one."""
        return self.worktree, self.branch


class Action(NamedTuple):
    """One row of `deploy_queue`. Times are ISO 8601 in UTC with milliseconds.

    `identity` is whom it acts as, "" for one that an older version queued; `place` is where its remote led to then.
    `entrusted` is whose hands it is in: a fleet, or the directory of another clone's queue; "" for those here.
    """

    id: int
    agent_id: str
    action_type: ActionType
    target: str
    payload: dict[str, Any]
    status: Status
    batch_id: str | None
    queued_at: str
    execute_after: str
    priority: int
    dependencies: tuple[int, ...]
    remote: str
    finished_at: str | None
    error: str
    explicit: bool = False
    carried_by: int | None = None
    not_before: str = ""
    attempts: int = 0
    identity: str = ""
    place: Place = Place()
    fault: str = ""
    entrusted: str = ""

    @property
    def ref(self) -> str:
        """The full name of the ref that the action is for."""
        return full_target(self.target)


class Batch(NamedTuple):
    """One row of `deploy_batches`. `number` is its short name for people, unique in this repository."""

    id: str
    number: int
    created_at: str
    executed_at: str | None
    status: Status
    result: dict[str, Any]
    actions: tuple[Action, ...] = ()
    by_hand: bool = False


class Landing(NamedTuple):
    """The journal's record of one ref of a batch: what was to be pushed where, over which old value.

    `keep` is the commit that keeps the landing and its originals reachable: the shadow, or the landing itself.
    """

    id: int
    batch_id: str
    action_id: int
    remote: str
    ref: str
    old: str
    new: str
    keep: str
    sources: tuple[int, ...]
    status: str
    detail: Detail


class BatchResult(NamedTuple):
    """The result of executing a batch. `duration` is in milliseconds.

    `deferred_actions` counts those that failed for a transient reason and are in the queue again.
    """

    batch_id: str
    success: bool
    executed_actions: int
    failed_actions: int
    errors: tuple[str, ...]
    duration: float
    deferred_actions: int = 0


def is_external(action: Action) -> bool:
    """Whether an external command does the action's work: gh, or the command configured for a deploy."""
    return action.action_type in (ActionType.WORKFLOW, ActionType.DEPLOY) or (
        action.action_type == ActionType.MERGE and bool(action.payload.get("pr"))
    )


def where(action: Action) -> str:
    """The target of an action for people: `origin/main` for what goes to a remote, else the target's name."""
    goes_out = action.action_type == ActionType.PUSH or (
        action.action_type == ActionType.MERGE and bool(action.payload.get("push") or action.payload.get("pr"))
    )
    return f"{action.remote}/{short_target(action.ref)}" if goes_out else action.target


def names_of(batches: Iterable[Batch]) -> list[str]:
    """The actions of some batches for people: `#2 push origin/main`."""
    return [f"#{a.id} {a.action_type} {where(a)}" for batch in batches for a in batch.actions]


def iso(seconds: float) -> str:
    """A moment as the queue stores it; the text sorts as the time does."""
    whole = int(seconds // 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((seconds - whole) * 1000):03d}Z"


def seconds_of(text: str) -> float:
    """The moment that `iso` wrote, in seconds since 1970."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
