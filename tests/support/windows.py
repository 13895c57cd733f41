"""How long things wait, as the queue, the status and the door of pushes say it."""

from __future__ import annotations

import os
from typing import Any

from tests.support.landscape import environment
from tests.support.scenes import Scene, Worktree
from uam_hooks import DeployBatcher
from uam_hooks.hot.core.paths import RepoPaths
from uam_hooks.hot.core.plumbing import HotGit
from uam_hooks.hot.core.settings import Settings
from uam_hooks.hot.push.intake import Request, Spec, enter, look_at
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import seconds_of
from uam_hooks.hot.queue.spool import take_in


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
        paths = RepoPaths.of(place.git_dir)
        git = HotGit(paths.git_dir, paths.worktree)
        settings = Settings.read(git)
        with Store(paths.database) as store:
            take_in(store, paths, settings["uam.window.commit"])
            asked = look_at(Request("origin", (Spec("HEAD", "refs/heads/main"),)), {}, git, paths, settings)
            asked = [one._replace(source=one.source._replace(waiter=os.getpid())) for one in asked]
            (ticket,) = enter(asked, git, store, settings, paths, urgent=False, waits=True)
            (queued,) = store.db.execute("SELECT queued_at FROM sources WHERE id = ?", (ticket.source,)).fetchone()
    return max(0.0, round(seconds_of(ticket.due) - seconds_of(queued), 1))
