"""Rows that no version of ours would write: each fails alone, with its reason, and nothing else is held up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing

import pytest

from tests.support.landscape import by_hand, enqueue, queue, states
from tests.support.queueing import change, row
from tests.support.scenes import Scene

COMMANDS = (["status"], ["status", "--json"], ["batch", "--dry-run"], ["flush", "--dry-run"], ["log", "1"])
# what is wrong with the row of a push that waits: an assignment
BAD_ACTIONS = {
    "no JSON": "payload = '{'",
    "a list": "payload = '[]'",
    "too deep": "payload = :deep",
    "a lone surrogate": r"""payload = '{"push_options": ["\ud800"]}'""",
    "options that are none": """payload = '{"push_options": 5}'""",
    "an option with a line break": r"""payload = '{"push_options": ["a\nb"]}'""",
    "an endless option": "payload = :long",
    "a payload in bytes": "payload = x'ff'",
    "an unknown type": "action_type = 'dance'",
    "a bad time": "execute_after = 'tomorrow'",
    "no time": "execute_after = ''",
    "a day that is none": "execute_after = '2026-02-30T00:00:00.000Z'",
    "a bad moment": "not_before = '9'",
    "a priority that is none": "priority = 'high'",
    "dependencies that are no JSON": "dependencies = '[1'",
    "dependencies that are no numbers": """dependencies = '["a"]'""",
    "a target with a line break": "target = 'a' || char(10) || 'b'",
    "no target": "target = ''",
}
BAD_SOURCES = {
    "a tip that is an option": "tip = '--output=/tmp/x'",
    "a tip of two lines": "tip = 'HEAD' || char(10) || 'HEAD'",
    "an outcome that is no JSON": "outcome = '{'",
    "a time that is none": "queued_at = 'x'",
    "a waiter that is none": "waiter = 'me'",
}


def spoil(scene: Scene, table: str, what: str, number: int = 1) -> None:
    """Change a row of `table`, by its id or that of its source, whatever its constraints say."""
    values = {
        "deep": '{"a": ' * 984 + "1" + "}" * 984,
        "long": json.dumps({"push_options": ["x" * 131_060]}),
    }
    with closing(sqlite3.connect(scene.paths.database)) as db, db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        which = "(SELECT action_id FROM sources WHERE id = :number)" if table == "deploy_queue" else ":number"
        db.execute(f"UPDATE {table} SET {what} WHERE id = {which}", values | {"number": number})  # noqa: S608 - the cases above


def every_command_works(scene: Scene) -> None:
    for command in COMMANDS:
        done = scene.run("uam", *command)
        assert "Traceback" not in done.err, done
        assert done.code in (0, 1), done


def fail_alone(scene: Scene, bad: Collection[int]) -> None:
    """Of all that waits these sources fail, each with its reason, and the others land."""
    every_command_works(scene)
    done = scene.run("uam", "flush")
    assert "Traceback" not in done.err, done
    every_command_works(scene)
    for source in scene.rows("sources"):
        assert source["status"] == ("failed" if source["id"] in bad else "landed"), source
        outcome = json.loads(source["outcome"])
        assert isinstance(outcome, dict)
        assert ("its entry in the queue cannot be read" in outcome.get("error", "")) is (source["id"] in bad), source


def test_b4_actions_that_cannot_be_read_fail_alone(scene: Scene) -> None:
    by_hand(scene)
    scene.commit("a")
    for number in range(len(BAD_ACTIONS)):
        enqueue(scene, "HEAD", f"refs/heads/bad-{number}")
    enqueue(scene, "HEAD", "refs/heads/good")
    for number, what in enumerate(BAD_ACTIONS.values(), 1):
        spoil(scene, "deploy_queue", what, number)
    fail_alone(scene, range(1, len(BAD_ACTIONS) + 1))
    assert scene.there("refs/heads/good") == scene.oid("HEAD")
    for source in scene.rows("sources")[: len(BAD_ACTIONS)]:
        assert row(scene, source["action_id"])["status"] == "failed"


def test_b4_sources_that_cannot_be_read_fail_alone(scene: Scene) -> None:
    """Also where another one has joined the push that it belongs to."""
    by_hand(scene)
    scene.commit("a")
    agent = scene.worktree("agent", "-b", "agent", "main")
    for number in range(len(BAD_SOURCES)):
        enqueue(scene, "HEAD", f"refs/heads/good-{number}")
        enqueue(agent, "HEAD", f"refs/heads/good-{number}")
    bad = range(1, 2 * len(BAD_SOURCES) + 1, 2)
    for number, what in zip(bad, BAD_SOURCES.values(), strict=True):
        spoil(scene, "sources", what, number)
    fail_alone(scene, bad)
    assert [scene.there(f"refs/heads/good-{number}") for number in range(5)] == [scene.oid("HEAD")] * 5


def test_b4_a_push_does_not_join_an_action_that_cannot_be_read(scene: Scene) -> None:
    by_hand(scene)
    scene.commit("a")
    agent = scene.worktree("agent", "-b", "agent", "main")
    queue(scene)
    spoil(scene, "deploy_queue", BAD_ACTIONS["no JSON"])
    scene.git("config", "uam.push.mode", "wait")
    agent.commit("b")
    assert agent.push("origin", "HEAD:main").code == 0
    assert states(scene) == ["failed", "landed"]
    assert {"a", "b"} <= set(scene.files())


@pytest.mark.parametrize("what", ["a bad time", "no JSON", "dependencies that are no JSON"])
def test_b4_the_background_process_ends_what_cannot_be_read(scene: Scene, what: str) -> None:
    scene.git("config", "uam.push.mode", "manual")
    scene.commit("a")
    queue(scene, "origin", "HEAD:bad")
    spoil(scene, "deploy_queue", BAD_ACTIONS[what])
    scene.git("config", "uam.push.mode", "wait")
    assert scene.push("origin", "HEAD:good").code == 0
    scene.idle()
    assert states(scene) == ["failed", "landed"]


def test_b4_a_batch_whose_result_cannot_be_read(quiet: Scene) -> None:
    quiet.commit("a")
    queue(quiet)
    assert quiet.run("uam", "flush").code == 0
    change(quiet, "UPDATE deploy_batches SET result = '{'")
    change(quiet, "UPDATE landings SET detail = '{', sources = '{'")
    for command in (["show", "1"], ["show", "--json", "1"], ["execute", "--batch-id", "1"], ["status"]):
        done = quiet.run("uam", *command)
        assert (done.code, "Traceback" in done.err) == (0, False), done
    quiet.commit("b")
    queue(quiet)
    assert quiet.run("uam", "flush").code == 0
    assert states(quiet) == ["landed", "landed"]
