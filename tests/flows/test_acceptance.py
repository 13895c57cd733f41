"""Acceptance: a push that conflicts with what waits before it hears so at once, and what is just queued lands."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.support.queueing import WINDOW, change, due_now
from tests.support.scenes import Done, Scene, Worktree, finished, until
from tests.support.tables import edit, flush, to_main, with_table
from uam_hooks.hot.push.accept import PROCESSES


@pytest.fixture
def table(scene: Scene) -> Scene:
    """A repository in which nothing lands by itself."""
    return with_table(scene)


def told(done: Done, tip: str, rival: str) -> None:
    """What a push hears that conflicts with one that is queued."""
    words = f"conflict in table with {rival}"
    assert done.code == 1
    assert f" ! [remote rejected] HEAD -> main ({words})" in done.err
    assert done.ours == [
        f"{tip[:7]} was not queued for origin/main: table conflicts with {rival}; your commits are untouched",
        "`git uam sync --queued origin/main`, resolve, and push again: it goes in behind that",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["manual", "queue", "wait"])
def test_a_conflict_is_told_while_the_first_push_waits(table: Scene, mode: str) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    table.git("config", "uam.push.mode", mode)
    table.git("config", "uam.window.push", WINDOW)
    first, second = edit(a, 0, "one"), edit(b, 0, "two")
    waiting = a.start("push", "origin", "HEAD:main")
    until(lambda: "pending" in table.pushed(), "the first push in the queue")
    number = next(row["id"] for row in table.rows("deploy_queue") if row["status"] == "pending" and row["remote"])
    tracking = table.oid("refs/remotes/origin/main")
    told(to_main(b), second, f"the work of a, queued as #{number} ({first[:7]})")
    assert table.pushed() == ["completed", "pending"]
    assert (b.oid("HEAD"), table.oid("refs/remotes/origin/main")) == (second, tracking)
    due_now(table)
    flush(a)
    assert finished(waiting).code == 0
    table.idle()
    assert table.landed()[-1] == "Say one"


@pytest.mark.parametrize("mode", ["manual", "wait"])
def test_a_command_that_a_message_names_takes_a_ref_as_one_word(table: Scene, mode: str) -> None:
    """git allows names of branches that act in a shell, and who copies the command runs them."""
    name = "x;touch${IFS}pwned;$(touch${IFS}pwned)"
    a, b = table.worktree("a"), table.worktree("b")
    assert a.push("origin", f"HEAD:refs/heads/{name}").code == 0
    flush(a)
    table.git("config", "uam.push.mode", mode)
    edit(a, 0, "one")
    edit(b, 0, "two")
    assert a.push("origin", f"HEAD:refs/heads/{name}").code == 0
    done = b.push("origin", f"HEAD:refs/heads/{name}")
    assert done.code == 1
    command = done.ours[-1].split("`")[1]
    assert shlex.split(command)[-1].endswith(name)
    b.execute("sh", "-c", command)
    assert not (b.top / "pwned").exists()


def test_what_was_cancelled_is_in_nobodys_way(table: Scene) -> None:
    a, b, c = (table.worktree(name) for name in "abc")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    edit(b, 0, "two")
    assert to_main(b).code == to_main(b).code == 1
    assert json.loads(table.git("uam", "stats", "--json"))["conflicts"] == {
        "pushes": 1, "files": [{"file": "table", "conflicts": 1}], "pairs": [{"agents": ["a", "b"], "conflicts": 1}],
    }  # fmt: skip
    number = table.rows("sources")[-1]["action_id"]
    table.git("uam", "cancel", str(number))
    assert to_main(b).code == 0
    edit(c, 3, "three")
    assert to_main(c).code == 0
    flush(a)
    assert "two" in table.bare.git("show", "main:table")
    assert "three" in table.bare.git("show", "main:table")


@pytest.mark.slow
def test_what_has_failed_is_in_nobodys_way(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    stranger = table.stranger()
    edit(stranger, 0, "zero")
    stranger.git("push", "-q", "origin", "HEAD:main")
    edit(b, 5, "two")
    assert to_main(b).code == 0
    flush(a)  # the remote has moved: a fails, b does not
    assert table.pushed()[-1] == "completed"
    table.git("fetch", "-q")
    edit(b, 0, "three")
    done = to_main(b)
    tip = table.oid("refs/remotes/origin/main")[:7]
    assert f"(conflict in table with what origin/main has ({tip}))" in done.err
    assert done.ours[-1] == "`git pull --rebase origin main`, resolve, and push again"
    assert done.code == 1


@pytest.mark.slow
def test_what_has_landed_meanwhile_is_what_the_remote_has(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    edit(a, 1, "one")
    assert to_main(a).code == 0
    flush(a)
    edit(b, 0, "two")
    assert "conflict in table with what origin/main has" in to_main(b).err
    # a goes on where it was, although its commits have landed as another one
    edit(a, 0, "one more")
    assert to_main(a).code == 0
    flush(a)
    assert "one more" in table.bare.git("show", "main:table")


def test_names_that_differ_conflict(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    for place, name in ((a, "first"), (b, "second")):
        place.git("mv", "table", name)
        place.git("commit", "-q", "-m", f"Call it {name}")
    assert to_main(a).code == 0
    done = to_main(b)
    assert "(conflict in first, second, table with the work of a, queued as #" in done.err
    assert done.code == 1


@pytest.mark.slow
def test_a_newer_push_of_the_same_work_is_no_conflict(table: Scene) -> None:
    a = table.worktree("a")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    edit(a, 0, "one, better")
    assert to_main(a).code == 0
    (a.top / "table").write_text((a.top / "table").read_text().replace("one, better", "one, best"))
    a.git("commit", "-q", "-a", "--amend", "-m", "Say the best")
    assert to_main(a).code == 0
    assert to_main(a).code == 0
    flush(a)
    assert "one, best" in table.bare.git("show", "main:table")


@pytest.mark.slow
def test_whose_work_it_is_among_several(table: Scene) -> None:
    agents = [table.worktree(name) for name in "abcd"]
    tips = [edit(agent, number, f"mine {number}") for number, agent in enumerate(agents[:3])]
    for agent in agents[:3]:
        assert to_main(agent, "-o", "ci.skip").code in (0, 1)
    queued = [row for row in table.rows("sources") if row["status"] == "pending"]
    assert [row["tip"] for row in queued] == tips
    edit(agents[3], 1, "no, mine")
    number = queued[1]["action_id"]
    assert f"with the work of b, queued as #{number} ({tips[1][:7]})" in to_main(agents[3]).err


@pytest.mark.slow
def test_two_refs_have_each_their_answer_and_an_atomic_push_one(table: Scene) -> None:
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    edit(b, 0, "two")
    before = len(table.rows("sources"))
    done = to_main(b, "--atomic", "HEAD:refs/heads/other")
    assert done.code == 1
    assert "(another ref of this atomic push conflicts)" in done.err
    assert len(table.rows("sources")) == before
    done = to_main(b, "HEAD:refs/heads/other")
    assert done.code == 1
    assert "HEAD -> main (conflict in table" in done.err
    assert [row["tip"] for row in table.rows("sources")[before:]] == [b.oid("HEAD")]


@pytest.mark.slow
def test_what_git_merges_by_attributes_is_left_to_the_landing(table: Scene) -> None:
    (table.top / ".gitattributes").write_text("table merge=union\n")
    table.git("add", ".gitattributes")
    table.git("commit", "-q", "-m", "Unite tables")
    table.git("push", "-q")
    flush(table)
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    edit(b, 0, "two")
    assert (to_main(a).code, to_main(b).code) == (0, 0)
    flush(a)
    assert table.bare.git("show", "main:table").splitlines()[:2] == ["one", "two"]


def test_what_nobody_can_try_is_just_queued(table: Scene) -> None:
    """A state that was collected; and a row that is about another ground is made again."""
    a, b = table.worktree("a"), table.worktree("b")
    edit(a, 0, "one")
    assert to_main(a).code == 0
    edit(b, 0, "two")
    change(table, "UPDATE expected SET state = ?", "1" * 40)
    assert to_main(b).code == 0
    number = table.rows("sources")[-1]["action_id"]
    change(table, "UPDATE sources SET status = 'withdrawn' WHERE agent_id = 'b'")
    change(table, "UPDATE expected SET ground = 'elsewhere'")
    assert f"queued as #{number}" in to_main(b).err


def commands(scene: Scene, place: Worktree, name: str) -> list[list[str]]:
    """The git commands of a push, those of the remote included."""
    trace = scene.root / name
    trace.mkdir()
    assert to_main(place, GIT_TRACE2_EVENT=str(trace)).code == 0
    starts = (json.loads(line) for path in sorted(trace.iterdir()) for line in path.read_text().splitlines())
    return [event["argv"] for event in starts if event["event"] == "start"]


@pytest.mark.slow
def test_it_costs_at_most_two_processes(table: Scene) -> None:
    agents = [table.worktree(name) for name in "abcde"]
    for number, agent in enumerate(agents):
        edit(agent, number, f"mine {number}")
    table.git("config", "uam.push.accept", "false")
    without = commands(table, agents[0], "without")
    table.git("config", "uam.push.accept", "true")
    # the first of them is behind one of which nothing is known, and so is the last
    for number, merged in enumerate((2, 1, 1, 2)):
        found = commands(table, agents[number + 1], f"trace-{number}")
        assert len(found) - len(without) == merged <= PROCESSES
        assert len([argv for argv in found if "merge-tree" in argv]) == merged
        if number == 2:
            change(table, "DELETE FROM expected WHERE source_id = (SELECT max(source_id) FROM expected)")
    assert json.loads(table.rows("expected")[-1]["behind"]) == [row["id"] for row in table.rows("sources")[-5:-1]]
