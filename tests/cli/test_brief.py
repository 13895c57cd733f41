"""What `git uam status` and `uam deploy queue` load, and how much of a long queue a status shows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.histories import deploys
from tests.support.landscape import environment
from tests.support.scenes import Scene
from uam_hooks import DeployBatcher
from uam_hooks.cli.commands import COMMANDS, uam
from uam_hooks.cli.plain import plain_command
from uam_hooks.cli.queue import queue
from uam_hooks.hot.queue.connection import Store
from uam_hooks.report.status import state
from uam_hooks.session import open_session
from uam_hooks.store import views

MAIN = "from uam_hooks.cli import main; main()"
DEPLOY = ("queue", "--action-type", "deploy", "--target", "prod", "--agent-id", "ann")


@pytest.fixture
def long(stocked: Scene) -> Scene:
    """23 deploys wait."""
    with environment(stocked.env):
        wanted = [{"action_type": "deploy", "target": "prod"} for _ in range(23)]
        DeployBatcher(repository=stocked.top, dynamic_windows={"deploy": 3_600_000}).queue_bulk("ann", wanted)
    return stocked


def listed(said: str) -> list[int]:
    return [int(line.split()[0][1:]) for line in said.splitlines() if line.startswith("#")]


def test_a_status_shows_the_newest_and_counts_all(long: Scene) -> None:
    said = long.git("uam", "status")
    assert listed(said) == list(range(4, 24))
    assert said.splitlines()[0] == "3 more of what waits came before; `git uam status --all` lists all of it"
    assert "waiting: 0 pushes in 0 actions, 23 deploys, 0 commits" in said.splitlines()
    whole = long.git("uam", "status", "--all")
    assert listed(whole) == list(range(1, 24)) and "more of what waits" not in whole
    assert [row["action"] for row in json.loads(long.git("uam", "status", "--json"))["waiting"]] == listed(whole)
    assert listed(long.git("uam", "deploy", "status")) == listed(said)


@pytest.mark.parametrize("command", [("status",), ("deploy", "status"), ("deploy", *DEPLOY)], ids=" ".join)
def test_a_short_command_loads_little(long: Scene, command: tuple[str, ...]) -> None:
    told = [sys.executable, "-I", "-X", "importtime", "-c", MAIN, *command]
    done = subprocess.run(told, cwd=long.top, env=long.env, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "uam_hooks.session" in loaded
    heavy = ("git", "gitdb", "rich", "click", "dataclasses", "hashlib", "tempfile", "asyncio")
    ours = ("uam_hooks.flush.flush", "uam_hooks.integrate.merge", "uam_hooks.install.install", "uam_hooks.hot.push")
    assert sorted(loaded & {*heavy, *ours}) == []


@pytest.mark.parametrize(
    "words",
    [
        DEPLOY,
        ("queue", "--action-type=commit", "--target=main", "--message=a=b", "--files", "a,b", "--files=c", "--urgent"),
        (
            "queue",
            "--target",
            "t",
            "--action-type",
            "push",
            "--force",
            "--depends-on",
            "1",
            "--depends-on",
            "2",
            "--json",
        ),
        ("queue", "--target", "t", "--action-type", "merge", "--source", "s", "--push", "--payload", "{}"),
    ],
    ids=" ".join,
)
def test_what_is_done_without_click_means_the_same(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr("uam_hooks.cli.asking.queue_action", lambda given, *, starting: said.append((given, starting)))
    for prefix, starting in (((), True), (("deploy",), False)):
        command = plain_command([*prefix, *words])
        assert command is not None
        command()
        assert said.pop() == (queue.make_context("queue", list(words[1:])).params, starting)


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--al"), ("status", "-h"), ("status", "more"), ("queue",), ("queue", "--target", "t"), ("flush",),
        (*DEPLOY, "file"), (*DEPLOY, "--pr", "1"), (*DEPLOY, "--urgent=1"), (*DEPLOY, "--message"), (*DEPLOY, "--"),
        (*DEPLOY, "--message", "-x"), ("queue", "--action-type", "no", "--target", "t"), (*DEPLOY, "--no", "x"), (),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_leaves_a_question_is_for_click(words: tuple[str, ...]) -> None:
    assert plain_command(list(words)) is None
    assert set(uam.list_commands(uam.make_context("uam", ["status"]))) == set(COMMANDS)


@pytest.mark.slow
def test_a_status_finds_what_waits_by_indexes(stocked: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of actions that have ended nothing is looked for row by row: SQLite says how it would look, however many."""
    with stocked.store() as store, store.transaction() as db:
        deploys(db, 1000)
    stocked.git("uam", *DEPLOY)
    said: list[str] = []
    connect = Store._connect

    def traced(self: Store) -> Any:
        db = connect(self)
        db.set_trace_callback(said.append)
        return db

    monkeypatch.setattr(Store, "_connect", traced)
    with environment(stocked.env), open_session(stocked.top) as session:
        state(session, 20)
        views.waiting(session.store, session.identity.id)
    monkeypatch.undo()
    asked = dict.fromkeys(statement for statement in said if statement.startswith(("SELECT", "WITH")))
    assert len(asked) > 5
    with stocked.store() as store:
        for statement in asked:
            plan = [row["detail"] for row in store.db.execute(f"EXPLAIN QUERY PLAN {statement}")]
            scanned = [
                step for step in plan if step.startswith(("SCAN deploy_queue", "SCAN q", "SCAN sources", "SCAN s "))
            ]
            assert [step for step in scanned if "USING" not in step] == [], (statement, plan)
