"""Where local branches are after a landing, and when they are left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.landscape import by_hand, enqueue, environment
from tests.support.marks import bulk
from tests.support.queueing import WINDOW, due_now, in_one_window
from tests.support.scenes import TRACKING, Scene, Worktree, another_git, finished, gate, locked, script, until
from uam_hooks.hot.push.intake import BranchMoved, enter
from uam_hooks.hot.push.request import Request, Spec
from uam_hooks.hot.push.resolve import resolve
from uam_hooks.hot.push.session import PushSession, open_session

pytestmark = pytest.mark.staying


def behind(scene: Scene) -> str:
    """Somebody else has pushed `theirs`: a landing on top of it changes files here."""
    other = scene.stranger()
    other.commit("theirs")
    tip = other.oid("HEAD")
    other.push("-q", "origin", "main")
    return tip


def stays(branch: str, at: str, why: str) -> str:
    return f"branch {branch} stays at {at[:7]}: {why}; `git uam sync` brings it to what origin/main has"


@contextmanager
def pushing(place: Worktree) -> Iterator[PushSession]:
    """The session of a push from `place`, in this process."""
    session = open_session(place.git_dir)
    assert session is not None
    with session.store:
        yield session


# -- the branch that was pushed ------------------------------------------------------------------------------


def test_local_modifications_are_kept(scene: Scene) -> None:
    scene.commit("mine")
    scene.commit("notes", "one\n")
    scene.push()
    behind(scene)
    scene.commit("more")
    (scene.top / "notes").write_text("two\n")
    (scene.top / "unknown").write_text("a file that git does not know\n")
    (scene.top / "staged").write_text("staged\n")
    scene.git("add", "staged")
    done = scene.push()
    assert done.code == 0
    assert done.ours[-1] == f"branch main and its files are now at {scene.there()[:7]}, what origin/main has"
    assert scene.status() == ["## main...origin/main", " M notes", "A  staged", "?? unknown"] or scene.status() == [
        "## main...origin/main", "A  staged", " M notes", "?? unknown",
    ]  # fmt: skip
    assert (scene.top / "notes").read_text() == "two\n"
    assert (scene.top / "theirs").exists()


@pytest.mark.parametrize("known", bulk([True, False]), ids=["a change", "an unknown file"])
def test_what_is_in_the_way_stays_and_is_named(scene: Scene, known: bool) -> None:
    if known:
        scene.commit("theirs", "ours\n")
        scene.push()
        other = scene.stranger()
        other.git("pull", "-q", "origin", "main")
        other.commit("theirs", "theirs\n", message="Change theirs")
        other.push("-q", "origin", "main")
    else:
        behind(scene)
    mine = scene.commit("mine")
    (scene.top / "theirs").write_text("work in progress\n")
    done = scene.push()
    assert done.code == 0
    if known:
        assert done.ours[-1] == stays("main", mine, "your changes to theirs conflict with it")
    else:
        assert done.ours[-1].startswith(f"branch main stays at {mine[:7]}: ")
        assert "theirs" in done.ours[-1]
    assert scene.oid("main") == mine
    assert (scene.top / "theirs").read_text() == "work in progress\n"
    assert scene.files() == ["README", "mine", "theirs"]
    assert scene.oid(TRACKING) == scene.there()
    assert (scene.git("status", "--porcelain") == " M theirs") is known


@pytest.mark.slow
def test_work_goes_on_from_a_branch_that_stayed(scene: Scene) -> None:
    """A branch that could not be settled still lands its next commits, without conflict and once."""
    behind(scene)
    scene.commit("mine", "1\n")
    (scene.top / "theirs").write_text("in the way\n")
    scene.push()
    scene.commit("mine", "2\n", message="Change mine")
    assert scene.push().code == 0
    (scene.top / "theirs").unlink()
    scene.commit("mine", "3\n", message="Change mine again")
    assert scene.push().code == 0
    assert scene.clean()
    assert scene.bare.git("show", "main:mine") == "3"
    assert scene.landed() == ["Add theirs", "Add mine", "Change mine", "Change mine again"]


@pytest.mark.parametrize("mode", bulk(["ref", "off"]))
def test_settle_as_it_is_set(scene: Scene, mode: str) -> None:
    scene.git("config", "uam.settle", mode)
    scene.commit("a")
    scene.commit("b")
    assert scene.push().code == 0
    # the trees are the same: moving the ref is enough
    assert (scene.oid("main") == scene.there()) is (mode == "ref")
    behind(scene)
    mine = scene.commit("c")
    done = scene.push()
    assert done.code == 0
    assert scene.oid("main") == mine
    assert not (scene.top / "theirs").exists()
    if mode == "ref":
        assert done.ours[-1] == stays("main", mine, "its files are checked out and would have to change")
    else:
        assert len(done.ours) == 1


def test_newer_commits_are_put_on_top(scene: Scene) -> None:
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        scene.commit("a")
        scene.commit("b")
        process = scene.start("push")
        until(open_gate.reached, "a push that has come to the remote")
        newer = scene.commit("c", "", "--author=Bob <bob@example.invalid>")
        open_gate()
        done = finished(process)
    assert done.code == 0
    assert scene.oid("main") != newer
    assert scene.git("rev-parse", "main^") == scene.there()
    assert scene.git("log", "-1", "--format=%an %s", "main") == "Bob Add c"
    assert scene.status() == ["## main...origin/main [ahead 1]"]
    assert done.ours[-1].startswith(f"branch main and its files are now at {scene.short('main')}")
    # what they were stays reachable
    (carried,) = scene.git("for-each-ref", "--format=%(objectname)", "refs/uam/original").split()
    assert carried == newer
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:", "Add c"]


def test_newer_commits_that_are_queued_stay_as_they_are(scene: Scene) -> None:
    """Put on top of the landing, they would conflict with what they land as."""
    with gate(scene, scene.remote / "hooks" / "pre-receive") as open_gate:
        scene.commit("a")
        scene.commit("b")
        process = scene.start("push")
        until(open_gate.reached, "a push that has come to the remote")
        scene.commit("c", "one\n")
        newer = scene.commit("c", "two\n")
        scene.git("config", "uam.push.mode", "queue")
        assert scene.push().code == 0
        open_gate()
        done = finished(process)
    assert done.code == 0
    assert done.ours[-1] == stays("main", newer, "it has newer commits that are queued")
    scene.idle()
    assert scene.oid("main") == scene.there()
    assert scene.landed() == ["Squashed 2 commits:", "Squashed 2 commits:"]
    # and the next one is no conflict with what has landed
    scene.commit("c", "three\n")
    scene.git("config", "uam.push.mode", "wait")
    assert scene.push().code == 0
    assert scene.oid("main") == scene.there()


@pytest.mark.parametrize("source", ["refs/heads/main", "HEAD"])
def test_a_branch_that_a_settle_moves_while_it_is_queued_is_resolved_again(scene: Scene, source: str) -> None:
    by_hand(scene)
    tip = scene.commit("a")
    carried = scene.git("commit-tree", "-p", f"{tip}^", "-m", "Add a, carried", f"{tip}^{{tree}}")
    with environment(scene.env), pushing(scene) as session:
        (one,) = resolve(session, Request("origin", (Spec(source, "refs/heads/main"),)), {})
        scene.git("update-ref", "-m", "uam: landed as 1234567", "refs/heads/main", carried, tip)
        with pytest.raises(BranchMoved):
            enter(session, [one], urgent=False, waits=False, last=False)
        assert scene.rows("sources") == []
        enter(session, [one], urgent=False, waits=False, last=True)  # it can be had, but not for ever
    assert [row["tip"] for row in scene.rows("sources")] == [tip]


def test_h15_one_of_several_branches_that_moves_while_they_are_queued_is_seen(scene: Scene) -> None:
    by_hand(scene)
    tip = scene.commit("a")
    carried = scene.git("commit-tree", "-p", f"{tip}^", "-m", "Add a, carried", f"{tip}^{{tree}}")
    scene.git("branch", "beside", scene.start_oid)
    names = ["refs/heads/beside", "refs/heads/main"]
    with environment(scene.env), pushing(scene) as session:
        specs = resolve(session, Request("origin", tuple(Spec(name, name) for name in names)), {})
        scene.git("update-ref", "-m", "uam: landed as 1234567", "refs/heads/main", carried, tip)
        with pytest.raises(BranchMoved):
            enter(session, specs, urgent=False, waits=False, last=False)
        assert scene.rows("sources") == []
        specs = resolve(session, Request("origin", tuple(Spec(name, name) for name in names)), {})
        enter(session, specs, urgent=False, waits=False, last=False)
    assert [row["tip"] for row in scene.rows("sources")] == [scene.start_oid, carried]


def meanwhile(scene: Scene, when: str, what: str) -> dict[str, str]:
    """The environment in which git does something else first when it is asked for `when`, once."""
    once = scene.root / "once"
    text = f'[ -e "{once}" ] || {{ : >"{once}"; "$REAL_GIT" {what}; }}'
    return another_git(scene, f'case " $* " in *" {when} "*) {text} ;; esac\nexec "$REAL_GIT" "$@"\n')


@pytest.mark.parametrize("door", ["scene", "unwired"])
def test_a_push_takes_what_a_settle_has_made_of_its_branch(door: str, request: pytest.FixtureRequest) -> None:
    scene = by_hand(request.getfixturevalue(door))
    tip = scene.commit("a")
    carried = scene.git("commit-tree", "-p", f"{tip}^", "-m", "Add a, carried", f"{tip}^{{tree}}")
    move = f'update-ref -m "uam: landed as 1234567" refs/heads/main {carried} {tip}'
    scene.push("origin", "main", **meanwhile(scene, "update-ref --stdin", move))
    assert (scene.root / "once").exists()
    assert [row["tip"] for row in scene.rows("sources")] == [carried]


# straight to a remote that has it already is left to git, which judges by what the branch was
@pytest.mark.parametrize(("is_there", "off"), [(False, "off"), (False, ""), (True, "")])
def test_the_tracking_ref_says_what_the_remote_has_although_the_branch_moves(
    scene: Scene, is_there: bool, off: str
) -> None:
    """git looks up what it pushes before it asks us, and we look it up once more."""
    tip = scene.commit("a")
    moved = scene.git("commit-tree", "-p", f"{tip}^", "-m", "Add a, carried", f"{tip}^{{tree}}")
    if is_there:
        scene.git("push", "-q", "origin", f"{moved}:refs/heads/main", UAM="off")
    asked = "cat-file"
    env = meanwhile(scene, asked, f'update-ref -m "uam: landed as 1234567" refs/heads/main {moved} {tip}')
    done = scene.push("origin", "HEAD:main", **env, UAM=off)
    assert done.code == 0, done
    assert (scene.root / "once").exists()
    assert scene.there() == scene.oid("origin/main") == moved


def test_a_commit_in_flight_makes_settle_back_off(scene: Scene) -> None:
    """An editor is open for a commit on this branch while its earlier push lands: git must be able to finish it."""
    scene.commit("a")
    earlier = scene.commit("b")
    (scene.top / "c").write_text("c\n")
    scene.git("add", "c")
    marker, editor_pipe = scene.root / "editing", scene.root / "editor.pipe"
    os.mkfifo(editor_pipe)
    editor = script(scene.root / "editor", f'echo "Add c" >"$1"\n: >"{marker}"\nread -r line <"{editor_pipe}"\n')
    commit = scene.start("commit", GIT_EDITOR=str(editor))
    until(marker.exists, "an open editor")
    done = scene.push()
    assert done.code == 0
    assert done.ours[-1] == stays("main", earlier, "a commit on it is in flight")
    assert scene.oid("main") == earlier
    editor_pipe.write_text("save\n")
    committed = finished(commit)
    assert committed.code == 0, committed
    assert scene.subjects("-1", "main") == ["Add c"]
    assert scene.push().code == 0
    assert scene.landed() == ["Squashed 2 commits:", "Add c"]
    assert scene.clean()


def test_the_mark_of_a_commit_that_died_counts_for_nothing(scene: Scene) -> None:
    process = scene.start("--version")
    finished(process)
    (scene.uam / "inflight" / str(process.pid)).write_text(f"ref: refs/heads/main\n{scene.top / '.git'}\n")
    scene.commit("a")
    scene.commit("b")
    assert scene.push().code == 0
    assert scene.clean()
    assert list((scene.uam / "inflight").iterdir()) == []


def test_g5_a_number_that_another_process_has_by_now_is_no_commit_in_flight(scene: Scene) -> None:
    """The mark names this very process, which lives, and says that it started at another moment."""
    mark = scene.uam / "inflight" / str(os.getpid())
    mark.write_text(f"ref: refs/heads/main\n{scene.top / '.git'}\n1\n")
    scene.commit("a")
    scene.commit("b")
    done = scene.push()
    assert (done.code, scene.clean()) == (0, True), done
    assert not mark.exists()


def test_g5_the_mark_of_an_earlier_version_counts_by_its_number(scene: Scene) -> None:
    (scene.uam / "inflight" / str(os.getpid())).write_text(f"ref: refs/heads/main\n{scene.top / '.git'}\n")
    scene.commit("a")
    tip = scene.commit("b")
    assert scene.push().ours[-1] == stays("main", tip, "a commit on it is in flight")


def test_g5_a_waiter_whose_number_another_process_has_by_now_settles_nothing(quiet: Scene) -> None:
    """A push that is gone does not keep its branch from following what landed."""
    quiet.commit("a")
    quiet.commit("b")
    assert enqueue(quiet, waits=True)  # as this process
    with quiet.store() as store, store.transaction() as db:
        db.execute("UPDATE sources SET waiter_started = '1'")
    quiet.git("uam", "flush")
    assert (quiet.landed(), quiet.oid("main")) == (["Squashed 2 commits:"], quiet.there())


def test_a_mark_that_cannot_be_read_may_be_a_commit_in_flight(scene: Scene) -> None:
    (scene.uam / "inflight" / str(os.getpid())).mkdir()  # reading it fails, and this process lives
    (scene.uam / "inflight" / "notes").write_text("no mark\n")
    scene.commit("a")
    tip = scene.commit("b")
    assert scene.push().ours[-1] == stays("main", tip, "a commit on it is in flight")


@pytest.mark.parametrize(("state", "what"), [("merge", "a merge"), ("rebase", "a rebase")])
def test_in_the_middle_of_something_nothing_moves(scene: Scene, state: str, what: str) -> None:
    scene.git("branch", "side")
    scene.commit("README", "mine\n", message="Say mine")
    tip = scene.commit("a")
    agent = scene.worktree("side-tree", "side")
    agent.commit("README", "side\n", message="Say side")
    if state == "merge":
        assert scene.run("merge", "side").code == 1
        source = "main"
    else:
        assert scene.run("rebase", "side").code == 1
        source = tip
    before = scene.oid("HEAD"), scene.git("status", "--porcelain")
    done = scene.push("origin", f"{source}:refs/heads/main")
    assert done.code == 0
    assert scene.landed() == ["Squashed 2 commits:"]
    assert (scene.oid("HEAD"), scene.git("status", "--porcelain")) == before
    assert scene.oid("main") == tip
    if state == "merge":
        assert done.ours[-1] == stays("main", tip, f"{what} is under way there")


def test_a_detached_head_is_brought_over(scene: Scene) -> None:
    scene.git("switch", "-q", "--detach")
    scene.commit("a")
    scene.commit("b")
    behind(scene)
    done = scene.push("origin", "HEAD:main")
    assert done.code == 0
    assert done.ours[-1] == f"HEAD and its files are now at {scene.there()[:7]}, what origin/main has"
    assert scene.oid("HEAD") == scene.there()
    assert scene.run("symbolic-ref", "-q", "HEAD").code == 1
    assert scene.oid("main") == scene.start_oid
    assert scene.git("status", "--porcelain") == ""


def test_a_bare_object_name_moves_no_branch(scene: Scene) -> None:
    scene.commit("a")
    tip = scene.commit("b")
    assert scene.push("origin", f"{tip}:main").code == 0
    assert scene.oid("main") == tip
    assert scene.landed() == ["Squashed 2 commits:"]
    # a push of the branch then finds all of it there, and brings the branch over
    again = scene.push()
    assert again.code == 0
    assert again.err.endswith("Everything up-to-date\n")
    assert scene.oid("main") == scene.there()


# -- other branches and worktrees -----------------------------------------------------------------------------


def test_a_branch_that_is_checked_out_nowhere_follows(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "topic")
    scene.commit("a")
    scene.commit("b")
    scene.git("switch", "-q", "main")
    done = scene.push("origin", "topic:main")
    assert done.code == 0
    assert scene.oid("topic") == scene.there()
    assert done.ours[-1] == f"branch topic is now at {scene.there()[:7]}, what origin/main has"
    assert scene.oid("main") == scene.start_oid


def test_a_branch_checked_out_elsewhere_is_not_touched_where_files_would_change(scene: Scene) -> None:
    agent = scene.worktree("agent")
    tip = agent.commit("a")
    behind(scene)
    done = scene.push("origin", "agent:main")
    assert done.code == 0
    assert agent.oid("HEAD") == tip
    assert agent.git("status", "--porcelain") == ""
    assert done.ours[-1] == stays("agent", tip, "its files are checked out and would have to change")


def test_a_worktree_and_branch_deleted_while_it_waits(scene: Scene) -> None:
    """The commits stay reachable and land, although nobody has them any more."""
    scene.git("config", "uam.push.mode", "queue")
    scene.git("config", "uam.window.push", WINDOW)
    agent = scene.worktree("agent")
    tip = agent.commit("a")
    assert agent.push("origin", "HEAD:main").code == 0
    scene.git("worktree", "remove", "--force", str(agent.top))
    scene.git("branch", "-D", "agent")
    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")
    due_now(scene)
    scene.idle()
    assert scene.there() == tip
    assert scene.oid("agent") == ""


def test_settles_in_many_worktrees_at_once(scene: Scene) -> None:
    agents: list[Worktree] = [scene.worktree(f"agent-{n}") for n in range(4)]
    for number, agent in enumerate(agents):
        agent.commit(f"file-{number}")
        (agent.top / "scratch").write_text("unknown\n")
    results = in_one_window(scene, [lambda a=a: a.push("origin", "HEAD:main") for a in agents])  # type: ignore[misc]
    assert [done.code for done in results] == [0] * 4
    for agent in agents:
        assert agent.oid("HEAD") == scene.there()
        assert agent.git("status", "--porcelain") == "?? scratch"
    assert list((scene.uam / "settling").iterdir()) == []


# -- two landings of one branch ------------------------------------------------------------------------------


@pytest.mark.parametrize(("squash", "theirs"), [("push", False), ("push", True), ("off", True)])
def test_an_earlier_landing_does_not_take_a_branch_back_from_what_has_landed_since(
    scene: Scene, squash: str, theirs: bool
) -> None:
    """The second push lands while the first one's branch waits to be settled: the branch stays, and then goes on."""
    scene.git("config", "uam.squash", squash)
    scene.commit("mine", "0\n")
    assert scene.push().code == 0
    with locked(scene.paths.settle_lock):
        if theirs:
            behind(scene)
        scene.commit("mine", "1\n")
        scene.commit("mine", "2\n")
        first = scene.start("push")
        until(lambda: [row["status"] for row in scene.rows("sources")] == ["landed"] * 2, "the first landing")
        scene.commit("mine", "3\n")
        newer = scene.commit("mine", "4\n")
        assert scene.run("-c", "uam.settle=off", "push").code == 0
        assert (scene.oid("main"), scene.bare.git("show", "main:mine")) == (newer, "4")
    done = finished(first)
    assert done.code == 0
    assert scene.oid("main") == newer
    assert done.ours[-1] == stays("main", newer, "newer commits of it have landed as well")
    # and the next one is no conflict with its own work
    scene.commit("mine", "5\n")
    assert scene.push().code == 0
    assert scene.bare.git("show", "main:mine") == "5"
    assert scene.oid("main") == scene.there()
    assert scene.clean()


def test_an_earlier_landing_says_nothing_of_a_branch_that_is_at_a_later_one(scene: Scene) -> None:
    with locked(scene.paths.settle_lock):
        scene.commit("mine", "1\n")
        scene.commit("mine", "2\n")
        first = scene.start("push")
        until(lambda: [row["status"] for row in scene.rows("sources")] == ["landed"], "the first landing")
        scene.commit("mine", "3\n")
        assert scene.run("-c", "uam.settle=off", "push").code == 0
        assert scene.git("reset", "-q", "--hard", "origin/main") == ""
    done = finished(first)
    assert (done.code, len(done.ours)) == (0, 1), done
    assert scene.oid("main") == scene.there()
