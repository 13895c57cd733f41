"""Many worktrees, one landing: what lands, what is kept, and where each agent finds its branch afterwards."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tests.support.landscape import (
    at_remote,
    by_hand,
    flushed,
    kept,
    queue,
    record,
    sound,
    states,
    truthful,
    updates,
    write,
)
from tests.support.marks import bulk
from tests.support.queueing import WINDOW, due_now, in_one_window
from tests.support.scenes import SHADOW, TRACKING, Done, Scene, Worktree, finished, gate, until

LINES = "".join(f"{n}: 0\n\n\n\n" for n in range(6))


def set_line(agent: Worktree, number: int, text: str, name: str = "table") -> str:
    """Change one line of the table and commit."""
    path = agent.top / name
    lines = path.read_text().splitlines(keepends=True)
    lines[number * 4] = f"{number}: {text}\n"
    path.write_text("".join(lines))
    agent.git("commit", "-q", "-a", "-m", f"Set {number} to {text}")
    return agent.oid("HEAD")


@pytest.fixture
def table(scene: Scene) -> Scene:
    """A scene whose remote has a table of lines far enough apart to merge."""
    write(scene, "table", LINES)
    record(scene, "Begin a table")
    scene.git("push", "-q", "origin", "main", UAM="off")
    scene.start_oid = scene.there()
    return scene


# -- what lands --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_same_line_in_three_batches_without_syncing(table: Scene) -> None:
    """Nobody's branch ever moves, and each landing holds what the others did meanwhile."""
    by_hand(table, settle="off")
    agents = [table.worktree(f"agent-{n}") for n in range(3)]
    tips = []
    for turn in range(1, 4):
        for number, agent in enumerate(agents):
            tips.append(set_line(agent, number, f"{turn}.1"))
            tips.append(set_line(agent, number, f"{turn}.2"))
            queue(agent)
        assert [result.errors for result in flushed(table)] == [()]
        there = table.bare.git("show", "main:table").splitlines()
        assert there[0:12:4] == [f"{n}: {turn}.2" for n in range(3)]
    # they never synced: each branch has only its own commits
    for number, agent in enumerate(agents):
        assert agent.subjects(f"{table.start_oid}..HEAD") == [
            f"Set {number} to {turn}.{half}" for turn in (3, 2, 1) for half in (2, 1)
        ]
    assert len(updates(table)) == 4  # the table itself, and three batches
    kept(table, tips)
    truthful(table)
    sound(table)


@pytest.mark.slow
def test_lines_taken_in_turn_with_a_strangers_pushes_in_between(table: Scene) -> None:
    by_hand(table, settle="off")
    agent, other = table.worktree("agent"), table.stranger()
    for turn in range(1, 4):
        set_line(agent, 0, str(turn))
        set_line(agent, 1, str(turn))
        queue(agent)
        other.git("pull", "-q", "--rebase")
        set_line(other, 4, f"theirs {turn}")
        other.git("push", "-q")
        assert [result.errors for result in flushed(table)] == [()]
    assert table.bare.git("show", "main:table").splitlines()[0:20:4] == ["0: 3", "1: 3", "2: 0", "3: 0", "4: theirs 3"]


@pytest.mark.slow
def test_twenty_worktrees_push_to_main_at_once(scene: Scene) -> None:
    agents = [scene.worktree(f"agent-{n}") for n in range(20)]
    tips = [agent.commit(f"file-{n}") for n, agent in enumerate(agents)]
    start = threading.Barrier(len(agents))

    def push(agent: Worktree) -> Done:
        start.wait()
        return agent.push("origin", "HEAD:main")

    results = in_one_window(scene, [partial(push, agent) for agent in agents])
    assert [done.code for done in results] == [0] * 20, results
    assert len(scene.pushes()) == 1
    assert scene.files() == sorted(["README", *(f"file-{n}" for n in range(20))])
    assert sorted(scene.landed()) == sorted(f"Add file-{n}" for n in range(20))
    kept(scene, tips)
    truthful(scene)
    last = updates(scene)[-1][0][2]
    assert [agent.oid("HEAD") for agent in agents] == [last] * 20
    for agent in agents:
        assert agent.git("status", "--porcelain") == ""
        assert scene.run("merge-base", "--is-ancestor", agent.oid("HEAD"), TRACKING).code == 0


def test_a_worktree_and_its_branch_may_be_deleted_after_queueing(scene: Scene) -> None:
    by_hand(scene)
    for name, detached in (("gone", False), ("nowhere", True)):
        agent = scene.worktree(name, *(("--detach",) if detached else ()))
        agent.commit(f"{name}-1")
        agent.commit(f"{name}-2")
        queue(agent)
        scene.git("worktree", "remove", "--force", str(agent.top))
        if not detached:
            scene.git("branch", "-D", "-q", name)
    scene.git("reflog", "expire", "--expire=now", "--all")
    scene.git("gc", "-q", "--prune=now")
    assert [result.errors for result in flushed(scene)] == [()]
    assert scene.files() == ["README", "gone-1", "gone-2", "nowhere-1", "nowhere-2"]
    scene.git("gc", "-q", "--prune=now")
    names = scene.git("log", "--format=%s", "--grep=^Add ", SHADOW).splitlines()
    assert sorted(names) == ["Add gone-1", "Add gone-2", "Add nowhere-1", "Add nowhere-2"]
    sound(scene)


def test_an_amend_after_queueing_replaces_what_was_queued(scene: Scene) -> None:
    by_hand(scene)
    for name, start in (("named", ("-b", "named")), ("detached", ("--detach",))):
        agent = scene.worktree(name, *start)
        first = agent.commit(name, "first\n")
        queue(agent)
        write(agent, name, "second\n")
        agent.git("commit", "-q", "-a", "--amend", "-m", f"Add {name} rightly")
        queue(agent)
        assert [result.errors for result in flushed(scene)] == [()]
        assert scene.bare.git("show", f"main:{name}") == "second"
        assert states(scene)[-2:] == ["replaced", "landed"]
        kept(scene, [first])


def test_two_works_of_one_detached_worktree_both_land(scene: Scene) -> None:
    """A detached HEAD has no name: that it moved on to other work takes nothing back."""
    by_hand(scene)
    agent = scene.worktree("detached", "--detach")
    agent.commit("first")
    queue(agent)
    agent.git("checkout", "-q", "--detach", "origin/main")
    agent.commit("second")
    queue(agent)
    flushed(scene)
    assert scene.files() == ["README", "first", "second"]


@pytest.mark.parametrize("start", ["--detach", "-B"])
def test_a_push_is_not_told_that_it_landed_when_it_did_not(scene: Scene, start: str) -> None:
    """The worktree goes on to other work while its push waits: the older push means its own commits."""
    scene.git("config", "uam.window.push", WINDOW)
    agent = scene.worktree("agent", *(("--detach",) if start == "--detach" else ()))
    agent.commit("first")
    early = agent.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 1, "the first push in the queue")
    agent.git("checkout", "-q", start, *(("agent",) if start == "-B" else ()), "origin/main")
    agent.commit("second")
    (done,) = in_one_window(scene, [lambda: agent.push("origin", "HEAD:main")])
    assert done.code == 0
    early.communicate()
    assert (early.returncode == 0) is ("first" in scene.files())
    assert "second" in scene.files()


def test_two_works_pushed_by_their_commits_both_land(scene: Scene) -> None:
    """`git push origin <commit>:main` names no branch at all."""
    by_hand(scene, settle="off")
    works = []
    for name in ("first", "second"):
        scene.git("checkout", "-q", "-b", name, "origin/main")
        works.append(scene.commit(name))
    for commit in works:
        queue(scene, "origin", f"{commit}:main")
    flushed(scene)
    assert scene.files() == ["README", "first", "second"]


def test_what_was_changed_after_its_landing_lands_as_the_difference(table: Scene) -> None:
    by_hand(table, settle="off")
    agent = table.worktree("agent")
    set_line(agent, 0, "1")
    set_line(agent, 1, "1")
    queue(agent)
    flushed(table)
    write(agent, "extra", "extra\n")
    agent.git("add", "-A")
    pushed = agent.oid("HEAD")
    agent.git("commit", "-q", "--amend", "-m", "Set 1 to 1, and add extra")
    assert agent.push("origin", "HEAD:main").code == 1
    agent.git("reset", "-q", "--soft", pushed)
    agent.git("commit", "-q", "-m", "Add extra")
    queue(agent)
    assert [result.errors for result in flushed(table)] == [()]
    assert table.files() == ["README", "extra", "table"]


# -- pull requests ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pull_request_shows_the_same_difference(scene: Scene) -> None:
    """A branch that merged main: main's commits stay parents, or the forge would show them as the branch's."""
    scene.git("config", "uam.window.push", "1ms")
    topic = scene.worktree("topic")
    topic.commit("topic-1")
    topic.commit("topic-2")
    assert topic.push("-u", "origin", "topic").code == 0
    main = scene.stranger()
    main.commit("main-1")
    main.commit("main-2")
    main.git("push", "-q")
    topic.commit("topic-3")
    topic.git("fetch", "-q")
    topic.git("merge", "-q", "--no-edit", "origin/main")
    topic.commit("topic-4")
    shown = topic.git("diff", "origin/main...topic")
    assert topic.push().code == 0
    assert scene.bare.git("diff", "main...topic") == shown
    assert scene.bare.git("diff", "--name-only", "main...topic").splitlines() == [f"topic-{n}" for n in range(1, 5)]
    assert scene.run("merge-base", "--is-ancestor", main.oid("HEAD"), "refs/remotes/origin/topic").code == 0
    # and on and on, from where the landing left the branch
    main.commit("main-3")
    main.git("push", "-q")
    topic.git("pull", "-q", "--no-rebase", "--no-edit", "origin", "main")
    topic.commit("topic-5")
    shown = topic.git("diff", "origin/main...topic")
    assert topic.push().code == 0
    assert scene.bare.git("diff", "main...topic") == shown


# -- where the branch is afterwards ------------------------------------------------------------------------------


def squashed_with_company(scene: Scene, agent: Worktree) -> list[str]:
    """A stranger pushes, and `agent` has two commits to push: its landing changes its files."""
    other = scene.stranger()
    other.git("pull", "-q", "--rebase")
    other.commit(f"theirs-{other.short('HEAD')}")
    other.git("push", "-q")
    return [agent.commit(f"{agent.top.name}-{n}-on-{agent.short('HEAD')}") for n in (1, 2)]


def test_branch_head_index_and_files_follow(scene: Scene) -> None:
    agent = scene.worktree("agent")
    tip = squashed_with_company(scene, agent)[-1]
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0
    at_remote(agent, scene)
    assert agent.git("symbolic-ref", "HEAD") == "refs/heads/agent"
    new = scene.there()[:7]
    assert done.ours[-1] == f"branch agent and its files are now at {new}, what origin/main has"
    for name in ("agent", "HEAD"):
        assert agent.git("log", "-g", "-1", "--format=%gs", name) == f"uam: landed as {new}"
        assert agent.oid(f"{name}@{{1}}") == tip


def test_a_detached_head_follows(scene: Scene) -> None:
    agent = scene.worktree("agent", "--detach")
    tip = squashed_with_company(scene, agent)[-1]
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0
    at_remote(agent, scene)
    assert agent.run("symbolic-ref", "-q", "HEAD").code == 1
    assert done.ours[-1] == f"HEAD and its files are now at {scene.there()[:7]}, what origin/main has"
    assert agent.oid("HEAD@{1}") == tip
    assert scene.oid("main") == scene.start_oid


def test_uncommitted_work_is_untouched(scene: Scene) -> None:
    agent = scene.worktree("agent")
    agent.commit("mine")
    agent.commit("staged")
    squashed_with_company(scene, agent)
    write(agent, "mine", "changed\n")
    write(agent, "staged", "changed\n")
    agent.git("add", "staged")
    write(agent, "new and staged", "new\n")
    agent.git("add", "new and staged")
    write(agent, "unknown", "unknown\n")
    before = agent.git("status", "--porcelain")
    assert agent.push("origin", "HEAD:main").code == 0
    assert agent.oid("HEAD") == scene.there()
    assert agent.git("status", "--porcelain") == before
    assert (agent.top / "mine").read_text() == (agent.top / "staged").read_text() == "changed\n"
    assert any(path.name.startswith("theirs-") for path in agent.top.iterdir())


@pytest.mark.parametrize("how", bulk(["modified", "staged", "unknown"]))
def test_a_change_in_the_way_leaves_the_branch_where_it_was(scene: Scene, how: str) -> None:
    agent = scene.worktree("agent")
    other = scene.stranger()
    name = "theirs" if how == "unknown" else "README"
    other.commit(name, "theirs\n")
    other.git("push", "-q")
    agent.commit("one")
    tip = agent.commit("two")
    write(agent, name, "in the way\n")
    if how == "staged":
        agent.git("add", name)
    before = agent.git("status", "--porcelain")
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0
    assert (agent.oid("agent"), agent.git("status", "--porcelain")) == (tip, before)
    assert (agent.top / name).read_text() == "in the way\n"
    assert done.ours[-1] == (
        f"branch agent stays at {tip[:7]}: your changes to {name} conflict with it; `git uam sync` brings it to what"
        " origin/main has"
    )
    # nothing is in the way any more
    agent.git("rm", "-q", "--cached", "--force", "--ignore-unmatch", name)
    (agent.top / name).unlink()
    if how != "unknown":
        agent.git("checkout", "-q", "HEAD", "--", name)
    assert agent.run("uam", "sync").code == 0
    at_remote(agent, scene)


def test_a_rebase_under_way_is_left_alone(scene: Scene) -> None:
    agent = scene.worktree("agent")
    tip = squashed_with_company(scene, agent)[-1]
    stopped = agent.run("-c", "sequence.editor=sed -i s/pick/edit/", "rebase", "-q", "-i", "HEAD~2")
    assert (agent.git_dir / "rebase-merge").is_dir(), stopped
    before = agent.oid("HEAD"), agent.git("status", "--porcelain")
    done = agent.push("origin", "agent:main")
    assert done.code == 0
    assert (agent.oid("HEAD"), agent.git("status", "--porcelain")) == before
    assert agent.oid("agent") == tip
    assert done.ours[-1].startswith(f"branch agent stays at {tip[:7]}: a rebase is under way there; ")
    agent.git("-c", "core.editor=true", "rebase", "--continue")
    agent.git("-c", "core.editor=true", "rebase", "--continue")
    assert agent.git("symbolic-ref", "HEAD") == "refs/heads/agent"


def test_a_merge_under_way_is_left_alone(scene: Scene) -> None:
    agent = scene.worktree("agent")
    tip = squashed_with_company(scene, agent)[-1]
    agent.git("fetch", "-q")
    agent.git("merge", "-q", "--no-ff", "--no-commit", "origin/main")
    before = agent.git("status", "--porcelain"), agent.oid("MERGE_HEAD")
    done = agent.push("origin", "HEAD:main")
    assert done.code == 0
    assert (agent.git("status", "--porcelain"), agent.oid("MERGE_HEAD")) == before
    assert agent.oid("agent") == tip
    assert done.ours[-1].startswith(f"branch agent stays at {tip[:7]}: a merge is under way there; ")
    agent.git("commit", "-q", "--no-edit")


def test_a_newer_commit_is_carried_over_where_nothing_has_to_be_merged(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    agent = scene.worktree("agent")
    agent.commit("one")
    agent.commit("two")
    push = agent.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 1, "the push in the queue")
    agent.commit("three", "", "--author=Bob <bob@example.invalid>", "--date=2020-01-02T03:04:05+0000")
    facts = agent.git("log", "-1", "--format=%an %ae %ad %s %T")
    due_now(scene)
    push.communicate()
    assert push.returncode == 0
    assert agent.oid("HEAD~1") == scene.there()
    assert agent.git("log", "-1", "--format=%an %ae %ad %s %T") == facts
    assert agent.git("status", "--porcelain") == ""
    scene.git("config", "uam.window.push", "50ms")
    assert agent.push("origin", "HEAD:main").code == 0
    assert scene.landed() == ["Squashed 2 commits:", "Add three"]


@pytest.mark.slow
def test_a_newer_commit_with_others_work_in_between_is_left_and_lands_next(scene: Scene) -> None:
    scene.git("config", "uam.window.push", WINDOW)
    agent = scene.worktree("agent")
    squashed_with_company(scene, agent)
    push = agent.start("push", "origin", "HEAD:main")
    until(lambda: len(scene.rows("sources")) == 1, "the push in the queue")
    newer = agent.commit("three")
    due_now(scene)
    err = push.communicate()[1]
    assert push.returncode == 0
    assert agent.git("status", "--porcelain") == ""
    head = agent.oid("HEAD")
    assert (agent.top / "three").exists()
    if head == newer:
        assert f"branch agent stays at {newer[:7]}: " in err
    else:
        assert agent.oid("HEAD~1") == scene.there()
    scene.git("config", "uam.window.push", "50ms")
    assert agent.push("origin", "HEAD:main").code == 0
    at_remote(agent, scene)
    assert scene.landed()[-1] == "Add three"


@pytest.mark.slow
def test_settle_off_moves_nothing_and_ref_moves_no_file(scene: Scene) -> None:
    agent = scene.worktree("agent")
    for mode in ("off", "ref"):
        scene.git("config", "uam.settle", mode)
        tip = squashed_with_company(scene, agent)[-1]
        assert agent.push("origin", "HEAD:main").code == 0
        assert agent.oid("HEAD") == tip
        assert agent.git("status", "--porcelain") == ""
    scene.git("config", "uam.settle", "ref")
    agent.git("uam", "sync")
    agent.commit("alone-1")
    agent.commit("alone-2")
    assert agent.push("origin", "HEAD:main").code == 0
    at_remote(agent, scene)


def test_a_push_that_nobody_waited_for_moves_only_what_needs_no_file(scene: Scene) -> None:
    by_hand(scene)
    alone, late = scene.worktree("alone"), scene.worktree("late")
    alone.commit("alone-1")
    alone.commit("alone-2")
    queue(alone)
    flushed(scene)
    at_remote(alone, scene)
    tip = late.commit("late-1")
    queue(late)
    flushed(scene)
    assert late.oid("HEAD") == tip
    assert late.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_branch_pushed_from_where_it_is_not_checked_out(scene: Scene) -> None:
    """`git push origin other:main`, where `other` is checked out in another worktree with work in progress."""
    other = scene.worktree("other")
    tip = squashed_with_company(scene, other)[-1]
    write(other, "README", "in progress\n")
    done = scene.push("origin", "other:main")
    assert done.code == 0
    assert other.oid("HEAD") == tip
    assert (other.top / "README").read_text() == "in progress\n"
    assert done.ours[-1].startswith(f"branch other stays at {tip[:7]}: its files are checked out")
    assert scene.oid("HEAD") == scene.start_oid

    scene.git("branch", "nowhere", "main")
    scene.git("checkout", "-q", "nowhere")
    squashed_with_company(scene, scene)
    scene.git("checkout", "-q", "main")
    assert scene.push("origin", "nowhere:main").code == 0
    assert scene.oid("nowhere") == scene.there()
    assert scene.oid("HEAD") == scene.start_oid


def test_a_commit_during_the_landing_stays_on_its_branch(scene: Scene) -> None:
    """The remote takes its time with the push; a commit made meanwhile is neither lost nor broken."""
    agent = scene.worktree("agent")
    agent.commit("one")
    agent.commit("two")
    with gate(scene, scene.remote / "hooks" / "pre-receive") as remote:
        push = agent.start("push", "origin", "HEAD:main")
        until(remote.reached, "the remote's hook")
        agent.commit("three")
        remote()
        assert finished(push).code == 0
    assert agent.oid("HEAD~1") == scene.there()
    assert agent.git("log", "-1", "--format=%s") == "Add three"


# -- conflicts -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_conflicts_fail_alone_in_queue_order(table: Scene) -> None:
    """Two of five are in the way of the first; which is first is the order of the queue, on every run."""
    for turn in range(2):
        by_hand(table, settle="off")
        agents = [table.worktree(f"agent-{turn}-{n}", "-b", f"agent-{turn}-{n}", "origin/main") for n in range(5)]
        for number, agent in enumerate(agents):
            set_line(agent, 1 if number in (1, 2, 4) else number, f"{turn} by {number}")
            queue(agent)
        before = len(table.pushes())
        flushed(table)
        assert states(table)[-5:] == ["landed", "landed", "failed", "landed", "failed"]
        assert len(table.pushes()) == before + 1
        assert table.bare.git("show", "main:table").splitlines()[4] == f"1: {turn} by 1"
        failed = table.report()["failed"][:2]
        assert [f["agent"] for f in failed] == [f"agent-{turn}-4", f"agent-{turn}-2"]
        for one in failed:
            assert one["conflict_with"]["agent"] == f"agent-{turn}-1"
            assert one["conflict_with"]["commit"] == agents[1].oid("HEAD")
            assert one["error"].startswith("conflict in table with the work of agent-")
    truthful(table)


@pytest.mark.slow
def test_a_conflict_names_an_earlier_batch_and_can_be_resolved(table: Scene) -> None:
    by_hand(table)
    early, late = table.worktree("early"), table.worktree("late")
    set_line(early, 0, "early")
    set_line(early, 1, "early")
    queue(early)
    flushed(table)
    table.git("config", "uam.push.mode", "wait")
    tip = set_line(late, 0, "late")
    done = late.push("origin", "HEAD:main")
    assert done.code == 1
    assert done.ours == [
        f"{tip[:7]} was not landed on origin/main: table conflicts with the work of early in batch 1"
        f" ({table.there()[:7]}); your commits are untouched",
        "`git pull --rebase origin main`, resolve, and push again",
    ]
    whose = table.report()["failed"][0]["conflict_with"]
    assert (whose["agent"], whose["batch"], whose["commit"]) == ("early", 1, table.there())
    assert late.oid("HEAD") == tip

    assert late.run("pull", "-q", "--rebase", "origin", "main").code == 1
    write(late, "table", LINES.replace("0: 0", "0: both").replace("1: 0", "1: early"))
    late.git("add", "table")
    late.git("-c", "core.editor=true", "rebase", "--continue")
    assert late.push("origin", "HEAD:main").code == 0
    assert table.bare.git("show", "main:table").splitlines()[0] == "0: both"
    assert table.report()["failed"] == []


def test_a_conflict_with_a_stranger_names_the_author(table: Scene) -> None:
    by_hand(table)
    agent, other = table.worktree("agent"), table.stranger()
    other.git("config", "user.name", "Stranger")
    theirs = set_line(other, 0, "theirs")
    other.git("push", "-q")
    set_line(agent, 0, "mine")
    set_line(agent, 1, "mine")
    queue(agent)
    flushed(table)
    assert states(table) == ["failed"]
    failed = table.report()["failed"][0]
    assert failed["error"] == f"conflict in table with {theirs[:7]} by Stranger <ada@example.invalid>"
    assert failed["conflict_with"]["commit"] == theirs


def test_deleted_here_and_changed_there_is_a_conflict(table: Scene) -> None:
    by_hand(table)
    first, second = table.worktree("first"), table.worktree("second")
    set_line(first, 0, "first")
    second.git("rm", "-q", "table")
    record(second, "Delete the table")
    queue(first)
    queue(second)
    flushed(table)
    assert states(table) == ["landed", "failed"]
    failed = table.report()["failed"][0]
    assert failed["conflict_with"]["agent"] == "first"
    assert "table" in failed["error"]
