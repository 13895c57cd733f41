"""DeployBatcher: everything that its docstrings promise, as a program that imports it sees it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import time
import typing
from pathlib import Path
from typing import Any

import pytest

import uam_hooks
from tests.support.batchers import add, created, deploys, elsewhere, made, nothing_changes
from tests.support.deploys import Beside, meeting
from tests.support.landscape import environment, kept, write
from tests.support.queueing import AT_ONCE
from tests.support.scenes import Scene, script, until
from uam_hooks import ActionType, DeployBatcher, UamError
from uam_hooks.hot.core.errors import NotInstalled, Refused, UsageError
from uam_hooks.hot.queue.model import URGENT_WINDOWS, WINDOWS, seconds_of

NAN, INFINITY = float("nan"), float("inf")


# -- the package -----------------------------------------------------------------------------------------------


def test_importing_the_package_loads_nothing_else() -> None:
    """Every push imports it."""
    code = (
        "import sys, json; before = set(sys.modules); import uam_hooks; print(json.dumps(sorted(set(sys.modules) -"
        " before))); uam_hooks.DeployBatcher; print('uam_hooks.api.batcher' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded, later = done.stdout.splitlines()
    heavy = ("sqlite3", "git", "click", "filelock", "asyncio", "inspect", "dataclasses", "subprocess")
    assert [m for m in json.loads(loaded) if m.startswith("uam_hooks.") or m.partition(".")[0] in heavy] == []
    assert later == "True"


def test_the_public_names() -> None:
    for name in uam_hooks.__all__:
        assert getattr(uam_hooks, name) is not None, name
    assert (Path(uam_hooks.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="Batcher"):
        uam_hooks.Batcher  # noqa: B018
    with pytest.raises(ImportError):
        exec("from uam_hooks import no_such_name")  # noqa: S102


def test_type_hints_are_complete_and_every_method_is_documented() -> None:
    public = [(n, f) for n, f in inspect.getmembers(DeployBatcher, inspect.isfunction) if not n.startswith("_")]
    assert {name for name, _ in public} >= {
        "queue", "queue_bulk", "create_batch", "execute_batch", "get_batch", "get_pending_batches", "flush_all",
        "get_batch_window", "get_window_config", "set_urgent_mode", "cancel", "retry", "status",
    }  # fmt: skip
    functions: list[tuple[str, Any]] = [("__init__", DeployBatcher.__init__), *public]
    for name, function in functions:
        hints = typing.get_type_hints(function)
        assert set(inspect.signature(function).parameters) - {"self"} <= set(hints), name
        assert "return" in hints, name
        assert name == "__init__" or function.__doc__, name


# -- making one ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-5, -0.5, NAN, INFINITY, -INFINITY, True, False, "5", None, 1.5, 10**30, []], ids=repr)
def test_a_window_that_is_none(scene: Scene, bad: Any) -> None:
    with nothing_changes(scene):
        for kind in ActionType:
            with pytest.raises(UsageError, match=f"window of {kind}"):
                made(scene, dynamic_windows={kind.value: bad})
        if bad is not None:
            with pytest.raises(UsageError):
                DeployBatcher(repository=scene.top, batch_window_ms=bad)


@pytest.mark.parametrize("name", ["max_batch_size", "max_parallel_actions"])
@pytest.mark.parametrize("bad", [-5, 0, NAN, INFINITY, True, False, "5", 1.5, 10**12], ids=repr)
def test_a_size_that_is_none(scene: Scene, name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=name):
        made(scene, **{name: bad})


def test_windows_that_name_no_action_type_or_are_no_mapping(scene: Scene) -> None:
    with pytest.raises(UsageError, match="no action type 'comit'"):
        made(scene, dynamic_windows={"comit": 5})
    for bad in ([1], 5, "commit"):
        with pytest.raises(UsageError):
            made(scene, dynamic_windows=bad)


def test_windows(scene: Scene) -> None:
    usual = {kind: round(1000 * seconds) for kind, seconds in WINDOWS.items()} | {"push": 50}  # the scene's
    assert DeployBatcher(repository=scene.top).get_window_config() == usual
    own = DeployBatcher(repository=scene.top, dynamic_windows={"commit": 7})
    assert own.get_window_config() == usual | {"commit": 7}
    legacy = DeployBatcher(repository=scene.top, dynamic_windows={"commit": 0}, batch_window_ms=1234)
    assert legacy.get_window_config() == dict.fromkeys(usual, 1234) | {"commit": 0}
    assert legacy.get_batch_window("commit") == 0 and legacy.get_batch_window("deploy") == 1234
    assert DeployBatcher(repository=scene.top, batch_window_ms=0).get_batch_window("push") == 0
    with pytest.raises(UsageError, match="no action type 'comit'"):
        own.get_batch_window("comit")
    # they are this object's alone
    assert DeployBatcher(repository=scene.top).get_window_config() == usual


@pytest.mark.parametrize(("kind", "target"), [("commit", "main"), ("push", "main"), ("deploy", "site")])
def test_a_window_is_what_the_action_waits(scene: Scene, kind: str, target: str) -> None:
    deploys(scene, "site", does="exit 0\n")
    here = made(scene, dynamic_windows={kind: 3_600_000})
    write(scene, "f", "x\n")
    payload = {"message": "m", "files": ["f"]} if kind == "commit" else {}
    here.queue("ann", kind, target, payload)
    (row,) = scene.rows("deploy_queue")
    waits = seconds_of(row["execute_after"]) - seconds_of(row["queued_at"])
    assert waits == pytest.approx(3600, abs=0.002)
    assert here.create_batch() is None and here.flush_all(due_only=True) == []
    assert scene.git("uam", "flush", "--due") == "nothing to land"
    assert [result.success for result in here.flush_all()] == [True]  # now means now


def test_the_size_of_a_batch(scene: Scene) -> None:
    for name in "abcde":
        scene.git("branch", name)
        made(scene).queue("ann", "push", name)
    assert [len(created(made(scene, max_batch_size=2)).actions) for _ in range(2)] == [2, 2]
    assert len(created(made(scene)).actions) == 1


def test_parallel_and_not(scene: Scene) -> None:
    """Commands that end only when they meet, where they may run at once; and where they may not, others."""
    deploys(scene, "left", "right", does="exit 0\n")
    meeting(scene, 2)

    def most(*names: str, **options: Any) -> int:
        here = made(scene, **options)
        here.queue_bulk("ann", [{"action_type": "deploy", "target": name} for name in names])
        beside = Beside()
        (result,) = here.flush_all(tell=beside)
        assert result.success
        return beside.most

    assert most("left", "right", parallel_execution=False) == 1
    assert most("left", "right", max_parallel_actions=1) == 1
    assert most("left", "right", parallel_execution=False, max_parallel_actions=5) == 1
    assert most("d0", "d1") == 2
    assert most("d0", "d1", max_parallel_actions=2) == 2


def test_where_git_uam_is_not_enabled(plain: Scene) -> None:
    with environment(plain.env):
        with pytest.raises(NotInstalled, match="not enabled"):
            DeployBatcher(repository=plain.top)
        assert not (plain.top / ".git" / "uam").exists()


@pytest.mark.parametrize("name", [".", "nowhere", "work/nowhere", "work/README"])
def test_a_place_that_is_no_repository(scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A wrong path must not end up in the repository that the process happens to stand in."""
    monkeypatch.chdir(scene.top)
    with nothing_changes(scene), pytest.raises(UsageError):
        DeployBatcher(repository=scene.root / name).queue("ann", "push", "main")


def test_when_it_is_taken_out_meanwhile(scene: Scene, here: DeployBatcher) -> None:
    scene.git("uam", "uninstall")
    with pytest.raises(NotInstalled):
        here.queue("ann", "push", "main")


def test_the_working_directory_is_the_repository(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = scene.worktree("agent")
    write(agent, "sub/f", "x\n")
    monkeypatch.chdir(agent.top / "sub")
    here = DeployBatcher(dynamic_windows=AT_ONCE)
    here.queue("ann", "commit", "agent", {"message": "Add f", "files": ["f"]})
    monkeypatch.chdir(scene.root)  # from here on it does not matter where one stands
    assert here.execute_batch(created(here).id).success
    assert agent.git("ls-tree", "-r", "--name-only", "agent").split() == ["README", "sub/f"]


def test_every_worktree_has_the_same_queue(scene: Scene) -> None:
    agent = scene.worktree("agent")
    (agent.top / "deep" / "er").mkdir(parents=True)
    places: list[Path | str] = [scene.top, agent.top, agent.top / "deep" / "er", str(agent.top)]
    ids = {DeployBatcher(repository=place, dynamic_windows=AT_ONCE).queue("ann", "push", "main") for place in places}
    assert len(ids) == 1
    assert not (agent.git_dir / "uam").exists() and len(list(scene.root.rglob("queue.db"))) == 1
    batch = created(made(scene))
    assert made(agent).get_batch(batch.id) == batch
    assert made(agent).execute_batch(batch.id).success


def test_another_database_is_another_queue(scene: Scene, tmp_path: Path) -> None:
    database = tmp_path / "elsewhere.db"
    with nothing_changes(scene):
        own = made(scene, db_path=database)
        assert own.get_pending_batches() == [] and database.exists()
    number = add(own, "f")
    assert scene.rows("deploy_queue") == []
    assert made(scene).create_batch() is None and made(scene).flush_all() == []
    assert scene.landed() == []
    (tip,) = [ref.split()[0] for ref in scene.our_refs()]
    own.queue("ann", "push", "main")
    (result,) = own.flush_all()
    assert (result.success, result.executed_actions) == (True, 2)
    assert scene.landed() == ["Add f"]
    kept(scene, [tip])
    assert scene.rows("deploy_queue") == []
    # the same file again is the same queue
    with pytest.raises(Refused, match="completed"):
        made(scene, db_path=str(database)).cancel(number)
    with pytest.raises(UsageError):
        made(scene).cancel(number)


def test_another_database_leaves_the_commits_of_the_hooks_where_they_belong(scene: Scene, tmp_path: Path) -> None:
    scene.commit("f")
    own = made(scene, db_path=tmp_path / "elsewhere.db")
    own.flush_all()
    assert scene.report()["waiting"][0]["type"] == "commit"


def test_a_database_that_cannot_be(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but a text that is long enough to be one\n" * 50)
    for bad in (tmp_path, tmp_path / "no" / "such.db", tmp_path / "text"):
        with pytest.raises(UamError):
            made(scene, db_path=bad)


def test_variables_of_another_repository(scene: Scene, tmp_path: Path) -> None:
    """git sets them for hooks and aliases; whoever starts us from one means the repository that is named."""
    scene.outside.git("init", "-q", "trap")
    trap = tmp_path / "trap" / ".git"
    write(scene, "f", "x\n")
    for name, value in {
        "GIT_DIR": str(trap), "GIT_WORK_TREE": str(trap.parent), "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_OBJECT_DIRECTORY": str(trap / "objects"), "GIT_PREFIX": "x/", "GIT_COMMON_DIR": str(trap),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Somebody else",
    }.items():  # fmt: skip
        os.environ[name] = value
    here = made(scene)
    add(here, "f")
    here.queue("ann", "push", "main")
    assert here.flush_all()[0].success
    assert scene.landed() == ["Add f"] and scene.clean()
    assert scene.git("log", "-1", "--format=%an") == "Ada"
    assert not (trap / "uam").exists() and not (tmp_path / "index").exists()


def test_from_a_hook_of_a_linked_worktree(scene: Scene) -> None:
    agent = scene.worktree("agent")
    (agent.top / "f").write_text("x\n")
    code = (
        "from uam_hooks import DeployBatcher; h = DeployBatcher(dynamic_windows={'commit': 0});"
        " h.queue('hook', 'commit', 'agent', {'message': 'From a hook', 'files': ['f']})"
    )
    script(scene.top / ".git" / "hooks" / "post-checkout", f'exec "{sys.executable}" -I -c "{code}" >&2\n')
    agent.git("switch", "-q", "-c", "another")
    assert [row["agent_id"] for row in scene.rows("sources")] == ["hook"]
    assert agent.git("status", "--porcelain") == "?? f"


# -- windows and urgency ---------------------------------------------------------------------------------------


def test_urgent_mode_is_everybodys(scene: Scene) -> None:
    here = DeployBatcher(repository=scene.top)
    usual = here.get_window_config()
    here.set_urgent_mode(True)
    urgent = {kind: min(usual[kind], round(1000 * seconds)) for kind, seconds in URGENT_WINDOWS.items()}
    assert here.get_window_config() == urgent
    other = elsewhere(scene, "print(json.dumps(DeployBatcher().get_window_config()))")()
    assert json.loads(other.out) == urgent, other
    write(scene, "f", "x\n")
    here.queue("ann", "commit", "main", {"message": "m", "files": ["f"]})
    (row,) = scene.rows("deploy_queue")
    assert seconds_of(row["execute_after"]) - seconds_of(row["queued_at"]) == pytest.approx(2, abs=0.002)
    assert elsewhere(scene, "DeployBatcher().set_urgent_mode(False)")().code == 0
    assert here.get_window_config() == usual


def test_urgent_mode_has_an_end(scene: Scene) -> None:
    here = DeployBatcher(repository=scene.top)
    here.set_urgent_mode(True, seconds=3600)
    assert here.get_batch_window("deploy") == 5000
    (row,) = scene.rows("urgent")
    assert 0 < seconds_of(row["until"]) - time.time() <= 3600
    here.set_urgent_mode(True, seconds=0.05)
    until(lambda: here.get_batch_window("deploy") == 60_000, "the end of urgent mode")


@pytest.mark.parametrize("bad", [-5, 0, NAN, INFINITY, True, "5", 10**12], ids=repr)
def test_a_time_of_urgent_mode_that_is_none(scene: Scene, here: DeployBatcher, bad: Any) -> None:
    with pytest.raises(UsageError, match="urgent mode"):
        here.set_urgent_mode(True, bad)
    assert scene.rows("urgent") == []


def test_settings_that_cannot_be_read_are_said(scene: Scene) -> None:
    here = DeployBatcher(repository=scene.top)
    scene.git("config", "uam.window.deploy", "soon")
    with pytest.raises(UsageError, match=r"uam\.window\.deploy"):
        here.get_window_config()


# -- status ----------------------------------------------------------------------------------------------------


def test_status_knows_every_type(scene: Scene, here: DeployBatcher) -> None:
    deploys(scene, "site", does=":\n")
    scene.git("branch", "x")
    ids = [add(here), here.queue("ann", "push", "main"), here.queue("bob", "deploy", "site"),
           here.queue("bob", "merge", "main", {"source": "x"})]  # fmt: skip
    with nothing_changes(scene):
        state = here.status()
    json.dumps(state)
    assert {row["action"]: row["type"] for row in state["waiting"]} == dict(
        zip(ids, ["commit", "push", "deploy", "merge"], strict=True)
    )
    assert [row["agents"] for row in state["waiting"]] == [["ann"], ["ann"], ["bob"], ["bob"]]
