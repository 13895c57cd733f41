"""What has to hold when everything has ended, whatever was killed: each function returns what is wrong, in words."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

from tests.support.commands import call
from tests.support.scenes import Scene, Worktree
from tests.torture.facts import Facts


class Seen(NamedTuple):
    """One agent: its place, its name, its diary, and the repository that it works in."""

    place: Worktree
    name: str
    facts: Facts
    repository: Worktree


def violations(scene: Scene, agents: Sequence[Seen]) -> list[str]:
    """Everything that does not hold."""
    found = []
    for agent in agents:
        told = [str(fact["what"]) for fact in agent.facts.of("violation")]
        for what in (*told, *landed_once(scene, agent), *still_here(agent), *as_left(agent)):
            found.append(f"{agent.name}: {what}")
    for repository in {id(agent.repository): agent.repository for agent in agents}.values():
        found += [*nothing_pending(repository), *nothing_wrong(repository), *sound(repository)]
    return [*found, *sound(scene.bare)]


def landed_once(scene: Scene, agent: Seen) -> list[str]:
    """What a push that exited 0 has brought is on the remote's main exactly once, and was brought once."""
    name = f"{agent.name}.txt"
    there = Counter(scene.bare.run("show", f"main:{name}").out.split())
    log = scene.bare.git("log", "--first-parent", "-m", "--format=", "-p", "-U0", "main", "--", name)
    came = Counter(line[1:] for line in log.splitlines() if re.match(rf"\+{re.escape(agent.name)}-", line))
    went = [line[1:] for line in log.splitlines() if re.match(rf"-{re.escape(agent.name)}-", line)]
    promised = {token for fact in agent.facts.of("pushed") for token in fact["tokens"]}
    found = [f"{token} was promised and is on the remote {there[token]} times" for token in sorted(promised)
             if there[token] != 1]  # fmt: skip
    found += [f"{token} landed {count} times" for token, count in sorted(came.items()) if count != 1]
    return found + [f"{token} was taken away again" for token in went]


def still_here(agent: Seen) -> list[str]:
    """All that was committed is on the agent's branch, and every tip that a push exited 0 for is held by a ref."""
    on_branch = set(agent.place.run("show", f"HEAD:{agent.name}.txt").out.split())
    found = [f"{fact['token']} is on no branch of the agent any more" for fact in agent.facts.of("commit")
             if fact["token"] not in on_branch]  # fmt: skip
    held = set(agent.repository.git("rev-list", "--all").split())
    tips = {fact["tip"] for fact in agent.facts.of("pushed")}
    return found + [f"the pushed commit {tip} is held by no ref" for tip in sorted(tips - held)]


def as_left(agent: Seen) -> list[str]:
    """Index and files are HEAD's, but for the agent's own edit, which is as it was left."""
    draft = f"{agent.name}.draft"
    changed = [line for line in agent.place.git("status", "--porcelain").splitlines() if line != f" M {draft}"]
    found = [f"its worktree has changes that it did not make: {changed}"] if changed else []
    text = (agent.place.top / draft).read_text()
    return found if text == f"{agent.name} is not done with this\n" else [*found, f"its edit is now {text!r}"]


def nothing_pending(repository: Worktree) -> list[str]:
    """Nothing waits for ever: all that was pushed has ended, and so has every batch."""
    found = [
        f"#{row['id']} ({row['action_type']} of {row['agent_id']}) is {row['status']}: {row['error']}"
        for row in rows(repository, "deploy_queue")
        if row["status"] not in ("completed", "failed", "cancelled") and row["action_type"] != "commit"
    ]
    return found + [f"batch {row['number']} is {row['status']}" for row in rows(repository, "deploy_batches")
                    if row["status"] in ("pending", "executing")]  # fmt: skip


def nothing_wrong(repository: Worktree) -> list[str]:
    """`git uam doctor` finds no error. What a kill leaves and nobody is held up by is a warning: marks, pins."""
    found = json.loads(call(repository, "doctor", "--json").out)["findings"]
    return [f"{one['code']} {one['about']}: {one['means']}" for one in found if one["severity"] == "error"]


def rows(repository: Worktree, table: str) -> list[dict[str, Any]]:
    """All rows of a table of the repository's queue."""
    with closing(sqlite3.connect(repository.top / ".git" / "uam" / "queue.db")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608


def sound(place: Worktree) -> list[str]:
    """`git fsck` finds no fault."""
    done = place.run("fsck", "--no-dangling", "--no-progress")
    return [] if (done.code, done.out) == (0, "") else [f"git fsck of {place.top}: {done.out[-500:]} {done.err[-500:]}"]
