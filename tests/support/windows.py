"""How long things wait, as the queue, the status and the door of pushes say it."""

from __future__ import annotations

from typing import Any

from tests.support.landscape import environment
from tests.support.scenes import Scene, Worktree
from uam_hooks import DeployBatcher
from uam_hooks.hot.push.intake import enter
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.resolve import resolve
from uam_hooks.hot.push.session import open_session
from uam_hooks.hot.queue.model import seconds_of


def waited(row: dict[str, Any]) -> float:
    """How long the queue gave an action, in seconds."""
    return round(seconds_of(row["execute_after"]) - seconds_of(row["queued_at"]), 1)


def actions(scene: Scene, kind: str = "push") -> list[dict[str, Any]]:
    return [row for row in scene.rows("deploy_queue") if row["action_type"] == kind]


def window_line(place: Worktree) -> str:
    """What `git uam status` says of the window, for people."""
    (line,) = [line for line in place.git("uam", "status").splitlines() if line.startswith("window:")]
    return line.removeprefix("window:").strip()


def window_facts(place: Worktree) -> dict[str, Any]:
    """What it says to programs."""
    with environment(place.env):
        found = DeployBatcher(repository=place.top).status()["window"]
    assert sorted(found) == ["alone", "company_seconds", "others", "seconds", "urgent", "urgent_until"]
    return dict(found)


def at_the_door(place: Worktree, **env: str) -> float:
    """How long a push of HEAD that is waited for would wait: queued as the wired door does it, in this process."""
    with environment({**place.env, **env}):
        session = open_session(place.git_dir)
        assert session is not None
        with session.store as store:
            (one,) = resolve(session, Request("origin", (Spec("HEAD", "refs/heads/main"),)), {})
            ((one,), _) = enter(session, [one], urgent=False, waits=True, last=True)
            ticket = one.ticket
            assert ticket is not None
            (queued,) = store.db.execute("SELECT queued_at FROM sources WHERE id = ?", (ticket.source,)).fetchone()
    return max(0.0, round(seconds_of(ticket.due) - seconds_of(queued), 1))


def others(place: Worktree, **env: str) -> list[str]:
    """Who keeps a push of `place` waiting; the status and the door must agree on whether anybody does."""
    with environment({**place.env, **env}):
        facts = DeployBatcher(repository=place.top).status()["window"]
    names = [str(name) for name in facts["others"]]
    assert facts["alone"] == (names == [])
    # a push that joins one which waits already has less than the whole window before it
    assert (at_the_door(place, **env) > 0) == (names != [])
    return names
