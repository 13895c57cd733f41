"""DeployBatcher: everything that its docstrings promise, as a program that imports it sees it."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import time
import typing
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from landscape import by_hand, environment, kept, sound, write
from scenes import Done, Scene, Worktree, finished, locked, script, together, until

import uam_hooks
from uam_hooks import ActionType, Batch, DeployBatcher, Status, UamError
from uam_hooks.hot.core.errors import Locked, NotInstalled, Refused, UsageError
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import URGENT_WINDOWS, WINDOWS, seconds_of

AT_ONCE = {"commit": 0, "push": 0, "merge": 0, "workflow": 0, "deploy": 0}
NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
def scene(scene: Scene) -> Iterator[Scene]:
    """Nothing happens by itself, and this process has the scene's environment."""
    by_hand(scene)
    scene.git("config", "uam.flush.lockTimeout", "10s")
    with environment(scene.env):
        yield scene


@pytest.fixture
def here(scene: Scene) -> DeployBatcher:
    """A batcher without windows."""
    return made(scene)


def made(place: Worktree, **options: Any) -> DeployBatcher:
    return DeployBatcher(repository=place.top, **{"dynamic_windows": AT_ONCE, **options})


def ask(here: DeployBatcher, name: str = "f", text: str = "", agent: str = "ann", **options: Any) -> int:
    """Queue a commit of one file to main."""
    (here.at / name).write_text(text or f"{name}\n")
    return here.queue(agent, "commit", "main", {"message": f"Add {name}", "files": [name]}, **options)


def created(here: DeployBatcher) -> Batch:
    batch = here.create_batch()
    assert batch is not None
    return batch


def statuses(scene: Scene) -> list[str]:
    return [row["status"] for row in scene.rows("deploy_queue")]


@contextmanager
def nothing_changes(scene: Scene) -> Iterator[None]:
    """Neither the queue, nor a ref here or on the remote, nor what is checked out."""

    def state() -> object:
        files = scene.status()  # first: it freshens the index
        index = (scene.top / ".git" / "index").read_bytes()
        refs = scene.git("for-each-ref"), scene.bare.git("for-each-ref"), scene.pushes()
        return scene.queue(), refs, files, index

    before = state()
    yield
    assert state() == before


def elsewhere(place: Worktree, code: str, *args: str) -> Callable[[], Done]:
    """A job: Python `code` in a process of its own that stands in `place`."""
    full = f"import sys, json; from uam_hooks import DeployBatcher\n{code}"
    return lambda: place.execute(sys.executable, "-I", "-c", full, *args)


def deploys(scene: Scene, *names: str, does: str) -> None:
    """Configure deploy targets whose command is this sh text."""
    command = script(scene.root / f"deploy-{names[0]}", does)
    for name in names:
        scene.git("config", f"uam.deploy.{name}.command", str(command))


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


@pytest.mark.parametrize("bad", [-5, -0.5, NAN, INFINITY, -INFINITY, True, "5", None, 1.5, 10**30], ids=repr)
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


@pytest.mark.parametrize("kind", ["commit", "push"])
def test_a_window_is_what_the_action_waits(scene: Scene, kind: str) -> None:
    here = made(scene, dynamic_windows={kind: 3_600_000})
    write(scene, "f", "x\n")
    payload = {"message": "m", "files": ["f"]} if kind == "commit" else {}
    here.queue("ann", kind, "main", payload)
    (row,) = scene.rows("deploy_queue")
    waits = seconds_of(row["execute_after"]) - seconds_of(row["queued_at"])
    assert waits == pytest.approx(3600, abs=0.002)
    assert here.create_batch() is None and here.flush_all(due_only=True) == []
    assert len(here.flush_all()) == 1  # now means now


def test_the_size_of_a_batch(scene: Scene) -> None:
    for name in "abcde":
        scene.git("branch", name)
        made(scene).queue("ann", "push", name)
    assert [len(created(made(scene, max_batch_size=2)).actions) for _ in range(2)] == [2, 2]
    assert len(created(made(scene)).actions) == 1


def test_parallel_and_not(scene: Scene) -> None:
    """Each command waits a moment for the other one; they meet only where both may run at once."""
    deploys(scene, "left", "right", does=f"""
        cd {scene.root}; : >"$UAM_TARGET"; n=0
        while [ $n -lt ${{PATIENCE:-3}} ]; do
            [ -e left ] && [ -e right ] && echo "$UAM_TARGET" >>met && sleep 0.2 && exit 0
            n=$((n + 1)); sleep 0.1
        done
        rm "$UAM_TARGET"
    """)

    def met(**options: Any) -> list[str]:
        for name in ("left", "right", "met"):
            (scene.root / name).unlink(missing_ok=True)
        here = made(scene, **options)
        here.queue_bulk("ann", [{"action_type": "deploy", "target": name} for name in ("left", "right")])
        (result,) = here.flush_all()
        assert result.success
        return (scene.root / "met").read_text().split() if (scene.root / "met").exists() else []

    assert met(parallel_execution=False) == []
    assert met(max_parallel_actions=1) == []
    assert met(parallel_execution=False, max_parallel_actions=5) == []
    os.environ["PATIENCE"] = "200"
    assert sorted(met()) == ["left", "right"]
    assert sorted(met(max_parallel_actions=2)) == ["left", "right"]


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
    assert not (agent.git_dir / "uam").exists()
    batch = created(made(scene))
    assert made(agent).get_batch(batch.id) == batch
    assert made(agent).execute_batch(batch.id).success


def test_another_database_is_another_queue(scene: Scene, tmp_path: Path) -> None:
    database = tmp_path / "elsewhere.db"
    with nothing_changes(scene):
        own = made(scene, db_path=database)
        assert own.get_pending_batches() == [] and database.exists()
    number = ask(own, "f")
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
    ask(here, "f")
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


# -- into the queue --------------------------------------------------------------------------------------------


def test_ids_are_shared_by_what_merges(scene: Scene, here: DeployBatcher) -> None:
    one, two = ask(here, "a"), ask(here, "b", agent="bob")
    push, again = here.queue("ann", "push", "main"), here.queue("bob", "push", "refs/heads/main")
    forced = here.queue("ann", "push", "main", {"force": True})
    other = here.queue("ann", "push", "main", {"push_options": ["ci.skip"]})
    assert one == two and push == again and len({one, push, forced, other}) == 4
    assert [row["agent_id"] for row in scene.rows("sources")] == ["ann", "bob", "ann", "bob", "ann", "ann"]


def test_merging_takes_the_earlier_end_and_the_higher_priority(scene: Scene) -> None:
    slow = made(scene, dynamic_windows={"push": 3_600_000})
    number = slow.queue("ann", "push", "main", priority=0)
    (row,) = scene.rows("deploy_queue")
    assert row["priority"] == 0
    assert slow.queue("bob", "push", "main", urgent=True, priority=7) == number
    assert slow.queue("cid", "push", "main", priority=-3) == number
    (row,) = scene.rows("deploy_queue")
    waits = seconds_of(row["execute_after"]) - time.time()
    assert row["priority"] == 7 and waits <= URGENT_WINDOWS["push"]


def test_urgent_never_makes_a_window_longer(scene: Scene) -> None:
    made(scene, dynamic_windows={"push": 0}).queue("ann", "push", "main", urgent=True)
    (row,) = scene.rows("deploy_queue")
    assert row["execute_after"] == row["queued_at"]


def test_priority_decides_who_goes_first(scene: Scene) -> None:
    for name in ("low", "high"):
        scene.git("branch", name)
    here = made(scene, max_batch_size=1)
    here.queue("ann", "push", "low", priority=0)
    here.queue("ann", "push", "high", priority=9)
    assert [created(here).actions[0].target for _ in range(2)] == ["high", "low"]


BAD: list[tuple[Any, Any, Any, Any]] = [
    ("commit", "main", {"message": "m", "files": ["f"]}, {"priority": bad}) for bad in (1.5, NAN, True, "5", 10**30)
] + [
    ("push", "main", {}, {"urgent": bad}) for bad in ("no", 2, [1])
] + [
    ("push", "main", {}, {"execute_after": bad})
    for bad in (-5, NAN, INFINITY, True, "soon", 1e17, 253_402_300_800, [5], "2026-13-01T00:00:00Z")
] + [
    ("push", "main", {}, {"dependencies": bad})
    for bad in ([999], [-1], [0], [1.5], [True], ["#999"], ["nobody"], [""], [None], 5, "12", [10**30])
] + [
    (kind, "main", {}, {}) for kind in ("", "comit", "COMMIT", None, 5)
] + [
    ("push", target, {}, {}) for target in ("", None, 5, "-x", "a..b", "a b", "nowhere", "a\nb", ":main", "+main")
] + [
    ("push", "main", payload, {}) for payload in (
        {"remote": "nowhere"}, {"remote": "--receive-pack=touch X"}, {"remote": "/srv/x.git"}, {"remote": 5},
        {"remote": ""}, {"force": "yes"}, {"force": 1}, {"push_options": "x"}, {"push_options": [5]}, {"all": True},
        {"push_options": ["a\nb"]}, "x", ["x"], 5, {"x": {1}},
    )
] + [
    ("commit", "main", {"message": "m", "files": ["f"], "author": "x"}, {}),
    ("deploy", "unheard-of", {}, {}), ("deploy", "--help", {}, {}), ("deploy", "../x", {}, {}),
    ("workflow", "-x", {}, {}), ("workflow", "ci.yml", {"inputs": ["x"]}, {}), ("workflow", "ci.yml", {"when": 1}, {}),
    ("merge", "main", {}, {}), ("merge", "main", {"source": "nowhere"}, {}),
    ("merge", "main", {"source": "main", "strategy": "octopus"}, {}), ("merge", "main", {"pr": "x"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "target", "payload", "options"), BAD, ids=lambda value: repr(value)[:60])
def test_what_is_refused_changes_nothing(
    plain_here: tuple[Scene, DeployBatcher], kind: Any, target: Any, payload: Any, options: Any
) -> None:
    scene, here = plain_here
    before = scene.queue(), scene.our_refs()
    with pytest.raises(UsageError):
        here.queue("ann", kind, target, payload, **options)
    if isinstance(options, dict):
        good = {"action_type": "push", "target": "main"}
        with pytest.raises(UsageError):
            here.queue_bulk("ann", [good, {"action_type": kind, "target": target, "payload": payload, **options}])
    assert (scene.queue(), scene.our_refs()) == before


@pytest.fixture(scope="module")
def plain_here(
    tmp_path_factory: pytest.TempPathFactory, templates: dict[str, Scene]
) -> Iterator[tuple[Scene, DeployBatcher]]:
    """One scene for all requests that are refused: they leave it as it is."""
    scene = by_hand(Scene(tmp_path_factory.mktemp("refused"), templates["wired"]))
    write(scene, "f", "x\n")
    with environment(scene.env):
        yield scene, made(scene)
    scene.close()


@pytest.mark.parametrize("agent", ["", None, 5, "a\nb", "a\0b"], ids=repr)
def test_an_agent_without_a_name(scene: Scene, here: DeployBatcher, agent: Any) -> None:
    with nothing_changes(scene), pytest.raises(UsageError, match="name for an agent"):
        here.queue(agent, "push", "main")


def test_execute_after_is_respected_by_everything(scene: Scene, here: DeployBatcher) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    for moment in (later, later.isoformat(), later.timestamp(), int(later.timestamp()), later.replace(tzinfo=None),
                   later.astimezone(timezone(timedelta(hours=5)))):  # fmt: skip
        ask(here, "f", f"{moment!r}", execute_after=moment)
    assert len(scene.rows("deploy_queue")) == 6  # one that is to be later joins nobody
    for row in scene.rows("deploy_queue"):
        assert abs(seconds_of(row["not_before"]) - later.timestamp()) <= 1
    assert here.create_batch() is None
    assert here.flush_all() == [] and here.flush_all(due_only=True) == []
    assert statuses(scene) == ["pending"] * 6 and scene.subjects("main") == ["Begin"]


def test_execute_after_a_moment_that_is_past(scene: Scene, here: DeployBatcher) -> None:
    for moment in (0, "1999-12-31", datetime(2001, 2, 3, tzinfo=UTC)):
        scene.git("branch", f"b{len(scene.rows('deploy_queue'))}")
        here.queue("ann", "push", f"b{len(scene.rows('deploy_queue'))}", execute_after=moment)
    assert len(created(here).actions) == 3


def test_a_bulk_in_the_originals_spelling(scene: Scene, here: DeployBatcher) -> None:
    for name in ("f", "g"):
        write(scene, name, "x\n")
    later = time.time() + 3600
    ids = here.queue_bulk("ann", [
        {"actionType": "commit", "target": "main", "payload": {"message": "Add f", "files": ["f"]},
         "options": {"urgent": True, "priority": 0}},
        {"actionType": "commit", "target": "main", "payload": {"message": "Add g", "files": ["g"]}, "agentId": "bob"},
        {"actionType": "push", "target": "main", "options": {"executeAfter": later}},
        {"action_type": "push", "target": "main", "execute_after": later, "priority": 8, "payload": None},
    ])  # fmt: skip
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert [row["agent_id"] for row in scene.rows("sources")] == ["ann", "bob", "ann", "ann"]
    assert [row["priority"] for row in scene.rows("deploy_queue")] == [5, 5, 8]
    assert all(row["not_before"] for row in scene.rows("deploy_queue")[1:])


def test_a_bulk_depends_by_name_in_any_order(scene: Scene, here: DeployBatcher) -> None:
    write(scene, "f", "x\n")
    first = here.queue("ann", "push", "main", execute_after=time.time() + 3600)
    last, middle = here.queue_bulk("ann", [
        {"name": "last", "action_type": "push", "target": "main", "dependencies": ["commit it", first, f"#{first}"]},
        {"name": "commit it", "action_type": "commit", "target": "main",
         "payload": {"message": "Add f", "files": ["f"]}},
    ])  # fmt: skip
    deps = {row["id"]: json.loads(row["dependencies"]) for row in scene.rows("deploy_queue")}
    assert deps == {first: [], middle: [], last: [middle, first]}


@pytest.mark.parametrize("actions", [
    [{"name": "a", "dependencies": ["b"]}, {"name": "b", "dependencies": ["a"]}],
    [{"name": "a", "dependencies": ["a"]}],
    [{"name": "a", "dependencies": ["c"]}, {"name": "b", "dependencies": ["a"]}, {"name": "c", "dependencies": ["b"]}],
    [{"name": "a"}, {"name": "a"}],
    [{"name": "a"}, {"dependencies": ["z"]}],
    [{}, {"colour": "red"}], [{}, {"options": {"colour": "red"}}], [{}, {"payload": {"colour": "red"}}],
    [{}, {"target": ""}], [{}, {"action_type": "bake"}], [{}, 5], [{}, None], [{}, {"options": 5}], 5, None,
], ids=repr)  # fmt: skip
def test_a_bulk_is_queued_as_a_whole_or_not_at_all(
    plain_here: tuple[Scene, DeployBatcher], actions: Any
) -> None:
    scene, here = plain_here
    usual = {"action_type": "push", "target": "main"}
    whole = [{**usual, **one} if isinstance(one, dict) else one for one in actions] if actions not in (5, None) else 5
    before = scene.queue(), scene.our_refs()
    with pytest.raises(UsageError) as error:
        here.queue_bulk("ann", typing.cast(Any, whole))
    if isinstance(whole, list) and isinstance(actions[0], dict) and "dependencies" in actions[0]:
        assert "wait for each other" in error.value.what and " -> " in error.value.what
    assert (scene.queue(), scene.our_refs()) == before


def test_an_empty_bulk(scene: Scene, here: DeployBatcher) -> None:
    assert here.queue_bulk("ann", []) == [] and scene.rows("deploy_queue") == []


def test_a_thousand_at_once(scene: Scene, here: DeployBatcher) -> None:
    push = {"action_type": "push", "target": "main"}
    assert len(set(here.queue_bulk("ann", [push] * 1000))) == 1
    assert len(scene.rows("sources")) == 1000


# -- batches ---------------------------------------------------------------------------------------------------


def test_nothing_is_due(here: DeployBatcher) -> None:
    assert here.create_batch() is None and here.get_pending_batches() == [] and here.flush_all() == []


def test_what_is_shown_is_stored_and_executed(scene: Scene, here: DeployBatcher) -> None:
    ids = [ask(here, "a"), ask(here, "b", agent="bob"), here.queue("ann", "push", "main")]
    batch = created(here)
    assert [action.id for action in batch.actions] == sorted(set(ids))
    assert batch.status == Status.PENDING and batch.executed_at is None and len(batch.id) == 36
    commit, push = batch.actions
    assert commit.payload["files"] == ["a", "b"] and len(commit.payload["squashedFrom"]) == 2
    assert commit.payload["message"] == "Squashed 2 commits:\n\n1. Add a\n2. Add b"
    assert {commit.status, push.status} == {Status.BATCHED}
    assert here.get_pending_batches() == [batch]
    for name in (batch.id, batch.id[:8], str(batch.number)):
        assert here.get_batch(name) == batch
    assert here.create_batch() is None  # it has been claimed
    result = here.execute_batch(batch.id)
    assert result._replace(duration=0) == (batch.id, True, 2, 0, (), 0, 0) and result.duration > 0
    assert scene.landed() == ["Squashed 2 commits:"] and len(scene.pushes()) == 1
    assert scene.bare.git("log", "-1", "--format=%B", "main").startswith(commit.payload["message"])
    done = here.get_batch(batch.id)
    assert done is not None and done.status == Status.COMPLETED and done.executed_at
    assert done.result["executedActions"] == 2 and here.get_pending_batches() == []


@pytest.mark.parametrize("name", ["", "0", "99", "no such", "-1", "9" * 30, "²", "%", "_" * 36])
def test_a_batch_that_does_not_exist(scene: Scene, here: DeployBatcher, name: str) -> None:
    ask(here)
    created(here)
    assert here.get_batch(name) is None
    with nothing_changes(scene), pytest.raises(UsageError, match="no batch"):
        here.execute_batch(name)
    with nothing_changes(scene), pytest.raises(UsageError, match="no batch"):
        made(scene, dry_run=True).execute_batch(name)


def test_a_beginning_that_two_batches_share(
    scene: Scene, here: DeployBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = iter([uuid.UUID(f"abcd000{n}-0000-4000-8000-000000000000") for n in range(2)])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(chosen))
    for name in ("x", "y"):
        scene.git("branch", name)
        here.queue("ann", "push", name)
        created(here)
    assert here.get_batch("abcd") is None
    with nothing_changes(scene), pytest.raises(UsageError):
        here.execute_batch("abcd")
    assert here.execute_batch("abcd0001").success
    assert scene.there("refs/heads/y") and not scene.there("refs/heads/x")


def test_a_number_is_not_the_beginning_of_an_id(
    scene: Scene, here: DeployBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch 1 was executed; one whose id begins with 1 is another one, and not what was asked for."""
    chosen = iter([uuid.UUID(f"{n}aaaaaaa-0000-4000-8000-000000000000") for n in (5, 1)])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(chosen))
    for name in ("x", "y"):
        scene.git("branch", name)
    here.queue("ann", "push", "x")
    first = here.execute_batch(created(here).id)
    here.queue("ann", "push", "y")
    created(here)
    again = here.execute_batch("1")
    assert again.batch_id == first.batch_id
    assert not scene.there("refs/heads/y")


def test_executed_twice(scene: Scene, here: DeployBatcher) -> None:
    ask(here)
    here.queue("ann", "push", "main")
    batch = created(here)
    first = here.execute_batch(batch.id)
    for name in (batch.id, batch.id[:10], str(batch.number)):
        again = made(scene).execute_batch(name)
        assert again._replace(duration=0) == first._replace(duration=0)
        assert again.duration == pytest.approx(first.duration, abs=0.1)
    assert len(scene.pushes()) == 1


def broken_scene(scene: Scene, here: DeployBatcher) -> Batch:
    """A batch of a push that lands and one whose remote is away."""
    scene.git("remote", "add", "away", str(scene.root / "away.git"))
    scene.git("config", "uam.retry.delay", "1h")
    here.queue("ann", "push", "main", {"remote": "away"})
    scene.git("branch", "x")
    here.queue("ann", "push", "x")
    return created(here)


def test_executed_twice_with_something_that_is_tried_again(scene: Scene, here: DeployBatcher) -> None:
    batch = broken_scene(scene, here)
    first = here.execute_batch(batch.id)
    assert (first.success, first.executed_actions, first.failed_actions, first.deferred_actions) == (False, 1, 0, 1)
    again = here.execute_batch(batch.id)
    assert again._replace(duration=0) == first._replace(duration=0)


def test_executed_twice_with_something_that_failed(scene: Scene, here: DeployBatcher) -> None:
    scene.git("config", "uam.retry.count", "0")
    batch = broken_scene(scene, here)
    first = here.execute_batch(batch.id)
    assert (first.success, first.executed_actions, first.failed_actions) == (False, 1, 1) and len(first.errors) == 1
    again = here.execute_batch(batch.id)
    assert again._replace(duration=0) == first._replace(duration=0)
    done = here.get_batch(batch.id)
    assert done is not None and done.status == Status.COMPLETED  # one of two has landed


def test_a_flush_executes_leftover_batches_first(scene: Scene, here: DeployBatcher) -> None:
    ask(here, "a")
    here.queue("ann", "push", "main")
    batch = created(here)
    here.queue("bob", "push", "main")
    results = made(scene).flush_all()
    assert results[0].batch_id == batch.id and results[0].executed_actions == 2
    assert scene.landed() == ["Add a"]
    late = here.execute_batch(batch.id)
    assert late._replace(duration=0) == results[0]._replace(duration=0)
    assert statuses(scene) == ["completed"] * 3 and len(scene.pushes()) == 1


def test_a_leftover_batch_is_executed_by_the_flush_of_the_command_line(scene: Scene, here: DeployBatcher) -> None:
    ask(here, "a")
    here.queue("ann", "push", "main")
    batch = created(here)
    scene.git("uam", "flush")
    assert scene.landed() == ["Add a"]
    assert here.execute_batch(batch.id).executed_actions == 2


def test_who_holds_the_flush_is_waited_for(scene: Scene, here: DeployBatcher) -> None:
    ask(here)
    batch = created(here)
    scene.git("config", "uam.flush.lockTimeout", "20ms")
    with locked(scene.paths.flush_lock), nothing_changes(scene):
        with pytest.raises(Locked):
            here.execute_batch(batch.id)
        with pytest.raises(Locked):
            here.flush_all()
    assert here.execute_batch(batch.id).success


def test_tell_hears_of_every_action(scene: Scene, here: DeployBatcher) -> None:
    commit, push = ask(here), here.queue("ann", "push", "main")
    scene.git("branch", "x")
    other = here.queue("ann", "push", "x")
    heard: list[tuple[int, str]] = []
    here.execute_batch(created(here).id, lambda action, state: heard.append((action.id, state)))
    assert commit not in dict(heard) or dict(heard)[commit] == "completed"
    for number in (push, other):
        assert [state for i, state in heard if i == number] == ["running", "completed"]
    here.queue("ann", "push", "x")
    heard.clear()
    here.flush_all(tell=lambda action, state: heard.append((action.id, state)))
    assert [state for _, state in heard] == ["running", "completed"]


def test_a_dependency_that_fails_or_is_cancelled(scene: Scene, here: DeployBatcher) -> None:
    deploys(scene, "bad", does="exit 3\n")
    deploys(scene, "good", does=f": >{scene.root}/ran\n")
    bad = here.queue("ann", "deploy", "bad")
    after = here.queue("ann", "deploy", "good", dependencies=[bad])
    (result,) = here.flush_all()
    assert result.failed_actions == 2 and f"dependency #{bad} failed" in result.errors
    dropped = here.queue("ann", "push", "main", execute_after=time.time() + 3600)
    last = here.queue("ann", "deploy", "good", dependencies=[dropped])
    assert here.flush_all() == []
    here.cancel(dropped)
    (result,) = here.flush_all()
    assert result.errors == (f"dependency #{dropped} was cancelled",)
    assert not (scene.root / "ran").exists()
    rows = {row["id"]: row["status"] for row in scene.rows("deploy_queue")}
    assert (rows[after], rows[last]) == ("failed", "failed")


# -- a dry run -------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(scene: Scene, here: DeployBatcher, capsys: pytest.CaptureFixture[str]) -> None:
    deploys(scene, "site", does=f": >{scene.root}/ran\n")
    ask(here, "f")
    here.queue("ann", "push", "main")
    here.queue("ann", "deploy", "site")
    here.queue("ann", "deploy", "site", execute_after=time.time() + 3600)
    dry = made(scene, dry_run=True)
    with nothing_changes(scene):
        batch = created(dry)
        assert [action.action_type for action in batch.actions] == ["commit", "push", "deploy"]
        assert created(dry)._replace(created_at="") == batch._replace(created_at="")
        result = dry.execute_batch(batch.id)
        assert (result.success, result.executed_actions, result.failed_actions) == (True, 0, 0)
        shown = capsys.readouterr().out
        assert "origin/main" in shown and "site" in shown
        assert dry.flush_all() == [] and capsys.readouterr().out == shown
        assert dry.flush_all(due_only=True) == [] and capsys.readouterr().out == shown
        assert dry.get_pending_batches() == []
    assert not (scene.root / "ran").exists() and scene.landed() == []
    # what was shown is what then happens
    real = created(here)
    assert [a.id for a in real.actions] == [a.id for a in batch.actions]
    with nothing_changes(scene):
        dry.execute_batch(real.id)
    assert here.execute_batch(real.id).executed_actions == 3


def test_a_dry_run_respects_windows_and_sizes(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        scene.git("branch", name)
        made(scene).queue("ann", "push", name)
    slow = made(scene, dynamic_windows={"push": 3_600_000}, dry_run=True)
    scene.git("branch", "c")
    slow.queue("ann", "push", "c")  # a dry run queues: it is the executing that it leaves
    slow.flush_all(due_only=True)
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["origin/a", "origin/b"]
    slow.flush_all()
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(created(made(scene, dry_run=True, max_batch_size=1)).actions) == 1
    assert len(scene.pushes()) == 0


def test_a_dry_run_with_nothing_to_do(scene: Scene) -> None:
    dry = made(scene, dry_run=True)
    assert dry.create_batch() is None and dry.flush_all() == []
    with pytest.raises(UsageError):
        dry.execute_batch("dry-run")


def test_a_dry_run_shows_a_leftover_batch(
    scene: Scene, here: DeployBatcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flush would execute it first."""
    ask(here, "f")
    here.queue("ann", "push", "main")
    created(here)
    with nothing_changes(scene):
        made(scene, dry_run=True).flush_all()
    assert "origin/main" in capsys.readouterr().out


def test_a_dry_run_of_a_push_says_what_would_go(
    scene: Scene, here: DeployBatcher, capsys: pytest.CaptureFixture[str]
) -> None:
    """The push brings the branch as it will be, so the plan is of the branch as it is."""
    here.queue("ann", "push", "main")
    scene.commit("f")
    dry = made(scene, dry_run=True)  # takes in what the commit's hook has noted
    with nothing_changes(scene):
        dry.flush_all()
    assert "1 commit" in capsys.readouterr().out


# -- taking back, and trying again -----------------------------------------------------------------------------


def test_cancel_and_retry(scene: Scene, here: DeployBatcher) -> None:
    number = ask(here, "f")
    here.cancel(number)
    assert statuses(scene) == ["cancelled"] and here.create_batch() is None
    with pytest.raises(Refused, match="cancelled"):
        here.cancel(number)
    again = here.retry(number)
    assert again != number
    (result,) = here.flush_all()
    assert result.success and scene.subjects("main") == ["Add f", "Begin"]
    with pytest.raises(Refused):
        here.retry(number)  # it is queued anew once
    with pytest.raises(Refused):
        here.retry(again)  # it has landed
    with pytest.raises(Refused, match="completed"):
        here.cancel(again)


def test_cancel_what_is_not_there_or_taken(scene: Scene, here: DeployBatcher) -> None:
    number = ask(here)
    created(here)
    with nothing_changes(scene):
        for bad in (0, -1, 999, 10**30, "x", None):
            with pytest.raises(UsageError):
                here.cancel(typing.cast(Any, bad))
            with pytest.raises(UsageError):
                here.retry(typing.cast(Any, bad))
        with pytest.raises(Refused, match="batched"):
            here.cancel(number)
        with pytest.raises(Refused, match="batched"):
            here.retry(number)


def test_what_is_queued_after_a_cancel_does_not_join_it(scene: Scene, here: DeployBatcher) -> None:
    number = ask(here, "a")
    here.cancel(number)
    assert ask(here, "b") != number
    here.queue("ann", "push", "main")
    here.flush_all()
    assert scene.files() == ["README", "b"]


def test_retry_a_push_that_failed(scene: Scene, here: DeployBatcher) -> None:
    """The remote refuses; when it has changed its mind, the push is tried again and lands."""
    hook = script(scene.remote / "hooks" / "pre-receive", "echo go away >&2; exit 1\n")
    ask(here, "f")
    number = here.queue("ann", "push", "main")
    (result,) = here.flush_all()
    assert not result.success and scene.landed() == []
    commit, push = scene.rows("deploy_queue")
    assert (commit["status"], push["status"]) == ("failed", "failed") and "go away" in push["error"] + commit["error"]
    hook.unlink()
    again = [here.retry(commit["id"]), here.retry(number)]
    assert len({*again, commit["id"], number}) == 4
    results = here.flush_all()
    assert all(result.success for result in results)
    assert scene.landed() == ["Add f"] and len(scene.pushes()) == 1
    sound(scene)


def test_retry_what_of_a_merged_action_did_not_land(scene: Scene, here: DeployBatcher) -> None:
    """Two agents' commits are one action; one landed, one conflicted and can be tried again when the way is free."""
    scene.commit("g", "1\n")
    scene.git("push", "-q", "origin", "main", UAM="off")
    agent = scene.worktree("agent")
    ask(here, "f", agent="ann")
    there = made(agent)
    number = ask(there, "g", "agent\n", agent="bob")
    stranger = scene.stranger()
    stranger.git("pull", "-q")
    stranger.commit("g", "stranger\n", message="In the way")
    stranger.git("push", "-q", "origin", "main")
    here.queue("ann", "push", "main")
    (result,) = here.flush_all()
    assert not result.success and len(result.errors) == 1
    assert scene.landed()[-2:] == ["In the way", "Add f"]
    stranger.git("pull", "-q")
    stranger.git("revert", "--no-edit", "HEAD~1")
    stranger.git("push", "-q", "origin", "main")
    again = here.retry(number)
    assert again != number
    here.queue("ann", "push", "main")
    assert all(result.success for result in here.flush_all())
    assert scene.bare.git("show", "main:g") == "agent"


def test_retry_forgets_what_it_waited_for(scene: Scene, here: DeployBatcher) -> None:
    deploys(scene, "bad", does="exit 3\n")
    deploys(scene, "good", does=f": >{scene.root}/ran\n")
    bad = here.queue("ann", "deploy", "bad")
    after = here.queue("ann", "deploy", "good", {"note": "kept"}, dependencies=[bad])
    here.flush_all()
    again = here.retry(after)
    (result,) = here.flush_all()
    assert result.success and (scene.root / "ran").exists()
    row = scene.rows("deploy_queue")[-1]
    assert row["id"] == again and json.loads(row["payload"])["note"] == "kept"


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
    ids = [ask(here), here.queue("ann", "push", "main"), here.queue("bob", "deploy", "site"),
           here.queue("bob", "merge", "main", {"source": "x"})]  # fmt: skip
    with nothing_changes(scene):
        state = here.status()
    json.dumps(state)
    assert {row["action"]: row["type"] for row in state["waiting"]} == dict(
        zip(ids, ["commit", "push", "deploy", "merge"], strict=True)
    )
    assert [row["agents"] for row in state["waiting"]] == [["ann"], ["ann"], ["bob"], ["bob"]]


# -- several at once -------------------------------------------------------------------------------------------


def test_many_processes_queue_at_once(scene: Scene) -> None:
    agents = [scene.worktree(f"agent-{n}") for n in range(4)]
    code = (
        "h = DeployBatcher(dynamic_windows={'commit': 0, 'push': 0})\n"
        "for n in range(6):\n"
        "    name = f'{sys.argv[1]}-{n}'; open(name, 'w').write(name)\n"
        "    h.queue(sys.argv[1], 'commit', 'main', {'message': name, 'files': [name]})\n"
        "h.queue(sys.argv[1], 'push', 'main')\n"
    )
    for done in together([elsewhere(agent, code, agent.top.name) for agent in agents]):
        assert done.code == 0, done
    assert len(scene.rows("deploy_queue")) == 2 and len(scene.rows("sources")) == 28
    (result,) = made(scene).flush_all()
    assert result.success and len(scene.files()) == 25
    assert scene.landed() == ["Squashed 24 commits:"] and len(scene.pushes()) == 1
    sound(scene.bare)


def test_many_processes_flush_at_once(scene: Scene, here: DeployBatcher) -> None:
    """Each action is executed once, and each process is told the truth."""
    deploys(scene, "site", does=f"echo $UAM_ACTION >>{scene.root}/ran\n")
    ids = here.queue_bulk("ann", [{"action_type": "deploy", "target": "site"} for _ in range(12)])
    ask(here, "f")
    here.queue("ann", "push", "main")
    code = (
        "h = DeployBatcher(max_batch_size=3)\n"
        "b = h.create_batch(); done = [h.execute_batch(b.id)] if b else []\n"
        "print(json.dumps([r.success for r in done + h.flush_all()]))\n"
    )
    for done in together([elsewhere(scene, code)] * 4):
        assert done.code == 0 and all(json.loads(done.out)), done
    assert sorted(map(int, (scene.root / "ran").read_text().split())) == sorted(ids)
    assert scene.landed() == ["Add f"] and len(scene.pushes()) == 1
    assert set(statuses(scene)) == {"completed"}


def test_a_batch_is_executed_once_by_many(scene: Scene, here: DeployBatcher) -> None:
    ask(here, "f")
    here.queue("ann", "push", "main")
    batch = created(here)
    code = "r = DeployBatcher().execute_batch(sys.argv[1]); print(json.dumps([r.success, r.executed_actions]))"
    for done in together([elsewhere(scene, code, batch.id)] * 3):
        assert json.loads(done.out) == [True, 2], done
    assert len(scene.pushes()) == 1


def test_it_holds_nothing_open_between_calls(scene: Scene, here: DeployBatcher) -> None:
    ask(here)
    here.queue("ann", "push", "main")
    here.execute_batch(created(here).id)
    open_files = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    assert [name for name in open_files if str(scene.root) in name] == []
    with Store(scene.paths.database) as store, store.transaction():
        pass
    shutil.rmtree(scene.uam)
    with pytest.raises(NotInstalled):
        here.status()


def test_a_process_that_is_killed_between_the_two_calls(scene: Scene) -> None:
    """Its batch is executed by whoever comes next."""
    write(scene, "f", "x\n")
    code = (
        "h = DeployBatcher(dynamic_windows={'commit': 0, 'push': 0})\n"
        "h.queue('ann', 'commit', 'main', {'message': 'Add f', 'files': ['f']}); h.queue('ann', 'push', 'main')\n"
        "print(h.create_batch().id, flush=True); import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = elsewhere(scene, code)()
    assert died.code == -9
    (result,) = made(scene).flush_all(due_only=True)
    assert result.batch_id == died.out.strip() and result.executed_actions == 2
    assert scene.landed() == ["Add f"]


def test_the_environment_of_the_caller_is_left_alone_otherwise(scene: Scene) -> None:
    before = dict(os.environ)
    here = made(scene)
    ask(here)
    here.flush_all()
    assert dict(os.environ) == before
    assert finished(scene.start("status")).code == 0
