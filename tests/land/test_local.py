"""Ready commits that nobody pushes become one local commit: by `git uam flush`, or when the setting asks for it."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.landscape import by_hand, flushed, kept, queue, sound, truthful, write
from tests.support.scenes import Scene, Worktree, script, until


def branch_line(scene: Worktree, start: str, branch: str = "main") -> list[str]:
    """The subjects on a branch since `start`, oldest first."""
    return scene.subjects("--reverse", f"{start}..{branch}")


def waiting(scene: Scene) -> list[str]:
    """The commits that wait for a push."""
    return [row["oid"] for row in scene.rows("queued_commits") if row["status"] == "pending"]


def test_ready_commits_become_one_and_the_originals_can_be_restored(scene: Scene) -> None:
    commits = [scene.commit("a"), scene.commit("b", "", "--author=Bob <bob@example.invalid>")]
    write(scene, "c", "not committed\n")
    tree = scene.oid("HEAD^{tree}")
    done = scene.run("uam", "flush")
    new = scene.oid("main")
    assert done == (0, f"batch 1: 2 commits on main are one now: {new[:7]}, not pushed\n", "")
    assert scene.oid("main^") == scene.start_oid
    assert scene.oid("main^{tree}") == tree
    assert scene.git("log", "-1", "--format=%an%n%B").splitlines()[:7] == [
        "Ada", "Squashed 2 commits:", "", "1. Add a", "2. Add b", "", "Co-authored-by: Bob <bob@example.invalid>",
    ]  # fmt: skip
    assert scene.status() == ["## main...origin/main [ahead 1]", "?? c"]
    assert scene.there() == scene.start_oid  # nothing was pushed
    assert waiting(scene) == [new]

    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")
    kept(scene, commits)
    shown = json.loads(scene.git("uam", "show", "1", "--json"))["landings"]
    assert [c["commit"] for c in shown[0]["commits"]] == commits
    assert scene.git("uam", "restore", "1", "--branch", "before").startswith(f"branch before is at {commits[1][:7]} ")
    assert branch_line(scene, scene.start_oid, "before") == ["Add a", "Add b"]
    sound(scene)


@pytest.mark.slow
def test_again_changes_nothing_and_one_commit_stays_as_it_is(scene: Scene) -> None:
    tip = scene.commit("a")
    assert scene.run("uam", "flush") == (0, "nothing to land\n", "")
    assert scene.oid("main") == tip
    scene.commit("b")
    scene.git("uam", "flush")
    squashed = scene.oid("main")
    assert scene.run("uam", "flush") == (0, "nothing to land\n", "")
    assert scene.oid("main") == squashed
    # one newer commit on top of a squash is no reason to touch either
    newer = scene.commit("c")
    scene.git("uam", "flush")
    assert scene.oid("main") == newer
    scene.commit("d")
    scene.git("uam", "flush")
    assert branch_line(scene, scene.start_oid) == ["Squashed 2 commits:"] * 2
    assert scene.oid("main~1") == squashed


def test_a_push_after_it_names_the_original_subjects(scene: Scene) -> None:
    originals = [scene.commit("a"), scene.commit("b")]
    scene.git("uam", "flush")
    originals.append(scene.commit("c"))
    done = scene.push()
    assert done.code == 0, done
    assert scene.bare.git("log", "-1", "--format=%B", "main").splitlines()[:5] == [
        "Squashed 3 commits:", "", "1. Add a", "2. Add b", "3. Add c",
    ]  # fmt: skip
    assert scene.bare.git("rev-list", "--count", f"{scene.start_oid}..main") == "1"
    assert scene.clean()
    kept(scene, originals)
    truthful(scene)
    assert waiting(scene) == []


def test_what_was_squashed_here_is_pushed_as_it_is(scene: Scene) -> None:
    scene.commit("a")
    scene.commit("b")
    scene.git("uam", "flush")
    tip = scene.oid("main")
    assert scene.push().code == 0
    assert scene.there() == tip
    assert scene.report()["waiting"] == []


def test_two_branches_are_squashed_each_for_itself(scene: Scene) -> None:
    agent = scene.worktree("agent")
    for name in ("a", "b"):
        scene.commit(name)
        agent.commit(f"agent-{name}", UAM_AGENT_ID="agent")
    done = scene.run("uam", "flush")
    assert done.code == 0
    assert sorted(line.split(": ", 1)[1] for line in done.out.splitlines()) == [
        f"2 commits on agent are one now: {agent.short('HEAD')}, not pushed",
        f"2 commits on main are one now: {scene.short('HEAD')}, not pushed",
    ]
    for place in (scene, agent):
        assert place.oid("HEAD^") == scene.start_oid
        assert place.git("status", "--porcelain") == ""


def test_a_branch_that_is_checked_out_nowhere_or_was_deleted(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "away")
    scene.commit("a")
    scene.commit("b")
    scene.git("switch", "-q", "-c", "gone", scene.start_oid)
    scene.commit("c")
    scene.commit("d")
    scene.git("switch", "-q", "main")
    scene.git("branch", "-q", "-D", "gone")
    assert scene.run("uam", "flush").code == 0
    assert branch_line(scene, scene.start_oid, "away") == ["Squashed 2 commits:"]
    assert scene.oid("refs/heads/gone") == ""
    assert scene.oid("main") == scene.start_oid


def test_an_amended_commit_counts_once(scene: Scene) -> None:
    scene.commit("a")
    scene.commit("b")
    write(scene, "b", "rightly\n")
    scene.git("commit", "-q", "-a", "--amend", "-m", "Add b rightly")
    scene.git("uam", "flush")
    assert scene.git("log", "-1", "--format=%b").splitlines()[:2] == ["1. Add a", "2. Add b rightly"]
    assert scene.git("show", "HEAD:b") == "rightly"
    assert scene.oid("HEAD^") == scene.start_oid


@pytest.mark.slow
def test_a_detached_head_and_a_merge_stay_as_they_are(scene: Scene) -> None:
    agent = scene.worktree("agent", "--detach")
    agent.commit("a")
    tip = agent.commit("b")
    scene.git("branch", "side")
    scene.commit("c")
    scene.git("switch", "-q", "side")
    scene.commit("d")
    scene.git("switch", "-q", "main")
    scene.git("merge", "-q", "--no-edit", "side")
    merged = scene.oid("main")
    assert scene.run("uam", "flush").code == 0
    assert (agent.oid("HEAD"), scene.oid("main")) == (tip, merged)
    kept(scene, [merged])
    # they land all the same
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.push("origin", "main").code == 0
    assert scene.files() == ["README", "a", "b", "c", "d"]


def test_commits_that_the_remote_has_are_not_touched(scene: Scene) -> None:
    scene.commit("a")
    scene.commit("b")
    scene.push(UAM="off")
    scene.commit("c")
    tip = scene.commit("d")
    scene.git("uam", "flush")
    assert branch_line(scene, scene.start_oid) == ["Add a", "Add b", "Squashed 2 commits:"]
    assert scene.oid("main~1") == scene.there()
    kept(scene, [tip])


@pytest.mark.slow
def test_the_setting_squashes_what_is_due_at_a_flush(scene: Scene) -> None:
    by_hand(scene)
    scene.git("config", "uam.commit.onWindow", "squash")
    scene.git("config", "uam.window.commit", "1h")
    scene.commit("a")
    early = scene.commit("b")
    scene.git("uam", "flush", "--due")
    assert scene.oid("main") == early  # not due yet
    scene.git("config", "uam.window.commit", "0")
    agent = scene.worktree("agent", "-b", "agent", scene.start_oid)
    for name in ("c", "d"):
        agent.commit(name)
    assert scene.run("uam", "flush", "--due").code == 0
    assert branch_line(agent, scene.start_oid, "agent") == ["Squashed 2 commits:"]
    # without it, what is due is ready and stays
    scene.git("config", "uam.commit.onWindow", "keep")
    third = scene.worktree("third")
    for name in ("e", "f"):
        tip = third.commit(name)
    assert scene.run("uam", "flush", "--due") == (0, "nothing to land\n", "")
    assert third.oid("HEAD") == tip


def test_a_branch_whose_push_is_open_is_left_to_the_push(scene: Scene) -> None:
    by_hand(scene)
    scene.git("config", "uam.commit.onWindow", "squash")
    scene.git("config", "uam.window.commit", "0")
    scene.git("config", "uam.window.push", "1h")
    scene.commit("a")
    tip = scene.commit("b")
    queue(scene, "origin", "main")
    assert scene.run("uam", "flush", "--due").code == 0
    assert scene.oid("main") == tip
    assert scene.there() == scene.start_oid
    assert scene.run("uam", "flush").code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert scene.clean()


def test_a_commit_in_flight_leaves_the_branch_alone(scene: Scene) -> None:
    commits = [scene.commit("a"), scene.commit("b")]
    write(scene, "c", "c\n")
    scene.git("add", "c")
    mark, pipe = scene.root / "editing", scene.root / "editor.pipe"
    os.mkfifo(pipe)
    editor = script(scene.root / "editor", f'echo "Add c" >"$1"\n: >"{mark}"\nread -r line <"{pipe}"\n')
    process = scene.start("commit", GIT_EDITOR=str(editor))
    until(mark.exists, "an open editor")
    assert scene.run("uam", "flush") == (0, "nothing to land\n", "")
    assert scene.oid("main") == commits[1]
    pipe.write_text("save\n")
    process.communicate()
    assert process.returncode == 0
    assert branch_line(scene, scene.start_oid) == ["Add a", "Add b", "Add c"]
    scene.git("uam", "flush")
    assert scene.git("log", "-1", "--format=%s") == "Squashed 3 commits:"


@pytest.mark.slow
def test_a_flush_that_dies_when_the_branch_has_moved(scene: Scene) -> None:
    """Killed by a hook in the moment after the ref moved: the next flush finds out by looking at the branch."""
    commits = [scene.commit("a"), scene.commit("b")]
    hook = script(
        scene.top / ".git" / "hooks" / "reference-transaction",
        '[ "$1" = committed ] || exit 0\n'
        'while read -r old new ref; do\n  [ "$ref" = refs/heads/main ] || continue\n'
        '  read -r _ _ _ flush _ <"/proc/$PPID/stat"\n  kill -9 "$flush"\ndone\n',
    )
    assert scene.run("uam", "flush").code != 0
    hook.unlink()
    new = scene.oid("main")
    assert branch_line(scene, scene.start_oid) == ["Squashed 2 commits:"]
    assert [row["status"] for row in scene.rows("landings")] == ["planned"]
    assert scene.run("uam", "flush").code == 0
    assert scene.oid("main") == new
    assert [row["status"] for row in scene.rows("landings")] == ["landed"]
    assert waiting(scene) == [new]
    kept(scene, commits)
    assert scene.push().code == 0
    assert scene.there() == new
    assert {row["status"] for row in scene.rows("deploy_queue")} == {"completed"}


@pytest.mark.slow
def test_a_flush_that_dies_before_the_branch_moves(scene: Scene) -> None:
    commits = [scene.commit("a"), scene.commit("b")]
    hook = script(
        scene.top / ".git" / "hooks" / "reference-transaction",
        '[ "$1" = prepared ] || exit 0\n'
        'while read -r old new ref; do\n  [ "$ref" = refs/heads/main ] || continue\n'
        '  read -r _ _ _ flush _ <"/proc/$PPID/stat"\n  kill -9 "$flush"\n  exit 1\ndone\n',
    )
    assert scene.run("uam", "flush").code != 0
    hook.unlink()
    assert scene.oid("main") == commits[1]
    assert scene.run("uam", "flush").code == 0
    assert branch_line(scene, scene.start_oid) == ["Squashed 2 commits:"]
    assert {row["status"] for row in scene.rows("deploy_batches")} <= {"completed", "cancelled"}
    kept(scene, commits)
    assert scene.push().code == 0
    assert scene.report()["waiting"] == []


# -- what stands on the commits, or is told of them, keeps them --------------------------------------------------


def test_another_branch_that_stands_on_the_commits_does_not_conflict_with_them(scene: Scene) -> None:
    scene.git("config", "uam.settle", "off")
    scene.commit("README", "1\n")
    top = scene.commit("README", "2\n")
    feature = scene.worktree("feature")
    feature.commit("README", "3\n")
    flushed(scene)
    assert scene.oid("main") == top
    assert scene.push().code == 0
    done = feature.push("origin", "HEAD:main")
    assert done.code == 0, done


@pytest.mark.parametrize("pushed", [False, True], ids=["here", "on the remote"])
def test_a_tagged_commit_stays_on_its_branch(scene: Scene, pushed: bool) -> None:
    scene.commit("a")
    scene.commit("b")
    scene.git("tag", "v1")
    if pushed:
        assert scene.push("origin", "v1").code == 0
    scene.commit("c")
    flushed(scene)
    assert scene.run("merge-base", "--is-ancestor", "v1", "main").code == 0


def test_commits_of_a_failed_push_are_untouched_as_their_agent_was_told(scene: Scene) -> None:
    scene.git("config", "uam.push.accept", "false")
    by_hand(scene, settle="off")
    one, other = scene.worktree("one"), scene.worktree("other")
    one.commit("README", "one\n")
    queue(one)
    other.commit("x")
    tip = other.commit("README", "other\n")
    queue(other)
    assert [result.success for result in flushed(scene)] == [False]
    assert other.oid("HEAD") == tip


def test_who_wants_every_commit_kept_keeps_them(scene: Scene) -> None:
    scene.git("config", "uam.squash", "false")
    scene.commit("a")
    tip = scene.commit("b")
    flushed(scene)
    assert scene.oid("main") == tip
