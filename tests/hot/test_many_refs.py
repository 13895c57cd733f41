"""What a push of many refs costs: no process of git for each."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.landscape import grow
from tests.support.queueing import change
from tests.support.scenes import Scene

pytestmark = pytest.mark.staying

FEW, MANY = 2, 8
MORE = 12
# git processes that move a branch which has not landed as it was
MOVING = 3
# git processes that one push has and another has not: a flusher that looks once more, a settle
APART = 6
# what the door, and the settle of a pushed branch, ask git one by one where they have to
_EACH = ("rev-list", "cat-file", "rev-parse", "merge-base")


def branches(scene: Scene, name: str, count: int) -> None:
    """So many branches with a commit of their own each."""
    for number in range(count):
        oid = scene.git("commit-tree", "-p", scene.start_oid, "-m", f"{name} {number}", f"{scene.start_oid}^{{tree}}")
        scene.git("branch", f"{name}/{number}", oid)


def asked(scene: Scene, name: str, **env: str) -> list[list[str]]:
    """What of such git is asked for a push of the branches `name/*`: by the helper, and by a landing."""
    trace = scene.root / "traces" / f"{name}-{len(list(scene.root.glob('traces/*')))}"
    trace.mkdir(parents=True)
    done = scene.push("origin", f"refs/heads/{name}/*:refs/heads/{name}/*", GIT_TRACE2_EVENT=str(trace), **env)
    assert done.code == 0, done
    scene.idle()
    events = [json.loads(line) for path in trace.iterdir() for line in path.read_text().splitlines()]
    # a session names those above it: git push / its helper / what that or the flusher starts / the remote
    commands = [e["argv"] for e in events if e["event"] == "start" and e["sid"].count("/") <= 2]
    return [command for command in commands if command[1] in _EACH]


def test_h15_refs_that_are_there_already_cost_no_process_each(scene: Scene) -> None:
    found = []
    for name, count in (("few", FEW), ("many", MANY)):
        branches(scene, name, count)
        scene.push("origin", f"refs/heads/{name}/*:refs/heads/{name}/*", UAM="off")
        scene.git("commit", "-q", "--allow-empty", "-m", f"Beside {name}")
        found.append(asked(scene, name))
    assert len(found[0]) == len(found[1]), found[1]


def test_h15_a_branch_that_landed_as_it_was_is_settled_without_a_process(scene: Scene) -> None:
    found = []
    for name, count in (("few", FEW), ("many", MANY)):
        branches(scene, name, count)
        found.append([command for command in asked(scene, name) if command[2].startswith("--batch-check=")])
        assert scene.there(f"refs/heads/{name}/1") == scene.oid(f"{name}/1")
    assert len(found[0]) == len(found[1]), found[1]


def all_of(name: str, count: int) -> list[str]:
    return [f"refs/heads/{name}/{number}" for number in range(count)]


def processes(scene: Scene, name: str) -> list[str]:
    """All git processes of a push of the branches `name/*`: of its helper, of the landing, and at the remote."""
    trace = scene.root / "traces" / f"{name}-{len(list(scene.root.glob('traces/*')))}"
    trace.mkdir(parents=True)
    done = scene.push("origin", f"refs/heads/{name}/*:refs/heads/{name}/*", GIT_TRACE2_EVENT=str(trace))
    assert done.code == 0, done
    scene.idle()
    events = [json.loads(line) for path in trace.iterdir() for line in path.read_text().splitlines()]
    return [" ".join(e["argv"])[:200] for e in events if e["event"] == "start"]


@pytest.mark.slow
def test_h15_no_process_of_git_for_each_branch_of_a_push(scene: Scene) -> None:
    """Branches that are new, that have a commit more, and that have two more, which land as one: such a branch moves,
    and that it takes its own work along is asked for each.
    """
    scene.git("config", "core.logAllRefUpdates", "false")  # then nothing tells that a branch only grew
    for number, each in ((0, 0), (1, 0), (2, MOVING)):
        found = []
        for name, count in (("few", FEW), ("more", MORE)):
            grow(scene, all_of(name, count))
            if each:
                grow(scene, all_of(name, count))
            found.append(processes(scene, name))
            tips = set(scene.git("for-each-ref", "--format=%(tree)", f"refs/heads/{name}/").split())
            there = set(scene.bare.git("for-each-ref", "--format=%(tree)", f"refs/heads/{name}/").split())
            assert len(tips) == count
            assert there == tips
            tracked = scene.git("for-each-ref", "--format=%(objectname)", f"refs/remotes/origin/{name}/")
            assert tracked == scene.bare.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{name}/")
        assert len(found[1]) <= len(found[0]) + APART + each * (MORE - FEW), (number, found[1])


def test_h15_one_tracking_ref_that_is_locked_holds_up_none_of_the_others(scene: Scene) -> None:
    grow(scene, all_of("some", 3))
    lock = scene.top / ".git" / "refs" / "remotes" / "origin" / "some" / "1.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    scene.push("origin", "refs/heads/some/*:refs/heads/some/*")
    scene.idle()
    assert [bool(scene.there(f"refs/heads/some/{n}")) for n in range(3)] == [True, True, True]
    assert [bool(scene.oid(f"refs/remotes/origin/some/{n}")) for n in range(3)] == [True, False, True]
    assert [row["status"] for row in scene.rows("sources")] == ["landed"] * 3


def test_h15_a_flusher_imports_nothing_that_a_landing_does_not_need() -> None:
    code = "import sys, uam_hooks.flush.flusher; print(sorted({'click', 'rich'}.intersection(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def pushed(scene: Scene, name: str, **env: str) -> list[str]:
    """The refspecs of the landing's own `git push` when the branches `name/*` are pushed."""
    trace = scene.root / "trace"
    done = scene.push("origin", f"refs/heads/{name}/*:refs/heads/{name}/*", GIT_TRACE2_EVENT=str(trace), **env)
    assert done.code == 0, done
    scene.idle()
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    argv = next(e["argv"] for e in events if e["event"] == "start" and "--porcelain" in e["argv"])
    assert (
        sum(arg.startswith("--force-with-lease=refs/heads/") for arg in argv) == MORE
    )  # each has its own, all the same
    return [str(arg) for arg in argv[argv.index("--") + 2 :]]


def test_h15_git_compares_one_pattern_with_all_refs_and_pushes_what_was_planned(scene: Scene) -> None:
    grow(scene, all_of("some", MORE))
    (spec,) = pushed(scene, "some")
    assert spec.endswith("/*:refs/*")
    tips = scene.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/some/")
    assert scene.bare.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/some/") == tips
    assert scene.git("for-each-ref", "refs/uam/tip/") == ""


def test_h15_one_pin_keeps_many_landings_until_the_last_of_them_has_expired(scene: Scene) -> None:
    grow(scene, all_of("some", MORE))
    scene.push("origin", "refs/heads/some/*:refs/heads/some/*")
    scene.idle()
    tips = scene.git("for-each-ref", "--format=%(objectname)", "refs/heads/some/").split()
    (pin,) = scene.git("for-each-ref", "--format=%(refname)", "refs/uam/landing/").split()
    assert set(scene.git("rev-parse", f"{pin}^@").split()) == set(tips)
    scene.git("config", "uam.retention", "0")
    change(scene, "UPDATE deploy_queue SET finished_at = '2020-01-01T00:00:00.000Z'")
    change(scene, "UPDATE deploy_queue SET finished_at = NULL WHERE id = (SELECT max(id) FROM deploy_queue)")
    assert ", 0 landings" in scene.git("uam", "prune")
    assert scene.oid(pin)
    change(scene, "UPDATE deploy_queue SET finished_at = '2020-01-01T00:00:00.000Z'")
    assert ", 1 landings" in scene.git("uam", "prune")
    assert scene.oid(pin) == ""


@pytest.mark.slow
def test_h15_what_was_laid_out_for_a_push_goes_although_the_flusher_dies(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "manual")
    grow(scene, all_of("some", MORE))
    scene.push("origin", "refs/heads/some/*:refs/heads/some/*")
    scene.execute("env", "UAM_DIE_AT=pushed", "git", "uam", "flush")
    assert len(scene.git("for-each-ref", "refs/uam/tip/").splitlines()) == MORE
    scene.git("uam", "flush")
    assert {row["status"] for row in scene.rows("sources")} == {"landed"}
    assert len(scene.bare.git("for-each-ref", "refs/heads/some/").splitlines()) == MORE
    scene.git("uam", "prune")
    assert scene.git("for-each-ref", "refs/uam/tip/", "refs/uam/pin/") == ""


def test_h15_where_refs_for_the_pattern_cannot_be_made_each_is_pushed_by_itself(scene: Scene) -> None:
    grow(scene, all_of("some", MORE))
    (scene.top / ".git" / "refs" / "uam").mkdir(parents=True, exist_ok=True)
    (scene.top / ".git" / "refs" / "uam" / "tip").touch()  # so nothing can be below it
    assert len(pushed(scene, "some")) == MORE
    assert len(scene.bare.git("for-each-ref", "refs/heads/some/").splitlines()) == MORE
