"""What calls of DeployBatcher start, ask and keep: counted, not timed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.batchers import add
from tests.support.histories import deploys
from tests.support.landscape import write
from tests.support.scenes import Scene
from uam_hooks import DeployBatcher
from uam_hooks.hot.core.errors import UsageError

_started: list[list[str]] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        _started.append(list(args[1]))


sys.addaudithook(_note)


@contextmanager
def processes() -> Iterator[list[list[str]]]:
    """The commands that are started in the block."""
    _started.clear()
    found: list[list[str]] = []
    yield found
    found += _started


@contextmanager
def statements(here: DeployBatcher) -> Iterator[list[str]]:
    """The SQL that the connection of a batcher executes in the block."""
    opened = here._kept._open
    assert opened is not None
    found: list[str] = []
    opened.session.store.db.set_trace_callback(found.append)
    try:
        yield found
    finally:
        if here._kept._open is not None:
            here._kept._open.session.store.db.set_trace_callback(None)


def workflow(here: DeployBatcher, n: int) -> int:
    return here.queue("ann", "workflow", "ci.yml", {"ref": "main", "inputs": {"n": str(n)}})


@pytest.fixture
def here(scene: Scene, here: DeployBatcher) -> DeployBatcher:
    scene.git("config", "uam.gh.repo", "owner/shop")
    return here


def stored(scene: Scene, name: str) -> str:
    """The content of a file in the newest commit by name."""
    tip = scene.rows("sources")[-1]["tip"]
    return scene.git("cat-file", "blob", f"{tip}:{name}")


def test_a_commit_of_a_file_starts_no_process_but_the_first(scene: Scene, here: DeployBatcher) -> None:
    write(scene, ".gitignore", "*.log\n")
    add(here, "a")
    with processes() as started:
        add(here, "b")
        (scene.top / "deep/er").mkdir(parents=True)
        add(here, "deep/er/c")
        add(here, "b", "again\n")
        wanted = [{"action_type": "commit", "target": "main", "payload": {"message": "m", "files": ["a", "b"]}}]
        write(scene, "a", "in bulk\n")
        here.queue_bulk("ann", wanted)
    assert started == []
    assert len(scene.our_refs()) == 5
    assert here.flush_all()[0].success


def test_a_workflow_is_few_statements_and_one_transaction(scene: Scene, here: DeployBatcher) -> None:
    workflow(here, 1)
    for n in (2, 1):
        with processes() as started, statements(here) as said:
            workflow(here, n)
        assert started == []
        assert len(said) <= 12, said
        assert said[-1] == "COMMIT" and said.count("BEGIN IMMEDIATE") == 1
        assert len(said) - said.index("BEGIN IMMEDIATE") - 2 <= 4, said
    assert len(scene.rows("deploy_queue")) == 2


@pytest.mark.slow
def test_what_calls_ask_is_found_by_indexes(scene: Scene, here: DeployBatcher) -> None:
    """Nothing is looked for row by row: SQLite says how it would look, however many rows there are."""
    with scene.store() as store, store.transaction() as db:
        deploys(db, 1000)
        db.execute(
            "INSERT INTO sources (action_id, agent_id, worktree, branch, tip, exact, push_group, atomic, waiter,"
            " queued_at, status) SELECT id, 'a', 'w', 'b', '', 0, '', 0, 0, '2026-01-01', 'landed' FROM deploy_queue"
        )
    add(here, "a")  # opens what stays open
    with statements(here) as said:
        workflow(here, 1)
        workflow(here, 1)
        add(here, "b")
        here.queue("ann", "push", "main")
    assert sum("merge_key = " in statement for statement in said) >= 2
    assert any("ORDER BY id DESC LIMIT 1" in statement for statement in said)
    with scene.store() as store:
        for statement in said:
            if statement.startswith(("SELECT", "UPDATE", "INSERT")):
                plan = [row["detail"] for row in store.db.execute(f"EXPLAIN QUERY PLAN {statement}")]
                scans = [step for step in plan if step.startswith("SCAN") and "urgent" not in step]
                assert scans == [], (statement, plan)
                if "merge_key = " in statement:
                    assert "open_group" in plan[0]


@pytest.mark.parametrize(
    ("attributes", "config", "text"),
    [
        ("* text\n", "", "a\r\nb\r\n"),
        ("*.txt text=auto\n", "", "a\r\nb\r\n"),
        ("* crlf\n", "", "a\r\n"),
        ("* eol=crlf\n", "", "a\r\n"),
        ("* ident\n", "", "$Id: 123 $\n"),
        ("* working-tree-encoding=UTF-16\n", "", "\ufeffab\n"),
        ("* filter=up\n", "filter.up.clean=tr a-z A-Z", "abc\n"),
        ("", "core.autocrlf=input", "a\r\n"),
        ("", "core.autocrlf=true", "a\r\n"),
    ],
)
def test_a_file_is_stored_as_git_stores_it(
    scene: Scene, here: DeployBatcher, attributes: str, config: str, text: str
) -> None:
    """Also where that changes between two calls."""
    encoding = "utf-16" if "UTF-16" in attributes else "utf-8"
    (scene.top / "a.txt").write_bytes(text.encode(encoding))
    here.queue("ann", "commit", "main", {"message": "m", "files": ["a.txt"]})
    assert scene.git("rev-parse", f"{scene.rows('sources')[-1]['tip']}:a.txt") == scene.git("hash-object", "a.txt")
    if config:
        scene.git("config", *config.split("=", 1))
    write(scene, ".gitattributes", attributes)
    here.queue("ann", "commit", "main", {"message": "m", "files": ["a.txt"]})
    at_last = scene.git("rev-parse", f"{scene.rows('sources')[-1]['tip']}:a.txt")
    assert at_last == scene.git("hash-object", "a.txt")
    assert at_last != scene.git("hash-object", "--no-filters", "a.txt")


def test_what_is_ignored_may_change_between_calls(scene: Scene, here: DeployBatcher) -> None:
    (scene.top / "logs").mkdir()
    add(here, "logs/a")
    for n, where in enumerate(("logs/.gitignore", ".git/info/exclude", ".gitignore")):
        write(scene, where, "*\n")
        with pytest.raises(UsageError, match="ignored"):
            add(here, f"logs/{n}")
        write(scene, where, f"*\n!{n}\n!logs\n")
        add(here, f"logs/{n}", where)
        with pytest.raises(UsageError, match="ignored"):
            add(here, "logs/c")
        write(scene, where, "")
    write(scene, ".gitignore", "*\n!logs\n")
    scene.git("add", "--force", "logs/c")
    add(here, "logs/c")
    assert stored(scene, "logs/c") == "logs/c"


def test_settings_and_repository_are_what_they_are_at_a_call(scene: Scene, here: DeployBatcher) -> None:
    workflow(here, 1)
    scene.git("config", "uam.gh.repo", "nothing of the kind")
    with pytest.raises(UsageError, match=r"uam\.gh\.repo"):
        workflow(here, 2)
    scene.git("config", "uam.gh.repo", "owner/shop")
    scene.git("uam", "uninstall", "--force")
    scene.install()
    workflow(here, 3)
    assert len(scene.rows("deploy_queue")) == 1
    moved = scene.commit("elsewhere")
    add(here, "a")
    assert scene.git("rev-parse", f"{scene.rows('sources')[-1]['tip']}^") == moved


def test_children_that_are_killed_are_started_again(scene: Scene, here: DeployBatcher) -> None:
    add(here, "a")
    children = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    ours = [pid for pid in children if Path(f"/proc/{pid}/cwd").readlink().is_relative_to(scene.root)]
    assert len(ours) == 4
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    for name in ("b", "c", "d", "e"):
        try:
            add(here, name)
        except Exception as error:  # said, and over with the next call
            assert "failed with exit code -9" in str(error)
    add(here, "f")
    assert stored(scene, "f") == "f"


def test_a_forked_process_has_a_session_of_its_own(scene: Scene, here: DeployBatcher) -> None:
    add(here, "a")
    pid = os.fork()
    if not pid:
        try:
            workflow(here, 1)
            opened = here._kept._open
            os._exit(0 if opened is not None and opened.pid == os.getpid() else 2)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    add(here, "b")
    workflow(here, 2)
    assert [row["action_type"] for row in scene.rows("deploy_queue")] == ["commit", "workflow", "workflow"]
    assert json.dumps(here.status()["failed"]) == "[]"


def test_core_fsync_is_respected(scene: Scene, here: DeployBatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """git syncs no loose object by default, and each where it is told so; refs and queue are synced in any case."""
    synced: list[str] = []
    real = os.fsync

    def noted(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        real(fd)

    monkeypatch.setattr(os, "fsync", noted)
    for setting, expected in (("", 0), ("all", 3), ("committed,-loose-object", 0), ("default,objects", 3)):
        if setting:
            scene.git("config", "core.fsync", setting)
        synced.clear()
        add(here, f"f-{setting}".replace(",", ""))
        assert len(synced) == expected, (setting, synced)


def test_a_tree_is_sorted_as_git_sorts_it(scene: Scene, here: DeployBatcher) -> None:
    """A directory as if its name ended in a slash, also where a file becomes one."""
    for name in ("a", "a-b", "a.c", "b"):
        add(here, name)
    (scene.top / "a").unlink()
    (scene.top / "a").mkdir()
    write(scene, "a/x", "x\n")
    here.queue("ann", "commit", "main", {"message": "m", "files": ["a/x"]})
    tip = scene.rows("sources")[-1]["tip"]
    assert scene.git("fsck", "--strict", "--no-dangling", tip) == ""
