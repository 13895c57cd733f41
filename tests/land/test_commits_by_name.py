"""Commits that were asked for by name: where they land, when branches move meanwhile, and what checkouts look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commits import change, entry, frozen, land, push
from tests.support.landscape import environment, flushed, kept, queue, sound, states, truthful, write
from tests.support.marks import bulk
from tests.support.queueing import AT_ONCE, batcher
from tests.support.scenes import Scene, Worktree
from uam_hooks import DeployBatcher
from uam_hooks.git.repo import Repository
from uam_hooks.hot.core.errors import UsageError
from uam_hooks.install.install import install

# Nothing happens by itself: a test decides what is executed, and when.
pytestmark = pytest.mark.usefixtures("quiet")


TEN = "".join(f"{n}\n" for n in range(10))


# -- where it lands --------------------------------------------------------------------------------------------


def test_the_branch_that_is_checked_out_here(scene: Scene) -> None:
    write(scene, "f", "x\n")
    scene.commit("other")
    change(scene, "f", message="Add f")
    result = land(scene)
    assert (result.success, result.executed_actions) == (True, 1)
    assert scene.subjects("main") == ["Add f", "Add other", "Begin"]
    assert scene.status() == ["## main...origin/main [ahead 2]"]
    assert scene.landed() == [] and scene.pushes() == []  # nobody asked for a push
    assert "landed as" in scene.git("reflog", "-1", "HEAD")


def test_a_branch_that_nobody_has_checked_out(scene: Scene) -> None:
    scene.git("branch", "release")
    write(scene, "f", "x\n")
    before = frozen(scene)
    change(scene, "f", target="release")
    assert land(scene).success
    assert scene.git("ls-tree", "--name-only", "release").split() == ["README", "f"]
    after = frozen(scene)
    assert {**before, "branches": ""} == {**after, "branches": ""}
    assert scene.status() == ["## main...origin/main", "?? f"] and scene.oid("main") == scene.start_oid


def test_a_branch_that_another_worktree_has_checked_out(scene: Scene) -> None:
    """Its files would have to change, and nobody's files change behind their back."""
    other = scene.worktree("other")
    write(scene, "f", "x\n")
    before = frozen(other)
    change(scene, "f", target="other")
    result = land(scene)
    assert (result.success, result.failed_actions) == (False, 1)
    assert "other stays where it is" in result.errors[0] and "checked out" in result.errors[0]
    assert frozen(other) == before and other.clean()
    kept(scene, [scene.rows("sources")[0]["tip"]])


def test_a_branch_that_another_worktree_has_checked_out_with_a_push(scene: Scene) -> None:
    other = scene.worktree("other")
    write(scene, "f", "x\n")
    before = {**frozen(other), "branches": ""}
    change(scene, "f", target="other", message="Add f")
    push(scene, "other")
    assert land(scene).success
    assert scene.bare.subjects("other") == ["Add f", "Begin"] and len(scene.pushes()) == 1
    assert {**frozen(other), "branches": ""} == before and other.git("status", "--porcelain") == ""
    truthful(scene)


def test_a_branch_that_only_the_remote_has(scene: Scene) -> None:
    stranger = scene.stranger()
    stranger.git("checkout", "-q", "-b", "theirs")
    stranger.commit("theirs")
    stranger.git("push", "-q", "origin", "theirs")
    scene.git("fetch", "-q")
    write(scene, "f", "x\n")
    change(scene, "f", target="theirs", message="Add f")
    push(scene, "theirs")
    assert land(scene).success
    assert scene.bare.subjects("theirs") == ["Add f", "Add theirs", "Begin"]
    assert scene.status() == ["## main...origin/main", "?? f"]
    truthful(scene)


def test_a_branch_that_only_the_remote_has_without_a_push(scene: Scene) -> None:
    scene.stranger().git("push", "-q", "origin", "HEAD:theirs")
    scene.git("fetch", "-q")
    write(scene, "f", "x\n")
    change(scene, "f", target="theirs", message="Add f")
    assert land(scene).success
    assert scene.subjects("theirs") == ["Add f", "Begin"] and scene.there("refs/heads/theirs") == scene.start_oid


@pytest.fixture
def empty(scene: Scene) -> Worktree:
    """An empty repository with an empty remote."""
    scene.outside.git("init", "-q", "--bare", "empty.git")
    scene.outside.git("clone", "-q", "empty.git", "empty")
    place = Worktree(scene.root / "empty", scene.env)
    place.git("config", "uam.push.mode", "manual")
    with environment(scene.env), Repository.at(place.top) as repo:
        install(repo, hooks_only=False)
    return place


def test_the_first_commit_of_an_empty_repository(empty: Worktree, scene: Scene) -> None:
    write(empty, "f", "x\n")
    write(empty, "g", "x\n")
    change(empty, "f", message="Begin")
    change(empty, "g", message="Go on")
    push(empty)
    with batcher(empty, dynamic_windows=AT_ONCE) as here:
        batch = here.create_batch()
        assert batch is not None
        assert here.execute_batch(batch.id).success
    remote = Worktree(scene.root / "empty.git", scene.env)
    assert remote.git("ls-tree", "--name-only", "main").split() == ["f", "g"]
    # as it was shown: one commit
    assert remote.subjects("main") == [batch.actions[0].payload["message"].splitlines()[0]]
    sound(remote)


def test_the_first_commit_of_an_empty_repository_without_a_push(empty: Worktree) -> None:
    write(empty, "f", "x\n")
    change(empty, "f", message="Begin")
    assert land(empty).success
    assert empty.subjects("main") == ["Begin"] and empty.git("status", "--porcelain") == ""
    write(empty, "f", "y\n")
    change(empty, "f", message="Go on")
    assert land(empty).success
    assert empty.subjects("main") == ["Go on", "Begin"] and empty.git("status", "--porcelain") == ""


def test_a_linked_worktree_on_its_own_branch(scene: Scene) -> None:
    agent = scene.worktree("agent")
    write(agent, "f", "x\n")
    change(agent, "f", target="agent", message="Add f")
    push(agent, "agent")
    before = frozen(scene)
    assert land(scene).success
    assert scene.bare.subjects("agent") == ["Add f", "Begin"]
    assert agent.git("status", "--porcelain") == "" and agent.oid("HEAD") == scene.there("refs/heads/agent")
    assert {**frozen(scene), "branches": ""} == {**before, "branches": ""}


# -- when the branch moves -------------------------------------------------------------------------------------


def test_the_branch_moved_between(scene: Scene) -> None:
    write(scene, "f", "x\n")
    change(scene, "f", message="Add f")
    scene.commit("local")
    stranger = scene.stranger()
    stranger.commit("theirs")
    stranger.git("push", "-q", "origin", "main")
    push(scene)
    assert land(scene).success
    assert scene.files() == ["README", "f", "local", "theirs"]
    assert (scene.top / "f").read_text() == "x\n"


def test_the_branch_moved_between_without_a_push(scene: Scene) -> None:
    write(scene, "f", "x\n")
    change(scene, "f", message="Add f")
    scene.commit("local")
    assert land(scene).success
    assert scene.subjects("main") == ["Add f", "Add local", "Begin"]
    assert scene.git("status", "--porcelain") == ""


def test_one_that_conflicts_fails_alone_and_says_why(scene: Scene) -> None:
    scene.commit("table", TEN)
    scene.git("push", "-q", "origin", "main", UAM="off")
    agent = scene.worktree("agent")
    for place, files in ((scene, ("table", "mine")), (agent, ("fine",))):
        for name in files:
            write(place, name, "mine\n")
        change(place, *files, message=f"From {place.top.name}")
    stranger = scene.stranger()
    stranger.git("pull", "-q")
    stranger.commit("table", "theirs\n", message="Theirs")
    stranger.git("push", "-q", "origin", "main")
    push(scene)
    result = land(scene)
    assert not result.success and len(result.errors) == 1
    assert "table" in result.errors[0] and "conflict" in result.errors[0]
    assert states(scene)[:2] == ["failed", "landed"]
    assert scene.bare.subjects("main")[:2] == ["From agent", "Theirs"] and entry(scene.bare, "table")[1] == "theirs\n"
    assert (scene.top / "table").read_text() == "mine\n"  # as its owner left it, without a mark
    kept(scene, [row["tip"] for row in scene.rows("sources") if row["tip"]])


def test_one_that_conflicts_on_a_branch_here_fails_alone_and_says_why(scene: Scene) -> None:
    scene.git("branch", "release")
    agent = scene.worktree("agent")
    write(scene, "f", "mine\n")
    write(agent, "g", "fine\n")
    change(scene, "f", target="release", message="Mine")
    change(agent, "g", target="release", message="Fine")
    other = scene.worktree("other")
    other.commit("f", "theirs\n", message="Theirs")
    scene.git("update-ref", "refs/heads/release", other.oid("HEAD"))
    result = land(scene)
    assert not result.success
    assert "conflict" in result.errors[0] and "release" in result.errors[0] and "f" in result.errors[0].split()
    assert scene.subjects("release") == ["Fine", "Theirs", "Begin"]


def test_twice_the_same_file_from_one_worktree(scene: Scene) -> None:
    write(scene, "f", "1\n")
    first = change(scene, "f", message="One")
    write(scene, "f", "2\n")
    assert change(scene, "f", message="Two") == first  # they are one action
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "f")[1] == "2\n"
    (subject,) = scene.landed()
    body = scene.bare.git("log", "-1", "--format=%b", "main")
    assert subject == "Squashed 2 commits:" and "1. One" in body and "2. Two" in body
    assert scene.clean()


def test_twice_the_same_file_while_the_branch_moves(scene: Scene) -> None:
    """The second one holds what the first one brought; a commit of another file in between is no reason to conflict."""
    write(scene, "f", "1\n")
    change(scene, "f", message="One")
    scene.commit("other")
    write(scene, "f", "2\n")
    change(scene, "f", message="Two")
    push(scene)
    result = land(scene)
    assert (result.success, result.errors) == (True, ())
    assert entry(scene.bare, "f")[1] == "2\n"


def test_the_same_file_from_two_worktrees(scene: Scene) -> None:
    agents = [scene.worktree("ann"), scene.worktree("bob")]
    for agent in agents:
        write(agent, "f", f"{agent.top.name}\n")
        write(agent, agent.top.name, "x\n")
        change(agent, "f", agent.top.name, message=f"From {agent.top.name}")
    push(scene)
    result = land(scene)
    assert not result.success and len(result.errors) == 1 and "conflict in f with the work of ann" in result.errors[0]
    assert scene.files() == ["README", "ann", "f"] and entry(scene.bare, "f")[1] == "ann\n"
    assert states(scene)[:2] == ["landed", "failed"]


def test_others_work_in_the_same_file_is_not_undone(scene: Scene) -> None:
    """The worktree's file is older than the target's: what it does not know of is no change of its own."""
    scene.commit("table", TEN)
    scene.git("push", "-q", "origin", "main", UAM="off")
    agent = scene.worktree("agent")
    scene.commit("table", TEN.replace("9\n", "nine\n"), message="Nine")
    scene.git("push", "-q", "origin", "main", UAM="off")
    write(agent, "table", TEN.replace("0\n", "zero\n"))
    change(agent, "table", message="Zero")
    push(agent)
    land(scene)
    assert "nine" in entry(scene.bare, "table")[1]


# -- what the checkout looks like afterwards -------------------------------------------------------------------


def test_a_file_that_was_edited_again_keeps_its_edit(scene: Scene) -> None:
    write(scene, "f", "1\n")
    change(scene, "f", message="One")
    write(scene, "f", "2\n")
    assert land(scene).success
    assert scene.git("status", "--porcelain") == " M f"
    assert scene.git("diff", "--", "f").splitlines()[-2:] == ["-1", "+2"]
    change(scene, "f", message="Two")
    assert land(scene).success
    assert scene.subjects("main") == ["Two", "One", "Begin"] and scene.git("status", "--porcelain") == ""


def test_a_file_that_was_deleted_again_stays_deleted(scene: Scene) -> None:
    write(scene, "f", "1\n")
    change(scene, "f", message="One")
    (scene.top / "f").unlink()
    assert land(scene).success
    assert scene.git("status", "--porcelain") == " D f" and not (scene.top / "f").exists()


@pytest.mark.parametrize("others", bulk([False, True]), ids=["alone", "with strangers"])
def test_rounds_on_the_same_line(scene: Scene, others: bool) -> None:
    """Each round builds on the one before, whether or not the checkout could follow what landed."""
    write(scene, "f", TEN)
    change(scene, "f", message="Begin f")
    push(scene)
    land(scene)
    stranger = scene.stranger()
    for turn in range(4):
        if others:
            stranger.git("pull", "-q")
            text = (stranger.top / "f").read_text()
            stranger.commit("f", text + f"theirs {turn}\n", message=f"Theirs {turn}")
            stranger.git("push", "-q", "origin", "main")
        write(scene, "f", f"round {turn}\n" + TEN)
        change(scene, "f", message=f"Round {turn}")
        push(scene)
        assert land(scene).errors == ()
        has = entry(scene.bare, "f")[1].splitlines()
        assert has[0] == f"round {turn}"
        assert has[11:] == [f"theirs {n}" for n in range(turn + 1)] * others
    assert [subject for subject in scene.landed() if subject.startswith("Round")] == [f"Round {n}" for n in range(4)]
    if not others:
        assert scene.clean()
    sound(scene.bare)


def test_what_landed_merged_is_not_taken_for_what_the_worktree_has(scene: Scene) -> None:
    """The remote's file has another's line as well: the checkout must not look as if it had removed that line."""
    scene.commit("f", TEN)
    scene.git("push", "-q", "origin", "main", UAM="off")
    stranger = scene.stranger()
    stranger.git("pull", "-q")
    stranger.commit("f", TEN + "theirs\n", message="Theirs")
    stranger.git("push", "-q", "origin", "main")
    write(scene, "f", "one\n" + TEN)
    change(scene, "f", message="One")
    push(scene)
    assert land(scene).success
    assert entry(scene.bare, "f")[1] == "one\n" + TEN + "theirs\n"
    assert "-theirs" not in scene.git("diff", "HEAD", "--", "f").splitlines()
    # and the next one does not undo it for everybody
    write(scene, "f", "two\n" + TEN)
    change(scene, "f", message="Two")
    push(scene)
    land(scene)
    assert entry(scene.bare, "f")[1] == "two\n" + TEN + "theirs\n"


@pytest.mark.slow
def test_rounds_in_which_the_checkout_catches_up(scene: Scene) -> None:
    """`git uam sync` brings the checkout over, and the next round stands on that."""
    stranger = scene.stranger()
    for turn in range(3):
        write(scene, "f", f"round {turn}\n")
        change(scene, "f", message=f"Round {turn}")
        stranger.git("pull", "-q")
        stranger.commit(f"theirs-{turn}")
        stranger.git("push", "-q", "origin", "main")
        push(scene)
        assert land(scene).errors == ()
        scene.git("uam", "sync")
        assert scene.clean(), scene.status()
        assert entry(scene.bare, "f")[1] == (scene.top / "f").read_text() == f"round {turn}\n"


# -- with pushes -----------------------------------------------------------------------------------------------


def test_a_push_that_is_due_takes_commits_along_that_are_not(scene: Scene) -> None:
    write(scene, "f", "x\n")
    with environment(scene.env):
        slow = DeployBatcher(repository=scene.top, dynamic_windows={"commit": 3_600_000, "push": 0})
        number = slow.queue("ann", "commit", "main", {"message": "Add f", "files": ["f"]})
        assert slow.flush_all(due_only=True) == []
        slow.queue("ann", "push", "main")
        (result,) = slow.flush_all(due_only=True)
    assert result.success and result.executed_actions == 2
    assert scene.landed() == ["Add f"] and len(scene.pushes()) == 1
    assert scene.rows("deploy_queue")[0]["id"] == number
    assert [row["status"] for row in scene.rows("deploy_queue")] == ["completed", "completed"]


@pytest.mark.slow
def test_an_ordinary_push_takes_waiting_commits_along(scene: Scene) -> None:
    """`git push` of the branch they are for, as any agent runs it; a push of another branch does not."""
    scene.git("config", "uam.push.mode", "wait")
    other = scene.worktree("other")
    write(scene, "f", "x\n")
    with environment(scene.env):
        slow = DeployBatcher(repository=scene.top, dynamic_windows={"commit": 3_600_000})
        slow.queue("ann", "commit", "main", {"message": "Add f", "files": ["f"]})
    other.commit("elsewhere")
    assert other.push("-q", "origin", "other").code == 0
    assert scene.landed() == [] and states(scene)[0] == "pending"
    scene.commit("mine")
    done = scene.push("-q", "origin", "main")
    assert done.code == 0, done
    assert scene.files() == ["README", "f", "mine"] and len(scene.pushes()) == 2
    assert states(scene)[0] == "landed"
    assert scene.clean() and (scene.top / "f").read_text() == "x\n"
    truthful(scene)


def test_an_ordinary_push_to_another_branch_leaves_them(scene: Scene) -> None:
    """HEAD of main goes to a branch of another name: commits that were asked for on main do not belong there."""
    write(scene, "f", "x\n")
    change(scene, "f", message="Add f")
    scene.commit("mine")
    queue(scene, "origin", "main:review")
    with batcher(scene, dynamic_windows=AT_ONCE) as here:
        here.flush_all()
    assert "f" not in scene.files("review")


def test_a_push_of_work_that_conflicts_with_a_waiting_commit(scene: Scene) -> None:
    scene.git("config", "uam.push.mode", "wait")
    agent = scene.worktree("agent")
    write(agent, "f", "asked\n")
    with environment(agent.env):
        slow = DeployBatcher(repository=agent.top, dynamic_windows={"commit": 3_600_000})
        slow.queue("ann", "commit", "main", {"message": "Add f", "files": ["f"]})
    scene.commit("f", "pushed\n", message="Push f")
    done = scene.push("-q", "origin", "main")
    # the commit was queued first, so its work is what the push is in the way of
    assert done.code == 1 and "f" in done.err
    assert scene.landed() == ["Add f"]
    assert scene.subjects("main") == ["Push f", "Begin"]


def test_a_flush_by_hand_brings_commits_without_a_push_to_their_branch(scene: Scene) -> None:
    write(scene, "f", "x\n")
    change(scene, "f", message="Add f")
    assert [result.success for result in flushed(scene)] == [True]
    assert scene.subjects("main") == ["Add f", "Begin"] and scene.pushes() == []
    # from here it is a commit like any other
    queue(scene, "origin", "main")
    flushed(scene)
    assert scene.landed() == ["Add f"] and scene.clean()


def test_a_path_is_named_for_git_once(scene: Scene) -> None:
    """However often and however a file is named, it is one file."""
    write(scene, "d/f", "x\n")
    change(scene, "d/f", "./d/f", "d/../d/f", str(scene.top / "d" / "f"))
    with batcher(scene, dynamic_windows=AT_ONCE) as here:
        batch = here.create_batch()
    assert batch is not None and batch.actions[0].payload["files"] == ["d/f"]


def test_files_of_git_itself_by_any_name(scene: Scene) -> None:
    (scene.top / "sub").mkdir()
    assert Path(scene.top / ".git" / "config").exists()
    with batcher(scene, repository=scene.top / "sub", dynamic_windows=AT_ONCE) as here:
        for name in ("../.git/config", "../.Git/config", str(scene.top / ".git" / "config")):
            with pytest.raises(UsageError):
                here.queue("ann", "commit", "main", {"message": "m", "files": [name]})
