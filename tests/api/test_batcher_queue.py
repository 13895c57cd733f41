"""DeployBatcher: what gets into the queue, is taken back or tried again, and many who do so at once."""

from __future__ import annotations

import json
import os
import shutil
import time
import typing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.batchers import add, created, deploys, elsewhere, made, nothing_changes
from tests.support.landscape import by_hand, environment, sound, write
from tests.support.queueing import statuses
from tests.support.scenes import Scene, finished, script, together
from uam_hooks import DeployBatcher
from uam_hooks.hot.core.errors import NotInstalled, Refused, UsageError
from uam_hooks.hot.queue.connection import Store
from uam_hooks.hot.queue.model import URGENT_WINDOWS, seconds_of

NAN, INFINITY = float("nan"), float("inf")


# -- into the queue --------------------------------------------------------------------------------------------


def test_ids_are_shared_by_what_merges(scene: Scene, here: DeployBatcher) -> None:
    one, two = add(here, "a"), add(here, "b", agent="bob")
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
    with nothing_changes(scene), pytest.raises(UsageError, match="not a valid agent name"):
        here.queue(agent, "push", "main")


def test_execute_after_is_respected_by_everything(scene: Scene, here: DeployBatcher) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    for moment in (later, later.isoformat(), later.timestamp(), int(later.timestamp()), later.replace(tzinfo=None),
                   later.astimezone(timezone(timedelta(hours=5)))):  # fmt: skip
        add(here, "f", f"{moment!r}", execute_after=moment)
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
def test_a_bulk_is_queued_as_a_whole_or_not_at_all(plain_here: tuple[Scene, DeployBatcher], actions: Any) -> None:
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


# -- taking back, and trying again -----------------------------------------------------------------------------


def test_cancel_and_retry(scene: Scene, here: DeployBatcher) -> None:
    number = add(here, "f")
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
    number = add(here)
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
    number = add(here, "a")
    here.cancel(number)
    assert add(here, "b") != number
    here.queue("ann", "push", "main")
    here.flush_all()
    assert scene.files() == ["README", "b"]


def test_retry_a_push_that_failed(scene: Scene, here: DeployBatcher) -> None:
    """The remote refuses; when it has changed its mind, the push is tried again and lands."""
    hook = script(scene.remote / "hooks" / "pre-receive", "echo go away >&2; exit 1\n")
    add(here, "f")
    number = here.queue("ann", "push", "main")
    (result,) = here.flush_all()
    assert not result.success and scene.landed() == []
    commit, push = scene.rows("deploy_queue")
    assert (commit["status"], push["status"]) == ("failed", "failed") and "pre-receive hook declined" in push["error"]
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
    add(here, "f", agent="ann")
    there = made(agent)
    number = add(there, "g", "agent\n", agent="bob")
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


# -- several at once -------------------------------------------------------------------------------------------


@pytest.mark.slow
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
    add(here, "f")
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
    add(here, "f")
    here.queue("ann", "push", "main")
    batch = created(here)
    code = "r = DeployBatcher().execute_batch(sys.argv[1]); print(json.dumps([r.success, r.executed_actions]))"
    for done in together([elsewhere(scene, code, batch.id)] * 3):
        assert json.loads(done.out) == [True, 2], done
    assert len(scene.pushes()) == 1


def test_it_holds_nothing_open_between_calls(scene: Scene, here: DeployBatcher) -> None:
    add(here)
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
    for name in ("GIT_DEFAULT_HASH", "GIT_DEFAULT_REF_FORMAT"):  # what commands of git are not told by the queue
        os.environ.pop(name, None)
    before = dict(os.environ)
    here = made(scene)
    add(here)
    here.flush_all()
    assert dict(os.environ) == before
    assert finished(scene.start("status")).code == 0
