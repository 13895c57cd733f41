"""Each command opens the repository and its queue once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.support.commands import call
from tests.support.landscape import write
from tests.support.queueing import due_now
from tests.support.scenes import Scene
from uam_hooks.cli.commands import COMMANDS
from uam_hooks.git.repo import Repository
from uam_hooks.hot.queue.connection import Store

_COMMIT = ("--action-type", "commit", "--target", "main", "--message", "m", "--files", "a")
_PUSH = ("--action-type", "push", "--target", "main")
_DEPLOY = ("--action-type", "deploy", "--target", "prod")


def test_every_command_opens_the_repository_and_the_queue_once(stocked: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[type] = []

    def counted(kind: type) -> None:
        init = kind.__init__  # type: ignore[misc]

        def counting(self: object, *args: Any, **named: Any) -> None:
            opened.append(kind)
            init(self, *args, **named)

        monkeypatch.setattr(kind, "__init__", counting)

    counted(Repository)
    counted(Store)
    other = stocked.root / "coordination.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute(
            "CREATE TABLE deploy_queue (id, agent_id, action_type, target, payload, status, priority, dependencies,"
            " execute_after)"
        )
    write(stocked, "a", "a\n")
    seen: set[str] = set()
    for args in (
        ("queue", *_COMMIT), ("queue", *_DEPLOY), ("cancel", "2"), ("retry", "2"), ("log", "1"), ("log",), ("stats",),
        ("urgent", "on"), ("urgent",), ("status",), ("batch", "--dry-run"), ("flush", "--due", "--dry-run"), ("due",),
        ("batch",),
        ("execute", "--batch-id", "1", "--dry-run"), ("execute", "--batch-id", "1"), ("execute", "--batch-id", "1"),
        ("wait", "1"), ("show", "1"), ("restore", "1"), ("flush",), ("sync",), ("prune",), ("gate", "list"),
        ("fleet", "status"),
        ("import", str(other)),
        ("deploy", "status"), ("deploy", "queue", *_PUSH), ("deploy", "flush"), ("uninstall", "--force"),
    ):  # fmt: skip
        if args == ("due",):
            due_now(stocked)
            continue
        opened.clear()
        done = call(stocked, *args)
        assert done.code == 0, (args, done)
        assert opened == [Repository, Store], args
        seen.add(args[0])
    for args in (("config",), ("agents-md", "--write"), ("install",), ("doctor",)):  # these open no queue
        opened.clear()
        assert call(stocked, *args).code == 0
        assert opened == [Repository], args
    assert seen == set(COMMANDS) - {"config", "agents-md", "install", "doctor", "demo", "help", "mcp"}
