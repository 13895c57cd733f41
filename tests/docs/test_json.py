"""docs/json.md and its schema: all that a command prints with --json is there, with its type, and nothing else is."""

from __future__ import annotations

import json
import time
from types import ModuleType
from typing import Any

import pytest

from tests.docs.pages import script_of
from tests.support.commands import call
from tests.support.landscape import by_hand, queue, record, write
from tests.support.queueing import due_now
from tests.support.scenes import Scene, Worktree, script
from tests.support.shapes import Seen, documented, schema, validator
from uam_hooks.hot.queue.ci import CiState, Sight
from uam_hooks.store import ci_states

# What other tests print and check: see there.
ELSEWHERE = {"import", "demo", "fleet status"}
# What the scene here does not have: settings of another agent, a push that is held, urgent mode with an end, a hook
# that another tool has put aside, a remote with a helper of its own, company that counts, a flush that gave up, and
# a wait for commits that nobody has pushed, which is refused.
RARE = {
    ("action", "apart"), ("action", "held"), ("plan", "refused"), ("window", "urgent_until"), ("urgent", "until"),
    ("hook", "aside"), ("status", "straight"), ("window", "company_seconds"), ("window", "others"),
    ("an error", "batches"), ("an error", "left"), ("action_facts", "commits"),
    ("action", "handed_to"), ("status", "fleet"),
}  # fmt: skip


@pytest.fixture(scope="module")
def make_json() -> ModuleType:
    return script_of("make_json")


def test_the_page_is_what_the_schema_says(make_json: ModuleType) -> None:
    assert make_json.PAGE.read_text() == make_json.page(), "run python docs/make_json.py"
    validator(schema()).check_schema(schema())
    example = make_json.PAGE.read_text().split("```")[1]
    Seen().check("an error", json.loads(example))


def test_all_that_is_printed_is_documented_and_all_that_is_documented_is_printed(scene: Scene) -> None:
    """One repository in which something waits, runs, has failed, conflicts, has landed, deploys and has a gate."""
    seen = Seen()

    def told(name: str, *args: str, code: int = 0, at: Worktree = scene) -> Any:
        done = call(at, *args, "--json")
        assert done.code == code, done
        found = json.loads(done.out)
        seen.check(name, found)
        return found

    by_hand(scene)
    scene.git("config", "uam.ci.minutes", "5")
    scene.git("config", "uam.deploy.prod.command", f"{script(scene.root / 'deploy', 'echo deployed; cat')} now")
    scene.git("config", "uam.deploy.bad.command", str(script(scene.root / "bad", "echo broken; exit 3")))
    scene.git("config", "uam.gate.tests.command", str(script(scene.root / "tests", "test ! -e bad")))
    scene.git("config", "uam.gate.more.command", "true")
    for name, value in (("branches", "main"), ("paths", "*"), ("needs", "tests")):
        scene.git("config", f"uam.gate.more.{name}", value)
    script(scene.remote / "hooks" / "update", '[ "$1" != refs/heads/closed ] || { echo no entry; exit 1; }')
    script(scene.remote / "hooks" / "post-receive", "echo thanks")
    one, two, three = (scene.worktree(name) for name in ("one", "two", "three"))
    for agent in (one, two):
        agent.commit(f"of-{agent.top.name}")
        write(agent, "both", agent.top.name)
        record(agent, "Change both")
        queue(agent)
    three.commit("bad")
    queue(three)
    queue(one, "origin", "HEAD:refs/heads/closed")
    told("flush --dry-run", "flush", "--dry-run")
    told("flush", "flush", code=1)
    # each agent hears of its own: the remote has refused one, two conflicts, the gate fails for three
    number = {row["agent"].rpartition("@")[2]: str(row["action"]) for row in told("status", "status")["failed"]}
    steps = [told("status", "status", at=agent)["next_action"]["command"] for agent in (one, two, three)]
    assert steps == [
        ["git", "uam", "log", number["one"]],
        ["git", "pull", "--rebase", "origin", "main"],
        ["git", "uam", "log", number["three"]],
    ]
    told("log", "log")
    told("show", "show", "1")
    told("stats", "stats", "--since", "30d")
    for failed in (row["action"] for row in told("status", "status")["failed"]):
        told("log ID", "log", str(failed))
        told("wait", "wait", str(failed), code=1)
    deploy = told("queue", "queue", "--action-type", "deploy", "--target", "prod")["id"]
    told("queue", "queue", "--action-type", "deploy", "--target", "bad", "--depends-on", str(deploy))
    write(scene, "named", "x")
    told("queue", "queue", "--action-type", "commit", "--target", "main", "--message", "Named", "--files", "named")
    told("flush --dry-run", "flush", "--dry-run")
    with scene.store() as store:
        now = time.time()
        sight = Sight(CiState.BUSY, now, "gh", now, run="17")
        ci_states.record(store, "origin", "refs/heads/main", sight, [])
    (scene.top / ".git" / "hooks" / "pre-push").unlink()
    scene.commit("noted")
    scene.push()
    for row in told("status", "status")["waiting"]:
        told("log ID", "log", str(row["action"]))
    told("doctor", "doctor", code=1)
    told("log ID", "log", str(deploy))
    due_now(scene)
    made = told("batch", "batch")["batch"]
    told("status", "status")
    told("execute", "execute", "--batch-id", made["id"], code=1)
    told("batch", "batch")
    told("show", "show", str(made["number"]))
    told("log ID", "log", str(deploy + 1))
    told("wait", "wait", str(deploy + 1), code=1)
    again = told("retry", "retry", str(deploy + 1))["retried"]
    told("cancel", "cancel", *map(str, again.values()))
    for name in ("stats", "gate list", "config", "config --explain", "urgent", "agents-md"):
        told(name, *name.split())
    told("agents-md", "agents-md", "--write")
    told("urgent", "urgent", "on")
    told("an error", "cancel", "99", code=2)
    for name in ("x", "y"):
        scene.commit(name)
    told("show", "show", str(len(told("flush", "flush")["batches"]) + made["number"]))
    commands = set(schema()["properties"]) - ELSEWHERE
    ours = documented(*commands) - {(name, "next_action") for name in commands}  # some never have one
    assert sorted(ours - seen.fields - RARE) == []
    assert sorted(seen.fields & RARE) == []
